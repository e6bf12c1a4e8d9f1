package control

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/lease"
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
