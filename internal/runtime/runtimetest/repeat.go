package runtimetest

import (
	"errors"
	"reflect"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// steady is a status without what changes by the passing of time alone.
func steady(s runtime.Status) runtime.Status {
	services := make([]runtime.Service, len(s.Services))
	copy(services, s.Services)
	for i := range services {
		services[i].Status = ""
	}
	s.Services = services
	return s
}

// unchanged does something and checks that the status is as before.
func (b *bench) unchanged(what string, do func() error) {
	b.t.Helper()
	before := steady(b.status())
	if err := do(); err != nil {
		b.t.Errorf("%s: %v, want nil", what, err)
	}
	if after := steady(b.status()); !reflect.DeepEqual(after, before) {
		b.t.Errorf("%s changed the status from\n%+v to\n%+v", what, before, after)
	}
}

// createAgain is Create with an id that is known: whatever it says, nothing changes.
func (b *bench) createAgain() error {
	return b.rt.Create(b.t.Context(), spec(id, b.document(Healthy, 99)))
}

func repeatStopped(b *bench) {
	ctx := b.t.Context()
	one, two := b.document(Healthy, 1), b.document(Healthy, 2)
	b.create(one)
	b.unchanged("Create of a stopped CVM", b.createAgain)
	b.unchanged("Stop of one never started", func() error { return b.rt.Stop(ctx, id, runtime.StopOptions{}) })
	b.unchanged("Force of one never started", func() error { return b.rt.Stop(ctx, id, runtime.StopOptions{Force: true}) })
	b.unchanged("Apply of what is there", func() error { return b.rt.Apply(ctx, id, runtime.Config{Document: one}) })
	b.apply(two)
	b.unchanged("second Apply", func() error { return b.rt.Apply(ctx, id, runtime.Config{Document: two}) })
	b.checkHealthy(b.boot(), two)
	b.halt()
	b.unchanged("Create of one that ran", b.createAgain)
	b.unchanged("second Stop", func() error { return b.rt.Stop(ctx, id, runtime.StopOptions{}) })
	b.unchanged("Apply of what is there", func() error { return b.rt.Apply(ctx, id, runtime.Config{Document: two}) })
}

func repeatRunning(b *bench) {
	ctx := b.t.Context()
	doc := b.document(Healthy, 1)
	b.create(doc)
	b.boot()
	b.unchanged("Create of a running CVM", b.createAgain)
	b.unchanged("second Start", func() error { return b.rt.Start(ctx, id) })
	b.unchanged("Apply of what runs", func() error { return b.rt.Apply(ctx, id, runtime.Config{Document: doc}) })
	b.stop()
	b.stop()
	b.await(in(runtime.StateStopped))
	b.start()
	b.start()
	b.checkHealthy(b.await(settled), doc)
}

func repeatExited(b *bench) {
	ctx := b.t.Context()
	bad, good := b.document(BadBoot, 1), b.document(Healthy, 1)
	b.create(bad)
	if s := b.boot(); s.State != runtime.StateExited {
		b.t.Fatalf("status of a bad boot: %+v", s)
	}
	b.unchanged("Create of an exited CVM", b.createAgain)
	b.unchanged("Apply of what is there", func() error { return b.rt.Apply(ctx, id, runtime.Config{Document: bad}) })
	b.apply(good)
	// A driver may have to clear away what is left of the failed boot first, and is then stopped.
	if s := b.status(); s.NextHash != appcompose.Hash(good) || s.State != runtime.StateExited && s.State != runtime.StateStopped {
		b.t.Errorf("status after Apply to an exited CVM: %+v", s)
	}
	b.checkHealthy(b.boot(), good)

	b.halt()
	b.apply(bad)
	exited := b.boot()
	stopped := b.halt()
	if stopped.BootError != exited.BootError {
		b.t.Errorf("boot error is %q after Stop, want %q kept until the next start", stopped.BootError, exited.BootError)
	}
}

func repeatRemove(b *bench) {
	ctx := b.t.Context()
	one, two := b.document(Healthy, 1), b.document(Healthy, 2)
	b.create(one)
	first := b.boot()
	for range 2 {
		if err := b.rt.Remove(ctx, id); err != nil {
			b.t.Fatalf("Remove: %v", err)
		}
	}
	// Nothing of the old CVM is in a new one of the same id.
	b.create(two)
	if s := b.status(); s.State != runtime.StateStopped || s.InstanceID != "" || !s.StartedAt.IsZero() {
		b.t.Errorf("status of a CVM created again: %+v", s)
	}
	second := b.boot()
	b.checkHealthy(second, two)
	if second.InstanceID == first.InstanceID {
		b.t.Error("a CVM created again has the instance id of the removed one: its disk was not deleted")
	}
}

func forceStop(b *bench) {
	ctx := b.t.Context()
	doc := b.document(Healthy, 1)
	b.create(doc)
	b.boot()
	for range 2 {
		if err := b.rt.Stop(ctx, id, runtime.StopOptions{Force: true}); err != nil {
			b.t.Fatalf("Stop with Force: %v", err)
		}
	}
	b.await(in(runtime.StateStopped))
	// Cut off in the middle of a boot and of a shutdown, wherever they are.
	b.start()
	if err := b.rt.Stop(ctx, id, runtime.StopOptions{Force: true}); err != nil {
		b.t.Fatalf("Stop with Force while starting: %v", err)
	}
	b.await(in(runtime.StateStopped))
	b.start()
	b.stop()
	if err := b.rt.Stop(ctx, id, runtime.StopOptions{Force: true}); err != nil {
		b.t.Fatalf("Stop with Force while stopping: %v", err)
	}
	b.await(in(runtime.StateStopped))
	b.checkHealthy(b.boot(), doc)
}

func applyWhileRunning(b *bench) {
	one, two := b.document(Healthy, 1), b.document(Healthy, 2)
	b.create(one)
	b.boot()
	before := steady(b.status())
	if err := b.rt.Apply(b.t.Context(), id, runtime.Config{Document: two}); !errors.Is(err, runtime.ErrConflict) {
		b.t.Errorf("Apply while running: %v, want ErrConflict", err)
	}
	env := runtime.Config{Document: one, EncryptedEnv: []byte("other")}
	if err := b.rt.Apply(b.t.Context(), id, env); !errors.Is(err, runtime.ErrConflict) {
		b.t.Errorf("Apply of another environment while running: %v, want ErrConflict", err)
	}
	if after := steady(b.status()); !reflect.DeepEqual(after, before) {
		b.t.Errorf("a refused Apply changed the status from\n%+v to\n%+v", before, after)
	}
	b.halt()
	b.checkHealthy(b.boot(), one)
}

// applyEnvironment checks that the environment is part of the configuration, and no part of the hash.
// The bytes are no ciphertext, so nothing is booted.
func applyEnvironment(b *bench) {
	ctx := b.t.Context()
	doc := b.document(Healthy, 1)
	b.create(doc)
	with := runtime.Config{Document: doc, EncryptedEnv: []byte("ciphertext")}
	for range 2 {
		b.unchanged("Apply of an environment", func() error { return b.rt.Apply(ctx, id, with) })
	}
	b.unchanged("Apply without environment", func() error { return b.rt.Apply(ctx, id, runtime.Config{Document: doc}) })
	b.checkHealthy(b.boot(), doc)
	// With the environment gone, only a configuration that has one is another.
	b.unchanged("Apply of what runs", func() error {
		return b.rt.Apply(ctx, id, runtime.Config{Document: doc, EncryptedEnv: []byte{}})
	})
	if err := b.rt.Apply(ctx, id, with); !errors.Is(err, runtime.ErrConflict) {
		b.t.Errorf("Apply of an environment while running: %v, want ErrConflict", err)
	}
}

func runningHashIsWhatBooted(b *bench) {
	one, two := b.document(Healthy, 1), b.document(Healthy, 2)
	b.create(one)
	b.checkHealthy(b.boot(), one)
	down := b.halt()
	b.apply(two)
	s := b.status()
	if !s.RunningHash.IsZero() || s.NextHash != appcompose.Hash(two) || down.NextHash != appcompose.Hash(one) {
		b.t.Errorf("after Apply: running %s, next %s", s.RunningHash, s.NextHash)
	}
	b.start()
	// Whenever a hash is told during the boot, it is that of what boots.
	up := b.await(func(s runtime.Status) bool {
		if !s.RunningHash.IsZero() && s.RunningHash != appcompose.Hash(two) {
			b.t.Errorf("running hash during the boot is %s, want %s", s.RunningHash, appcompose.Hash(two))
		}
		return settled(s)
	})
	b.checkHealthy(up, two)
}
