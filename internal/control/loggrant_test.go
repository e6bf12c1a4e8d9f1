package control

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/problem"
)

// keyed is alice with an API key.
func (h *harness) keyed(lifetime time.Duration) Principal {
	h.t.Helper()
	ctx := context.Background()
	key, err := h.service.CreateKey(ctx, h.alice.Workspace.Slug, "reader", []Scope{ScopeRead}, lifetime)
	must(h.t, err)
	p, err := h.service.Authenticate(ctx, key.Key)
	must(h.t, err)
	return p
}

func TestLogGrants(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	p := h.keyed(30 * time.Minute)
	token := h.service.GrantLog(p, "uuid", "web")
	if got, err := h.service.RedeemLogGrant(ctx, token, "uuid", "web"); err != nil || got.KeyID != p.KeyID || got.Workspace.ID != p.Workspace.ID || got.Require(ScopeUpdate) == nil {
		t.Errorf("got %+v, %v", got, err)
	}
	refused := func(why, token, uuid, container string) {
		t.Helper()
		if _, err := h.service.RedeemLogGrant(ctx, token, uuid, container); !problem.Is(err, problem.KindUnauthenticated) {
			t.Errorf("%s: got %v", why, err)
		}
	}
	keyID, rest, _ := strings.Cut(token, ".")
	until, signature, _ := strings.Cut(rest, ".")
	refused("another CVM", token, "uuie", "web")
	refused("another container", token, "uuid", "")
	refused("parts that run together", token, "uuid\" \"web", "")
	refused("a later end", keyID+"."+until+"0."+signature, "uuid", "web")
	refused("another key", strings.Replace(token, keyID, h.keyed(0).KeyID, 1), "uuid", "web")
	refused("no token", "", "uuid", "web")

	// A restart, or another server of the database, takes it; the end of the API key ends it.
	h.restart()
	if _, err := h.service.RedeemLogGrant(ctx, token, "uuid", "web"); err != nil {
		t.Error(err)
	}
	h.clock.advance(30 * time.Minute)
	refused("a key that has expired", token, "uuid", "web")
	if token := h.service.GrantLog(Principal{KeyID: p.KeyID, Workspace: p.Workspace}, "uuid", "web"); token != "" {
		t.Errorf("somebody without a key was granted %q", token)
	}
}
