package control

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Scope is what an API key may do. Each includes the ones before it.
type Scope string

// Scopes of API keys.
const (
	ScopeRead   Scope = "read"   // look at CVMs of the workspace
	ScopeUpdate Scope = "update" // change what they run
	ScopeAdmin  Scope = "admin"  // create and delete them
)

var scopeOrder = []Scope{ScopeRead, ScopeUpdate, ScopeAdmin}

// ParseScopes reads a list of scopes.
func ParseScopes(names []string) ([]Scope, error) {
	scopes := make([]Scope, 0, len(names))
	for _, name := range names {
		scope := Scope(strings.TrimSpace(name))
		if !slices.Contains(scopeOrder, scope) {
			return nil, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "unknown scope").
				With("scope", name, "read, update or admin")
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 {
		return nil, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "a key needs at least one scope").
			With("scope", "", "read, update or admin")
	}
	return scopes, nil
}

// Principal is who a request comes from: a key, and through it a workspace.
type Principal struct {
	KeyID     string
	KeyName   string
	Scopes    []Scope
	Workspace store.Workspace
	// Claim is that of the request, when it has an Idempotency-Key.
	Claim *Claim

	grant granter // signs log addresses; nil when there was no key
}

// Require returns an error unless the key may do what the scope covers.
func (p Principal) Require(scope Scope) error {
	need := slices.Index(scopeOrder, scope)
	for _, has := range p.Scopes {
		if slices.Index(scopeOrder, has) >= need {
			return nil
		}
	}
	return problem.New(problem.KindForbidden, "", "this API key lacks the scope %q", scope)
}

const keyPrefix = "lsk_"

// hashKey is how a key is stored. Keys have 256 random bits, so a plain hash cannot be reversed.
func hashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// errBadKey is the same for every reason: a stranger learns nothing about which keys exist.
func errBadKey(why string) error {
	return problem.New(problem.KindUnauthenticated, "", "invalid or missing API key").
		Because(errors.New(why))
}

// Authenticate tells whose key this is.
func (s *Service) Authenticate(ctx context.Context, key string) (Principal, error) {
	if key == "" {
		return Principal{}, errBadKey("no key was sent")
	}
	row, err := s.store.Read().GetAPIKeyByHash(ctx, hashKey(key))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Principal{}, errBadKey("unknown key")
	case err != nil:
		return Principal{}, fmt.Errorf("look up API key: %w", err)
	}
	return s.principal(row)
}

// principal is who a stored key is for, while the key is good.
func (s *Service) principal(row store.KeyWithWorkspace) (Principal, error) {
	switch {
	case row.APIKey.RevokedAt != nil:
		return Principal{}, errBadKey("key " + row.APIKey.ID + " was revoked")
	case !row.APIKey.ExpiresAt.IsZero() && !s.clock.Now().Before(row.APIKey.ExpiresAt.Time):
		return Principal{}, errBadKey("key " + row.APIKey.ID + " has expired")
	}
	scopes, err := ParseScopes(strings.Split(row.APIKey.Scopes, ","))
	if err != nil {
		return Principal{}, fmt.Errorf("scopes of key %s: %w", row.APIKey.ID, err)
	}
	return Principal{
		KeyID: row.APIKey.ID, KeyName: row.APIKey.Name, Scopes: scopes, Workspace: row.Workspace, grant: granterOf(row.APIKey),
	}, nil
}

// NewKey is an API key at the only moment it can be seen.
type NewKey struct {
	Key  string // the secret
	Info KeyInfo
}

// KeyInfo describes an API key without giving it away.
type KeyInfo struct {
	ID        string
	Name      string
	Workspace string // slug
	Hint      string // last four characters
	Scopes    []Scope
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: not revoked
}

// CreateKey makes a key for a workspace. A lifetime of 0 means that it does not expire.
func (s *Service) CreateKey(ctx context.Context, workspaceSlug, name string, scopes []Scope, lifetime time.Duration) (NewKey, error) {
	if name == "" || len(name) > 100 {
		return NewKey{}, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad key name").
			With("name", name, "1 to 100 characters")
	}
	if lifetime < 0 {
		return NewKey{}, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad lifetime").
			With("expires_in", lifetime.String(), "a positive duration, or 0 for none")
	}
	if _, err := ParseScopes(scopeNames(scopes)); err != nil {
		return NewKey{}, err
	}
	secret := make([]byte, 32)
	if _, err := io.ReadFull(s.rand, secret); err != nil {
		return NewKey{}, fmt.Errorf("random key: %w", err)
	}
	key := keyPrefix + base64.RawURLEncoding.EncodeToString(secret)
	id, err := s.newID("key_")
	if err != nil {
		return NewKey{}, err
	}
	now := column.At(s.clock.Now())
	var expires column.Time
	if lifetime > 0 {
		expires = column.At(now.Add(lifetime))
	}
	err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		workspace, err := tx.GetWorkspaceBySlug(ctx, workspaceSlug)
		if errors.Is(err, store.ErrNotFound) {
			return problem.New(problem.KindNotFound, "", "workspace not found").With("workspace", workspaceSlug, "")
		}
		if err != nil {
			return err
		}
		return tx.InsertAPIKey(ctx, store.InsertAPIKeyParams{
			ID: id, WorkspaceID: workspace.ID, Name: name, Hash: hashKey(key), Hint: key[len(key)-4:],
			Scopes: strings.Join(scopeNames(scopes), ","), CreatedAt: now, ExpiresAt: expires,
		})
	})
	if err != nil {
		return NewKey{}, err
	}
	return NewKey{Key: key, Info: KeyInfo{
		ID: id, Name: name, Workspace: workspaceSlug, Hint: key[len(key)-4:], Scopes: scopes,
		CreatedAt: now.Time, ExpiresAt: expires.Time,
	}}, nil
}

// Keys lists every key of the server.
func (s *Service) Keys(ctx context.Context) ([]KeyInfo, error) {
	rows, err := s.store.Read().ListAPIKeys(ctx)
	if err != nil {
		return nil, err
	}
	keys := make([]KeyInfo, 0, len(rows))
	for _, row := range rows {
		scopes, err := ParseScopes(strings.Split(row.APIKey.Scopes, ","))
		if err != nil {
			return nil, fmt.Errorf("scopes of key %s: %w", row.APIKey.ID, err)
		}
		info := KeyInfo{
			ID: row.APIKey.ID, Name: row.APIKey.Name, Workspace: row.Workspace.Slug, Hint: row.APIKey.Hint,
			Scopes: scopes, CreatedAt: row.APIKey.CreatedAt.Time, ExpiresAt: row.APIKey.ExpiresAt.Time,
		}
		if row.APIKey.RevokedAt != nil {
			info.RevokedAt = row.APIKey.RevokedAt.Time
		}
		keys = append(keys, info)
	}
	return keys, nil
}

// RevokeKey ends a key at once. Revoking one that is revoked already changes nothing.
func (s *Service) RevokeKey(ctx context.Context, id string) error {
	now := column.At(s.clock.Now())
	return s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		changed, err := tx.RevokeAPIKey(ctx, id, &now)
		if err != nil || changed > 0 {
			return err
		}
		if _, err := tx.GetAPIKey(ctx, id); errors.Is(err, store.ErrNotFound) {
			return problem.New(problem.KindNotFound, "", "API key not found").With("key", id, "an id as `lockstep keys list` shows it")
		} else if err != nil {
			return err
		}
		return nil
	})
}

func scopeNames(scopes []Scope) []string {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	return names
}
