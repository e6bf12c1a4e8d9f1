package app

import (
	"fmt"
	"io"
	"log/slog"
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
