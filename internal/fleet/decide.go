package fleet

import (
	"fmt"

	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Rollout is what a decision is made from.
type Rollout struct {
	State         column.RolloutState
	Policy        Policy
	CanaryBatches int
	Promoted      bool // a person has seen the canary and resumed
	Targets       []Target
}

// Target is one CVM of a rollout.
type Target struct {
	Batch int
	State column.TargetState
	// Moved tells that the rollout has brought it to the new document.
	Moved bool
	// Down tells that the rollout left it without a healthy document.
	Down bool
}

// Decision is what is to be done now. When it is empty there is something to wait for.
type Decision struct {
	To     column.RolloutState // empty: the state stays
	Reason string              // why it changes
	Start  []int               // indexes of the targets whose update begins
	Skip   []int               // of those whose turn will not come
	Revert []int               // of those that go back
}

// Empty reports whether there is nothing to do but wait.
func (d *Decision) Empty() bool {
	return d.To == "" && len(d.Start)+len(d.Skip)+len(d.Revert) == 0
}

// Decide tells what a rollout does next. It is a function of what it is given alone, so any process may
// take it up at any point.
func Decide(r Rollout) Decision {
	switch r.State {
	case column.RolloutRunning:
		return r.forward()
	case column.RolloutPaused:
		return r.paused()
	case column.RolloutRollingBack:
		return r.back()
	case column.RolloutSucceeded, column.RolloutRolledBack, column.RolloutFailed:
	}
	return Decision{}
}

// open reports whether a target of a rollout that goes forward has not come to its end.
func (t *Target) open() bool {
	return t.State == column.TargetPending || t.State == column.TargetUpdating || t.State == column.TargetSettling
}

// taken counts the CVMs that the rollout has down, or must count as down: those under way, those whose
// health is still being watched, and those that it left down.
func (r *Rollout) taken() int {
	n := 0
	for i := range r.Targets {
		t := &r.Targets[i]
		switch t.State {
		case column.TargetUpdating, column.TargetSettling, column.TargetReverting:
			n++
		case column.TargetFailed:
			if t.Down {
				n++
			}
		case column.TargetPending, column.TargetDone, column.TargetSkipped, column.TargetReverted, column.TargetStuck:
		}
	}
	return n
}

// lost tells why the rollout has to go back, or nothing.
func (r *Rollout) lost() string {
	failed, canary := 0, false
	for i := range r.Targets {
		if r.Targets[i].State == column.TargetFailed {
			failed++
			canary = canary || r.Targets[i].Batch < r.CanaryBatches
		}
	}
	switch {
	case canary:
		return "the canary failed"
	case failed > r.Policy.MaxFailures:
		return fmt.Sprintf("%d of %d CVMs failed, more than max_failures %d", failed, len(r.Targets), r.Policy.MaxFailures)
	default:
		return ""
	}
}

// ended is the reason of a rollout that has nothing left to do.
func (r *Rollout) ended() string {
	var done, failed, skipped int
	for i := range r.Targets {
		switch r.Targets[i].State {
		case column.TargetDone:
			done++
		case column.TargetFailed:
			failed++
		case column.TargetSkipped:
			skipped++
		case column.TargetPending, column.TargetUpdating, column.TargetSettling, column.TargetReverting, column.TargetReverted, column.TargetStuck:
		}
	}
	text := fmt.Sprintf("%d of %d CVMs run the document", done, len(r.Targets))
	if failed > 0 {
		text += fmt.Sprintf("; %d failed, which max_failures %d allows", failed, r.Policy.MaxFailures)
	}
	if skipped > 0 {
		text += fmt.Sprintf("; %d were skipped", skipped)
	}
	return text
}

// batch is the first batch that is not through, or -1.
func (r *Rollout) batch() int {
	first := -1
	for i := range r.Targets {
		if t := &r.Targets[i]; t.open() && (first < 0 || t.Batch < first) {
			first = t.Batch
		}
	}
	return first
}

func (r *Rollout) forward() Decision {
	if why := r.lost(); why != "" {
		return Decision{To: column.RolloutRollingBack, Reason: why}
	}
	batch := r.batch()
	switch {
	case batch < 0:
		return Decision{To: column.RolloutSucceeded, Reason: r.ended()}
	case batch >= r.CanaryBatches && r.CanaryBatches > 0 && !r.Promoted:
		return Decision{To: column.RolloutPaused, Reason: "the canary is good; waits to be resumed or aborted"}
	}
	var d Decision
	taken, busy := r.taken(), false
	for i := range r.Targets {
		t := &r.Targets[i]
		busy = busy || t.State == column.TargetUpdating || t.State == column.TargetSettling
		if t.State == column.TargetPending && t.Batch == batch && taken < r.Policy.MaxUnavailable {
			d.Start = append(d.Start, i)
			taken++
		}
	}
	if len(d.Start) == 0 && !busy {
		d.To, d.Reason = column.RolloutRollingBack, fmt.Sprintf("the CVMs that failed and are down use up max_unavailable %d", r.Policy.MaxUnavailable)
	}
	return d
}

// paused begins nothing. What was under way when the pause came goes on to its end.
func (r *Rollout) paused() Decision {
	if why := r.lost(); why != "" {
		return Decision{To: column.RolloutRollingBack, Reason: why}
	}
	if r.batch() < 0 {
		return Decision{To: column.RolloutSucceeded, Reason: r.ended()}
	}
	return Decision{}
}

// back brings the CVMs that were moved or left down to what they ran before, no more at once than
// MaxUnavailable. One that is down already costs nothing more; one that is lost for good (stuck) does
// not count, or the others would never go back.
func (r *Rollout) back() Decision {
	var d Decision
	taken, waits, stuck, back := r.taken(), false, 0, 0
	for i := range r.Targets {
		t := &r.Targets[i]
		switch t.State {
		case column.TargetPending:
			d.Skip = append(d.Skip, i)
		case column.TargetUpdating, column.TargetReverting:
			waits = true
		case column.TargetSettling, column.TargetDone, column.TargetFailed:
			if !t.Moved && !t.Down {
				continue // it runs what it ran before
			}
			waits = true
			counted := t.Down && t.State == column.TargetFailed || t.State == column.TargetSettling
			switch {
			case counted:
				d.Revert = append(d.Revert, i)
			case taken < r.Policy.MaxUnavailable:
				d.Revert = append(d.Revert, i)
				taken++
			}
		case column.TargetStuck:
			stuck++
		case column.TargetReverted:
			back++
		case column.TargetSkipped:
		}
	}
	switch {
	case waits || len(d.Skip) > 0:
	case stuck > 0:
		d.To, d.Reason = column.RolloutFailed, fmt.Sprintf("%d CVMs could not go back; each says why", stuck)
	default:
		d.To, d.Reason = column.RolloutRolledBack, fmt.Sprintf("no CVM runs the document because of this rollout; %d went back", back)
	}
	return d
}
