package sim_test

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

func stop(t *testing.T, node *sim.Node) runtime.Status {
	t.Helper()
	if err := node.Stop(t.Context(), cvmID, runtime.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	return await(t, node, func(s runtime.Status) bool { return s.State == runtime.StateStopped })
}

func apply(t *testing.T, node *sim.Node, document []byte) {
	t.Helper()
	if err := node.Apply(t.Context(), cvmID, runtime.Config{Document: document}); err != nil {
		t.Fatal(err)
	}
}

func readLog(t *testing.T, node *sim.Node, options runtime.LogOptions) string {
	t.Helper()
	reader, err := node.Logs(t.Context(), cvmID, options)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// overwrite changes the document on the disk of the node behind its back.
func overwrite(t *testing.T, dir string, document []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, cvmID, "config-*", "app-compose.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("documents on disk: %v, %v; want one", files, err)
	}
	if err := os.WriteFile(files[0], document, 0o600); err != nil {
		t.Fatal(err)
	}
}
