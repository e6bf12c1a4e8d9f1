package lockstep

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
)

// History returns up to limit entries of the history of an app after one of them, oldest first; 0 and 0 begin
// with the first and leave the number to the server. NextAfter of the answer leads to the next page. Package
// history checks what was returned, with no server needed. Only Lockstep servers offer it.
//
// API: GET /apps/{app_id}/history
func (c *Client) History(ctx context.Context, appID string, after uint64, limit int) (*api.History, error) {
	path, err := appPath(appID, "/history")
	if err != nil {
		return nil, err
	}
	r := request{method: http.MethodGet, path: path, query: url.Values{}}
	if after != 0 {
		r.query.Set("after", strconv.FormatUint(after, 10))
	}
	if limit != 0 {
		r.query.Set("limit", strconv.Itoa(limit))
	}
	var out api.History
	if err := c.call(ctx, r, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// SetHistoryPublic decides whether the history of an app is served without an API key.
//
// API: PATCH /apps/{app_id}/history
func (c *Client) SetHistoryPublic(ctx context.Context, appID string, public bool) (*api.History, error) {
	path, err := appPath(appID, "/history")
	if err != nil {
		return nil, err
	}
	var out api.History
	if err := c.call(ctx, request{method: http.MethodPatch, path: path}, api.HistorySettings{Public: &public}, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
