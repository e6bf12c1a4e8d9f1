package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
	"github.com/lockstep-cvm/lockstep/internal/runtime/logbook"
)

// Create implements runtime.Runtime.
func (n *Node) Create(ctx context.Context, spec runtime.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	return n.call(ctx, spec.ID, CallCreate, func() error {
		for {
			c, fresh := n.reserve(spec.ID)
			if fresh {
				return n.create(c, spec)
			}
			if err := c.takeTurn(ctx); err != nil {
				return err
			}
			known := c.isKnown()
			c.giveTurn()
			if known {
				return nil
			}
			// Whoever was creating it failed, or it was removed: its place is free again.
		}
	})
}

// reserve takes the place of a CVM that is not there; the turn of a fresh one is taken.
func (n *Node) reserve(id string) (c *cvm, fresh bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c, ok := n.cvms[id]; ok {
		return c, false
	}
	c = newCVM(n, id)
	c.turn <- struct{}{}
	n.cvms[id] = c
	return c, true
}

func (n *Node) free(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cvms, id)
}

func (n *Node) create(c *cvm, spec runtime.Spec) error {
	defer c.giveTurn()
	r := hostdisk.Record{
		ID:        spec.ID,
		Name:      spec.Name,
		AppID:     spec.AppID,
		Image:     spec.Image,
		Resources: spec.Resources,
		Config:    1,
		CreatedAt: n.config.Now(),
	}
	if err := n.disk.Create(r, spec.Config); err != nil {
		n.free(c.id)
		return fmt.Errorf("sim: create CVM %s: %w", c.id, err)
	}
	c.mu.Lock()
	c.known, c.record, c.nextHash = true, r, appcompose.Hash(spec.Config.Document)
	c.mu.Unlock()
	n.config.Logger.Info("CVM created", "cvm", c.id, "compose_hash", appcompose.Hash(spec.Config.Document))
	return nil
}

// Apply implements runtime.Runtime.
func (n *Node) Apply(ctx context.Context, id string, config runtime.Config) error {
	return n.call(ctx, id, CallApply, func() error {
		c, err := n.lock(ctx, id)
		if err != nil {
			return err
		}
		defer c.giveTurn()
		return c.apply(config)
	})
}

func (c *cvm) apply(config runtime.Config) error {
	c.mu.Lock()
	r, state := c.record, c.view.state
	c.mu.Unlock()
	there, err := c.folder().ReadConfig(r.Config)
	if err != nil {
		return fmt.Errorf("sim: read configuration of CVM %s: %w", c.id, err)
	}
	if bytes.Equal(there.Document, config.Document) && bytes.Equal(there.EncryptedEnv, config.EncryptedEnv) {
		return nil
	}
	// Only a call makes a stopped or exited CVM start, and this one has the turn.
	if state != runtime.StateStopped && state != runtime.StateExited {
		return fmt.Errorf("%w: cannot apply a document while it is %s", runtime.ErrConflict, state)
	}
	if err := c.folder().WriteConfig(r.Config+1, config); err != nil {
		return fmt.Errorf("sim: write configuration of CVM %s: %w", c.id, err)
	}
	if err := c.persist(nil, func(n *hostdisk.Record) { n.Config = r.Config + 1 }); err != nil {
		return err
	}
	c.mu.Lock()
	c.nextHash = appcompose.Hash(config.Document)
	c.mu.Unlock()
	c.bell.Ring()
	if err := os.RemoveAll(c.folder().ConfigDir(r.Config)); err != nil {
		c.node.config.Logger.Warn("old configuration is left for the next sweep", "cvm", c.id, "error", err)
	}
	return nil
}

// Start implements runtime.Runtime.
func (n *Node) Start(ctx context.Context, id string) error {
	return n.call(ctx, id, CallStart, func() error {
		c, err := n.lock(ctx, id)
		if err != nil {
			return err
		}
		defer c.giveTurn()
		return c.start()
	})
}

func (c *cvm) start() error {
	switch state := c.state(); state {
	case runtime.StateStarting, runtime.StateRunning:
		return nil
	case runtime.StateStopping:
		return fmt.Errorf("%w: cannot start while it is %s", runtime.ErrConflict, state)
	default: // stopped or exited
	}
	now := c.node.config.Now()
	if err := c.persist(nil, func(r *hostdisk.Record) { r.Started, r.StartedAt = true, now }); err != nil {
		return err
	}
	m := c.powerOn()
	if !c.node.spawn(func() { c.node.runBoot(c, m) }) {
		return errClosed // and it boots when the node is opened again
	}
	return nil
}

func (c *cvm) state() runtime.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view.state
}

// Stop implements runtime.Runtime.
func (n *Node) Stop(ctx context.Context, id string, options runtime.StopOptions) error {
	return n.call(ctx, id, CallStop, func() error {
		c, err := n.lock(ctx, id)
		if err != nil {
			return err
		}
		defer c.giveTurn()
		return c.stop(options)
	})
}

