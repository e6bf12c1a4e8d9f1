package api

// AuthResponse is the answer of GET /auth/me in version 2026-01-21.
type AuthResponse struct {
	User      UserInfo      `json:"user"`
	Workspace WorkspaceInfo `json:"workspace"`
	Credits   CreditsInfo   `json:"credits"`
}

// User roles; the clients reject any other value.
const (
	UserRoleAdmin = "admin"
	UserRoleUser  = "user"
)

// UserInfo is the member user of [AuthResponse].
type UserInfo struct {
	Username string `json:"username"`
	Email    string `json:"email"`
	// Role is [UserRoleAdmin] or [UserRoleUser].
	Role string `json:"role"`
	// Avatar is a URL or empty, never null.
	Avatar          string `json:"avatar"`
	EmailVerified   bool   `json:"email_verified"`
	TOTPEnabled     bool   `json:"totp_enabled"`
	HasBackupCodes  bool   `json:"has_backup_codes"`
	FlagHasPassword bool   `json:"flag_has_password"`
}

// WorkspaceInfo is the member workspace of [AuthResponse].
type WorkspaceInfo struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Slug may be null by the schema, but `phala nodes list` and `phala login` need it.
	Slug   *string `json:"slug"`
	Tier   string  `json:"tier"`
	Role   string  `json:"role"`
	Avatar *string `json:"avatar"`
}

// CreditsInfo is the member credits of [AuthResponse].
type CreditsInfo struct {
	Balance           Amount  `json:"balance"`
	GrantedBalance    Amount  `json:"granted_balance"`
	IsPostPaid        bool    `json:"is_post_paid"`
	OutstandingAmount *Amount `json:"outstanding_amount"`
}

// CurrentUser20251028 is the answer of GET /auth/me in version 2025-10-28. Credits are numbers
// there, not strings.
type CurrentUser20251028 struct {
	Username       string  `json:"username"`
	Email          string  `json:"email"`
	Credits        float64 `json:"credits"`
	GrantedCredits float64 `json:"granted_credits"`
	Avatar         string  `json:"avatar"`
	TeamName       string  `json:"team_name"`
	TeamTier       string  `json:"team_tier"`
}
