package dstack_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/runtimetest"
)

func TestConformanceTCP(t *testing.T) {
	runtimetest.Run(t, harness(func(t *testing.T, h *host) dstack.Config {
		return dstack.Config{URL: h.serveTCP(t, h.vmm.Handler()), Token: "let me in"}
	}))
}

func TestConformanceUnixSocket(t *testing.T) {
	runtimetest.Run(t, harness(func(t *testing.T, h *host) dstack.Config {
		return dstack.Config{URL: h.serveUnix(t), User: "operator", Password: "secret"}
	}))
}

func harness(serve func(*testing.T, *host) dstack.Config) runtimetest.Harness {
	return runtimetest.Harness{Poll: time.Millisecond, Node: func(t *testing.T) runtimetest.Node {
		h := newHost(t, vmmtest.Config{
			Tokens: []string{"let me in"}, Users: map[string]string{"operator": "$2a$04$.NHU.zww.5VN42eAhS79VOmdzfcE/dMEjTuERznwyI9YKCiWiI1F6"},
		})
		config := serve(t, h)
		config.AgentURL = h.serveTCP(t, h.vmm.AgentHandler())
		return runtimetest.Node{
			Open:           func(t *testing.T) runtime.Runtime { return open(t, config) },
			Compose:        compose,
			Deny:           h.kms.deny,
			LogsEndWithRun: true,
			Interrupt: func(id string, call runtimetest.Call, when runtimetest.When) <-chan struct{} {
				method := map[runtimetest.Call]string{
					runtimetest.Create: vmmrpc.CreateVM, runtimetest.Apply: vmmrpc.UpdateVM, runtimetest.Start: vmmrpc.StartVM,
					runtimetest.Stop: vmmrpc.ShutdownVM, runtimetest.Remove: vmmrpc.RemoveVM,
				}[call]
				return h.vmm.Faults().Add(vmmtest.Fault{VM: id, Method: method, After: when == runtimetest.After, Hold: true}).Struck()
			},
		}
	}}
}

// host is a dstack host under test.
type host struct {
	vmm *vmmtest.VMM
	kms *switchedKMS
	dir string
}

func newHost(t testing.TB, config vmmtest.Config) *host {
	t.Helper()
	h := &host{kms: &switchedKMS{}, dir: config.Dir}
	if h.dir == "" {
		h.dir = t.TempDir()
	}
	if config.Keys == nil {
		keys, err := kms.NewDev(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		config.Keys = keys
	}
	config.Dir, config.Authorizer = h.dir, h.kms
	var err error
	if h.vmm, err = vmmtest.New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.vmm.Close() })
	return h
}

func (h *host) serveTCP(t testing.TB, handler http.Handler) string {
	server := httptest.NewServer(handler)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return server.URL
}

func (h *host) serveUnix(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vmm.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: h.vmm.Handler()}}
	server.Start()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	return "unix:" + path
}

func open(t *testing.T, config dstack.Config) *dstack.Driver {
	t.Helper()
	if config.Poll == 0 {
		config.Poll = time.Millisecond
	}
	driver, err := dstack.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { driver.Close() })
	return driver
}

// compose makes the apps of the suite from the simulator's directives.
func compose(app runtimetest.App, version int) string {
	labels := map[runtimetest.App]string{
		runtimetest.Healthy:   fmt.Sprintf(`lockstep.sim.log: "version %d"`, version),
		runtimetest.Crash:     `lockstep.sim.exit: "3", lockstep.sim.log: "about to fail\nboom"`,
		runtimetest.Unhealthy: `lockstep.sim.unhealthy: "true"`,
		runtimetest.BadBoot:   `lockstep.sim.boot-error: "pull access denied"`,
	}[app]
	return fmt.Sprintf("services:\n  web:\n    image: web:%d\n    healthcheck: {test: [CMD, \"true\"]}\n    labels: {%s}\n", version, labels)
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
