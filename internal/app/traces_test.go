package app

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

func TestTracesWanted(t *testing.T) {
	const endpoint, endpointOfTraces = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	const headers = "OTEL_EXPORTER_OTLP_HEADERS"
	here := "http://127.0.0.1:4318"
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
		err  string // what an error must name
	}{
		"nothing set":         {},
		"endpoint":            {env: map[string]string{endpoint: here}, want: true},
		"endpoint of traces":  {env: map[string]string{endpointOfTraces: here + "/v1/traces"}, want: true},
		"exporter":            {env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, want: true},
		"none":                {env: map[string]string{"OTEL_TRACES_EXPORTER": "none", endpoint: here}},
		"disabled":            {env: map[string]string{"OTEL_SDK_DISABLED": "true", endpoint: here}},
		"headers":             {env: map[string]string{endpoint: here, headers: "authorization=Bearer%20abc,x-team=a"}, want: true},
		"only metrics":        {env: map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": here}},
		"other exporter":      {env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, err: `OTEL_TRACES_EXPORTER is "zipkin", want otlp or none`},
		"grpc":                {env: map[string]string{endpoint: here, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, err: `OTEL_EXPORTER_OTLP_PROTOCOL is "grpc", want http/protobuf`},
		"endpoint, no scheme": {env: map[string]string{endpoint: "127.0.0.1:4318"}, err: endpoint},
		"endpoint, password":  {env: map[string]string{endpoint: "ftp://user:hidden@host"}, err: endpoint},
		"header, no value":    {env: map[string]string{endpoint: here, headers: "a=b,hidden"}, err: headers + ": entry 2"},
		"header, bad escape":  {env: map[string]string{endpoint: here, headers: "a=hidden%zz"}, err: headers + ": entry 1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tracesWanted(func(name string) string { return c.env[name] })
			if c.err == "" && (err != nil || got != c.want) {
				t.Errorf("%t, %v; want %t", got, err, c.want)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "hidden")) {
				t.Errorf("error %v, want one with %q and no secret", err, c.err)
			}
		})
	}
}

// collector counts what an OpenTelemetry collector gets.
type collector struct {
	mu    sync.Mutex
	spans int // requests with spans
	body  []byte
	auth  string
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body bytes.Buffer
	_, _ = body.ReadFrom(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.URL.Path == "/v1/traces" {
		c.spans++
		c.body, c.auth = append(c.body, body.Bytes()...), r.Header.Get("X-Token")
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// asked opens a server with the variables of the environment, asks it something and closes it.
func asked(t *testing.T, env map[string]string, log *slog.Logger) {
	t.Helper()
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"} {
		t.Setenv(name, env[name])
	}
	config := DefaultConfig()
	config.DatabaseURL, config.Listen = "sqlite:"+filepath.Join(t.TempDir(), "lockstep.db"), "127.0.0.1:0"
	s, err := Open(t.Context(), config, Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	if (s.traces != nil) != (len(env) > 0) {
		t.Errorf("traces: %v with %v", s.traces, env)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.APIURL()+"/cvms/secret-in-a-path", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-API-Key", "secret-in-a-header")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestSpansGoWhereTheVariablesSay(t *testing.T) {
	c := &collector{}
	front := httptest.NewServer(c)
	defer front.Close()
	asked(t, nil, nil)
	if c.spans != 0 {
		t.Errorf("%d requests with spans and no variables, want none", c.spans)
	}
	asked(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": front.URL, "OTEL_EXPORTER_OTLP_HEADERS": "x-token=abc"}, nil)
	if c.spans != 1 || c.auth != "abc" || !bytes.Contains(c.body, []byte("GET /api/v1/cvms/{")) || !bytes.Contains(c.body, []byte("lockstep.request_id")) {
		t.Errorf("%d requests with header %q and spans\n%q", c.spans, c.auth, c.body)
	}
	if bytes.Contains(c.body, []byte("secret-in-a")) {
		t.Errorf("a secret is in the spans:\n%q", c.body)
	}
}

func TestACollectorThatIsAwayFailsNothing(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	defer refuses.Close()
	var log bytes.Buffer
	asked(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": refuses.URL}, slog.New(slog.NewJSONHandler(&log, nil)))
	if !strings.Contains(log.String(), "spans cannot be delivered") {
		t.Errorf("the log does not say so:\n%s", log.String())
	}
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	asked(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": gone.URL}, nil)
}

func TestLogLinesHaveTheIDOfTheirTrace(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(withTraces{slog.NewJSONHandler(&out, nil)}).With("a", 1)
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "span")
	log.InfoContext(ctx, "inside")
	span.End()
	log.InfoContext(t.Context(), "outside")
	want := []any{span.SpanContext().TraceID().String(), nil}
	for i, line := range bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n")) {
		var got map[string]any
		if err := json.Unmarshal(line, &got); err != nil || got["trace_id"] != want[i] || got["a"] != 1.0 {
			t.Errorf("line %s, %v; want trace_id %v", line, err, want[i])
		}
	}
}
