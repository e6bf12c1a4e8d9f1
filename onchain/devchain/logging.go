package devchain

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/log"
)

// sink is where go-ethereum's log goes; nil drops it.
var sink atomic.Pointer[slog.Logger]

// routeLogs sends go-ethereum's process-wide log to the logger.
func routeLogs(logger *slog.Logger) {
	if logger == nil {
		return
	}
	sink.Store(logger)
	log.SetDefault(processLog())
}

// processLog is wrapped because log.SetDefault also replaces slog's default
// when it is given go-ethereum's own logger type, and that is not ours to set.
func processLog() log.Logger {
	return struct{ log.Logger }{log.NewLogger(sinkHandler{})}
}

// emptyChain is a warning that every new chain gives, and no other.
const emptyChain = "Head block is not reachable"

// sinkHandler passes on warnings and worse: go-ethereum reports every block at
// level info.
type sinkHandler struct{ attrs []slog.Attr }

func (sinkHandler) Enabled(ctx context.Context, level slog.Level) bool {
	logger := sink.Load()
	return logger != nil && level >= slog.LevelWarn && logger.Enabled(ctx, level)
}

func (h sinkHandler) Handle(ctx context.Context, record slog.Record) error {
	logger := sink.Load()
	if logger == nil || record.Message == emptyChain {
		return nil
	}
	record = record.Clone()
	record.Message = "chain: " + record.Message
	record.AddAttrs(h.attrs...)
	return logger.Handler().Handle(ctx, record)
}

func (h sinkHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return sinkHandler{attrs: append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup is never used by go-ethereum.
func (h sinkHandler) WithGroup(string) slog.Handler { return h }
