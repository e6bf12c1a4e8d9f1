package dstack

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// Start implements runtime.Runtime.
func (d *Driver) Start(ctx context.Context, id string) error {
	return d.change(ctx, id, func(m *machine) error {
		switch state := d.stateOf(m); state {
		case runtime.StateStarting, runtime.StateRunning:
			return nil
		case runtime.StateStopping:
			return fmt.Errorf("%w: cannot start while it is %s", runtime.ErrConflict, state)
		default: // stopped or exited
		}
		if m.info.Status == vmmrpc.StatusRunning { // the guest that did not boot; StartVm would start nothing
			if err := d.cutOff(ctx, m); err != nil {
				return err
			}
		}
		at := d.config.Now()
		if err := d.client.rpc(ctx, vmmrpc.StartVM, vmmrpc.ID{ID: m.info.ID}, nil); err != nil {
			return err
		}
		d.remember(id, func(seen *memory) { seen.times.began(at) })
		return nil
	})
}

// Stop implements runtime.Runtime.
func (d *Driver) Stop(ctx context.Context, id string, options runtime.StopOptions) error {
	return d.change(ctx, id, func(m *machine) error {
		hard := options.Force || d.stateOf(m) == runtime.StateExited
		switch m.info.Status {
		case vmmrpc.StatusStopped:
			return nil
		case vmmrpc.StatusStopping:
			if !options.Force {
				return nil
			}
			hard = true
		}
		if !hard {
			err := d.client.rpc(ctx, vmmrpc.ShutdownVM, vmmrpc.ID{ID: m.info.ID}, nil)
			if err == nil {
				return d.awaitShutdown(ctx, m)
			}
			// A guest whose app is up is asked again later. One that is still booting has nothing to lose.
			if refused := new(RPCError); !errors.As(err, &refused) || m.appMayRun() {
				return err
			}
		}
		return d.client.rpc(ctx, vmmrpc.StopVM, vmmrpc.ID{ID: m.info.ID}, nil)
	})
}

// shutdownHeard is how long a guest has to tell the VMM that it goes down, after it was asked to.
const shutdownHeard = 2 * time.Second

// awaitShutdown waits until the VMM knows that the guest goes down; until then it would start the VM again if it
// ended. A guest that says nothing is none of this call's business: whoever wanted it down looks, and forces it.
func (d *Driver) awaitShutdown(ctx context.Context, m *machine) error {
	_, err := d.await(ctx, m, shutdownHeard, func(now *machine) bool { return now.info.Status != vmmrpc.StatusRunning })
	if errors.Is(err, errLate) || errors.Is(err, runtime.ErrNotFound) {
		return nil
	}
	return err
}

// cutOff ends the process of a VM, waits until it is gone, and takes over what the VMM sees then.
func (d *Driver) cutOff(ctx context.Context, m *machine) error {
	if err := d.client.rpc(ctx, vmmrpc.StopVM, vmmrpc.ID{ID: m.info.ID}, nil); err != nil {
		return err
	}
	now, err := d.await(ctx, m, d.config.StopTimeout, func(now *machine) bool { return now.info.Status == vmmrpc.StatusStopped })
	if err != nil {
		return err
	}
	m.info = now.info
	return nil
}

var errLate = errors.New("dstack: the VMM takes too long")

// await looks at one VM until it is as wanted. The error is errLate when that takes too long.
func (d *Driver) await(ctx context.Context, m *machine, limit time.Duration, done func(*machine) bool) (*machine, error) {
	deadline := d.config.Now().Add(limit)
	for {
		found, err := d.list(ctx, m.id, vmmrpc.StatusRequest{IDs: []string{m.info.ID}})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, notFound(m.id)
		}
		if done(found[0]) {
			return found[0], nil
		}
		if !d.config.Now().Before(deadline) {
			return nil, fmt.Errorf("%w: VM %s is %s after %s", errLate, m.info.ID, found[0].info.Status, limit)
		}
		if err := d.client.pause(ctx, d.config.Poll); err != nil {
			return nil, err
		}
	}
}

// Remove implements runtime.Runtime.
func (d *Driver) Remove(ctx context.Context, id string) error {
	if err := d.usable(ctx); err != nil {
		return err
	}
	if !uuid.MatchString(id) {
		return nil
	}
	give, err := d.turns.take(ctx, d.client.context.Done(), id)
	if err != nil {
		return err
	}
	defer give()
	all, err := d.list(ctx, id, vmmrpc.StatusRequest{Keyword: id})
	if err != nil {
		return err
	}
	for _, m := range all {
		if m.info.Status != vmmrpc.StatusStopped { // not every VMM removes one that runs
			if err := d.cutOff(ctx, m); err != nil && !errors.Is(err, runtime.ErrNotFound) {
				return err
			}
		}
		if err := d.client.rpc(ctx, vmmrpc.RemoveVM, vmmrpc.ID{ID: m.info.ID}, nil); err != nil {
			return err
		}
	}
	d.forget(id)
	return nil
}
