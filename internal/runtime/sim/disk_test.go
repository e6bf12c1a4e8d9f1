package sim_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestLeftoversAreSwept opens a disk as processes left it that were killed in the middle of each call.
func TestLeftoversAreSwept(t *testing.T) {
	dir := t.TempDir()
	doc := document(t, webCompose, nil)
	first := open(t, sim.Config{Dir: dir})
	create(t, first, doc)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	const other = "11111111-2222-3333-4444-555555555555"
	write(t, filepath.Join(dir, ".new-"+other, "config-1", "app-compose.json"), "half")                 // Create
	write(t, filepath.Join(dir, ".gone-"+other, "instance.json"), "{}")                                 // Remove
	write(t, filepath.Join(dir, cvmID, "config-2", "app-compose.json"), "written but not yet in force") // Apply
	write(t, filepath.Join(dir, cvmID, "instance.json.tmp"), `{"id":`)                                  // any

	node := open(t, sim.Config{Dir: dir})
	if status, err := node.Status(t.Context(), cvmID); err != nil || status.NextHash != appcompose.Hash(doc) {
		t.Errorf("status: %+v, %v", status, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != cvmID {
		t.Errorf("disk of the node holds %v, %v; want only the CVM", entries, err)
	}
	if configs, _ := filepath.Glob(filepath.Join(dir, cvmID, "config-*")); len(configs) != 1 {
		t.Errorf("configurations on disk: %v, want only the one in force", configs)
	}
	// What is left of an Apply does not stand in the way of the next.
	apply(t, node, document(t, webCompose+"\n", nil))
	if status := boot(t, node); status.State != runtime.StateRunning {
		t.Errorf("status: %+v", status)
	}
}

// TestBrokenDiskIsRefused: a CVM that cannot be read must not look like one that was removed.
func TestBrokenDiskIsRefused(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, cvm string){
		"no record":       func(t *testing.T, cvm string) { os.Remove(filepath.Join(cvm, "instance.json")) },
		"broken record":   func(t *testing.T, cvm string) { write(t, filepath.Join(cvm, "instance.json"), `{"id":`) },
		"record of other": func(t *testing.T, cvm string) { write(t, filepath.Join(cvm, "instance.json"), `{"id":"other"}`) },
		"no document":     func(t *testing.T, cvm string) { os.RemoveAll(filepath.Join(cvm, "config-1")) },
	} {
		dir := t.TempDir()
		node := open(t, sim.Config{Dir: dir})
		create(t, node, document(t, webCompose, nil))
		node.Close()
		harm(t, filepath.Join(dir, cvmID))
		if opened, err := sim.New(sim.Config{Dir: dir, Authorizer: allowAll}); err == nil {
			opened.Close()
			t.Errorf("%s: the node opened", name)
		} else if !strings.Contains(err.Error(), cvmID) {
			t.Errorf("%s: %v, want the CVM named", name, err)
		}
	}
	if _, err := sim.New(sim.Config{Dir: t.TempDir()}); err == nil {
		t.Error("a node without an authorizer opened")
	}
}

const childDir = "SIM_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	os.Exit(m.Run())
}

// childDocument is the document of a round.
func childDocument(round int) []byte { return fmt.Appendf(nil, `{"round":%d}`, round) }

// child calls a node without end, and says on stdout which call has returned.
func child(dir string) {
	node, err := sim.New(sim.Config{Dir: dir, Authorizer: kms.AuthorizerFunc(func(ctx context.Context, _ kms.BootInfo) (kms.Decision, error) {
		return kms.Decision{Allowed: true}, nil
	})})
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	must(err)
	must(node.Create(ctx, runtime.Spec{ID: cvmID, AppID: appID, Config: runtime.Config{Document: childDocument(0)}}))
	for round := 1; ; round++ {
		must(node.Apply(ctx, cvmID, runtime.Config{Document: childDocument(round)}))
		fmt.Println("applied", round)
		must(node.Start(ctx, cvmID))
		fmt.Println("started", round)
		must(node.Stop(ctx, cvmID, runtime.StopOptions{Force: true}))
		fmt.Println("stopped", round)
	}
}

// TestKill kills a process in the middle of its calls. Whatever call had returned is on the disk; the one
// under way took effect or did not.
func TestKill(t *testing.T) {
	for kills := range 12 {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		var last string
		for n := 0; lines.Scan(); n++ {
			if last = lines.Text(); n == 5+kills {
				cmd.Process.Kill() // and read on: more may have been said before it died
			}
		}
		cmd.Wait()
		var done string
		var round int
		if _, err := fmt.Sscanf(last, "%s %d", &done, &round); err != nil {
			t.Fatalf("child said %q: %v", last, err)
		}
		node := open(t, sim.Config{Dir: dir})
		status, err := node.Status(t.Context(), cvmID)
		if err != nil {
			t.Fatalf("after %q: %v", last, err)
		}
		up := status.State != runtime.StateStopped
		hash := func(round int) bool { return status.NextHash == appcompose.Hash(childDocument(round)) }
		var ok bool
		switch done {
		case "applied": // and perhaps started
			ok = hash(round)
		case "started": // and perhaps stopped
			ok = hash(round)
		case "stopped": // and perhaps applied the next
			ok = !up && (hash(round) || hash(round+1))
		}
		if !ok {
			t.Errorf("after %q: %+v", last, status)
		}
		node.Close()
	}
}
