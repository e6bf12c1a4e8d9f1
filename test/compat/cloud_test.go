package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/devcloud"
)

// patience is how long anything may take that has no other limit. Only a broken test waits for it.
const patience = time.Minute

// cloud is a `lockstep dev` in a process of its own.
type cloud struct {
	devcloud.Ready
	readyFile string

	process *exec.Cmd
	exited  chan struct{} // closed once the process has ended
	output  output
}

// address is where a cloud listens; the zero value lets the system choose.
type address struct{ api, rpc string }

// startCloud starts `lockstep dev` and waits until it answers. It is stopped with the test, and must then
// end without an error.
func startCloud(t *testing.T) *cloud {
	t.Helper()
	return startCloudOn(t, "", address{})
}

// startCloudOn starts `lockstep dev` on a data folder, which outlives it, on given addresses, and with more flags.
func startCloudOn(t *testing.T, data string, at address, more ...string) *cloud {
	t.Helper()
	c := &cloud{readyFile: filepath.Join(t.TempDir(), "ready.json"), exited: make(chan struct{})}
	if at == (address{}) {
		at = address{api: "127.0.0.1:0", rpc: "127.0.0.1:0"}
	}
	args := []string{"dev", "--listen", at.api, "--rpc-listen", at.rpc, "--ready-file", c.readyFile}
	if data != "" {
		args = append(args, "--data", data)
	}
	c.process = exec.Command(program(t), append(args, more...)...)
	c.process.Env = bareEnvironment()
	c.process.Stdout, c.process.Stderr = &c.output, &c.output
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = c.process.Wait() // stop looks at the state that it leaves
		close(c.exited)
	}()
	t.Cleanup(func() { c.stop(t) })
	c.awaitReady(t)
	return c
}

// awaitReady waits for the ready file, which appears whole.
func (c *cloud) awaitReady(t *testing.T) {
	t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		b, err := os.ReadFile(c.readyFile)
		if err == nil {
			if err := json.Unmarshal(b, &c.Ready); err != nil {
				t.Fatalf("ready file: %v\n%s", err, b)
			}
			return
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		select {
		case <-look.C:
		case <-c.exited:
			t.Fatalf("lockstep dev ended before it was ready: %v\n%s", c.process.ProcessState, c.output.String())
		case <-over.C:
			t.Fatalf("lockstep dev is not ready after %s\n%s", patience, c.output.String())
		}
	}
}

// stop interrupts the process, as Ctrl-C does, and checks that it ends well. It does nothing when the
// process was ended before.
func (c *cloud) stop(t *testing.T) {
	t.Helper()
	select {
	case <-c.exited:
		return
	default:
	}
	if err := c.process.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	select {
	case <-c.exited:
	case <-time.After(patience):
		c.kill(t)
		t.Errorf("lockstep dev did not end within %s of an interrupt\n%s", patience, c.output.String())
		return
	}
	if code := c.process.ProcessState.ExitCode(); code != 0 {
		t.Errorf("lockstep dev ended with code %d\n%s", code, c.output.String())
	}
	if _, err := os.Stat(c.readyFile); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ready file is still there: %v", err)
	}
	if t.Failed() {
		t.Logf("lockstep dev said:\n%s", c.output.String())
	}
}

// kill ends the process at once, without a chance to put anything in order.
func (c *cloud) kill(t *testing.T) {
	t.Helper()
	if err := c.process.Process.Kill(); err != nil {
		t.Error(err)
	}
	<-c.exited
}

// address is where the cloud listens, to start it there again.
func (c *cloud) address(t *testing.T) address {
	t.Helper()
	apiURL, err := url.Parse(c.APIURL)
	if err != nil {
		t.Fatal(err)
	}
	rpcURL, err := url.Parse(c.RPCURL)
	if err != nil {
		t.Fatal(err)
	}
	return address{api: apiURL.Host, rpc: rpcURL.Host}
}

// cvm returns one of the CVMs that the cloud starts with.
func (c *cloud) cvm(t *testing.T, name string) devcloud.CVM {
	t.Helper()
	for _, cvm := range c.CVMs {
		if cvm.Name == name {
			return cvm
		}
	}
	t.Fatalf("lockstep dev has no CVM %s: %+v", name, c.CVMs)
	return devcloud.CVM{}
}

// output collects what a process says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// bareEnvironment is an environment without what would configure a client or the server from outside.
func bareEnvironment(more ...string) []string {
	var env []string
	for _, name := range []string{"PATH", "TMPDIR", "GORACE"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, more...)
}

// withPatience bounds a test's calls.
func withPatience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
