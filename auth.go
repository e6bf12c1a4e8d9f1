package lockstep

import (
	"context"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
)

// GetCurrentUser returns the user, workspace and credits that the API key belongs to.
//
// API: GET /auth/me
func (c *Client) GetCurrentUser(ctx context.Context) (*api.AuthResponse, error) {
	var out api.AuthResponse
	r := request{method: http.MethodGet, path: "/auth/me", version: api.Version20260121}
	if err := c.call(ctx, r, nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
