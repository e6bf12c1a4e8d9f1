package server

import (
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

func TestKMSTypesThatClientsReject(t *testing.T) {
	for in, want := range map[api.KMSType]api.KMSType{"phala": "phala", "BASE": "base", "anvil": "", "": ""} {
		got := kmsType(in)
		if want == "" && got != nil || want != "" && (got == nil || *got != want) {
			t.Errorf("%q is shown as %v, want %q", in, got, want)
		}
	}
}

func TestUptime(t *testing.T) {
	now := time.Date(2026, 1, 21, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		state   runtime.State
		started time.Time
		want    string
	}{
		{runtime.StateRunning, now.Add(-90*time.Second - time.Millisecond), "1m30s"},
		{runtime.StateStarting, now.Add(-time.Second), "1s"},
		{runtime.StateRunning, time.Time{}, ""},
		{runtime.StateRunning, now.Add(time.Second), ""}, // the node's clock is ahead
		{runtime.StateStopped, now.Add(-time.Hour), ""},
		{runtime.StateExited, now.Add(-time.Hour), ""},
	} {
		if got := uptime(&runtime.Status{State: tt.state, StartedAt: tt.started}, now); got != tt.want {
			t.Errorf("%s since %s: %q, want %q", tt.state, tt.started, got, tt.want)
		}
	}
}
