package lockstep

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// StartCVM boots a CVM with the document that it ran last.
//
// API: POST /cvms/{id}/start
func (c *Client) StartCVM(ctx context.Context, cvmID string) (*api.VM, error) {
	return c.power(ctx, cvmID, "start", nil)
}

// StopCVM stops a CVM at once, without asking the guest. Whatever runs on it is cancelled first.
//
// API: POST /cvms/{id}/stop
func (c *Client) StopCVM(ctx context.Context, cvmID string) (*api.VM, error) {
	return c.power(ctx, cvmID, "stop", nil)
}

// ShutdownCVM asks the guest of a CVM to shut down. The options are for Lockstep servers; the zero value
// leaves everything to the server.
//
// API: POST /cvms/{id}/shutdown
func (c *Client) ShutdownCVM(ctx context.Context, cvmID string, options api.ShutdownOptions) (*api.VM, error) {
	if options == (api.ShutdownOptions{}) {
		return c.power(ctx, cvmID, "shutdown", nil)
	}
	return c.power(ctx, cvmID, "shutdown", options)
}

// RestartCVM stops a CVM and boots it again with the same document.
//
// API: POST /cvms/{id}/restart
func (c *Client) RestartCVM(ctx context.Context, cvmID string, in api.RestartRequest) (*api.VM, error) {
	return c.power(ctx, cvmID, "restart", in)
}

func (c *Client) power(ctx context.Context, cvmID, action string, in any) (*api.VM, error) {
	id, err := segment(cvmID)
	if err != nil {
		return nil, err
	}
	var out api.VM
	if err := c.call(ctx, request{method: http.MethodPost, path: "/cvms/" + id + "/" + action}, in, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// DeleteCVM deletes a CVM and its disk. It is gone, and its name free, when this returns.
//
// API: DELETE /cvms/{id}
func (c *Client) DeleteCVM(ctx context.Context, cvmID string) error {
	id, err := segment(cvmID)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, request{method: http.MethodDelete, path: "/cvms/" + id})
	return err
}

// CancelOperation cancels what is done to a CVM. An update that did nothing to it yet ends at once; one that
// did gives its place back to the previous document. What cannot be cancelled is an *[APIError] with status
// 409; nothing to cancel is no error.
//
// API: POST /cvms/{id}/operations/cancel
func (c *Client) CancelOperation(ctx context.Context, cvmID string) (*api.CancelOperationResult, error) {
	id, err := segment(cvmID)
	if err != nil {
		return nil, err
	}
	var out api.CancelOperationResult
	if err := c.call(ctx, request{method: http.MethodPost, path: "/cvms/" + id + "/operations/cancel"}, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// OperationsOptions choose operations of a CVM. The zero value means all.
type OperationsOptions struct {
	// PageSize is how many are fetched at once, at most 500; 0 is the server's choice.
	PageSize int
	// Since and Until bound when an operation began.
	Since, Until time.Time
	// Types are some of [api.OperationDeploy] and so on.
	Types []string
}

// Operations returns what was done to a CVM, newest first, fetching page after page while it is ranged over.
// An error ends the sequence.
//
// API: GET /cvms/{id}/operations
func (c *Client) Operations(ctx context.Context, cvmID string, opts OperationsOptions) iter.Seq2[*api.Operation, error] {
	return func(yield func(*api.Operation, error) bool) {
		id, err := segment(cvmID)
		if err != nil {
			yield(nil, err)
			return
		}
		query := url.Values{"operation_types": opts.Types}
		if opts.PageSize > 0 {
			query.Set("limit", strconv.Itoa(opts.PageSize))
		}
		for name, t := range map[string]time.Time{"start_time": opts.Since, "end_time": opts.Until} {
			if !t.IsZero() {
				query.Set(name, t.UTC().Format(time.RFC3339Nano))
			}
		}
		for {
			var page api.Operations
			if err := c.call(ctx, request{method: http.MethodGet, path: "/cvms/" + id + "/operations", query: query}, nil, &page); err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Items {
				if !yield(&page.Items[i], nil) {
					return
				}
			}
			if page.NextCursor == nil || *page.NextCursor == "" || len(page.Items) == 0 {
				return
			}
			query.Set("cursor", *page.NextCursor)
		}
	}
}

// OperationStatus returns what runs on a CVM now.
//
// API: GET /cvms/{id}/operation-status
func (c *Client) OperationStatus(ctx context.Context, cvmID string) (*api.OperationStatus, error) {
	id, err := segment(cvmID)
	if err != nil {
		return nil, err
	}
	var out api.OperationStatus
	if err := c.call(ctx, request{method: http.MethodGet, path: "/cvms/" + id + "/operation-status"}, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
