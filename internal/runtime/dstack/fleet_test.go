package dstack_test

import (
	"fmt"
	goruntime "runtime"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
)

// BenchmarkStatus looks at CVMs of a host with many, through the driver and the RPC.
func BenchmarkStatus(b *testing.B) {
	const fleet = 500
	h := newHost(b, vmmtest.Config{})
	driver, err := dstack.New(dstack.Config{URL: h.serveTCP(b, h.vmm.Handler()), Poll: time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	defer driver.Close()
	id := func(n int) string { return fmt.Sprintf("0b0c7a43-91a5-4c39-bd0c-%012x", n) }
	var wait sync.WaitGroup
	began := time.Now()
	for worker := range 16 {
		wait.Go(func() {
			for n := worker; n < fleet; n += 16 {
				s := spec(healthy(1))
				s.ID = id(n)
				if err := driver.Create(b.Context(), s); err != nil {
					b.Error(err)
					return
				}
				if err := driver.Start(b.Context(), s.ID); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	boots := fleet / time.Since(began).Seconds()
	var memory goruntime.MemStats
	goruntime.GC()
	goruntime.ReadMemStats(&memory)
	b.ResetTimer()
	b.ReportMetric(boots, "boots/s")
	b.ReportMetric(float64(memory.HeapAlloc)/fleet, "heap-B/VM")
	b.RunParallel(func(pb *testing.PB) {
		n := 0
		for pb.Next() {
			n++
			if s, err := driver.Status(b.Context(), id(n%fleet)); err != nil || s.State == runtime.StateExited {
				b.Error(s, err)
				return
			}
		}
	})
}
