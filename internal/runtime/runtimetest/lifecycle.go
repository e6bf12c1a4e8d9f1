package runtimetest

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"testing"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

var (
	instanceID  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	containerID = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func lifecycle(b *bench) {
	if info := b.rt.Info(); info.Driver == "" {
		b.t.Error("Info names no driver")
	}
	doc := b.document(Healthy, 1)
	b.create(doc)
	fresh := b.status()
	if fresh.State != runtime.StateStopped || fresh.NextHash != appcompose.Hash(doc) || !fresh.RunningHash.IsZero() ||
		fresh.InstanceID != "" || !fresh.StartedAt.IsZero() || !fresh.ExitedAt.IsZero() || len(fresh.Services) != 0 {
		b.t.Errorf("status of a new CVM: %+v", fresh)
	}

	up := b.boot()
	b.checkHealthy(up, doc)
	if up.StartedAt.IsZero() {
		b.t.Error("StartedAt is zero while running")
	}

	down := b.halt()
	if !down.RunningHash.IsZero() || down.NextHash != appcompose.Hash(doc) || down.Health != runtime.HealthUnknown || down.BootError != "" {
		b.t.Errorf("status after Stop: %+v", down)
	}
	if down.ExitedAt.IsZero() || down.ExitedAt.Before(up.StartedAt) {
		b.t.Errorf("ExitedAt is %v, want a time after the start at %v", down.ExitedAt, up.StartedAt)
	}

	again := b.boot()
	b.checkHealthy(again, doc)
	if again.InstanceID != up.InstanceID {
		b.t.Errorf("instance id is %s after a second boot, want %s as before", again.InstanceID, up.InstanceID)
	}
	if again.StartedAt.Before(down.ExitedAt) {
		b.t.Errorf("StartedAt %v of the second boot is before the shutdown at %v", again.StartedAt, down.ExitedAt)
	}

	if err := b.rt.Remove(b.t.Context(), id); err != nil {
		b.t.Fatalf("Remove of a running CVM: %v", err)
	}
	if _, err := b.rt.Status(b.t.Context(), id); !errors.Is(err, runtime.ErrNotFound) {
		b.t.Errorf("Status after Remove: %v, want ErrNotFound", err)
	}
}

// checkHealthy checks the status of a running Healthy app.
func (b *bench) checkHealthy(s runtime.Status, document []byte) {
	b.t.Helper()
	if s.State != runtime.StateRunning || s.Health != runtime.HealthHealthy || s.BootProgress != "done" || s.BootError != "" {
		b.t.Fatalf("status of a healthy app: %+v", s)
	}
	want := appcompose.Hash(document)
	if s.RunningHash != want || s.NextHash != want {
		b.t.Errorf("hashes are running %s, next %s; want both %s", s.RunningHash, s.NextHash, want)
	}
	if !instanceID.MatchString(s.InstanceID) {
		b.t.Errorf("instance id is %q, want 40 lower-case hex digits", s.InstanceID)
	}
	if len(s.Services) != 1 {
		b.t.Fatalf("services: %+v, want one", s.Services)
	}
	web := s.Services[0]
	if web.Name != service || web.Container == "" || web.Image == "" || web.State != "running" || web.Status == "" ||
		web.Health == runtime.HealthUnhealthy || web.CreatedAt.IsZero() {
		b.t.Errorf("service: %+v", web)
	}
	if !containerID.MatchString(web.ID) {
		b.t.Errorf("container id is %q, want 64 lower-case hex digits", web.ID)
	}
}

func invalidSpec(b *bench) {
	doc := b.document(Healthy, 1)
	for name, change := range map[string]func(*runtime.Spec){
		"no id":          func(s *runtime.Spec) { s.ID = "" },
		"path as id":     func(s *runtime.Spec) { s.ID = "../../etc" },
		"upper-case id":  func(s *runtime.Spec) { s.ID = "5B1F0D6E-1F6B-4F0E-8A55-0A4C3F7E9B21" },
		"short app id":   func(s *runtime.Spec) { s.AppID = "0011" },
		"app id with 0x": func(s *runtime.Spec) { s.AppID = "0x00112233445566778899aabbccddeeff001122" },
	} {
		wrong := spec(id, doc)
		change(&wrong)
		err := b.rt.Create(b.t.Context(), wrong)
		var field *runtime.FieldError
		if !errors.Is(err, runtime.ErrInvalid) || !errors.As(err, &field) {
			b.t.Errorf("Create with %s: %v, want a FieldError", name, err)
		}
	}
}

func unknownCVM(b *bench) {
	ctx := b.t.Context()
	for _, id := range []string{id, "", "..", "no such/thing"} {
		_, statusErr := b.rt.Status(ctx, id)
		_, logsErr := b.rt.Logs(ctx, id, runtime.LogOptions{})
		for call, err := range map[string]error{
			"Apply":  b.rt.Apply(ctx, id, runtime.Config{Document: b.document(Healthy, 1)}),
			"Start":  b.rt.Start(ctx, id),
			"Stop":   b.rt.Stop(ctx, id, runtime.StopOptions{}),
			"Force":  b.rt.Stop(ctx, id, runtime.StopOptions{Force: true}),
			"Status": statusErr,
			"Logs":   logsErr,
		} {
			if !errors.Is(err, runtime.ErrNotFound) {
				b.t.Errorf("%s of unknown CVM %q: %v, want ErrNotFound", call, id, err)
			}
		}
		if err := b.rt.Remove(ctx, id); err != nil {
			b.t.Errorf("Remove of unknown CVM %q: %v, want nil", id, err)
		}
	}
}

func endedContext(b *bench) {
	doc := b.document(Healthy, 1)
	b.create(doc)
	before := b.status()
	ended, cancel := context.WithCancel(b.t.Context())
	cancel()
	_, statusErr := b.rt.Status(ended, id)
	for call, err := range map[string]error{
		"Create": b.rt.Create(ended, spec("0b0c7a43-91a5-4c39-bd0c-0f1d1c2b3a49", doc)),
		"Apply":  b.rt.Apply(ended, id, runtime.Config{Document: b.document(Healthy, 2)}),
		"Start":  b.rt.Start(ended, id),
		"Stop":   b.rt.Stop(ended, id, runtime.StopOptions{}),
		"Remove": b.rt.Remove(ended, id),
		"Status": statusErr,
	} {
		if !errors.Is(err, context.Canceled) {
			b.t.Errorf("%s with an ended context: %v, want context.Canceled", call, err)
		}
	}
	if after := b.status(); !reflect.DeepEqual(after, before) {
		b.t.Errorf("calls with an ended context changed the status from %+v to %+v", before, after)
	}
}

func exactBytes(t *testing.T, h Harness) {
	b := newBench(t, h)
	odd := oddDocuments(b.node.Compose(Healthy, 1))
	for name, doc := range odd {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, h)
			b.create(doc)
			if got := b.status().NextHash; got != appcompose.Hash(doc) {
				t.Errorf("next hash after Create is %s, want %s", got, appcompose.Hash(doc))
			}
			b.checkHealthy(b.boot(), doc)
			// And the same through Apply, from and to a plain document.
			b.halt()
			b.apply(b.document(Healthy, 2))
			b.apply(doc)
			if got := b.status().NextHash; got != appcompose.Hash(doc) {
				t.Errorf("next hash after Apply is %s, want %s", got, appcompose.Hash(doc))
			}
			b.reopen()
			b.checkHealthy(b.boot(), doc)
		})
	}
}
