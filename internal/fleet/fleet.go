// Package fleet decides how the replicas of an app move to another document: in which order, how many
// at once, when the rollout goes on, waits, ends or goes back. It is arithmetic over what is known: it
// keeps nothing, asks nobody and changes nothing. internal/control does, and writes down what it did.
package fleet

import (
	"slices"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// transitions is the state machine of a fleet rollout: from each state, where it may go. The same
// machine is drawn in docs/architecture.md; a test compares the two.
var transitions = map[column.RolloutState][]column.RolloutState{
	column.RolloutRunning: {
		column.RolloutPaused, // by a person, or because the canary is good
		column.RolloutSucceeded,
		column.RolloutRollingBack, // too many failures, or aborted
	},
	column.RolloutPaused: {
		column.RolloutRunning,     // resumed
		column.RolloutSucceeded,   // what was under way when it was paused was all that was left
		column.RolloutRollingBack, // what was under way failed, or aborted
	},
	column.RolloutRollingBack: {
		column.RolloutRolledBack,
		column.RolloutFailed, // not every CVM could go back
	},
}

// CanMove reports whether a rollout may go from one state to another.
func CanMove(from, to column.RolloutState) bool { return slices.Contains(transitions[from], to) }

// targets is the state machine of one CVM of a rollout.
var targets = map[column.TargetState][]column.TargetState{
	column.TargetPending: {
		column.TargetUpdating,
		column.TargetDone,    // it runs the document already
		column.TargetSkipped, // it is stopped or gone, or the rollout went back before its turn
		column.TargetFailed,  // its update could not begin
	},
	column.TargetUpdating: {
		column.TargetSettling,
		column.TargetFailed,
		column.TargetReverted, // the rollout goes back and the update was undone
		column.TargetSkipped,  // the CVM was deleted meanwhile
	},
	column.TargetSettling:  {column.TargetDone, column.TargetFailed, column.TargetReverting, column.TargetSkipped, column.TargetStuck},
	column.TargetDone:      {column.TargetReverting, column.TargetSkipped, column.TargetStuck},
	column.TargetFailed:    {column.TargetReverting, column.TargetSkipped, column.TargetStuck},
	column.TargetReverting: {column.TargetReverted, column.TargetStuck, column.TargetSkipped},
}

// CanTargetMove reports whether a CVM of a rollout may go from one state to another.
func CanTargetMove(from, to column.TargetState) bool { return slices.Contains(targets[from], to) }

// Policy is how a rollout goes about its CVMs, with every amount resolved to a number.
type Policy struct {
	Strategy column.RolloutStrategy
	// MaxUnavailable is how many CVMs the rollout may have down at once; at least 1.
	MaxUnavailable int
	// Canary is how many CVMs go first with StrategyCanary.
	Canary int
	// MinReady is how long a CVM has to stay healthy after its update before it counts as done.
	MinReady time.Duration
	// MaxFailures is how many CVMs may fail before the rollout goes back.
	MaxFailures int
}

// Plan divides n CVMs, in their order, into batches that follow each other. It returns the batch of each,
// counted from 0, and how many batches are the canary's. The canary keeps to MaxUnavailable too.
func Plan(n int, p Policy) (batches []int, canaryBatches int) {
	batches = make([]int, n)
	if p.Strategy == column.StrategyAllAtOnce {
		return batches, 0
	}
	size, first := max(p.MaxUnavailable, 1), 0
	if p.Strategy == column.StrategyCanary {
		first = min(max(p.Canary, 1), n)
		canaryBatches = (first + size - 1) / size
	}
	for i := range batches {
		if i < first {
			batches[i] = i / size
		} else {
			batches[i] = canaryBatches + (i-first)/size
		}
	}
	return batches, canaryBatches
}
