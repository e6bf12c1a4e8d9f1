package control

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/lease"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// TestPowerStepsWithoutALeaseChangeNothing tries every step of power operations as a server whose lease is over
// before it does it as one that may.
func TestPowerStepsWithoutALeaseChangeNothing(t *testing.T) {
	over := lease.With(context.Background(), func() error { return lease.ErrOver })
	for _, kind := range []column.PowerKind{column.PowerStop, column.PowerRestart, column.PowerDelete} {
		t.Run(string(kind), func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("fenced", api.KMSPhala)
			op, err := h.power(cvm, PowerRequest{Kind: kind})
			must(t, err)
			seen := func() string {
				h.node.mu.Lock()
				defer h.node.mu.Unlock()
				text := fmt.Sprintf("%+v %v %v", h.getPower(op.ID), h.node.stops, h.node.boots)
				for id, on := range h.node.cvms {
					text += fmt.Sprintf(" %s: %s %x", id, on.state, on.doc)
				}
				return text
			}
			refused := 0
			for range 200 {
				before := seen()
				if _, err := h.service.AdvancePower(over, op.ID); err != nil {
					if !errors.Is(err, lease.ErrOver) {
						t.Fatalf("a step without a lease = %v, want ErrOver", err)
					}
					refused++
				}
				if after := seen(); after != before {
					t.Fatalf("a step without a lease changed\n%s\nto\n%s", before, after)
				}
				step, err := h.service.AdvancePower(context.Background(), op.ID)
				must(t, err)
				if step.Done {
					break
				}
				h.node.tick()
				h.clock.advance(max(step.Wait, time.Second))
			}
			if got := h.getPower(op.ID).State; got != column.PowerSucceeded || refused < 2 {
				t.Errorf("the operation ended %s with %d steps refused, want %s", got, refused, column.PowerSucceeded)
			}
		})
	}
}
