package runtime_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

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

// failing is a Runtime whose calls fail.
type failing struct{ counted }

// Start implements runtime.Runtime.
func (*failing) Start(context.Context, string) error { return errors.New("a guest said hidden things") }

func TestFencedCallsAreSpans(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	fenced := runtime.Fenced(&failing{})
	ctx, above := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)).Tracer("test").Start(t.Context(), "step")
	if fenced.Stop(ctx, "id", runtime.StopOptions{}) != nil || fenced.Start(ctx, "id") == nil || fenced.Start(t.Context(), "id") == nil {
		t.Fatal("the calls did not give what the runtime said")
	}
	if err := fenced.Remove(lease.With(ctx, func() error { return lease.ErrOver }), "id"); !errors.Is(err, lease.ErrOver) {
		t.Fatalf("remove = %v, want ErrOver", err)
	}
	got := exporter.GetSpans()
	if len(got) != 2 || got[0].Name != "runtime stop" || got[1].Name != "runtime start" {
		t.Fatalf("spans %+v, want stop and start", got)
	}
	for i, span := range got {
		if span.Parent.SpanID() != above.SpanContext().SpanID() || (span.Status.Code == codes.Error) != (i == 1) || span.Status.Description != "" {
			t.Errorf("%s: parent %s, status %+v", span.Name, span.Parent.SpanID(), span.Status)
		}
	}
}
