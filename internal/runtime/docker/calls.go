package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
)

// Create implements runtime.Runtime. It needs no engine.
func (d *Driver) Create(ctx context.Context, spec runtime.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	return d.call(ctx, spec.ID, "create", func(ctx context.Context) error {
		for {
			c, fresh := d.reserve(spec.ID)
			if fresh {
				return d.create(c, spec)
			}
			if err := c.takeTurn(ctx); err != nil {
				return err
			}
			known, err := c.isKnown(), error(nil)
			if !known {
				err = c.clear(ctx) // it is one whose removal did not come to its end
			}
			c.giveTurn()
			if known || err != nil {
				return err
			}
		}
	})
}

// reserve takes the place of a CVM that is not there; the turn of a fresh one is taken.
func (d *Driver) reserve(id string) (c *cvm, fresh bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c, ok := d.cvms[id]; ok {
		return c, false
	}
	c = newCVM(d, id)
	c.turn <- struct{}{}
	d.cvms[id] = c
	return c, true
}

func (d *Driver) free(c *cvm) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cvms[c.id] == c {
		delete(d.cvms, c.id)
	}
}

func (d *Driver) create(c *cvm, spec runtime.Spec) error {
	defer c.giveTurn()
	r := hostdisk.Record{
		ID: spec.ID, Name: spec.Name, AppID: spec.AppID, Image: spec.Image, Resources: spec.Resources,
		Config: 1, CreatedAt: d.config.Now(), Down: true,
	}
	if err := d.disk.Create(r, spec.Config); err != nil {
		d.free(c)
		return fmt.Errorf("docker: create CVM %s: %w", c.id, err)
	}
	c.mu.Lock()
	c.known, c.record, c.nextHash = true, r, appcompose.Hash(spec.Config.Document)
	c.mu.Unlock()
	d.config.Logger.Info("CVM created", "cvm", c.id, "compose_hash", appcompose.Hash(spec.Config.Document))
	return nil
}

// Apply implements runtime.Runtime. It needs no engine, unless the CVM runs.
func (d *Driver) Apply(ctx context.Context, id string, config runtime.Config) error {
	return d.call(ctx, id, "apply", func(ctx context.Context) error {
		c, err := d.lock(ctx, id)
		if err != nil {
			return err
		}
		defer c.giveTurn()
		return c.apply(ctx, config)
	})
}

func (c *cvm) apply(ctx context.Context, config runtime.Config) error {
	c.mu.Lock()
	r := c.record
	c.mu.Unlock()
	there, err := c.folder().ReadConfig(r.Config)
	if err != nil {
		return fmt.Errorf("docker: read configuration of CVM %s: %w", c.id, err)
	}
	if bytes.Equal(there.Document, config.Document) && bytes.Equal(there.EncryptedEnv, config.EncryptedEnv) {
		return nil
	}
	// Only a call makes a stopped or exited CVM start, and this one has the turn.
	state, err := c.state(ctx)
	if err != nil {
		return err
	}
	if state != runtime.StateStopped && state != runtime.StateExited {
		return fmt.Errorf("%w: cannot apply a document while it is %s", runtime.ErrConflict, state)
	}
	if err := c.folder().WriteConfig(r.Config+1, config); err != nil {
		return fmt.Errorf("docker: write configuration of CVM %s: %w", c.id, err)
	}
	if err := c.persist(nil, func(n *hostdisk.Record) { n.Config = r.Config + 1 }); err != nil {
		return err
	}
	c.mu.Lock()
	c.nextHash = appcompose.Hash(config.Document)
	c.mu.Unlock()
	c.bell.Ring()
	if err := os.RemoveAll(c.folder().ConfigDir(r.Config)); err != nil {
		c.driver.config.Logger.Warn("old configuration is left for the next sweep", "cvm", c.id, "error", err)
	}
	return nil
}

// state is the state as Status tells it: one that runs without a container has exited.
func (c *cvm) state(ctx context.Context) (runtime.State, error) {
	state := c.look().state
	if state != runtime.StateRunning {
		return state, nil
	}
	containers, err := c.driver.containers(ctx, c)
	if err == nil && len(containers) == 0 {
		state = runtime.StateExited
	}
	return state, err
}

// Start implements runtime.Runtime. It returns before the engine is asked for anything.
func (d *Driver) Start(ctx context.Context, id string) error {
	return d.call(ctx, id, "start", func(ctx context.Context) error {
		c, err := d.lock(ctx, id)
		if err != nil {
			return err
		}
		defer c.giveTurn()
		return c.start(ctx)
	})
}

func (c *cvm) start(ctx context.Context) error {
	state, err := c.state(ctx)
	if err != nil {
		return err
	}
	switch state {
	case runtime.StateStarting, runtime.StateRunning:
		return nil
	case runtime.StateStopping:
		return fmt.Errorf("%w: cannot start while it is %s", runtime.ErrConflict, state)
	default: // stopped or exited
	}
	now := c.driver.config.Now()
	if err := c.persist(nil, func(r *hostdisk.Record) {
		r.Started, r.StartedAt, r.Up, r.Down, r.BootError = true, now, false, false, ""
		r.Measured = appcompose.ComposeHash{}
	}); err != nil {
		return err
	}
	if !c.begin(view{state: runtime.StateStarting, progress: progressBooting}, c.driver.runBoot) {
		return errClosed // and it boots when the driver is opened again
	}
	return nil
}

