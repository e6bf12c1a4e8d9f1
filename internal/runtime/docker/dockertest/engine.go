// Package dockertest gives tests a Docker Engine, the Compose plugin and images that need no registry. It takes the
// engine that DOCKER_HOST names or that answers at Docker's own socket, else it starts a dockerd on a socket and in
// a folder of its own, and takes everything down when the tests are over.
package dockertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// Required is the variable that makes tests fail where there is no engine, in place of being skipped. The Makefile
// sets it.
const Required = "LOCKSTEP_DOCKER_TESTS"

// Engine is an engine that answers, with the image of the test program in it.
type Engine struct {
	Host    string // as DOCKER_HOST
	Compose string // path of the Compose plugin
	Image   string // its one program is testapp
	Client  *client.Client
	Log     string // file that a dockerd of our own writes to; empty for one that was there

	stop func()
}

var shared struct {
	once   sync.Once
	engine *Engine
	err    error
}

// Run runs the tests of a package and then takes down the engine they were given. It is for TestMain.
func Run(m interface{ Run() int }) int {
	code := m.Run()
	if shared.engine != nil {
		shared.engine.Close()
	}
	return code
}

// Shared is the engine of this test process. Without one the test is skipped, loudly, unless Required is set.
func Shared(t *testing.T) *Engine {
	t.Helper()
	shared.once.Do(func() { shared.engine, shared.err = Open() })
	if shared.err != nil {
		if os.Getenv(Required) != "" {
			t.Fatalf("no Docker Engine: %v", shared.err)
		}
		t.Skipf("NOT TESTED: nothing that needs a Docker Engine was tested here, because there is none: %v. `make docker-tools` gets what is missing", shared.err)
	}
	return shared.engine
}

// Open finds or starts an engine. The caller closes it.
func Open() (*Engine, error) {
	compose, err := findCompose()
	if err != nil {
		return nil, err
	}
	e := &Engine{Compose: compose, stop: func() {}}
	if err := e.connect(); err != nil {
		return nil, err
	}
	if err := e.loadImage(); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// Close takes down what Open has started.
func (e *Engine) Close() {
	if e.Client != nil {
		_ = e.Client.Close() // nothing was written through it
	}
	e.stop()
}

func (e *Engine) connect() error {
	host := os.Getenv("DOCKER_HOST")
	if host == "" {
		host = client.DefaultDockerHost
	}
	var err error
	if e.Client, err = ping(host, 5*time.Second); err == nil {
		e.Host = host
		return nil
	}
	if os.Getenv("DOCKER_HOST") != "" {
		return fmt.Errorf("engine of DOCKER_HOST %s: %w", host, err)
	}
	return e.startDaemon()
}

func ping(host string, patience time.Duration) (*client.Client, error) {
	c, err := client.New(client.WithHost(host))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if _, err = c.Ping(ctx, client.PingOptions{}); err == nil {
			return c, nil
		}
		if patience <= 5*time.Second || ctx.Err() != nil {
			return nil, errors.Join(err, c.Close())
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// startDaemon runs a dockerd. It neither touches the firewall nor the default bridge, so that it can be one of
// several, in a sandbox.
func (e *Engine) startDaemon() error {
	path, err := exec.LookPath("dockerd")
	if err != nil {
		return fmt.Errorf("no engine answers, and dockerd cannot be started: %w", err)
	}
	dir, err := os.MkdirTemp("", "dockertest-")
	if err != nil {
		return err
	}
	e.Host, e.Log = "unix://"+filepath.Join(dir, "sock"), filepath.Join(dir, "log")
	log, err := os.Create(e.Log)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()          // the daemon has it open
	cmd := exec.Command(path, "--host", e.Host, //nolint:gosec,noctx // ends with the test process, see below
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
		"--bridge", "none", "--iptables=false", "--ip6tables=false",
		"--default-address-pool", fmt.Sprintf("base=10.%d.0.0/16,size=24", 64+os.Getpid()%128))
	cmd.Stdout, cmd.Stderr = log, log
	diesWithUs(cmd)
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the daemon ends with the thread that started it
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return errors.Join(fmt.Errorf("start dockerd: %w", err), os.RemoveAll(dir))
	}
	e.stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		unmountBelow(dir)
		_ = os.RemoveAll(dir)
	}
	if e.Client, err = ping(e.Host, time.Minute); err != nil {
		text, _ := os.ReadFile(e.Log)
		e.stop()
		e.stop = func() {}
		return fmt.Errorf("dockerd does not answer: %w; the end of its log:\n%s", err, text[max(0, len(text)-2000):])
	}
	return nil
}

// findCompose finds the plugin: LOCKSTEP_COMPOSE, PATH, or what `make docker-tools` has built.
func findCompose() (string, error) {
	if path := os.Getenv("LOCKSTEP_COMPOSE"); path != "" {
		return path, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	built, err := filepath.Glob(filepath.Join(root, ".tools", "docker-compose-*"))
	if err == nil && len(built) > 0 {
		return built[len(built)-1], nil
	}
	path, err := exec.LookPath("docker-compose")
	if err != nil {
		return "", fmt.Errorf("no Compose plugin: %w", err)
	}
	return path, nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output() //nolint:noctx // answers at once
	if err != nil {
		return "", err
	}
	return filepath.Dir(string(bytes.TrimSpace(out))), nil
}
