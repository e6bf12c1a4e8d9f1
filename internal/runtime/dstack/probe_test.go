package dstack_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
)

func TestProbe(t *testing.T) {
	b := newBench(t, vmmtest.Config{
		GPUs: []vmmrpc.GPUInfo{{Slot: "18:00.0", ProductID: "10de:2335", Description: "H200", IsFree: true}},
		Meta: vmmrpc.GetMetaResponse{
			Resources: &vmmrpc.ResourcesSettings{MaxCVMNumber: 7, MaxAllocableVCPU: 32, MaxAllocableMemoryInMB: 65536},
			Gateway:   &vmmrpc.GatewaySettings{BaseDomain: "apps.test", Port: 443, AgentPort: 8090},
		},
	})
	m, err := b.Probe(t.Context())
	if err != nil || m.Version != "0.6.0" || !m.Simulated || m.Limits != (runtime.Limits{CVMs: 7, VCPU: 32, MemoryMB: 65536}) || m.GatewayDomain != "apps.test" ||
		!slices.Equal(m.Images, []string{"dstack-0.5.5", "dstack-dev-0.5.5"}) ||
		!slices.Equal(m.GPUs, []runtime.GPU{{Slot: "18:00.0", ProductID: "10de:2335", Description: "H200", Free: true}}) {
		t.Errorf("%+v, %v", m, err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Probe(t.Context()); !errors.Is(err, runtime.ErrUnreachable) {
		t.Errorf("Probe after Close: %v", err)
	}
}

func TestReconfigure(t *testing.T) {
	b := newBench(t, vmmtest.Config{GPUs: []vmmrpc.GPUInfo{{Slot: "18:00.0"}}})
	ctx := t.Context()
	b.create(healthy(1))
	b.boot()
	ports, urls := []vmmrpc.Port{{Protocol: "tcp", HostPort: 8080, VMPort: 80, HostAddress: "127.0.0.1"}}, []string{"https://kms.test"}
	networks := []vmmrpc.Networking{{Mode: "bridge", BridgeName: "br0"}}
	bigger := &runtime.Resources{VCPU: 2, MemoryMB: 256, DiskGB: 3}
	if err := b.Reconfigure(ctx, cvm, dstack.Change{Resources: bigger}); !errors.Is(err, runtime.ErrConflict) {
		t.Errorf("resources of a running CVM: %v, want ErrConflict", err)
	}
	if err := b.Reconfigure(ctx, cvm, dstack.Change{Ports: &ports, Networks: &networks, KMSURLs: &urls, GatewayURLs: &urls, GPUs: &vmmrpc.GPUConfig{AttachMode: "listed", GPUs: []vmmrpc.GPUSpec{{Slot: "18:00.0"}}}}); err != nil {
		t.Fatal(err)
	}
	if s, err := b.SystemInfo(ctx, cvm); err != nil || s.CPUs != 1 {
		t.Errorf("system info %+v, %v", s, err)
	}
	if n, err := b.NetworkInfo(ctx, cvm); err != nil || n.InternalIP != "10.0.2.10" {
		t.Errorf("network info %+v, %v", n, err)
	}
	b.halt()
	if err := b.Reconfigure(ctx, cvm, dstack.Change{Resources: bigger}); err != nil {
		t.Fatal(err)
	}
	c := b.vms()[0].Configuration
	if c.VCPU != 2 || c.Memory != 256 || c.DiskSize != 3 || !slices.Equal(c.Ports, ports) || !slices.Equal(c.Networks, networks) || !slices.Equal(c.KMSURLs, urls) || !slices.Equal(c.GatewayURLs, urls) || len(c.GPUs.GPUs) != 1 || c.ComposeFile != string(healthy(1)) {
		t.Errorf("configuration %+v", c)
	}
	refused := new(dstack.RPCError)
	if err := b.Reconfigure(ctx, cvm, dstack.Change{Resources: &runtime.Resources{VCPU: 1, MemoryMB: 128, DiskGB: 1}}); !errors.As(err, &refused) {
		t.Errorf("a smaller disk: %v, want the VMM's refusal", err)
	}
	if _, err := b.SystemInfo(ctx, cvm); !errors.Is(err, runtime.ErrConflict) {
		t.Errorf("system info of one that is down: %v, want ErrConflict", err)
	}
}
