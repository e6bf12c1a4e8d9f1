package server

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// traceContext reads the header traceparent (W3C Trace Context).
var traceContext propagation.TraceContext

// beginSpan begins the span of a request, in the trace of its client if it has one. Probes and scrapes, which come
// every few seconds, have none. A span has nothing that a client wrote but what endSpan names: paths, queries,
// headers and bodies may have secrets in them.
func (s *Server) beginSpan(r *http.Request) (*http.Request, trace.Span) {
	if s.tracer == nil || !strings.HasPrefix(r.URL.Path, Base) {
		return r, nil
	}
	ctx := traceContext.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := s.tracer.Start(ctx, spanMethod(r), trace.WithSpanKind(trace.SpanKindServer))
	return r.WithContext(ctx), span
}

// endSpan ends the span of a request with what is known of it by then. An event stream that has a connection of its
// own goes on after that.
func endSpan(span trace.Span, r *http.Request, out *recorder, c *call) {
	if span == nil {
		return
	}
	span.SetAttributes(semconv.HTTPRequestMethodKey.String(spanMethod(r)), semconv.HTTPResponseStatusCode(out.status()),
		attribute.String("lockstep.request_id", c.requestID))
	if c.pattern != "" {
		span.SetName(spanMethod(r) + " " + c.pattern)
		span.SetAttributes(semconv.HTTPRoute(c.pattern))
	}
	if out.status() >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// spanMethod is the method of a request, or what OpenTelemetry says in place of one that a client made up.
func spanMethod(r *http.Request) string {
	if knownMethod(r.Method) {
		return r.Method
	}
	return "_OTHER"
}
