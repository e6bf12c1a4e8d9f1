package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// NewLogger makes the logger that a configuration asks for.
func NewLogger(w io.Writer, config LogConfig) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(config.Level)); err != nil {
		return nil, fmt.Errorf("config: log.level is %q, want debug, info, warn or error", config.Level)
	}
	options := &slog.HandlerOptions{Level: level}
	switch config.Format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("config: log.format is %q, want text or json", config.Format)
	}
}

// withTraces adds to each record the id of the trace that it belongs to, so that one leads to the other.
type withTraces struct{ slog.Handler }

// Handle implements slog.Handler.
func (h withTraces) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		record = record.Clone()
		record.AddAttrs(slog.String("trace_id", span.SpanContext().TraceID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h withTraces) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withTraces{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h withTraces) WithGroup(name string) slog.Handler { return withTraces{h.Handler.WithGroup(name)} }
