package lockstep

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
)

// Revisions returns one page of the documents that were accepted for CVMs of an app, newest first. Pages
// count from 1; a size of 0 is the server's choice.
//
// API: GET /apps/{app_id}/revisions
func (c *Client) Revisions(ctx context.Context, appID string, page, size int) (*api.Revisions, error) {
	path, err := appPath(appID, "/revisions")
	if err != nil {
		return nil, err
	}
	r := request{method: http.MethodGet, path: path, query: url.Values{"page": {strconv.Itoa(max(page, 1))}}}
	if size != 0 {
		r.query.Set("page_size", strconv.Itoa(size))
	}
	var out api.Revisions
	if err := c.call(ctx, r, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// Revision returns one revision with the exact bytes of its document, whose SHA-256 is its compose hash.
//
// API: GET /apps/{app_id}/revisions/{revision_id}
func (c *Client) Revision(ctx context.Context, appID, revisionID string) (*api.RevisionDetail, []byte, error) {
	path, err := revisionPath(appID, revisionID, "")
	if err != nil {
		return nil, nil, err
	}
	r := request{method: http.MethodGet, path: path, query: url.Values{"raw_compose_file": {"true"}}}
	var out api.RevisionDetail
	if err := c.call(ctx, r, nil, &out); err != nil {
		return nil, nil, err
	}
	var document string
	if err := json.Unmarshal(out.ComposeFile, &document); err != nil {
		return nil, nil, &ResponseError{Operation: r.name(), StatusCode: http.StatusOK, Reason: "compose_file is no string"}
	}
	return &out, []byte(document), nil
}

// RedeployOptions of [Client.Redeploy] and [Client.RedeployApp].
type RedeployOptions struct {
	// TransactionHash is the approval on chain, to have it checked. It may be left out: what the contract
	// still allows needs none.
	TransactionHash string
	// VMUUIDs are the CVMs that are meant, with RedeployApp only; they may be left out when the app has one.
	VMUUIDs []string
}

// Redeploy updates a CVM to exactly the document of a revision of its app. What the contract does not allow
// any more comes as an *[APIError] that [MissingApprovals] reads: the owner registers it, then the call is
// repeated.
//
// API: POST /cvms/{id}/revisions/{revision_id}/redeploy
func (c *Client) Redeploy(ctx context.Context, cvmID, revisionID string, o RedeployOptions) (*api.Redeployed, error) {
	id, err := segment(cvmID)
	if err != nil {
		return nil, err
	}
	if revisionID == "" {
		return nil, errNoRevisionID
	}
	return c.redeploy(ctx, "/cvms/"+id+"/revisions/"+escape(revisionID)+"/redeploy", o.TransactionHash, nil)
}

// RedeployApp updates several CVMs of an app to the document of a revision. All begin, or none.
//
// API: POST /apps/{app_id}/revisions/{revision_id}/redeploy
func (c *Client) RedeployApp(ctx context.Context, appID, revisionID string, o RedeployOptions) (*api.Redeployed, error) {
	path, err := revisionPath(appID, revisionID, "/redeploy")
	if err != nil {
		return nil, err
	}
	return c.redeploy(ctx, path, o.TransactionHash, api.RedeployRequest{VMUUIDs: o.VMUUIDs})
}

func (c *Client) redeploy(ctx context.Context, path, transaction string, in any) (*api.Redeployed, error) {
	r := request{method: http.MethodPost, path: path}
	if transaction != "" {
		tx, err := parseTransactionHash(transaction)
		if err != nil {
			return nil, err
		}
		r.query = url.Values{"transaction_hash": {tx}}
	}
	var out api.Redeployed
	if err := c.call(ctx, r, in, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

var errNoRevisionID = &FieldError{Field: "revision_id", Seen: "nothing", Expected: "the id of a revision"}

func revisionPath(appID, revisionID, suffix string) (string, error) {
	if revisionID == "" {
		return "", errNoRevisionID
	}
	return appPath(appID, "/revisions/"+escape(revisionID)+suffix)
}