func (c *cvm) stop(options runtime.StopOptions) error {
	state := c.state()
	if state == runtime.StateStopped || state == runtime.StateStopping && !options.Force {
		return nil
	}
	now := c.node.config.Now()
	if state != runtime.StateStopping {
		if err := c.persist(nil, func(r *hostdisk.Record) {
			r.Started = false
			if state != runtime.StateExited {
				r.ExitedAt = now // on disk; once it is down, the exact time replaces it in memory
			}
		}); err != nil {
			return err
		}
	}
	c.mu.Lock()
	m := c.machine
	c.mu.Unlock()
	if options.Force || m == nil || !c.update(m, func(v *view) { v.state = runtime.StateStopping }) {
		c.powerOff(nil, runtime.StateStopped, "")
		return nil
	}
	if !c.node.spawn(func() { c.node.runShutdown(c, m) }) {
		return errClosed // and it stays down when the node is opened again
	}
	return nil
}

// runShutdown takes a machine down in order. It is a goroutine of the machine.
func (n *Node) runShutdown(c *cvm, m *machine) {
	m.abortBoot()
	<-m.booted
	if !c.update(m, func(v *view) {
		v.shutdownProgress = string(StagePoweringOff)
		c.tell(eventShutdownProgress, v.shutdownProgress)
	}) {
		return
	}
	c.console("dstack: %s", StagePoweringOff)
	if err := n.stay(m.power, c.id, StagePoweringOff); err != nil {
		if m.power.Err() == nil {
			c.console("shutdown: %v", err) // the guest does not react; only Force gets it down
		}
		return
	}
	c.powerOff(m, runtime.StateStopped, "")
}

// Status implements runtime.Runtime.
func (n *Node) Status(ctx context.Context, id string) (runtime.Status, error) {
	var status runtime.Status
	err := n.call(ctx, id, CallStatus, func() error {
		c, err := n.find(id)
		if err != nil {
			return err
		}
		var ok bool
		if status, ok = c.status(n.config.Now()); !ok {
			return fmt.Errorf("%w: %q", runtime.ErrNotFound, id)
		}
		return nil
	})
	if err != nil {
		return runtime.Status{}, err
	}
	return status, nil
}

// Watch implements runtime.Watcher.
func (n *Node) Watch(ctx context.Context, id string) (<-chan struct{}, error) {
	if err := n.enter(ctx); err != nil {
		return nil, err
	}
	defer n.running.Done()
	c, err := n.find(id)
	if err != nil {
		return nil, err
	}
	if !c.isKnown() {
		return nil, fmt.Errorf("%w: %q", runtime.ErrNotFound, id)
	}
	return c.bell.Listen(ctx), nil
}

// Logs implements runtime.Runtime.
func (n *Node) Logs(ctx context.Context, id string, options runtime.LogOptions) (io.ReadCloser, error) {
	var reader io.ReadCloser
	err := n.call(ctx, id, CallLogs, func() error {
		c, err := n.find(id)
		if err != nil {
			return err
		}
		if !c.isKnown() {
			return fmt.Errorf("%w: %q", runtime.ErrNotFound, id)
		}
		var log string
		if options.Container == "" {
			if log, err = logbook.Console(options.Channel); err != nil {
				return err
			}
		} else {
			var ok bool
			if log, ok = c.logs.Container(options.Container); !ok {
				return fmt.Errorf("%w: %q", runtime.ErrNoContainer, options.Container)
			}
		}
		reader = c.logs.Open(ctx, log, options)
		return nil
	})
	if err != nil {
		if reader != nil {
			reader.Close()
		}
		return nil, err
	}
	return reader, nil
}

// Remove implements runtime.Runtime.
func (n *Node) Remove(ctx context.Context, id string) error {
	return n.call(ctx, id, CallRemove, func() error {
		c, err := n.lock(ctx, id)
		if err != nil {
			if errors.Is(err, runtime.ErrNotFound) {
				return nil
			}
			return err
		}
		defer c.giveTurn()
		return c.remove()
	})
}

func (c *cvm) remove() error {
	c.writing.Lock()
	if err := c.node.disk.Hide(c.id); err != nil {
		c.writing.Unlock()
		return fmt.Errorf("sim: remove CVM %s: %w", c.id, err)
	}
	c.mu.Lock()
	c.known = false
	c.mu.Unlock()
	c.writing.Unlock()
	c.powerOff(nil, runtime.StateStopped, "")
	if err := c.node.disk.Shred(c.id); err != nil {
		c.node.config.Logger.Warn("removed CVM is left for the next sweep", "cvm", c.id, "error", err)
	}
	// The place is free only now: one created under the same id would else be shredded.
	c.node.free(c.id)
	c.endBells()
	c.node.config.Logger.Info("CVM removed", "cvm", c.id)
	return nil
}

func (c *cvm) endBells() {
	c.bell.End()
	c.logs.Bell.End()
}
