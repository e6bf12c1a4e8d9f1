package dstack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

var _ runtime.Inspector = (*Driver)(nil)

// SystemInfo implements runtime.Inspector: it asks the guest agent.
func (d *Driver) SystemInfo(ctx context.Context, id string) (*runtime.SystemInfo, error) {
	said, err := ask[vmmrpc.SystemInfo](ctx, d, id, vmmrpc.GuestSysInfo)
	if err != nil {
		return nil, err
	}
	info := &runtime.SystemInfo{
		OSName: said.OSName, OSVersion: said.OSVersion, KernelVersion: said.KernelVersion, CPUModel: said.CPUModel, CPUs: int64(said.NumCPUs),
		TotalMemory: said.TotalMemory, AvailableMemory: said.AvailableMemory, UsedMemory: said.UsedMemory, FreeMemory: said.FreeMemory,
		TotalSwap: said.TotalSwap, UsedSwap: said.UsedSwap, FreeSwap: said.FreeSwap,
		Uptime:  time.Duration(min(said.Uptime, maxUptime)) * time.Second,
		LoadOne: int64(said.LoadavgOne), LoadFive: int64(said.LoadavgFive), LoadFifteen: int64(said.LoadavgFifteen),
	}
	for _, disk := range said.Disks {
		info.Disks = append(info.Disks, runtime.Disk{Name: disk.Name, MountPoint: disk.MountPoint, Total: disk.TotalSize, Free: disk.FreeSize})
	}
	return info, nil
}

// maxUptime, in seconds, keeps what a guest says inside a time.Duration.
const maxUptime = 200 * 365 * 24 * 3600

// NetworkInfo implements runtime.Inspector: it asks the guest agent.
func (d *Driver) NetworkInfo(ctx context.Context, id string) (*runtime.NetworkInfo, error) {
	said, err := ask[vmmrpc.NetworkInformation](ctx, d, id, vmmrpc.GuestNetworkInfo)
	if err != nil {
		return nil, err
	}
	return &runtime.NetworkInfo{InternalIP: internalIP(said.Interfaces)}, nil
}

// internalIP is the guest's address in the WireGuard network of the gateway, or the first one that leads out
// of the guest while there is none.
func internalIP(interfaces []vmmrpc.Interface) string {
	first := ""
	for _, i := range interfaces {
		if len(i.Addresses) == 0 || i.Name == "lo" {
			continue
		}
		name := strings.TrimPrefix(i.Name, "dstack-")
		switch {
		case strings.HasPrefix(name, "wg"):
			return i.Addresses[0].Address
		case strings.HasPrefix(name, "docker"), strings.HasPrefix(name, "br-"), strings.HasPrefix(name, "veth"):
		case first == "":
			first = i.Addresses[0].Address
		}
	}
	return first
}

// ask calls a method of the guest agent. The error is ErrConflict when the agent does not answer.
func ask[T any](ctx context.Context, d *Driver, id, method string) (answer T, err error) {
	m, err := d.find(ctx, id)
	if err != nil {
		return answer, err
	}
	err = d.client.guest(ctx, method, m.info.ID, &answer)
	if refused := new(RPCError); errors.As(err, &refused) {
		err = fmt.Errorf("%w: %w", runtime.ErrConflict, err)
	}
	return answer, err
}
