package runtimetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// reopen checks what a control plane finds after a restart between calls.
func reopen(b *bench) {
	one, two := b.document(Healthy, 1), b.document(Healthy, 2)
	b.create(one)
	b.reopen()
	if s := b.status(); s.State != runtime.StateStopped || s.NextHash != appcompose.Hash(one) {
		b.t.Errorf("created, reopened: %+v", s)
	}
	up := b.boot()
	b.reopen()
	// Whether the CVM went on running or was booted again, it ends up as it was.
	s := b.await(settled)
	b.checkHealthy(s, one)
	if s.InstanceID != up.InstanceID {
		b.t.Errorf("instance id is %s after reopening, want %s", s.InstanceID, up.InstanceID)
	}
	down := b.halt()
	b.reopen()
	if s := b.status(); s.State != runtime.StateStopped || s.InstanceID != up.InstanceID || s.ExitedAt.IsZero() || s.ExitedAt.After(down.ExitedAt) {
		b.t.Errorf("stopped, reopened: %+v; was %+v", s, down)
	}
	b.apply(two)
	b.reopen()
	if s := b.status(); s.State != runtime.StateStopped || s.NextHash != appcompose.Hash(two) {
		b.t.Errorf("applied, reopened: %+v", s)
	}
	b.checkHealthy(b.boot(), two)
	if err := b.rt.Remove(b.t.Context(), id); err != nil {
		b.t.Fatalf("Remove: %v", err)
	}
	b.reopen()
	if _, err := b.rt.Status(b.t.Context(), id); !errors.Is(err, runtime.ErrNotFound) {
		b.t.Errorf("removed, reopened: %v, want ErrNotFound", err)
	}
}

func closed(b *bench) {
	b.create(b.document(Healthy, 1))
	for range 2 {
		if err := b.rt.Close(); err != nil {
			b.t.Errorf("Close: %v", err)
		}
	}
	if _, err := b.rt.Status(b.t.Context(), id); !errors.Is(err, runtime.ErrUnreachable) {
		b.t.Errorf("Status after Close: %v, want ErrUnreachable", err)
	}
	if err := b.rt.Start(b.t.Context(), id); !errors.Is(err, runtime.ErrUnreachable) {
		b.t.Errorf("Start after Close: %v, want ErrUnreachable", err)
	}
	b.rt = b.node.Open(b.t)
	if s := b.status(); s.State != runtime.StateStopped {
		b.t.Errorf("status after a Start that was refused: %+v", s)
	}
}

// interrupted is a call that gets cut off: the state it finds, the call, and what must be true in the
// end. between is what may be true after the cut, with the call repeated only then.
type interrupted struct {
	call    Call
	prepare func(b *bench, one, two []byte)
	do      func(ctx context.Context, rt runtime.Runtime, one, two []byte) error
	between func(b *bench, when When, one, two []byte)
	check   func(b *bench, one, two []byte)
}

func restartInTheMiddle(t *testing.T, h Harness) {
	for _, i := range []interrupted{
		{
			call:    Create,
			prepare: func(*bench, []byte, []byte) {},
			do: func(ctx context.Context, rt runtime.Runtime, one, _ []byte) error {
				return rt.Create(ctx, spec(id, one))
			},
			between: func(b *bench, when When, _, _ []byte) {
				_, err := b.rt.Status(b.t.Context(), id)
				if when == Before && !errors.Is(err, runtime.ErrNotFound) || when == After && err != nil {
					b.t.Errorf("Status: %v", err)
				}
			},
			check: func(b *bench, one, _ []byte) { b.checkHealthy(b.boot(), one) },
		},
		{
			call:    Apply,
			prepare: func(b *bench, one, _ []byte) { b.create(one); b.boot(); b.halt() },
			do: func(ctx context.Context, rt runtime.Runtime, _, two []byte) error {
				return rt.Apply(ctx, id, runtime.Config{Document: two})
			},
			between: func(b *bench, when When, one, two []byte) {
				want := map[When]appcompose.ComposeHash{Before: appcompose.Hash(one), After: appcompose.Hash(two)}[when]
				if got := b.status().NextHash; got != want {
					b.t.Errorf("next hash is %s, want %s", got, want)
				}
			},
			check: func(b *bench, _, two []byte) { b.checkHealthy(b.boot(), two) },
		},
		{
			call:    Start,
			prepare: func(b *bench, one, _ []byte) { b.create(one) },
			do: func(ctx context.Context, rt runtime.Runtime, _, _ []byte) error {
				return rt.Start(ctx, id)
			},
			between: func(b *bench, when When, _, _ []byte) {
				if s := b.status(); (s.State == runtime.StateStopped) != (when == Before) {
					b.t.Errorf("state is %s", s.State)
				}
			},
			check: func(b *bench, one, _ []byte) { b.checkHealthy(b.await(settled), one) },
		},
		{
			call:    Stop,
			prepare: func(b *bench, one, _ []byte) { b.create(one); b.boot() },
			do: func(ctx context.Context, rt runtime.Runtime, _, _ []byte) error {
				return rt.Stop(ctx, id, runtime.StopOptions{})
			},
			between: func(b *bench, when When, one, _ []byte) {
				if when == Before {
					b.checkHealthy(b.await(settled), one)
				} else {
					b.await(in(runtime.StateStopped))
				}
			},
			check: func(b *bench, _, _ []byte) { b.await(in(runtime.StateStopped)) },
		},
		{
			call:    Remove,
			prepare: func(b *bench, one, _ []byte) { b.create(one); b.boot() },
			do: func(ctx context.Context, rt runtime.Runtime, _, _ []byte) error {
				return rt.Remove(ctx, id)
			},
			between: func(b *bench, when When, _, _ []byte) {
				_, err := b.rt.Status(b.t.Context(), id)
				if (err == nil) != (when == Before) {
					b.t.Errorf("Status: %v", err)
				}
			},
			check: func(b *bench, _, _ []byte) {
				if _, err := b.rt.Status(b.t.Context(), id); !errors.Is(err, runtime.ErrNotFound) {
					b.t.Errorf("Status: %v, want ErrNotFound", err)
				}
			},
		},
	} {
		for _, when := range []When{Before, After} {
			t.Run(fmt.Sprintf("%s/%s", i.call, when), func(t *testing.T) { i.run(newBench(t, h), when) })
		}
	}
}

func (i interrupted) run(b *bench, when When) {
	one, two := b.document(Healthy, 1), b.document(Healthy, 2)
	i.prepare(b, one, two)
	ctx, cancel := context.WithCancel(b.patient())
	defer cancel()
	var struck <-chan struct{}
	if b.node.Interrupt != nil {
		struck = b.node.Interrupt(id, i.call, when)
	}
	returned := make(chan error, 1)
	go func(rt runtime.Runtime) { returned <- i.do(ctx, rt, one, two) }(b.rt)
	if struck != nil {
		select {
		case <-struck:
		case <-ctx.Done():
			b.t.Fatalf("%s was not interrupted", i.call)
		}
	} else {
		cancel()
	}
	b.reopen()
	err := <-returned
	if struck != nil {
		if err == nil {
			b.t.Errorf("%s that was cut off returned nil", i.call)
		}
		i.between(b, when, one, two)
	}
	if err := i.do(b.patient(), b.rt, one, two); err != nil {
		b.t.Fatalf("%s repeated after a restart: %v", i.call, err)
	}
	i.check(b, one, two)
}
