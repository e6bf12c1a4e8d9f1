package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// clientTrace is the trace that the client of the test is in.
const clientTrace = "0af7651916cd43dd8448eb211c80319c"

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// spans are the exported spans by name.
func spans(exporter *tracetest.InMemoryExporter) (byName map[string][]tracetest.SpanStub) {
	byName = map[string][]tracetest.SpanStub{}
	for _, span := range exporter.GetSpans() {
		byName[span.Name] = append(byName[span.Name], span)
	}
	return byName
}

func attributeOf(span tracetest.SpanStub, key string) string {
	for _, a := range span.Attributes {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

// TestTracesOfAnUpdate follows an update in two phases from the trace of its client through requests and steps to
// the calls of the node.
func TestTracesOfAnUpdate(t *testing.T) { storetest.Each(t, traceAnUpdate) }

func traceAnUpdate(t *testing.T, databaseURL string) {
	exporter, log := tracetest.NewInMemoryExporter(), &lockedBuffer{}
	f := prepareFleet(t)
	f.options.Traces = sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	f.options.Logger = slog.New(slog.NewJSONHandler(log, nil))
	f.open(databaseURL)
	f.create("traced", simNode, api.KMSEthereum)
	exporter.Reset()
	var err error
	f.client, err = lockstep.NewClient(lockstep.WithBaseURL(f.server.APIURL()), lockstep.WithAPIKey(f.key),
		lockstep.WithHeader("traceparent", "00-"+clientTrace+"-b7ad6b7169203331-01"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.update(t.Context(), "traced", version("2")); err != nil {
		t.Fatal(err)
	}
	cvm := f.cvm("traced").Row.HashID
	f.close() // ends the spans of all steps
	f.serve()

	found := spans(exporter)
	requests := found["PATCH /api/v1/cvms/{id}/docker-compose"]
	var correlation string
	var statuses []string
	for _, request := range requests {
		statuses = append(statuses, attributeOf(request, "http.response.status_code"))
		correlation = attributeOf(request, "lockstep.correlation_id")
		if correlation == "" || correlation != attributeOf(requests[0], "lockstep.correlation_id") || attributeOf(request, "lockstep.cvm_id") != cvm ||
			attributeOf(request, "lockstep.request_id") == "" || request.SpanContext.TraceID().String() != clientTrace || !request.Parent.IsRemote() {
			t.Errorf("request %+v, want it in the trace of the client with the ids of the update", request)
		}
	}
	if fmt.Sprint(statuses) != "[465 202]" {
		t.Fatalf("requests of the update ended %v, want 465 and 202; spans: %v", statuses, names(found))
	}

	after := map[string]string{}
	for _, name := range []string{"update approved", "update rolling_out", "update verifying"} {
		for _, step := range found[name] {
			if step.SpanContext.TraceID().String() != clientTrace && attributeOf(step, "lockstep.correlation_id") != correlation {
				continue // the end of the first boot, which f.create saw before its span ended
			}
			after[name] = attributeOf(step, "lockstep.state_after")
			if attributeOf(step, "lockstep.correlation_id") != correlation || attributeOf(step, "lockstep.cvm_id") != cvm ||
				attributeOf(step, "lockstep.update_id") == "" || attributeOf(step, "lockstep.reason") == "" ||
				"update "+attributeOf(step, "lockstep.state_before") != name {
				t.Errorf("%s has %v, want the correlation id %s", name, step.Attributes, correlation)
			}
			if step.Parent.SpanID() != requests[1].SpanContext.SpanID() || step.SpanContext.TraceID().String() != clientTrace {
				t.Errorf("%s is below %s in trace %s, want the request of phase 2", name, step.Parent.SpanID(), step.SpanContext.TraceID())
			}
		}
	}
	if after["update verifying"] != "succeeded" || after["update rolling_out"] != "verifying" || after["update approved"] == "" {
		t.Errorf("steps ended %v; spans: %v", after, names(found))
	}
	for _, name := range []string{"runtime stop", "runtime apply", "runtime start"} {
		if len(found[name]) != 1 || found[name][0].SpanContext.TraceID().String() != clientTrace || attributeOf(found[name][0], "lockstep.driver") != "sim" {
			t.Errorf("%s: %+v, want one span in the trace of the update", name, found[name])
		}
	}

	everything, err := json.Marshal(exporter.GetSpans())
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]string{"API key": f.key, "Compose file": "services:"} {
		if strings.Contains(string(everything), secret) {
			t.Errorf("the %s is in the spans", what)
		}
	}
	if !strings.Contains(string(everything), correlation) {
		t.Error("what was searched for secrets does not have the correlation id either")
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	logged := map[string]bool{}
	for line := range bytes.Lines(log.Bytes()) {
		var record struct {
			Msg         string `json:"msg"`
			Correlation string `json:"correlation_id"`
			Trace       string `json:"trace_id"`
		}
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatal(err)
		}
		logged[record.Msg] = logged[record.Msg] || record.Trace == clientTrace
		if record.Correlation == correlation && record.Trace != clientTrace {
			t.Errorf("line of the update without its trace: %s", line)
		}
	}
	for _, message := range []string{"request", "update accepted", "update moved"} {
		if !logged[message] {
			t.Errorf("no line %q with the trace", message)
		}
	}
}

func names(found map[string][]tracetest.SpanStub) map[string]int {
	counts := map[string]int{}
	for name, s := range found {
		counts[name] = len(s)
	}
	return counts
}
