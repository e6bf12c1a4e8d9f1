// Package runtimetest is the conformance suite of package runtime: what the control plane relies on, put
// as tests that every driver passes. A driver calls Run from a test of its own, with a Harness that makes
// nodes to test against.
package runtimetest

import (
	"context"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// Harness makes the suite fit a driver.
type Harness struct {
	// Node makes a node for one test. What it needs it cleans up when the test ends.
	Node func(t *testing.T) Node
	// Patience is how long a boot or a shutdown may take; 0 means 30 seconds. A correct driver never
	// comes near it.
	Patience time.Duration
	// Poll is how often a driver that is no runtime.Watcher is looked at; 0 means 50 ms.
	Poll time.Duration
}

// Node is one node under test.
type Node struct {
	// Open connects to the node, as a control plane does when it starts. The suite closes what it
	// opens, and opens again to play a restart of the control plane.
	Open func(t *testing.T) runtime.Runtime

	// Compose gives the compose text of an app with one service, "web". Texts of different versions
	// differ.
	Compose func(app App, version int) string

	// Deny makes the KMS refuse every document, with this reason, until it is called with an empty
	// one. It is nil for a driver whose CVMs ask no KMS.
	Deny func(reason string)

	// Interrupt makes the next such call for the CVM hang, before it took effect or after, and closes
	// the channel once it does. A call that hangs ends when its runtime is closed. It is nil for a
	// driver that cannot be held; its calls are then cut off at some point of their own.
	Interrupt func(id string, call Call, when When) (struck <-chan struct{})

	// LogsEndWithRun says that the logs of containers are inside the guest and are gone with it. Other drivers
	// still show the last words of what was stopped.
	LogsEndWithRun bool
}

// App is how the app of a compose text behaves.
type App string

// Apps that a Node must know.
const (
	// Healthy runs, and its health check passes. It writes the line "version N" to its log.
	Healthy App = "healthy"
	// Crash writes the lines "about to fail" and "boom", and exits with code CrashCode.
	Crash App = "crash"
	// Unhealthy runs, and its health check fails.
	Unhealthy App = "unhealthy"
	// BadBoot cannot be started at all, such as for an image that does not exist.
	BadBoot App = "bad-boot"
)

// CrashCode is the exit code of a Crash app.
const CrashCode = 3

// service is the one service of every app.
const service = "web"

// Call is a call of runtime.Runtime that changes something.
type Call string

// Calls that the suite interrupts.
const (
	Create Call = "create"
	Apply  Call = "apply"
	Start  Call = "start"
	Stop   Call = "stop"
	Remove Call = "remove"
)

// When says where in a call it is interrupted.
type When string

// Points of a call.
const (
	Before When = "before" // nothing has happened yet
	After  When = "after"  // it has taken effect, and the answer is lost
)

// bench is a node under test with one open runtime.
type bench struct {
	t       *testing.T
	harness Harness
	node    Node
	rt      runtime.Runtime
}

func newBench(t *testing.T, h Harness) *bench {
	t.Helper()
	b := &bench{t: t, harness: h, node: h.Node(t)}
	b.rt = b.node.Open(t)
	t.Cleanup(func() { b.rt.Close() })
	return b
}

// reopen plays a restart of the control plane.
func (b *bench) reopen() {
	b.t.Helper()
	if err := b.rt.Close(); err != nil {
		b.t.Fatalf("Close: %v", err)
	}
	b.rt = b.node.Open(b.t)
}

// patient is a context that ends long after everything should be over.
func (b *bench) patient() context.Context {
	ctx, cancel := context.WithTimeout(b.t.Context(), b.harness.Patience)
	b.t.Cleanup(cancel)
	return ctx
}

// id of the CVM that most tests use.
const id = "5b1f0d6e-1f6b-4f0e-8a55-0a4c3f7e9b21"

// spec makes a spec with a document.
func spec(id string, document []byte) runtime.Spec {
	return runtime.Spec{
		ID:        id,
		Name:      "app",
		AppID:     "00112233445566778899aabbccddeeff00112233",
		Image:     "dstack-0.5.5",
		Resources: runtime.Resources{VCPU: 1, MemoryMB: 1024, DiskGB: 10},
		Config:    runtime.Config{Document: document},
	}
}

func (b *bench) create(document []byte) {
	b.t.Helper()
	if err := b.rt.Create(b.t.Context(), spec(id, document)); err != nil {
		b.t.Fatalf("Create: %v", err)
	}
}

func (b *bench) apply(document []byte) {
	b.t.Helper()
	if err := b.rt.Apply(b.t.Context(), id, runtime.Config{Document: document}); err != nil {
		b.t.Fatalf("Apply: %v", err)
	}
}

func (b *bench) start() {
	b.t.Helper()
	if err := b.rt.Start(b.t.Context(), id); err != nil {
		b.t.Fatalf("Start: %v", err)
	}
}

func (b *bench) stop() {
	b.t.Helper()
	if err := b.rt.Stop(b.t.Context(), id, runtime.StopOptions{}); err != nil {
		b.t.Fatalf("Stop: %v", err)
	}
}

func (b *bench) status() runtime.Status {
	b.t.Helper()
	status, err := b.rt.Status(b.t.Context(), id)
	if err != nil {
		b.t.Fatalf("Status: %v", err)
	}
	return status
}

func (b *bench) await(done func(runtime.Status) bool) runtime.Status {
	b.t.Helper()
	status, err := runtime.Await(b.patient(), b.rt, id, b.harness.Poll, done)
	if err != nil {
		b.t.Fatalf("waiting for a status: %v; last seen: %+v", err, status)
	}
	return status
}

// boot starts the CVM and waits until nothing more will happen by itself.
func (b *bench) boot() runtime.Status {
	b.t.Helper()
	b.start()
	return b.await(settled)
}

// halt stops the CVM and waits until it is stopped.
func (b *bench) halt() runtime.Status {
	b.t.Helper()
	b.stop()
	return b.await(in(runtime.StateStopped))
}

// settled says that a CVM which was started will not change any more by itself.
func settled(s runtime.Status) bool {
	switch s.State {
	case runtime.StateRunning:
		return s.Health == runtime.HealthHealthy || s.Health == runtime.HealthUnhealthy
	case runtime.StateExited:
		return true
	default:
		return false
	}
}

func in(state runtime.State) func(runtime.Status) bool {
	return func(s runtime.Status) bool { return s.State == state }
}
