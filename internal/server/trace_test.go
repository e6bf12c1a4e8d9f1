package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lockstep-cvm/lockstep/api"
)

func TestSpanOfARequest(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, pattern string
		status                int
		span                  string // its name; empty for none
		parent                string
		failed                bool
	}{
		"a route":         {"GET", Base + "/cvms/hidden?token=hidden", Base + "/cvms/{id}", 200, "GET " + Base + "/cvms/{id}", "", false},
		"in a trace":      {"GET", Base + "/cvms", Base + "/cvms", 401, "GET " + Base + "/cvms", "b7ad6b7169203331", false},
		"no route":        {"GET", Base + "/hidden", "", 404, "GET", "", false},
		"a made up verb":  {"HIDDEN", Base + "/cvms", "", 405, "_OTHER", "", false},
		"our fault":       {"POST", Base + "/cvms", Base + "/cvms", 503, "POST " + Base + "/cvms", "", true},
		"a probe":         {"GET", "/healthz", "/healthz", 200, "", "", false},
		"a broken parent": {"GET", Base + "/cvms", Base + "/cvms", 200, "GET " + Base + "/cvms", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			exporter := tracetest.NewInMemoryExporter()
			s := &Server{tracer: sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)).Tracer("test")}
			r := httptest.NewRequest(c.method, c.path, strings.NewReader("hidden"))
			r.Header.Set(api.HeaderAPIKey, "hidden")
			r.Header.Set(api.HeaderIdempotencyKey, "hidden")
			r.Header.Set("traceparent", "hidden")
			if c.parent != "" {
				r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-"+c.parent+"-01")
			}
			out := &recorder{ResponseWriter: httptest.NewRecorder()}
			inside, span := s.beginSpan(r)
			out.WriteHeader(c.status)
			endSpan(span, inside, out, &call{requestID: "req_1", pattern: c.pattern})
			got := exporter.GetSpans()
			if c.span == "" {
				if len(got) != 0 {
					t.Errorf("spans %+v, want none", got)
				}
				return
			}
			if len(got) != 1 || got[0].Name != c.span || (got[0].Status.Code == codes.Error) != c.failed {
				t.Fatalf("spans %+v, want %q", got, c.span)
			}
			if parent := got[0].Parent; parent.IsValid() != (c.parent != "") || parent.IsValid() && parent.SpanID().String() != c.parent {
				t.Errorf("parent %s, want %s", parent.SpanID(), c.parent)
			}
			has := map[string]any{}
			for _, a := range got[0].Attributes {
				has[string(a.Key)] = a.Value.AsInterface()
				if strings.Contains(strings.ToLower(a.Value.String()), "hidden") {
					t.Errorf("%s is %q", a.Key, a.Value.String())
				}
			}
			if has["http.response.status_code"] != int64(c.status) || has["lockstep.request_id"] != "req_1" || c.pattern != "" && has["http.route"] != c.pattern {
				t.Errorf("attributes %v", has)
			}
		})
	}
}

func TestNoTracerCostsNothing(t *testing.T) {
	s, r := &Server{}, httptest.NewRequest(http.MethodGet, Base+"/cvms", nil)
	out, c := &recorder{ResponseWriter: httptest.NewRecorder()}, &call{}
	if allocated := testing.AllocsPerRun(100, func() {
		inside, span := s.beginSpan(r)
		endSpan(span, inside, out, c)
	}); allocated != 0 {
		t.Errorf("%v allocations without a tracer, want none", allocated)
	}
}
