package control

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// traced is what spans tell of an operation.
type traced struct {
	kind        string        // begins the name of its spans
	idKey       attribute.Key // the attribute that has its id
	id          string
	correlation string // empty for a fleet rollout, which has only its id
	subject     attribute.KeyValue
	state       string
}

func tracedUpdate(u *store.Update, cvm *store.CVM) traced {
	return traced{kind: "update", idKey: "lockstep.update_id", id: u.ID, correlation: u.CorrelationID, subject: cvmAttribute(cvm), state: string(u.State)}
}

func tracedPower(op *store.PowerOperation, cvm *store.CVM) traced {
	return traced{kind: "power", idKey: "lockstep.operation_id", id: op.ID, correlation: op.CorrelationID, subject: cvmAttribute(cvm), state: string(op.State)}
}

func tracedRollout(row *store.Rollout) traced {
	return traced{kind: "rollout", idKey: "lockstep.rollout_id", id: row.ID, subject: attribute.String("lockstep.app_id", row.AppID), state: string(row.State)}
}

func cvmAttribute(cvm *store.CVM) attribute.KeyValue {
	return attribute.String("lockstep.cvm_id", cvm.HashID)
}

func (t traced) attributes() []attribute.KeyValue {
	known := []attribute.KeyValue{t.idKey.String(t.id), t.subject}
	if t.correlation != "" {
		known = append(known, attribute.String("lockstep.correlation_id", t.correlation))
	}
	return known
}

// tell puts an operation into the span of the request that began or changed it.
func tell(ctx context.Context, t traced) {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(t.attributes()...)
	}
}

// openStep is the span of the state that an operation is in, while a job works on it. It spans all looks in this
// state, because there are several in a second, of which most find nothing new.
type openStep struct {
	tracer trace.Tracer
	span   trace.Span // nil when none is open
	state  string     // of the operation when the span began
}

type openStepKey struct{}

// withSteps gives what a job does a place for the spans of its steps. They end with the call of end.
func (s *Service) withSteps(ctx context.Context) (_ context.Context, end func()) {
	if s.tracer == nil {
		return ctx, func() {}
	}
	step := &openStep{tracer: s.tracer}
	return context.WithValue(ctx, openStepKey{}, step), step.end
}

// look begins one look at an operation, in the span of the state that it is in. The function takes where it
// is after it, and why; the span ends when that is another state.
func look(ctx context.Context, now traced) (_ context.Context, done func(state, reason string)) {
	step, ok := ctx.Value(openStepKey{}).(*openStep)
	if !ok {
		return ctx, func(string, string) {}
	}
	if step.span != nil && step.state != now.state { // somebody else moved it
		step.span.SetAttributes(attribute.String("lockstep.state_after", now.state))
		step.end()
	}
	if step.span == nil {
		_, step.span = step.tracer.Start(ctx, now.kind+" "+now.state, trace.WithAttributes(now.attributes()...),
			trace.WithAttributes(attribute.String("lockstep.state_before", now.state)))
		step.state = now.state
	}
	return trace.ContextWithSpan(ctx, step.span), step.seen
}

// seen notes where a look led. The reason is cut as for people without the scope admin: it may quote the guest.
func (o *openStep) seen(state, reason string) {
	reason = sanitise(reason)
	o.span.SetAttributes(attribute.String("lockstep.state_after", state), attribute.String("lockstep.reason", reason))
	if state == o.state {
		return
	}
	if state == string(column.Failed) || state == string(column.RollingBack) { // the same words for all kinds
		o.span.SetStatus(codes.Error, reason)
	}
	o.end()
}

func (o *openStep) end() {
	if o.span != nil {
		o.span.End()
		o.span = nil
	}
}
