package runtimetest

import (
	"io"
	"strings"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

func badBoot(b *bench) {
	bad, good := b.document(BadBoot, 1), b.document(Healthy, 1)
	b.create(bad)
	s := b.boot()
	if s.State != runtime.StateExited || s.BootError == "" || s.BootProgress == "done" || !s.RunningHash.IsZero() || s.ExitedAt.IsZero() {
		b.t.Fatalf("status of a bad boot: %+v", s)
	}
	if s.NextHash != appcompose.Hash(bad) {
		b.t.Errorf("next hash is %s, want %s", s.NextHash, appcompose.Hash(bad))
	}
	// It fails again when started again, and the way back is open.
	if again := b.boot(); again.State != runtime.StateExited || again.BootError == "" {
		b.t.Errorf("status of a second bad boot: %+v", again)
	}
	b.halt()
	b.apply(good)
	b.checkHealthy(b.boot(), good)
}

func crash(b *bench) {
	b.create(b.document(Crash, 1))
	s := b.boot()
	if s.State != runtime.StateRunning || s.Health != runtime.HealthUnhealthy {
		b.t.Fatalf("status of a crashed app: %+v", s)
	}
	if len(s.Services) != 1 || s.Services[0].State != "exited" || s.Services[0].ExitCode != CrashCode {
		b.t.Errorf("services of a crashed app: %+v, want one that exited with code %d", s.Services, CrashCode)
	}
	if last := b.logs(runtime.LogOptions{Container: service, Tail: 10}); !strings.Contains(last, "boom") {
		b.t.Errorf("last lines of a crashed container: %q, want boom among them", last)
	}
}

func unhealthy(b *bench) {
	b.create(b.document(Unhealthy, 1))
	s := b.boot()
	if s.State != runtime.StateRunning || s.Health != runtime.HealthUnhealthy || len(s.Services) != 1 ||
		s.Services[0].State != "running" || s.Services[0].Health != runtime.HealthUnhealthy {
		b.t.Fatalf("status of an unhealthy app: %+v", s)
	}
}

// denial plays a compose hash that the owner allows only after the CVM was first started.
func denial(b *bench) {
	if b.node.Deny == nil {
		b.t.Log("CVMs of this driver ask no KMS: nothing to check")
		return
	}
	const reason = "Compose hash not allowed"
	doc := b.document(Healthy, 1)
	b.create(doc)
	b.node.Deny(reason)
	s := b.boot()
	if s.State != runtime.StateExited || !strings.Contains(s.BootError, "App not allowed: Boot denied: "+reason) {
		b.t.Fatalf("status after a denial: %+v", s)
	}
	if len(s.Services) != 0 || !s.RunningHash.IsZero() {
		b.t.Errorf("a denied document runs: %+v", s)
	}
	b.node.Deny("")
	b.checkHealthy(b.boot(), doc)
}

// logs reads a log to its end.
func (b *bench) logs(options runtime.LogOptions) string {
	b.t.Helper()
	reader, err := b.rt.Logs(b.t.Context(), id, options)
	if err != nil {
		b.t.Fatalf("Logs: %v", err)
	}
	defer reader.Close()
	text, err := io.ReadAll(reader)
	if err != nil {
		b.t.Fatalf("reading logs: %v", err)
	}
	return string(text)
}
