package sim

import (
	"context"
	"fmt"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

var _ runtime.Inspector = (*Node)(nil)

// simulated stands where a guest would name what it runs on.
const simulated = "simulated"

// SystemInfo implements runtime.Inspector. A simulated guest has what it was given and uses nothing of it,
// which is what it says.
func (n *Node) SystemInfo(ctx context.Context, id string) (*runtime.SystemInfo, error) {
	var info *runtime.SystemInfo
	err := n.inspect(ctx, id, func(c *cvm) {
		memory, disk := uint64(c.record.Resources.MemoryMB)<<20, uint64(c.record.Resources.DiskGB)<<30
		info = &runtime.SystemInfo{
			OSName: c.record.Image, OSVersion: simulated, KernelVersion: simulated, CPUModel: simulated, CPUs: int64(c.record.Resources.VCPU),
			TotalMemory: memory, AvailableMemory: memory, FreeMemory: memory,
			Uptime: max(0, n.config.Now().Sub(c.record.StartedAt)),
			Disks:  []runtime.Disk{{Name: simulated, MountPoint: "/", Total: disk, Free: disk}},
		}
	})
	return info, err
}

// NetworkInfo implements runtime.Inspector. Simulated guests are in no network, so there is never anything
// to tell.
func (n *Node) NetworkInfo(ctx context.Context, id string) (*runtime.NetworkInfo, error) {
	return nil, n.inspect(ctx, id, func(*cvm) {})
}

// inspect shows a running CVM to a function, which must not change or keep it.
func (n *Node) inspect(ctx context.Context, id string, look func(*cvm)) error {
	return n.call(ctx, id, CallStatus, func() error {
		c, err := n.find(id)
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case !c.known:
			return fmt.Errorf("%w: %q", runtime.ErrNotFound, id)
		case c.view.state != runtime.StateRunning:
			return fmt.Errorf("%w: no guest answers, the CVM is %s", runtime.ErrConflict, c.view.state)
		}
		look(c)
		return nil
	})
}
