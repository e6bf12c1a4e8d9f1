package server

import (
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// selfHosted stands where the hosted service names what a team pays for.
const selfHosted = "self-hosted"

// getMe is GET /auth/me. Behind an API key there is no person, so the key's name is the user name.
func (s *Server) getMe(w http.ResponseWriter, _ *http.Request, c *call) error {
	if c.version == api.Version20251028 {
		s.json(w, http.StatusOK, api.CurrentUser20251028{
			Username: c.principal.KeyName, TeamName: c.principal.Workspace.Name, TeamTier: selfHosted,
		})
		return nil
	}
	role, member := api.UserRoleUser, "member"
	if c.principal.Require(control.ScopeAdmin) == nil {
		role, member = api.UserRoleAdmin, "owner"
	}
	workspace := c.principal.Workspace
	s.json(w, http.StatusOK, api.AuthResponse{
		User:      api.UserInfo{Username: c.principal.KeyName, Role: role},
		Workspace: api.WorkspaceInfo{ID: workspace.ID, Name: workspace.Name, Slug: &workspace.Slug, Tier: selfHosted, Role: member},
		Credits:   api.CreditsInfo{Balance: "0", GrantedBalance: "0", IsPostPaid: true},
	})
	return nil
}
