package control

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// changes are the requests that change something about a CVM which runs, by the name of what a history calls a
// refusal of them.
var changes = map[string]func(*Service, context.Context, Principal, string) error{
	"start":    powerChange(column.PowerStart),
	"stop":     powerChange(column.PowerStop),
	"shutdown": powerChange(column.PowerShutdown),
	"restart":  powerChange(column.PowerRestart),
	"delete":   (*Service).DeleteCVM,
	"cancel": func(s *Service, ctx context.Context, p Principal, id string) error {
		_, err := s.CancelOperation(ctx, p, id)
		return err
	},
	"rename": func(s *Service, ctx context.Context, p Principal, id string) error {
		return s.Rename(ctx, p, id, "another-name")
	},
	"listed": func(s *Service, ctx context.Context, p Principal, id string) error {
		_, err := s.SetListed(ctx, p, id, true)
		return err
	},
	"replica": func(s *Service, ctx context.Context, p Principal, id string) error {
		_, err := s.Replicate(ctx, p, id, api.ReplicateRequest{}, false)
		return err
	},
}

func powerChange(kind column.PowerKind) func(*Service, context.Context, Principal, string) error {
	return func(s *Service, ctx context.Context, p Principal, id string) error {
		_, err := s.Power(ctx, p, id, PowerRequest{Kind: kind})
		return err
	}
}

// TestEveryRefusalIsRecorded: a key that may only read asks for every change.
func TestEveryRefusalIsRecorded(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("guarded", api.KMSPhala)
	key, err := h.service.CreateKey(t.Context(), "alice", "reader", []Scope{ScopeRead}, 0)
	must(t, err)
	reader, err := h.service.Authenticate(t.Context(), key.Key)
	must(t, err)
	for name, change := range changes {
		wantKind(t, change(h.service, t.Context(), reader, cvm.Row.HashID), problem.KindForbidden)
		entries := h.chronicle(cvm.Row.AppID)
		last := entries[len(entries)-1]
		if last.Kind != history.KindRefusal || last.Actor != reader.KeyID || last.CVM != cvm.Row.VMUUID || last.Facts["request"] != name {
			t.Errorf("%s was refused, the last entry of the history is %+v", name, last)
		}
	}
	if missing := changes["stop"](h.service, t.Context(), reader, "no-such-cvm"); !problem.Is(missing, problem.KindForbidden) {
		t.Errorf("a key that may not stop CVMs learns of one that is not there: %v", missing)
	}
}

// claim takes up a request of alice under a key.
func (h *harness) claim(key string) Principal {
	h.t.Helper()
	p := h.alice
	claim, answer, err := h.service.ClaimRequest(context.Background(), p, key, "fingerprint")
	must(h.t, err)
	if answer != nil {
		h.t.Fatalf("answered already: %+v", answer)
	}
	p.Claim = claim
	return p
}

// TestRequestsOfADeadProcessAreNotCarriedOutTwice: a process dies after it did what was asked and before it could
// answer. The same request under the same Idempotency-Key succeeds, and makes nothing, whatever came in between.
func TestRequestsOfADeadProcessAreNotCarriedOutTwice(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer func() { h.close() }()
			cvm := h.create("repeated", api.KMSPhala)
			switch name {
			case "start":
				h.do(cvm, column.PowerStop)
			case "cancel":
				h.accept(cvm, yamlNumber(2))
			}
			must(t, change(h.service, t.Context(), h.claim("once"), cvm.Row.HashID))
			h.restart()
			h.settleEverything()
			if name == "cancel" {
				h.accept(cvm, yamlNumber(3)) // must not be cancelled
			}
			if name == "listed" {
				_, err := h.service.SetListed(t.Context(), h.alice, cvm.Row.HashID, false)
				must(t, err)
			}
			before := h.made(cvm)
			h.clock.advance(requestLease + time.Second)
			if err := change(h.service, t.Context(), h.claim("once"), cvm.Row.HashID); err != nil {
				t.Errorf("repeated: %v", err)
			}
			if after := h.made(cvm); !slices.Equal(after, before) {
				t.Errorf("repeated it made something: %v, before %v", after, before)
			}
		})
	}
}

// settleEverything runs updates and power operations to their end.
func (h *harness) settleEverything() {
	h.t.Helper()
	open, err := h.store.Read().ListOpenUpdates(context.Background())
	must(h.t, err)
	for _, u := range open {
		h.settle(u.ID)
	}
	h.settleAllPower()
}

// made is all that there is of the app of a CVM and may be made by a request.
func (h *harness) made(cvm *CVM) []string {
	h.t.Helper()
	ctx := context.Background()
	var found []string
	row, err := h.store.Read().GetAnyCVM(ctx, cvm.Row.ID)
	must(h.t, err)
	listed := "unlisted"
	if row.Listed {
		listed = "listed"
	}
	found = append(found, row.Name, listed, row.ActiveUpdateID)
	ops, err := h.store.Read().OlderPowerOperations(ctx, store.OlderPowerOperationsParams{
		CVMID: row.ID, Until: farFuture, BeforeAt: farFuture, Kinds: allKinds, Most: 100,
	})
	must(h.t, err)
	for _, op := range ops {
		found = append(found, op.ID)
	}
	cvms, err := h.store.Read().FindCVMsByApp(ctx, row.AppID)
	must(h.t, err)
	for _, c := range cvms {
		found = append(found, c.HashID)
	}
	return found
}

// TestSettingsOfACVMAreRecorded: who renamed a CVM, and who shows it to others.
func TestSettingsOfACVMAreRecorded(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("recorded", api.KMSPhala)
	must(t, h.service.Rename(t.Context(), h.alice, cvm.Row.HashID, "new-name"))
	_, err := h.service.SetListed(t.Context(), h.alice, cvm.Row.HashID, true)
	must(t, err)
	entries := h.chronicle(cvm.Row.AppID)
	for i, want := range []map[string]string{{"name": "new-name"}, {"listed": "true"}} {
		e := entries[len(entries)-2+i]
		if e.Kind != history.KindSetting || e.Actor != h.alice.KeyID || e.CVM != cvm.Row.VMUUID || len(e.Facts) != 1 {
			t.Errorf("entry %d: %+v", i, e)
		}
		for name, value := range want {
			if e.Facts[name] != value {
				t.Errorf("entry %d says %v, want %s %s", i, e.Facts, name, value)
			}
		}
	}
}
