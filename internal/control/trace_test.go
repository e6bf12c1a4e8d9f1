package control

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// TestASpanForEachState looks at an update again and again: the looks in one state share a span.
func TestASpanForEachState(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	s := &Service{tracer: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)).Tracer("test")}
	u, cvm := &store.Update{ID: "upd_1", CorrelationID: "cor_1"}, &store.CVM{HashID: "cvm_1"}
	ctx, end := s.withSteps(t.Context())
	for _, step := range []struct {
		in, to column.UpdateState
		reason string
	}{
		{column.Approved, column.RollingOut, "approval checked again"},
		{column.RollingOut, column.RollingOut, "waits until the CVM has stopped"},
		{column.RollingOut, column.RollingOut, "tries again"},
		// Somebody cancelled it between two looks.
		{column.RollingBack, column.RollingBack, "the previous revision is starting"},
		{column.RollingBack, column.Failed, "does not come up\nPASSWORD=hidden"},
		{column.Verifying, column.Verifying, "the job ends here"},
	} {
		u.State = step.in
		inside, done := look(ctx, tracedUpdate(u, cvm))
		tell(inside, tracedUpdate(u, cvm)) // what happens in a step finds its span
		done(string(step.to), step.reason)
	}
	end()
	type seen struct{ name, before, after, reason string }
	want := []seen{
		{"update approved", "approved", "rolling_out", "approval checked again"},
		{"update rolling_out", "rolling_out", "rolling_back", "tries again"},
		{"update rolling_back", "rolling_back", "failed", "does not come up"},
		{"update verifying", "verifying", "verifying", "the job ends here"},
	}
	got := exporter.GetSpans()
	if len(got) != len(want) {
		t.Fatalf("%d spans, want %d: %+v", len(got), len(want), got)
	}
	for i, span := range got {
		has := map[string]string{}
		for _, a := range span.Attributes {
			has[string(a.Key)] = a.Value.AsString()
		}
		if now := (seen{span.Name, has["lockstep.state_before"], has["lockstep.state_after"], has["lockstep.reason"]}); now != want[i] {
			t.Errorf("span %d: %+v, want %+v", i, now, want[i])
		}
		if has["lockstep.update_id"] != "upd_1" || has["lockstep.correlation_id"] != "cor_1" || has["lockstep.cvm_id"] != "cvm_1" {
			t.Errorf("span %d has %v", i, has)
		}
		if failed := span.Status.Code == codes.Error; failed != (want[i].after == "failed") {
			t.Errorf("span %d has status %v; only what went wrong is an error, and a cancel did not", i, span.Status)
		}
	}
}

// TestNoTracerCostsNothing counts what a step does for spans that nobody wants.
func TestNoTracerCostsNothing(t *testing.T) {
	s, ctx := &Service{}, context.Background()
	u, cvm := &store.Update{ID: "upd_1", CorrelationID: "cor_1"}, &store.CVM{HashID: "cvm_1"}
	if allocated := testing.AllocsPerRun(100, func() {
		inside, end := s.withSteps(ctx)
		inside, done := look(inside, tracedUpdate(u, cvm))
		tell(inside, tracedUpdate(u, cvm))
		done("succeeded", "it runs")
		end()
	}); allocated != 0 {
		t.Errorf("%v allocations without a tracer, want none", allocated)
	}
}
