package runtime

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-cvm/lockstep/internal/lease"
)

// Fenced is a Runtime that changes a CVM only while the lease of the context lasts: right before each call
// that changes something it asks the clock, and returns lease.ErrOver. Each of these calls is a span below the
// one of the context, if that is recorded. The other calls are those of rt.
func Fenced(rt Runtime) Runtime { return fenced{rt} }

type fenced struct{ Runtime }

// Create implements Runtime.
func (f fenced) Create(ctx context.Context, spec Spec) error {
	return f.change(ctx, "create", spec.ID, func(ctx context.Context) error { return f.Runtime.Create(ctx, spec) })
}

// Apply implements Runtime.
func (f fenced) Apply(ctx context.Context, id string, config Config) error {
	return f.change(ctx, "apply", id, func(ctx context.Context) error { return f.Runtime.Apply(ctx, id, config) })
}

// Start implements Runtime.
func (f fenced) Start(ctx context.Context, id string) error {
	return f.change(ctx, "start", id, func(ctx context.Context) error { return f.Runtime.Start(ctx, id) })
}

// Stop implements Runtime.
func (f fenced) Stop(ctx context.Context, id string, options StopOptions) error {
	return f.change(ctx, "stop", id, func(ctx context.Context) error { return f.Runtime.Stop(ctx, id, options) })
}

// Remove implements Runtime.
func (f fenced) Remove(ctx context.Context, id string) error {
	return f.change(ctx, "remove", id, func(ctx context.Context) error { return f.Runtime.Remove(ctx, id) })
}

// change makes one call that changes the CVM with this id.
func (f fenced) change(ctx context.Context, call, id string, do func(context.Context) error) error {
	if err := lease.Check(ctx); err != nil {
		return err
	}
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return do(ctx)
	}
	ctx, span := above.TracerProvider().Tracer(tracerName).Start(ctx, "runtime "+call, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("lockstep.vm_uuid", id), attribute.String("lockstep.driver", f.Info().Driver)))
	defer span.End()
	err := do(ctx)
	if err != nil {
		span.SetStatus(codes.Error, "") // the text may have addresses and words of the guest; the step above has what may be told
	}
	return err
}

// tracerName is the instrumentation scope of the spans of this package.
const tracerName = "github.com/lockstep-cvm/lockstep/internal/runtime"
