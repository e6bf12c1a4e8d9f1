package runtimetest

import (
	"errors"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// inspect checks what a driver that is an Inspector says of a guest. What the numbers are is the guest's
// business; that they are there only while a guest answers is the driver's.
func inspect(b *bench) {
	inspector, ok := b.rt.(runtime.Inspector)
	if !ok {
		b.t.Skip("NOT TESTED: this driver is no runtime.Inspector")
	}
	ctx := b.t.Context()
	refused := func(when, id string, want error) {
		b.t.Helper()
		if info, err := inspector.SystemInfo(ctx, id); !errors.Is(err, want) {
			b.t.Errorf("SystemInfo of one that is %s: %+v, %v, want %v", when, info, err, want)
		}
		if info, err := inspector.NetworkInfo(ctx, id); !errors.Is(err, want) {
			b.t.Errorf("NetworkInfo of one that is %s: %+v, %v, want %v", when, info, err, want)
		}
	}
	refused("unknown", "00000000-0000-4000-8000-000000000000", runtime.ErrNotFound)
	b.create(b.document(Healthy, 1))
	refused("not started", id, runtime.ErrConflict)
	b.boot()
	info, err := inspector.SystemInfo(ctx, id)
	if err != nil {
		b.t.Fatalf("SystemInfo: %v", err)
	}
	if info != nil {
		checkSystemInfo(b.t, info)
	}
	if _, err := inspector.NetworkInfo(ctx, id); err != nil {
		b.t.Errorf("NetworkInfo: %v", err)
	}
	b.halt()
	refused("stopped", id, runtime.ErrConflict)
}

func checkSystemInfo(t *testing.T, info *runtime.SystemInfo) {
	t.Helper()
	if info.CPUs < 1 || info.TotalMemory == 0 {
		t.Errorf("a guest without CPU or memory: %+v", info)
	}
	if info.UsedMemory > info.TotalMemory || info.FreeMemory > info.TotalMemory || info.UsedSwap > info.TotalSwap || info.Uptime < 0 {
		t.Errorf("a guest that uses more than it has: %+v", info)
	}
	for _, d := range info.Disks {
		if d.Free > d.Total {
			t.Errorf("disk %s has more free than it is large: %+v", d.Name, d)
		}
	}
}
