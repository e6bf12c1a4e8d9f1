package lockstep

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
)

// KMSListOptions narrows a listing of KMSes.
type KMSListOptions struct {
	ListOptions
	// OnChain, when set, asks only for KMSes with a contract, or only for those without.
	OnChain *bool
}

// GetKMSList returns the KMSes, fetching page after page while it is ranged over. An error ends the
// sequence.
//
// API: GET /kms
func (c *Client) GetKMSList(ctx context.Context, opts KMSListOptions) iter.Seq2[*api.KMSInfo, error] {
	query := url.Values{}
	if opts.OnChain != nil {
		query.Set("is_onchain", strconv.FormatBool(*opts.OnChain))
	}
	return pages[api.KMSInfo](ctx, c, request{method: http.MethodGet, path: "/kms"}, query, opts.ListOptions)
}

// GetKMSInfo returns a KMS by id or slug.
//
// API: GET /kms/{kms_id}
func (c *Client) GetKMSInfo(ctx context.Context, kms string) (*api.KMSInfo, error) {
	if kms == "" {
		return nil, &FieldError{Field: "kms", Seen: "nothing", Expected: "the id or slug of a KMS"}
	}
	var out api.KMSInfo
	if err := c.call(ctx, request{method: http.MethodGet, path: "/kms/" + escape(kms)}, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// GetAppEnvEncryptPubKey returns the key that the environment of an app is encrypted to; see
// [EncryptEnvVars]. The KMS is named by id, slug or type, the app by 40 hex digits.
//
// API: GET /kms/{kms_id}/pubkey/{app_id}
func (c *Client) GetAppEnvEncryptPubKey(ctx context.Context, kms, appID string) (*api.AppPubKey, error) {
	if kms == "" {
		return nil, &FieldError{Field: "kms", Seen: "nothing", Expected: "the id, slug or type of a KMS"}
	}
	app, err := api.ParseAppID("app_id", appID)
	if err != nil {
		return nil, err
	}
	var out api.AppPubKey
	if err := c.call(ctx, request{method: http.MethodGet, path: "/kms/" + escape(kms) + "/pubkey/" + app}, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// maxNextAppIDs is the most app ids that can be asked for at once.
const maxNextAppIDs = 20

// NextAppIDs returns app ids that the workspace may use for its next CVMs, 1 to 20.
//
// API: GET /kms/phala/next_app_id
func (c *Client) NextAppIDs(ctx context.Context, count int) ([]api.NextAppID, error) {
	if count < 1 || count > maxNextAppIDs {
		return nil, &FieldError{Field: "counts", Seen: strconv.Itoa(count), Expected: fmt.Sprintf("1 to %d", maxNextAppIDs)}
	}
	var out api.NextAppIDs
	r := request{method: http.MethodGet, path: "/kms/phala/next_app_id", query: url.Values{"counts": {strconv.Itoa(count)}}}
	if err := c.call(ctx, r, nil, &out); err != nil {
		return nil, err
	}
	return out.AppIDs, nil
}
