package docker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/docker"
	"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/runtimetest"
)

func TestConformance(t *testing.T) {
	engine := dockertest.Shared(t)
	runtimetest.Run(t, runtimetest.Harness{
		Patience: 3 * time.Minute, // an engine on a busy machine
		Node: func(t *testing.T) runtimetest.Node {
			dir := t.TempDir()
			authorizer := &switchedKMS{}
			holds := &holds{}
			engine.Sweep(t)
			return runtimetest.Node{
				Open: func(t *testing.T) runtime.Runtime {
					return open(t, docker.Config{
						Host: engine.Host, Compose: engine.Compose, Dir: dir, Authorizer: authorizer,
					}.WithHold(holds.hold))
				},
				Compose:   func(app runtimetest.App, version int) string { return composeText(engine.Image, app, version) },
				Deny:      authorizer.deny,
				Interrupt: holds.add,
			}
		},
	})
}

func open(t *testing.T, config docker.Config) *docker.Driver {
	t.Helper()
	driver, err := docker.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { driver.Close() })
	return driver
}

// composeText makes the apps of the suite.
func composeText(image string, app runtimetest.App, version int) string {
	command := map[runtimetest.App]string{
		runtimetest.Healthy:   fmt.Sprintf(`[serve, "%d"]`, version),
		runtimetest.Crash:     fmt.Sprintf(`[crash, "%d"]`, runtimetest.CrashCode),
		runtimetest.Unhealthy: `[sick, "1"]`,
		runtimetest.BadBoot:   `[serve, "1"]`,
	}[app]
	if app == runtimetest.BadBoot {
		image = "lockstep.test/no-such-image:1"
	}
	return fmt.Sprintf(`services:
  web:
    image: %s
    command: %s
    healthcheck: {test: [CMD, /app, check], interval: 200ms, timeout: 5s, retries: 5}
`, image, command)
}

// switchedKMS denies while it has a reason to.
type switchedKMS struct {
	mu     sync.Mutex
	reason string
}

func (k *switchedKMS) deny(reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reason = reason
}

func (k *switchedKMS) AuthorizeBoot(context.Context, kms.BootInfo) (kms.Decision, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return kms.Decision{Allowed: k.reason == "", Reason: k.reason}, nil
}

// holds are the calls that shall hang until their driver is closed.
type holds struct {
	mu    sync.Mutex
	holds []hold
}

type hold struct {
	id, call string
	after    bool
	struck   chan struct{}
}

func (h *holds) add(id string, call runtimetest.Call, when runtimetest.When) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	struck := make(chan struct{})
	h.holds = append(h.holds, hold{id, string(call), when == runtimetest.After, struck})
	return struck
}

func (h *holds) hold(ctx context.Context, id, call string, after bool) error {
	h.mu.Lock()
	for i, one := range h.holds {
		if one.id == id && one.call == call && one.after == after {
			h.holds = append(h.holds[:i], h.holds[i+1:]...)
			h.mu.Unlock()
			close(one.struck)
			<-ctx.Done()
			return ctx.Err()
		}
	}
	h.mu.Unlock()
	return nil
}
