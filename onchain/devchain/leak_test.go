package devchain_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// A closed chain must leave nothing running: servers and tests start many.
func TestCloseLeavesNoGoroutines(t *testing.T) {
	run := func(dir string) {
		chain, err := devchain.Start(t.Context(), devchain.Config{DataDir: dir, Period: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		mustPay(t, chain, payee, 1)
		if err := chain.Close(); err != nil {
			t.Fatal(err)
		}
		if err := chain.AdvanceTime(time.Second); err == nil {
			t.Error("a closed chain made a block")
		}
	}
	run("") // what go-ethereum starts once per process stays
	before := chainGoroutines()
	for range 3 {
		run("")
		run(t.TempDir())
	}
	// The last ones end on their own shortly after Close; the test waits for
	// them and fails by the test binary's time limit if they do not end.
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		stacks := chainGoroutines()
		if len(stacks) <= len(before) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d goroutines are left, %d before:\n\n%s", len(stacks), len(before), strings.Join(stacks, "\n\n"))
		}
	}
}

// chainGoroutines returns the stacks of goroutines that run go-ethereum's code
// or ours.
func chainGoroutines() []string {
	buffer := make([]byte, 4<<20)
	var found []string
	for stack := range strings.SplitSeq(string(buffer[:runtime.Stack(buffer, true)]), "\n\n") {
		if strings.Contains(stack, "go-ethereum") || strings.Contains(stack, "pebble") || strings.Contains(stack, "devchain.(*Chain)") {
			found = append(found, stack)
		}
	}
	return found
}
