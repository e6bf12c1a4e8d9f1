package dstack

import (
	"slices"
	"strings"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// Boot progress in the guest's words.
const (
	progressGateway    = "setting up dstack-gateway"
	progressDocker     = "setting up docker"
	progressInitScript = "init-script"
	progressDone       = "done"
)

// stages are the words of boot progress in their order. Those on one line come at the same point.
var stages = [][]string{
	{vmmrpc.ProgressBooting},
	{"attesting GPU"},
	{"requesting app keys"},
	{"initializing data disk", "mounting data disk"},
	{"data disk ready"},
	{progressGateway},
	{progressDocker},
	{progressInitScript},
	{"pre-launch"},
	{"starting containers", "running main script"},
	{progressDone},
}

// rank is the place of a progress among the stages; -1 for words that are not known.
func rank(progress string) int {
	return slices.IndexFunc(stages, func(stage []string) bool { return slices.Contains(stage, progress) })
}

// maxPreparations is how many boots in place a guest gets whose preparation failed for a reason that may pass,
// before it counts as one that does not boot.
const maxPreparations = 3

// denial is in the boot error of a guest whose KMS refused its keys.
const denial = "Boot denied"

// stateOf is the state of a CVM. The VMM's states tell of its process only: a guest that did not boot, which
// keeps its process, is exited.
func (d *Driver) stateOf(m *machine) runtime.State {
	switch m.info.Status {
	case vmmrpc.StatusStopped:
		return runtime.StateStopped
	case vmmrpc.StatusExited:
		return runtime.StateExited
	case vmmrpc.StatusStopping:
		return runtime.StateStopping
	}
	switch {
	case bootFailed(m.info):
		return runtime.StateExited
	case m.info.BootProgress == progressDone:
		return runtime.StateRunning
	default:
		return runtime.StateStarting
	}
}

// progressUnknown tells whether the VMM does not know how far the guest is, which then has to be asked.
func (m *machine) progressUnknown() bool {
	switch m.info.BootProgress {
	case vmmrpc.ProgressRunning, vmmrpc.ProgressNone, "":
		return true
	}
	return false
}

// agentMayAnswer tells whether the boot has come so far that the guest agent may be up.
func (m *machine) agentMayAnswer() bool {
	return m.progressUnknown() || rank(m.info.BootProgress) >= rank(progressDocker)
}

// appMayRun tells whether containers may be running, which would be lost by a hard stop.
func (m *machine) appMayRun() bool {
	return m.info.Status == vmmrpc.StatusRunning && m.agentMayAnswer()
}

// bootFailed tells whether a guest with a boot error will not come up. Not every boot error is the end: the boot
// goes on without a gateway, and a guest whose preparation failed boots again in place and may succeed. The VMM
// keeps the text until the next StartVm, so the events tell what came after it.
func bootFailed(info vmmrpc.VMInfo) bool {
	if info.BootError == "" || info.BootProgress == progressDone || info.BootProgress == progressGateway {
		return false
	}
	at, errors := lastBootError(info.Events)
	if at >= 0 {
		before := progressBefore(info.Events, at)
		if before == progressGateway || rank(info.BootProgress) > rank(before) && progressAfter(info.Events, at) {
			return false // it went on
		}
	}
	if rank(info.BootProgress) >= rank(progressInitScript) || rank(info.BootProgress) < 0 {
		return true // it sits there; or nothing tells that it does not
	}
	return strings.Contains(info.BootError, denial) || errors >= maxPreparations
}

// lastBootError finds the last boot error, and counts those that came one after the other with the same words:
// the ring goes back before the last start, and StartVm leaves no mark in it.
func lastBootError(events []vmmrpc.GuestEvent) (at, count int) {
	at = -1
	for i, e := range slices.Backward(events) {
		if e.Event != vmmrpc.EventBootError {
			continue
		}
		if at < 0 {
			at = i
		}
		if e.Body != events[at].Body {
			break
		}
		count++
	}
	return at, count
}

// progressBefore is the progress at the time of an event.
func progressBefore(events []vmmrpc.GuestEvent, at int) string {
	for _, e := range slices.Backward(events[:at]) {
		if e.Event == vmmrpc.EventBootProgress {
			return e.Body
		}
	}
	return ""
}

func progressAfter(events []vmmrpc.GuestEvent, at int) bool {
	return slices.ContainsFunc(events[at+1:], func(e vmmrpc.GuestEvent) bool { return e.Event == vmmrpc.EventBootProgress })
}
