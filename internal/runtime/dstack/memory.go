package dstack

import (
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// memory is what the driver has seen of a CVM. Losing it costs a search and exactness, and nothing else.
type memory struct {
	vm    string // id of its VM
	times times

	services     []composeService // of the document with this hash
	servicesHash appcompose.ComposeHash
}

// times are when a CVM was powered on and went down. The VMM tells ages in whole seconds: a time that is at most a
// second before what an age says, and never after it.
type times struct {
	started time.Time
	exited  time.Time
	up      bool // it was powered on when it was last looked at
}

// slack is how far a time that was seen may be from what the VMM says before it is taken for another event.
const slack = 3 * time.Second

// began notes a power-on that this driver asked for.
func (t *times) began(at time.Time) { t.started, t.up = at, true }

// observe takes what the VMM says now. Texts that are no ages count as none.
func (t *times) observe(info vmmrpc.VMInfo, down bool, now time.Time) (started, exited time.Time) {
	if !t.up && !down {
		t.started = time.Time{} // somebody else powered it on: what was seen is of an earlier boot
	}
	t.started = t.fit(t.started, info.Uptime, now, false)
	t.exited = t.fit(t.exited, optional(info.ExitedAt), now, t.up && down)
	if !t.exited.IsZero() && t.exited.Before(t.started) && down {
		t.exited = t.started
	}
	t.up = !down
	return t.started, t.exited
}

// fit keeps a time that was seen if the age fits it, and otherwise derives one: now when the event was just
// witnessed, and else the earliest that the age allows.
func (t *times) fit(seen time.Time, age string, now time.Time, witnessed bool) time.Time {
	elapsed, known, err := vmmrpc.ParseElapsed(age)
	if err != nil || !known {
		return time.Time{}
	}
	latest := now.Add(-elapsed)
	switch {
	case !seen.IsZero() && seen.Sub(latest).Abs() <= slack && !witnessed:
		return seen
	case witnessed:
		return now
	}
	return latest.Add(-time.Second)
}

func optional(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
