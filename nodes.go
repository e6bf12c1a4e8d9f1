package lockstep

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/lockstep-cvm/lockstep/api"
)

// GetAvailableNodes returns the nodes with room for another CVM, and the KMSes they offer.
//
// API: GET /teepods/available
func (c *Client) GetAvailableNodes(ctx context.Context) (*api.AvailableNodes, error) {
	var out api.AvailableNodes
	if err := c.call(ctx, request{method: http.MethodGet, path: "/teepods/available"}, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// GetWorkspaceNodes returns the nodes that serve a workspace and how they are, fetching page after page while
// it is ranged over. An error ends the sequence.
//
// API: GET /workspaces/{slug}/nodes
func (c *Client) GetWorkspaceNodes(ctx context.Context, slug string, opts ListOptions) iter.Seq2[*api.NodeRef, error] {
	if slug == "" {
		return func(yield func(*api.NodeRef, error) bool) {
			yield(nil, &FieldError{Field: "slug", Seen: "nothing", Expected: "the slug of a workspace"})
		}
	}
	return pages[api.NodeRef](ctx, c, request{method: http.MethodGet, path: "/workspaces/" + escape(slug) + "/nodes"}, url.Values{}, opts)
}
