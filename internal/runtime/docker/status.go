package docker

import (
	"context"
	"fmt"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// Status implements runtime.Runtime. The engine is asked only about a CVM that may have containers running.
func (d *Driver) Status(ctx context.Context, id string) (runtime.Status, error) {
	var status runtime.Status
	err := d.call(ctx, id, "status", func(ctx context.Context) error {
		c, err := d.find(id)
		if err != nil {
			return err
		}
		status, err = c.status(ctx)
		return err
	})
	return status, err
}

func (c *cvm) status(ctx context.Context) (runtime.Status, error) {
	var containers []container
	c.mu.Lock()
	before := c.view
	c.mu.Unlock()
	if before.hasContainers() {
		var err error
		if containers, err = c.driver.containers(ctx, c); err != nil {
			return runtime.Status{}, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return runtime.Status{}, fmt.Errorf("%w: %q", runtime.ErrNotFound, c.id)
	}
	v := c.view
	s := runtime.Status{
		State:        v.state,
		InstanceID:   c.record.Instance,
		NextHash:     c.nextHash,
		RunningHash:  v.runningHash,
		BootProgress: v.progress,
		BootError:    v.bootError,
		StartedAt:    c.record.StartedAt,
		ExitedAt:     c.record.ExitedAt,
	}
	if v.state == runtime.StateStopping {
		s.ShutdownProgress = "powering off"
	}
	if !v.hasContainers() || !before.hasContainers() {
		if v.state == runtime.StateRunning {
			s.Health = runtime.HealthStarting // it came up while the engine was not being asked
		}
		return s, nil
	}
	if v.state == runtime.StateRunning && before.state == runtime.StateRunning && len(containers) == 0 {
		// Somebody took them away. Compose brings up none of its own accord.
		s.State, s.RunningHash = runtime.StateExited, appcompose.ComposeHash{}
		return s, nil
	}
	for _, container := range inOrder(containers, v.services) {
		s.Services = append(s.Services, container.service())
	}
	if v.state == runtime.StateRunning {
		s.Health = appHealth(containers)
	}
	return s, nil
}

// hasContainers says whether containers of the document that boots or runs may be there. Those of the boot
// before are not shown.
func (v view) hasContainers() bool {
	switch v.state {
	case runtime.StateRunning, runtime.StateStopping:
		return true
	case runtime.StateStarting:
		return v.progress == progressContainers
	default:
		return false
	}
}

// Watch implements runtime.Watcher.
func (d *Driver) Watch(ctx context.Context, id string) (<-chan struct{}, error) {
	var rung <-chan struct{}
	err := d.call(ctx, id, "watch", func(context.Context) error {
		c, err := d.find(id)
		if err != nil {
			return err
		}
		rung = c.bell.Listen(ctx) // of the caller: the call's own context ends with the call
		return nil
	})
	return rung, err
}
