package devchain_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/log"

	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

func TestLoggerGetsWarningsOnly(t *testing.T) {
	var text bytes.Buffer
	previous := slog.Default()
	chain := start(t, devchain.Config{Logger: slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	chain.Mine(1)
	if text.Len() != 0 {
		t.Errorf("a healthy chain said: %s", text.String())
	}
	log.Root().With("who", "test").Warn("something odd", "n", 1)
	if have := text.String(); !strings.Contains(have, `msg="chain: something odd"`) || !strings.Contains(have, "who=test") || !strings.Contains(have, "n=1") {
		t.Errorf("log is %q", have)
	}
	if slog.Default() != previous {
		t.Error("the program's own default logger was replaced")
	}
}
