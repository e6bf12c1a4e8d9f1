package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/lease"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// seen is everything that a step of an update could have changed.
func (h *harness) seen(updateID string) string {
	h.t.Helper()
	h.node.mu.Lock()
	defer h.node.mu.Unlock()
	text := fmt.Sprintf("%+v %v %v", h.get(updateID), h.node.stops, h.node.boots)
	for id, cvm := range h.node.cvms {
		text += fmt.Sprintf(" %s: %s %x", id, cvm.state, cvm.doc)
	}
	return text
}

// TestStepsWithoutALeaseChangeNothing tries every step of two rollouts, one good and one that goes back,
// as a server whose lease is over before it does it as one that may.
func TestStepsWithoutALeaseChangeNothing(t *testing.T) {
	for name, want := range map[string]column.UpdateState{"good": column.Succeeded, "sick": column.RolledBack} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("fenced", api.KMSPhala)
			yaml := yamlNumber(2)
			h.node.sick[h.hashOf(cvm, yaml)] = want == column.RolledBack
			out, err := h.update(cvm, ComposeUpdate{YAML: yaml})
			must(t, err)
			id := out.Accepted.Update.ID
			over := lease.With(context.Background(), func() error { return lease.ErrOver })
			refused := 0
			for range 200 {
				before := h.seen(id)
				if _, err := h.service.Advance(over, id); err != nil {
					if !errors.Is(err, lease.ErrOver) {
						t.Fatalf("a step without a lease = %v, want ErrOver", err)
					}
					refused++
				}
				if after := h.seen(id); after != before {
					t.Fatalf("a step without a lease changed\n%s\nto\n%s", before, after)
				}
				step := h.step(id)
				if step.Done {
					break
				}
				h.node.tick()
				h.clock.advance(step.Wait)
			}
			if got := h.get(id).State; got != want || refused < 3 {
				t.Errorf("the update ended %s with %d steps refused, want %s", got, refused, want)
			}
		})
	}
}

// TestPowerWithoutALeaseChangesNothing does the same to power operations, and to an update that gives way to one.
func TestPowerWithoutALeaseChangesNothing(t *testing.T) {
	for _, kind := range []column.PowerKind{column.PowerRestart, column.PowerStop, column.PowerDelete} {
		for _, during := range []bool{false, true} {
			if during && kind == column.PowerRestart {
				continue // it is refused
			}
			t.Run(fmt.Sprintf("%s, during an update %v", kind, during), func(t *testing.T) {
				h := newHarness(t)
				defer h.close()
				cvm := h.create("fenced", api.KMSPhala)
				ctx := context.Background()
				u := h.get("upd_" + strings.TrimPrefix(cvm.Row.RevisionID, "rev_"))
				if during {
					u = h.accept(cvm, yamlNumber(2))
					h.step(u.ID) // it is being stopped
				}
				if kind == column.PowerDelete {
					must(t, h.service.DeleteCVM(ctx, h.alice, cvm.Row.HashID))
				} else {
					_, err := h.power(cvm, PowerRequest{Kind: kind})
					must(t, err)
				}
				op := h.openPower()
				over := lease.With(ctx, func() error { return lease.ErrOver })
				refused := 0
				for range 200 {
					advance, id := h.service.AdvancePower, op.ID
					if !h.get(u.ID).State.Final() {
						advance, id = h.service.Advance, u.ID
					}
					seen := func() string { return fmt.Sprintf("%+v %s", h.getPower(op.ID), h.seen(u.ID)) }
					before := seen()
					if _, err := advance(over, id); err != nil {
						if !errors.Is(err, lease.ErrOver) {
							t.Fatalf("a step without a lease = %v, want ErrOver", err)
						}
						refused++
					}
					if after := seen(); after != before {
						t.Fatalf("a step without a lease changed\n%s\nto\n%s", before, after)
					}
					step, err := advance(ctx, id)
					must(t, err)
					if step.Done && id == op.ID {
						break
					}
					h.node.tick()
					h.clock.advance(step.Wait)
				}
				if got := h.getPower(op.ID); got.State != column.PowerSucceeded || refused < 2 {
					t.Errorf("it ended %s (%s) with %d steps refused", got.State, got.Reason, refused)
				}
			})
		}
	}
}

// openPower is the power operation that is under way or in line.
func (h *harness) openPower() store.PowerOperation {
	h.t.Helper()
	open, err := h.store.Read().ListOpenPower(context.Background())
	must(h.t, err)
	if len(open) != 1 {
		h.t.Fatalf("%d power operations are open, want one", len(open))
	}
	return open[0]
}