// Stop implements runtime.Runtime.
func (d *Driver) Stop(ctx context.Context, id string, options runtime.StopOptions) error {
	return d.call(ctx, id, "stop", func(ctx context.Context) error {
		c, err := d.lock(ctx, id)
		if err != nil {
			return err
		}
		defer c.giveTurn()
		if options.Force {
			return c.cutOff(ctx)
		}
		return c.stop()
	})
}

func (c *cvm) stop() error {
	v := c.look()
	switch v.state {
	case runtime.StateStopped, runtime.StateStopping:
		return nil
	case runtime.StateExited:
		// What it ran was stopped when it exited.
		if err := c.persist(nil, func(r *hostdisk.Record) { r.Started, r.Down = false, true }); err != nil {
			return err
		}
		c.settle(runtime.StateStopped)
		return nil
	default: // starting or running
	}
	if err := c.persist(nil, func(r *hostdisk.Record) { r.Started = false }); err != nil {
		return err
	}
	v.state = runtime.StateStopping
	if !c.begin(v, c.driver.runShutdown) {
		return errClosed // and the shutdown goes on when the driver is opened again
	}
	return nil
}

// cutOff takes the CVM down now, whatever it is doing.
func (c *cvm) cutOff(ctx context.Context) error {
	v := c.look()
	if v.state == runtime.StateStopped {
		return nil
	}
	if v.state == runtime.StateExited {
		return c.stop()
	}
	if err := c.persist(nil, func(r *hostdisk.Record) { r.Started = false }); err != nil {
		return err
	}
	c.interrupt()
	if err := c.driver.kill(ctx, c); err != nil {
		// Nobody looks after it now: let a shutdown go on with it.
		v.state = runtime.StateStopping
		c.begin(v, c.driver.runShutdown)
		return err
	}
	now := c.driver.config.Now()
	if err := c.persist(nil, func(r *hostdisk.Record) { r.Up, r.Down, r.ExitedAt = false, true, now }); err != nil {
		return err
	}
	c.settle(runtime.StateStopped)
	return nil
}

// settle leaves the CVM in a state in which nothing of it runs.
func (c *cvm) settle(state runtime.State) {
	c.mu.Lock()
	c.view = view{state: state, bootError: c.view.bootError, progress: c.view.progress}
	c.mu.Unlock()
	c.bell.Ring()
}

// Remove implements runtime.Runtime.
func (d *Driver) Remove(ctx context.Context, id string) error {
	return d.call(ctx, id, "remove", func(ctx context.Context) error {
		d.mu.Lock()
		c, ok := d.cvms[id]
		d.mu.Unlock()
		if !ok {
			return nil
		}
		if err := c.takeTurn(ctx); err != nil {
			return err
		}
		defer c.giveTurn()
		return c.clear(ctx)
	})
}

// clear deletes everything of the CVM. From the moment the record says so nobody finds it any more, and the
// rest is done by whoever comes next. The caller has the turn.
func (c *cvm) clear(ctx context.Context) error {
	c.mu.Lock()
	ready := c.record.ID != "" // else it was never whole, or is cleared already
	c.mu.Unlock()
	if !ready {
		c.driver.free(c)
		return nil
	}
	if c.isKnown() {
		if err := c.persist(nil, func(r *hostdisk.Record) { r.Gone = true }); err != nil {
			return err
		}
		c.mu.Lock()
		c.known = false
		c.mu.Unlock()
		c.interrupt()
	}
	if err := c.driver.destroy(ctx, c); err != nil {
		return err
	}
	if err := c.driver.disk.Hide(c.id); err != nil {
		return fmt.Errorf("docker: remove CVM %s: %w", c.id, err)
	}
	if err := c.driver.disk.Shred(c.id); err != nil {
		c.driver.config.Logger.Warn("removed CVM is left for the next sweep", "cvm", c.id, "error", err)
	}
	c.mu.Lock()
	c.record = hostdisk.Record{}
	c.mu.Unlock()
	// The place is free only now: one created under the same id would else be shredded.
	c.driver.free(c)
	c.endBells()
	c.driver.config.Logger.Info("CVM removed", "cvm", c.id)
	return nil
}

// finishRemoval goes on with a removal that a process before began.
func (d *Driver) finishRemoval(c *cvm) {
	if c.takeTurn(d.context) != nil {
		return
	}
	defer c.giveTurn()
	for {
		err := c.clear(d.context)
		if err == nil || d.context.Err() != nil {
			return
		}
		if !errors.Is(err, runtime.ErrUnreachable) {
			d.config.Logger.Warn("CVM cannot be removed", "cvm", c.id, "error", err)
		}
		if pause(d.context, engineRetry) != nil {
			return
		}
	}
}
