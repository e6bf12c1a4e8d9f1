package sim_test

import (
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// fleet makes a disk with many CVMs that are meant to run, by copying one.
func fleet(t testing.TB, size int) (dir string, ids []string) {
	t.Helper()
	template := t.TempDir()
	node, err := sim.New(sim.Config{Dir: template, Authorizer: allowAll})
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Appendf(nil, `{"manifest_version":2,"runner":"docker-compose","docker_compose_file":%q}`, webCompose)
	spec := runtime.Spec{ID: cvmID, Name: "app", AppID: appID, Image: "dstack-0.5.5", Config: runtime.Config{Document: text}}
	if err := node.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if err := node.Start(t.Context(), cvmID); err != nil {
		t.Fatal(err)
	}
	// The instance id is on the disk once it is told: the copies need not be written to.
	booted := func(s runtime.Status) bool { return s.InstanceID != "" }
	if _, err := runtime.Await(t.Context(), node, cvmID, 0, booted); err != nil {
		t.Fatal(err)
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	record, err := os.ReadFile(filepath.Join(template, cvmID, "instance.json"))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for i := range size {
		id := fmt.Sprintf("%08x-0000-4000-8000-000000000000", i)
		ids = append(ids, id)
		if err := os.CopyFS(filepath.Join(dir, id), os.DirFS(filepath.Join(template, cvmID))); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(record), cvmID, id)
		if err := os.WriteFile(filepath.Join(dir, id, "instance.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, ids
}

func heap() uint64 {
	goruntime.GC()
	goruntime.GC() // what finalizers and pools let go of
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestFleet boots many CVMs as after a reboot of the host, and checks what a running one costs while
// nothing happens: no goroutine, and little memory. A node of 10,000 then takes some tens of megabytes.
func TestFleet(t *testing.T) {
	const size = 500
	const limit = 6 << 10 // bytes of heap each
	dir, ids := fleet(t, size)
	synctest.Test(t, func(t *testing.T) {
		heapBefore, goroutinesBefore := heap(), goruntime.NumGoroutine()
		node := open(t, sim.Config{Dir: dir})
		synctest.Wait()
		for _, id := range ids {
			if status, err := node.Status(t.Context(), id); err != nil || status.State != runtime.StateRunning {
				t.Fatalf("CVM %s: %+v, %v", id, status, err)
			}
		}
		if n := goruntime.NumGoroutine(); n != goroutinesBefore {
			t.Errorf("%d goroutines with %d CVMs, %d before", n, size, goroutinesBefore)
		}
		each := (int64(heap()) - int64(heapBefore)) / size
		t.Logf("%d bytes of heap for each running CVM", each)
		if each > limit {
			t.Errorf("a running CVM takes %d bytes of heap, want at most %d", each, limit)
		}
		goruntime.KeepAlive(node)
	})
}
