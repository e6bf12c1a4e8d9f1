package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// flushTimeout bounds how long the end of a server waits for its last spans to be delivered.
const flushTimeout = 2 * time.Second

// tracing is where the spans of a server go. A nil one makes none.
type tracing struct {
	trace.TracerProvider
	shutdown func(context.Context) error // nil when somebody else looks after the provider
}

// openTracing sends spans where the OTEL_* variables say, which the OpenTelemetry SDK reads by itself. Without them
// it returns nil.
func openTracing(ctx context.Context, log *slog.Logger) (*tracing, error) {
	if wanted, err := tracesWanted(os.Getenv); err != nil || !wanted {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("lockstep"), semconv.ServiceVersion(Version())), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("config: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx) // does not connect
	if err != nil {
		return nil, fmt.Errorf("config: OTEL_EXPORTER_OTLP_*: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithBatcher(&delivery{SpanExporter: exporter, log: log}))
	return &tracing{provider, provider.Shutdown}, nil
}

// tracer is the tracer of a part of the server; nil when there are no traces.
func (t *tracing) tracer(part string) trace.Tracer {
	if t == nil {
		return nil
	}
	return t.Tracer("github.com/lockstep-cvm/lockstep/internal/"+part, trace.WithInstrumentationVersion(Version()))
}

// close delivers what is left. A collector that is away costs its spans and nothing else.
func (t *tracing) close(ctx context.Context, log *slog.Logger) {
	if t == nil || t.shutdown == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := t.shutdown(ctx); err != nil {
		log.WarnContext(ctx, "the last spans could not be delivered", "error", err)
	}
}

// delivery is an exporter that logs when spans cannot be delivered, once until they can be again.
type delivery struct {
	sdktrace.SpanExporter
	log  *slog.Logger
	away atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter. It reports no error: the SDK would print each one past the log.
func (d *delivery) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := d.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !d.away.Swap(true):
		d.log.WarnContext(ctx, "spans cannot be delivered; they are lost until the collector is back", "error", err)
	case err == nil && d.away.Swap(false):
		d.log.InfoContext(ctx, "spans are delivered again")
	}
	return nil
}

// tracesWanted reads from the OTEL_* variables whether there are traces, and checks those whose faults the SDK would
// pass over, or print with the secrets in them.
func tracesWanted(getenv func(string) string) (bool, error) {
	const endpoint, tracesEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	switch kind := getenv("OTEL_TRACES_EXPORTER"); kind {
	case "none":
		return false, nil
	case "otlp":
	case "":
		if getenv(endpoint) == "" && getenv(tracesEndpoint) == "" {
			return false, nil
		}
	default:
		return false, fmt.Errorf("config: OTEL_TRACES_EXPORTER is %q, want otlp or none", kind)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		if protocol := getenv(name); protocol != "" && protocol != "http/protobuf" {
			return false, fmt.Errorf("config: %s is %q, want http/protobuf", name, protocol)
		}
	}
	for _, name := range []string{endpoint, tracesEndpoint} {
		if err := checkEndpoint(getenv(name)); err != nil {
			return false, fmt.Errorf("config: %s %w", name, err)
		}
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		if err := checkHeaders(getenv(name)); err != nil {
			return false, fmt.Errorf("config: %s: %w", name, err)
		}
	}
	return true, nil
}

func checkEndpoint(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("is no URL, want http://HOST:PORT or https://HOST:PORT") // it may have a password in it
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("is %q, want http://HOST:PORT or https://HOST:PORT", u.Redacted())
	}
	return nil
}

// checkHeaders checks a list name=value,name=value. Its values are secrets, so no error quotes it.
func checkHeaders(text string) error {
	if text == "" {
		return nil
	}
	for i, header := range strings.Split(text, ",") {
		name, value, found := strings.Cut(header, "=")
		if _, err := url.PathUnescape(value); !found || strings.TrimSpace(name) == "" || err != nil {
			return fmt.Errorf("entry %d is not NAME=VALUE with %%-escapes in VALUE", i+1)
		}
	}
	return nil
}
