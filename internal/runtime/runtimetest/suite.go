package runtimetest

import (
	"testing"
	"time"
)

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	if h.Patience == 0 {
		h.Patience = 30 * time.Second
	}
	if h.Poll == 0 {
		h.Poll = 50 * time.Millisecond
	}
	tests := []struct {
		name string
		run  func(*bench)
	}{
		{"Lifecycle", lifecycle},
		{"InvalidSpec", invalidSpec},
		{"UnknownCVM", unknownCVM},
		{"EndedContext", endedContext},
		{"RepeatStopped", repeatStopped},
		{"RepeatRunning", repeatRunning},
		{"RepeatExited", repeatExited},
		{"RepeatRemove", repeatRemove},
		{"ForceStop", forceStop},
		{"ApplyWhileRunning", applyWhileRunning},
		{"ApplyEnvironment", applyEnvironment},
		{"RunningHashIsWhatBooted", runningHashIsWhatBooted},
		{"TwentyUpdates", twentyUpdates},
		{"TwoUpdatesAtOnce", twoUpdatesAtOnce},
		{"ConcurrentStatus", concurrentStatus},
		{"ConcurrentCreate", concurrentCreate},
		{"Reopen", reopen},
		{"Closed", closed},
		{"BadBoot", badBoot},
		{"Crash", crash},
		{"Unhealthy", unhealthy},
		{"Denial", denial},
		{"LogParts", logParts},
		{"LogTimes", logTimes},
		{"LogFollow", logFollow},
		{"LogErrors", logErrors},
		{"Watch", watch},
		{"Inspect", inspect},
		{"Prepare", prepare},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(newBench(t, h)) })
	}
	t.Run("ExactBytes", func(t *testing.T) { exactBytes(t, h) })
	t.Run("RestartInTheMiddle", func(t *testing.T) { restartInTheMiddle(t, h) })
}
