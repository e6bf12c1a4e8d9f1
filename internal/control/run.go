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
// of calls for one update may happen, at once or after a crash; only one of this process works, and the
// others wake it.
func (s *Service) Run(ctx context.Context, updateID string) error {
	return s.runAlone(ctx, updateID, s.Advance)
}

// runAlone takes one step after another until nothing is left to do, unless somebody in this process does
// so already: then that one looks at once, and once more before it leaves.
func (s *Service) runAlone(ctx context.Context, id string, advance func(context.Context, string) (Step, error)) error {
	for {
		woken, ok := s.running.begin(id)
		if !ok {
			return nil
		}
		err := s.steps(ctx, id, woken, advance)
		if again := s.running.end(id); err != nil || !again {
			return err
		}
	}
}

// steps takes one step after another until nothing is left to do.
func (s *Service) steps(ctx context.Context, id string, woken <-chan struct{}, advance func(context.Context, string) (Step, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the watch
	ctx, end := s.withSteps(ctx)
	defer end()
	var changes <-chan struct{}
	for {
		step, err := advance(ctx, id)
		if err != nil {
			return err
		}
		if step.Done {
			return nil
		}
		if changes, err = s.pause(ctx, step, changes, woken); err != nil {
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
	row, err := s.store.Read().GetAnyCVM(ctx, u.CVMID)
	if err != nil {
		return Step{}, fmt.Errorf("read CVM of update %s: %w", updateID, err)
	}
	node := s.catalog.hostOf(row.NodeID)
	service, err := s.catalog.kmsOf(row.KMSID)
	if err != nil {
		return Step{}, err
	}
	r := &rollout{Service: s, u: &u, cvm: &target{row: row, kms: service, node: node}}
	ctx, done := look(ctx, tracedUpdate(&u, &row))
	defer func() { done(string(u.State), u.Reason) }()
	step, err := r.step(ctx)
	switch {
	case errors.Is(err, errStale):
		return Step{}, nil // somebody else moved it; look again
	case err != nil && ctx.Err() != nil:
		return Step{}, ctx.Err()
	case errors.Is(err, runtime.ErrUnreachable):
		if r.u.State == column.RollingBack && r.overdue(s.timeouts.Stop+s.timeouts.Rollback) {
			_, err := r.move(ctx, move{to: column.Failed, reason: "node " + node.Name + " could not be reached to go back; what runs there is not known", err: r.u.Error + "; then " + err.Error()})
			return Step{}, passStale(err)
		}
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

// pause waits before the next step of an operation, or until its node tells of a change or somebody wakes it. The
// node is watched from the first pause on, for all steps that follow: a change between a look and the next pause
// must not be missed, or the update would sleep although its CVM is where it was waited for.
func (s *Service) pause(ctx context.Context, step Step, changes, woken <-chan struct{}) (<-chan struct{}, error) {
	if step.Wait <= 0 {
		return changes, ctx.Err()
	}
	if changes == nil && step.watcher != nil {
		if watched, err := step.watcher.Watch(ctx, step.cvm); err == nil {
			return watched, nil // look again at once: it may have changed since the last look
		}
	}
	if changes == nil && woken == nil {
		return nil, s.clock.Sleep(ctx, step.Wait)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slept := make(chan error, 1)
	go func() { slept <- s.clock.Sleep(ctx, step.Wait) }()
	select {
	case _, open := <-changes: // the sleeper ends with the context
		if open {
			return changes, nil
		}
		return nil, <-slept // the node has nothing more to tell, so the step waits its time
	case <-woken:
		return changes, nil
	case err := <-slept:
		return changes, err
	}
}

// passStale makes nothing of the loss of a race: whoever takes the next step looks again.
func passStale(err error) error {
	if errors.Is(err, errStale) {
		return nil
	}
	return err
}
