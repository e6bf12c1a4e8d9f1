package lockstep

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
)

// GetCVMComposition returns the containers of a CVM. While it does not run, or its node does not answer,
// IsOnline is false and Error says why.
//
// API: GET /cvms/{id}/composition
func (c *Client) GetCVMComposition(ctx context.Context, cvmID string) (*api.Composition, error) {
	var out api.Composition
	if err := c.getCVM(ctx, cvmID, "/composition", "", &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// GetCVMStats returns what the guest of a CVM says of its CPU, memory and disks. Sysinfo is nil when nobody
// can tell or the document keeps it private; Error says which.
//
// API: GET /cvms/{id}/stats
func (c *Client) GetCVMStats(ctx context.Context, cvmID string) (*api.SystemStats, error) {
	var out api.SystemStats
	if err := c.getCVM(ctx, cvmID, "/stats", "", &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// GetCVMNetwork returns how a CVM is reached.
//
// API: GET /cvms/{id}/network
func (c *Client) GetCVMNetwork(ctx context.Context, cvmID string) (*api.Network, error) {
	var out api.Network
	if err := c.getCVM(ctx, cvmID, "/network", "", &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// GetCVMUserConfig returns what the guest of a CVM was configured with beside its document.
//
// API: GET /cvms/{id}/user_config
func (c *Client) GetCVMUserConfig(ctx context.Context, cvmID string) (*api.UserConfig, error) {
	var out api.UserConfig
	if err := c.getCVM(ctx, cvmID, "/user_config", "", &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// GetCVMStatusBatch returns what up to 100 CVMs do at the moment, by the vm_uuids as they were given. Those
// that do not exist are left out.
//
// API: POST /status/batch
func (c *Client) GetCVMStatusBatch(ctx context.Context, vmUUIDs ...string) (api.StatusBatch, error) {
	out := api.StatusBatch{}
	r := request{method: http.MethodPost, path: "/status/batch"}
	if err := c.call(ctx, r, api.StatusBatchRequest{VMUUIDs: vmUUIDs}, &out); err != nil {
		return nil, err
	}
	return out, nil
}

// AppFilter picks apps of which one CVM fits all of it. Empty members pick every app.
type AppFilter struct {
	// Search is part of a name, an app id, a vm_uuid or an instance id.
	Search string
	// Statuses are those that the server keeps; any of them fits.
	Statuses []api.CVMStatus
	// Listed picks by visibility; nil is both.
	Listed                                                        *bool
	BaseImage, InstanceType, KMSSlug, KMSType, NodeName, RegionID string
}

// ListApps returns the apps of the workspace that have CVMs, newest first, fetching page after page while it
// is ranged over. An error ends the sequence.
//
// API: GET /apps
func (c *Client) ListApps(ctx context.Context, filter AppFilter, opts ListOptions) iter.Seq2[*api.App[api.CVM], error] {
	return func(yield func(*api.App[api.CVM], error) bool) {
		query := filter.query()
		if opts.PageSize > 0 {
			query.Set("page_size", strconv.Itoa(opts.PageSize))
		}
		for page := 1; ; page++ {
			query.Set("page", strconv.Itoa(page))
			var out api.AppList[api.CVM]
			r := request{method: http.MethodGet, path: "/apps", version: api.Version20260121, query: query}
			if err := c.call(ctx, r, nil, &out); err != nil {
				yield(nil, err)
				return
			}
			for i := range out.Apps {
				if !yield(&out.Apps[i], nil) {
					return
				}
			}
			if page >= out.TotalPages || len(out.Apps) == 0 {
				return
			}
		}
	}
}

func (f AppFilter) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"search": f.Search, "base_image": f.BaseImage, "instance_type": f.InstanceType, "kms_slug": f.KMSSlug, "kms_type": f.KMSType,
		"node": f.NodeName, "region": f.RegionID,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for _, status := range f.Statuses {
		query.Add("status", string(status))
	}
	if f.Listed != nil {
		query.Set("listed", strconv.FormatBool(*f.Listed))
	}
	return query
}
