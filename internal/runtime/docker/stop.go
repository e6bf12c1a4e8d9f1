package docker

import (
	"context"
	"errors"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
)

// runShutdown takes a CVM down in order, however often the engine has to be asked. It is the goroutine of a job.
func (d *Driver) runShutdown(c *cvm, j *job) {
	c.console("dstack: powering off")
	for {
		err := d.stop(j.context, c)
		if err == nil {
			break
		}
		if j.context.Err() != nil {
			return // cut off, or the driver was closed: it goes on at the next open
		}
		c.console("shutdown: %v", err)
		if pause(j.context, engineRetry) != nil {
			return
		}
	}
	now := d.config.Now()
	if err := c.persist(j, func(r *hostdisk.Record) { r.Up, r.Down, r.ExitedAt = false, true, now }); err != nil {
		if !errors.Is(err, errSuperseded) {
			d.config.Logger.Error("CVM is down and its record does not say so", "cvm", c.id, "error", err)
		}
		return
	}
	c.finish(j, func(v *view) {
		*v = view{state: runtime.StateStopped, bootError: v.bootError, progress: v.progress}
	})
}

// stop stops the containers of a CVM as Compose does: one after what depends on it, each with its own signal and
// grace period.
func (d *Driver) stop(ctx context.Context, c *cvm) error {
	containers, err := d.containers(ctx, c)
	if err != nil {
		return err
	}
	for _, wave := range stopWaves(containers) {
		err := each(wave, func(c container) error {
			_, err := d.engine.ContainerStop(ctx, c.summary.ID, client.ContainerStopOptions{})
			return err
		})
		if err != nil {
			return engineError(ctx, "stop containers", err)
		}
	}
	return nil
}

// stopWaves groups containers so that each comes after those that depend on it.
func stopWaves(containers []container) [][]container {
	var waves [][]container
	for left := containers; len(left) > 0; {
		needed := map[string]bool{}
		for _, c := range left {
			for dependency := range strings.SplitSeq(c.summary.Labels[labelDependsOn], ",") {
				name, _, _ := strings.Cut(dependency, ":")
				needed[name] = name != c.serviceName() || needed[name]
			}
		}
		var wave, rest []container
		for _, c := range left {
			if needed[c.serviceName()] {
				rest = append(rest, c)
			} else {
				wave = append(wave, c)
			}
		}
		if len(wave) == 0 { // a cycle, which Compose does not make
			wave, rest = left, nil
		}
		waves, left = append(waves, wave), rest
	}
	return waves
}

// kill ends the containers of a CVM at once. One that the engine restarts by itself stays down too.
func (d *Driver) kill(ctx context.Context, c *cvm) error {
	containers, err := d.containers(ctx, c)
	if err != nil {
		return err
	}
	at := 0 // seconds of grace
	err = each(containers, func(c container) error {
		_, err := d.engine.ContainerStop(ctx, c.summary.ID, client.ContainerStopOptions{Timeout: &at})
		return err
	})
	return engineError(ctx, "kill containers", err)
}

// destroy removes the containers, networks and volumes of a CVM. Volumes and networks that its compose text calls
// external are not its own.
func (d *Driver) destroy(ctx context.Context, c *cvm) error {
	list, err := d.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ofProject(c)})
	if err != nil {
		return engineError(ctx, "list containers", err)
	}
	var all []container
	for _, summary := range list.Items {
		all = append(all, container{summary: summary})
	}
	if err := each(all, func(c container) error {
		_, err := d.engine.ContainerRemove(ctx, c.summary.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		return err
	}); err != nil {
		return engineError(ctx, "remove containers", err)
	}
	networks, err := d.engine.NetworkList(ctx, client.NetworkListOptions{Filters: ofProject(c)})
	if err != nil {
		return engineError(ctx, "list networks", err)
	}
	for _, n := range networks.Items {
		if _, err := d.engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			return engineError(ctx, "remove network "+n.Name, err)
		}
	}
	volumes, err := d.engine.VolumeList(ctx, client.VolumeListOptions{Filters: ofProject(c)})
	if err != nil {
		return engineError(ctx, "list volumes", err)
	}
	for _, v := range volumes.Items {
		if _, err := d.engine.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true}); err != nil && !errdefs.IsNotFound(err) {
			return engineError(ctx, "remove volume "+v.Name, err)
		}
	}
	return nil
}
