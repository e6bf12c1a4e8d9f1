package runtime_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/lease"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// counted is a Runtime that counts its calls.
type counted struct{ changes, looks int }

func (c *counted) change() error { c.changes++; return nil }

func (c *counted) Info() runtime.Info                                      { return runtime.Info{Driver: "counted"} }
func (c *counted) Create(context.Context, runtime.Spec) error              { return c.change() }
func (c *counted) Apply(context.Context, string, runtime.Config) error     { return c.change() }
func (c *counted) Start(context.Context, string) error                     { return c.change() }
func (c *counted) Stop(context.Context, string, runtime.StopOptions) error { return c.change() }
func (c *counted) Remove(context.Context, string) error                    { return c.change() }
func (c *counted) Close() error                                            { return nil }
func (c *counted) Status(context.Context, string) (s runtime.Status, err error) {
	c.looks++
	return s, nil
}
func (c *counted) Logs(context.Context, string, runtime.LogOptions) (r io.ReadCloser, err error) {
	c.looks++
	return r, nil
}

func TestFencedChangesNothingWithoutALease(t *testing.T) {
	rt := &counted{}
	fenced := runtime.Fenced(rt)
	changes := map[string]func(context.Context) error{
		"create": func(ctx context.Context) error { return fenced.Create(ctx, runtime.Spec{}) },
		"apply":  func(ctx context.Context) error { return fenced.Apply(ctx, "id", runtime.Config{}) },
		"start":  func(ctx context.Context) error { return fenced.Start(ctx, "id") },
		"stop":   func(ctx context.Context) error { return fenced.Stop(ctx, "id", runtime.StopOptions{}) },
		"remove": func(ctx context.Context) error { return fenced.Remove(ctx, "id") },
	}
	over := lease.With(t.Context(), func() error { return lease.ErrOver })
	lasts := lease.With(t.Context(), func() error { return nil })
	for name, change := range changes {
		before := rt.changes
		if err := change(over); !errors.Is(err, lease.ErrOver) || rt.changes != before {
			t.Errorf("%s after the lease = %v with %d calls, want ErrOver and none", name, err, rt.changes-before)
		}
		// Nobody could take work over that has no lease.
		for _, ctx := range []context.Context{lasts, t.Context()} {
			if err := change(ctx); err != nil {
				t.Errorf("%s = %v, want it done", name, err)
			}
		}
		if rt.changes != before+2 {
			t.Errorf("%s: %d calls, want 2", name, rt.changes-before)
		}
	}
	if _, err := fenced.Status(over, "id"); err != nil || rt.looks != 1 {
		t.Errorf("status = %v after %d looks, want it told: looking changes nothing", err, rt.looks)
	}
}
