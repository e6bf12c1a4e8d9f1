package dstack

import (
	"context"
	"fmt"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

var _ runtime.Prober = (*Driver)(nil)

// nothing is the request of methods that take none.
type nothing struct{}

// Probe implements runtime.Prober: Version, GetMeta, ListImages and ListGpus.
func (d *Driver) Probe(ctx context.Context) (runtime.Machine, error) {
	var version vmmrpc.VersionResponse
	var meta vmmrpc.GetMetaResponse
	var images vmmrpc.ImageListResponse
	var gpus vmmrpc.ListGPUsResponse
	err := d.usable(ctx)
	for _, ask := range []struct {
		method string
		answer any
	}{{vmmrpc.Version, &version}, {vmmrpc.GetMeta, &meta}, {vmmrpc.ListImages, &images}, {vmmrpc.ListGPUs, &gpus}} {
		if err == nil {
			err = d.client.rpc(ctx, ask.method, nothing{}, ask.answer)
		}
	}
	if err != nil {
		return runtime.Machine{}, err
	}
	m := runtime.Machine{Version: version.Version, Simulated: version.Rev == vmmrpc.SimulatedRev}
	if r := meta.Resources; r != nil {
		m.Limits = runtime.Limits{CVMs: int64(r.MaxCVMNumber), VCPU: int64(r.MaxAllocableVCPU), MemoryMB: int64(r.MaxAllocableMemoryInMB)}
	}
	if meta.Gateway != nil {
		m.GatewayDomain = meta.Gateway.BaseDomain
	}
	for _, i := range images.Images {
		m.Images = append(m.Images, i.Name)
	}
	for _, g := range gpus.GPUs {
		m.GPUs = append(m.GPUs, runtime.GPU{Slot: g.Slot, ProductID: g.ProductID, Description: g.Description, Free: g.IsFree})
	}
	return m, nil
}

// Change is what Reconfigure changes of a CVM. What is nil stays as it is.
type Change struct {
	Resources   *runtime.Resources   // the CVM must be stopped or exited; a disk only grows
	Image       *string              // as Resources
	Ports       *[]vmmrpc.Port       // replaces all; in force from the next start
	GPUs        *vmmrpc.GPUConfig    // as Ports
	KMSURLs     *[]string            // as Ports
	GatewayURLs *[]string            // as Ports
	Networks    *[]vmmrpc.Networking // as Ports
}

// Reconfigure changes what the host gives to a CVM. It takes effect at the next start, and touches neither document
// nor environment. The VMM goes step by step: after an error, what comes earlier in Change may be done.
func (d *Driver) Reconfigure(ctx context.Context, id string, change Change) error {
	return d.change(ctx, id, func(m *machine) error {
		request := vmmrpc.UpdateVMRequest{ID: m.info.ID, GPUs: change.GPUs, Image: change.Image}
		if r := change.Resources; r != nil {
			vcpu, memory, disk := uint32(r.VCPU), uint32(r.MemoryMB), uint32(r.DiskGB)
			request.VCPU, request.Memory, request.DiskSize = &vcpu, &memory, &disk
		}
		if change.Resources != nil || change.Image != nil {
			if state := d.stateOf(m); state != runtime.StateStopped && state != runtime.StateExited {
				return fmt.Errorf("%w: resources and image change only while it is stopped, and it is %s", runtime.ErrConflict, state)
			}
			if m.info.Status != vmmrpc.StatusStopped {
				if err := d.cutOff(ctx, m); err != nil {
					return err
				}
			}
		}
		if change.Ports != nil {
			request.UpdatePorts, request.Ports = true, *change.Ports
		}
		if change.KMSURLs != nil {
			request.UpdateKMSURLs, request.KMSURLs = true, *change.KMSURLs
		}
		if change.GatewayURLs != nil {
			request.UpdateGatewayURLs, request.GatewayURLs = true, *change.GatewayURLs
		}
		if change.Networks != nil {
			request.UpdateNetworking, request.Networks = true, *change.Networks
		}
		return d.update(ctx, request)
	})
}
