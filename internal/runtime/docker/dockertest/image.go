package dockertest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/moby/moby/client"
)

// Tag is the image of the test program.
const Tag = "lockstep.test/app:1"

// loadImage builds the test program and imports it as an image that has nothing else.
func (e *Engine) loadImage() error {
	program, err := buildProgram()
	if err != nil {
		return err
	}
	e.Image = Tag
	return e.Import(context.Background(), Tag, program)
}

// Import makes an image whose one file is a program, /app.
func (e *Engine) Import(ctx context.Context, tag string, program []byte, changes ...string) error {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := w.WriteHeader(&tar.Header{Name: "app", Mode: 0o755, Size: int64(len(program)), ModTime: time.Unix(0, 0)}); err != nil {
		return err
	}
	if _, err := w.Write(program); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	done, err := e.Client.ImageImport(ctx, client.ImageImportSource{Source: &layer, SourceName: "-"}, tag,
		client.ImageImportOptions{Changes: append([]string{`ENTRYPOINT ["/app"]`}, changes...)})
	if err != nil {
		return fmt.Errorf("import image %s: %w", tag, err)
	}
	defer func() { _ = done.Close() }() // it was only read
	_, err = io.Copy(io.Discard, done)
	return err
}

// Program is the bytes of the test program.
func Program() ([]byte, error) { return buildProgram() }

func buildProgram() ([]byte, error) {
	dir, err := os.MkdirTemp("", "testapp-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder for temporary files
	path := filepath.Join(dir, "app")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, //nolint:gosec,noctx // our own program, and the build ends by itself
		"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest/testapp")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build testapp: %w: %s", err, out)
	}
	return os.ReadFile(path)
}
