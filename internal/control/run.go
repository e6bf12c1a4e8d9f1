package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Step is what one look at an update led to.
type Step struct {
	// Done tells that nothing is left to do for a job: the update is final or waits for its owner.
	Done bool
	// Wait is how long to wait before the next step; a change on the node may end it earlier.
	Wait time.Duration

	watcher runtime.Watcher // tells of changes of cvm; nil when its node cannot
	cvm     string
}

// Run moves an update on until nothing is left to do. It is what the job of an update does. Any number
// of calls for one update may happen, at once or after a crash; only one of this process works.
func (s *Service) Run(ctx context.Context, updateID string) error {
	if !s.running.try(updateID) {
		return nil
	}
	defer s.running.release(updateID)
	for {
		step, err := s.Advance(ctx, updateID)
		if err != nil {
			return err
		}
		if step.Done {
			return nil
		}
		if err := s.pause(ctx, step); err != nil {
			return err
		}
	}
}

// Advance takes one step of an update: it reads where the update is and what is there, and does the
// next thing. Repeated after a crash at any point it does what is left. The error is one of the
// database or of ctx; what goes wrong with the update itself is written to the update.
func (s *Service) Advance(ctx context.Context, updateID string) (Step, error) {
	u, err := s.store.Read().GetUpdate(ctx, updateID)
	if errors.Is(err, store.ErrNotFound) {
		return Step{}, fmt.Errorf("control: update %s does not exist", updateID)
	}
	if err != nil {
		return Step{}, fmt.Errorf("read update: %w", err)
	}
	if u.State.Final() || (u.State == column.AwaitingApproval && u.TxHash == "") {
		return Step{Done: true}, nil
	}
	row, err := s.store.Read().GetCVM(ctx, u.CVMID)
	if err != nil {
		return Step{}, fmt.Errorf("read CVM of update %s: %w", updateID, err)
	}
	node, err := s.catalog.node(row.NodeID)
	if err != nil {
		return Step{}, err
	}
	service, err := s.catalog.kmsOf(row.KMSID)
	if err != nil {
		return Step{}, err
	}
	r := &rollout{Service: s, u: &u, cvm: &target{row: row, kms: service, node: node}}
	step, err := r.step(ctx)
	switch {
	case errors.Is(err, errStale):
		return Step{}, nil // somebody else moved it; look again
	case err != nil && ctx.Err() != nil:
		return Step{}, ctx.Err()
	case errors.Is(err, runtime.ErrUnreachable):
		// Nothing is known and nothing is marked done: wait, with a reason that people can read.
		if err := s.note(ctx, &u, &r.cvm.row, "waits for node "+node.Name+": "+err.Error()); err != nil && !errors.Is(err, errStale) {
			return Step{}, err
		}
		return Step{Wait: s.timeouts.Retry}, nil
	}
	step.watcher, _ = node.Runtime.(runtime.Watcher)
	step.cvm = row.VMUUID
	return step, err
}

// pause waits before the next step of an update, or until its node tells of a change.
func (s *Service) pause(ctx context.Context, step Step) error {
	if step.Wait <= 0 {
		return ctx.Err()
	}
	if step.watcher == nil {
		return s.clock.Sleep(ctx, step.Wait)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed, err := step.watcher.Watch(ctx, step.cvm)
	if err != nil {
		return s.clock.Sleep(ctx, step.Wait)
	}
	slept := make(chan error, 1)
	go func() { slept <- s.clock.Sleep(ctx, step.Wait) }()
	select {
	case <-changed: // the sleeper ends with the context
		return nil
	case err := <-slept:
		return err
	}
}
