package jobs

import (
	"context"
	"encoding/json"

	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/propagation"
)

// traceContext writes and reads the members traceparent and tracestate (W3C Trace Context).
var traceContext propagation.TraceContext

// origin keeps in a job the trace in which it was made: it is worked after that request has ended, maybe by another
// server.
func origin(ctx context.Context) *river.InsertOpts {
	carrier := propagation.MapCarrier{}
	traceContext.Inject(ctx, carrier)
	if len(carrier) == 0 {
		return nil
	}
	metadata, err := json.Marshal(carrier)
	if err != nil {
		return nil // strings can always be encoded, and a trace is no reason to lose a job
	}
	return &river.InsertOpts{Metadata: metadata}
}

// resume goes on with the trace in which a job was made. Metadata has members of River, too.
func resume(ctx context.Context, metadata []byte) context.Context {
	var kept struct {
		Parent string `json:"traceparent"`
		State  string `json:"tracestate"`
	}
	if json.Unmarshal(metadata, &kept) != nil || kept.Parent == "" {
		return ctx
	}
	return traceContext.Extract(ctx, propagation.MapCarrier{"traceparent": kept.Parent, "tracestate": kept.State})
}
