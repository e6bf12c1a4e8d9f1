package sim_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// model is what must be true of one CVM after any calls in any order, with restarts and faults among
// them.
type model struct {
	t       *testing.T
	dir     string
	node    *sim.Node
	faults  *sim.Faults
	kms     *switchedKMS
	created bool
	version int    // of the document on the disk
	meant   bool   // meant to run
	denied  bool   // what the KMS says now
	failed  bool   // the last boot was denied
	down    bool   // lost power since the last boot
	id      string // instance id once known
}

func modelDocument(version int) []byte {
	return fmt.Appendf(nil, `{"manifest_version":2,"runner":"docker-compose","docker_compose_file":"services: {web: {image: a}}","v":%d}`, version)
}

func (m *model) open(r *rapid.T) {
	var err error
	if m.node, err = sim.New(sim.Config{Dir: m.dir, Authorizer: m.kms, Faults: m.faults}); err != nil {
		r.Fatal(err)
	}
	if m.created && m.meant {
		m.boots()
	}
}

// boots notes that the CVM is powered on now.
func (m *model) boots() { m.failed, m.down = m.denied, false }

func (m *model) up() bool { return m.created && m.meant && !m.failed && !m.down }

// do makes a call, sometimes with a fault before it took effect or after. It tells whether the call took
// effect.
func (m *model) do(r *rapid.T, call sim.Call, do func(ctx context.Context) error) (bool, error) {
	fault := rapid.SampledFrom([]string{"none", "none", "none", "before", "after"}).Draw(r, "fault")
	if fault == "none" {
		return true, do(m.t.Context())
	}
	armed := m.faults.Add(sim.Fault{CVM: cvmID, Call: call, Err: errFault, After: fault == "after"})
	err := do(m.t.Context())
	armed.Disarm()
	if errors.Is(err, errFault) {
		return fault == "after", nil
	}
	return true, err // refused before the fault could strike
}

func (m *model) create(r *rapid.T) {
	version := rapid.IntRange(0, 3).Draw(r, "version")
	effect, err := m.do(r, sim.CallCreate, func(ctx context.Context) error {
		return m.node.Create(ctx, runtime.Spec{ID: cvmID, AppID: appID, Config: runtime.Config{Document: modelDocument(version)}})
	})
	if err != nil {
		r.Fatalf("Create: %v", err)
	}
	if effect && !m.created {
		*m = model{t: m.t, dir: m.dir, node: m.node, faults: m.faults, kms: m.kms, denied: m.denied, created: true, version: version}
	}
}

func (m *model) apply(r *rapid.T) {
	version := rapid.IntRange(0, 3).Draw(r, "version")
	effect, err := m.do(r, sim.CallApply, func(ctx context.Context) error {
		return m.node.Apply(ctx, cvmID, runtime.Config{Document: modelDocument(version)})
	})
	if m.expect(r, err) && effect {
		if m.up() && version != m.version {
			if !errors.Is(err, runtime.ErrConflict) {
				r.Fatalf("Apply while running: %v, want ErrConflict", err)
			}
			return
		}
		if err != nil {
			r.Fatalf("Apply: %v", err)
		}
		m.version = version
	}
}

func (m *model) start(r *rapid.T) {
	effect, err := m.do(r, sim.CallStart, func(ctx context.Context) error { return m.node.Start(ctx, cvmID) })
	if m.expect(r, err) && effect {
		if err != nil {
			r.Fatalf("Start: %v", err)
		}
		if !m.up() {
			m.meant = true
			m.boots()
		}
	}
}

func (m *model) stop(r *rapid.T) {
	options := runtime.StopOptions{Force: rapid.Bool().Draw(r, "force")}
	effect, err := m.do(r, sim.CallStop, func(ctx context.Context) error { return m.node.Stop(ctx, cvmID, options) })
	if m.expect(r, err) && effect {
		if err != nil {
			r.Fatalf("Stop: %v", err)
		}
		m.meant = false
	}
}

func (m *model) remove(r *rapid.T) {
	effect, err := m.do(r, sim.CallRemove, func(ctx context.Context) error { return m.node.Remove(ctx, cvmID) })
	if err != nil {
		r.Fatalf("Remove: %v", err)
	}
	if effect {
		m.created, m.id = false, ""
	}
}

// expect checks the answer about a CVM that is not there, and tells whether it is.
func (m *model) expect(r *rapid.T, err error) bool {
	if !m.created && err != nil && !errors.Is(err, runtime.ErrNotFound) {
		r.Fatalf("call for a CVM that is not there: %v, want ErrNotFound", err)
	}
	return m.created
}

func (m *model) restart(r *rapid.T) {
	if err := m.node.Close(); err != nil {
		r.Fatal(err)
	}
	m.open(r)
}

func (m *model) powerLoss(r *rapid.T) {
	if err := m.node.PowerLoss(cvmID); m.created != (err == nil) {
		r.Fatalf("PowerLoss: %v", err)
	}
	if m.up() {
		m.down = true
	}
}

func (m *model) decide(r *rapid.T) {
	m.denied = rapid.Bool().Draw(r, "denied")
	reason := ""
	if m.denied {
		reason = "Compose hash not allowed"
	}
	m.kms.deny(reason)
}

// check waits until nothing more happens by itself and compares.
func (m *model) check(r *rapid.T) {
	status, err := runtime.Await(m.t.Context(), m.node, cvmID, 0, settled)
	if !m.created {
		if !errors.Is(err, runtime.ErrNotFound) {
			r.Fatalf("status of a CVM that is not there: %+v, %v", status, err)
		}
		return
	}
	if err != nil {
		r.Fatalf("status: %v", err)
	}
	want := runtime.StateStopped
	if m.meant {
		want = runtime.StateExited
		if m.up() {
			want = runtime.StateRunning
		}
	}
	hash := appcompose.Hash(modelDocument(m.version))
	var running appcompose.ComposeHash
	if m.up() {
		running = hash
	}
	if status.State != want || status.NextHash != hash || status.RunningHash != running {
		r.Fatalf("status is\n%+v\nwant %s, next %s, running %s", status, want, hash, running)
	}
	if m.meant && (status.BootError != "") != m.failed {
		r.Fatalf("boot error is %q; the last boot was denied: %v", status.BootError, m.failed)
	}
	if m.id == "" {
		m.id = status.InstanceID
	} else if m.up() && status.InstanceID != m.id {
		r.Fatalf("instance id is %s, want %s as ever", status.InstanceID, m.id)
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "node")
		if err != nil {
			r.Fatal(err)
		}
		m := &model{t: t, dir: dir, faults: sim.NewFaults(), kms: &switchedKMS{}}
		m.open(r)
		defer func() { m.node.Close() }()
		r.Repeat(map[string]func(*rapid.T){
			"create":    m.create,
			"apply":     m.apply,
			"start":     m.start,
			"stop":      m.stop,
			"remove":    m.remove,
			"restart":   m.restart,
			"powerLoss": m.powerLoss,
			"decide":    m.decide,
			"":          m.check,
		})
	})
}
