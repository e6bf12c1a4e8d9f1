package jobs

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func TestAJobGoesOnWithItsTrace(t *testing.T) {
	if options := origin(t.Context()); options != nil {
		t.Errorf("a job made in no trace has options %+v, want none", options)
	}
	made := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	options := origin(trace.ContextWithSpanContext(t.Context(), made))
	got := trace.SpanContextFromContext(resume(context.Background(), options.Metadata))
	if got.TraceID() != made.TraceID() || got.SpanID() != made.SpanID() || !got.IsSampled() || !got.IsRemote() {
		t.Errorf("a job goes on with %+v, want %+v", got, made)
	}
	for name, metadata := range map[string]string{
		"none": "", "of River": `{"snoozes": 3}`, "broken": `{"traceparent": `, "of another type": `{"traceparent": 7}`, "no trace": `{"traceparent": "x"}`,
	} {
		if got := trace.SpanContextFromContext(resume(t.Context(), []byte(metadata))); got.IsValid() {
			t.Errorf("%s: goes on with %+v, want no trace", name, got)
		}
	}
}
