package lockstep

import (
	"context"
	"net/http"

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
