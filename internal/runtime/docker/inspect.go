package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"

	apicontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

var _ runtime.Inspector = (*Driver)(nil)

// SystemInfo implements runtime.Inspector. The containers have no machine of their own: what is said of one is that
// of the engine's, and only the memory in use is the CVM's. The engine does not know the model of the CPU, the load, swap
// or disks, nor what else uses its memory, so that what is free stays 0.
func (d *Driver) SystemInfo(ctx context.Context, id string) (*runtime.SystemInfo, error) {
	var shown *runtime.SystemInfo
	err := d.inspect(ctx, id, func(ctx context.Context, c *cvm, containers []container) error {
		machine, err := d.engine.Info(ctx, client.InfoOptions{})
		if err != nil {
			return engineError(ctx, "info", err)
		}
		used, err := d.memoryOf(ctx, containers)
		if err != nil {
			return engineError(ctx, "container stats", err)
		}
		total := uint64(max(0, machine.Info.MemTotal))
		c.mu.Lock()
		started := c.record.StartedAt
		c.mu.Unlock()
		shown = &runtime.SystemInfo{
			OSName: machine.Info.OperatingSystem, OSVersion: machine.Info.OSVersion, KernelVersion: machine.Info.KernelVersion,
			CPUs: int64(machine.Info.NCPU), TotalMemory: total, UsedMemory: min(used, total),
			Uptime: max(0, d.config.Now().Sub(started)),
		}
		return nil
	})
	return shown, err
}

// NetworkInfo implements runtime.Inspector. There is no gateway, so there is never an address in its network.
func (d *Driver) NetworkInfo(ctx context.Context, id string) (*runtime.NetworkInfo, error) {
	return nil, d.inspect(ctx, id, func(context.Context, *cvm, []container) error { return nil })
}

// inspect looks at the containers of a CVM that runs.
func (d *Driver) inspect(ctx context.Context, id string, look func(context.Context, *cvm, []container) error) error {
	return d.call(ctx, id, "inspect", func(ctx context.Context) error {
		c, err := d.find(id)
		if err != nil {
			return err
		}
		state := c.look().state
		if state != runtime.StateRunning {
			return fmt.Errorf("%w: nothing answers, the CVM is %s", runtime.ErrConflict, state)
		}
		containers, err := d.containers(ctx, c)
		if err != nil {
			return err
		}
		if len(containers) == 0 {
			return fmt.Errorf("%w: nothing answers, the CVM is %s", runtime.ErrConflict, runtime.StateExited)
		}
		return look(ctx, c, containers)
	})
}

// memoryOf is how many bytes of memory containers use together.
func (d *Driver) memoryOf(ctx context.Context, containers []container) (uint64, error) {
	var used atomic.Uint64
	err := each(containers, func(c container) error {
		answer, err := d.engine.ContainerStats(ctx, c.summary.ID, client.ContainerStatsOptions{})
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }() // it was only read
		var stats apicontainer.StatsResponse
		if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
			return err
		}
		used.Add(memory(stats.MemoryStats))
		return nil
	})
	return used.Load(), err
}

// memory is what a container uses without the files that are cached for it, as `docker stats` shows it. Their place
// depends on the version of cgroups.
func memory(m apicontainer.MemoryStats) uint64 {
	for _, cache := range []string{"total_inactive_file", "inactive_file"} {
		if bytes, ok := m.Stats[cache]; ok && bytes < m.Usage {
			return m.Usage - bytes
		}
	}
	return m.Usage
}
