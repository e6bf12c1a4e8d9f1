package column

// RolloutState is where the rollout of a document to an app's replicas is. The transitions between
// states are in internal/fleet.
type RolloutState string

// States of a fleet rollout.
const (
	RolloutRunning     RolloutState = "running"
	RolloutPaused      RolloutState = "paused"
	RolloutRollingBack RolloutState = "rolling_back"

	RolloutSucceeded  RolloutState = "succeeded"
	RolloutRolledBack RolloutState = "rolled_back"
	RolloutFailed     RolloutState = "failed"
)

// Final reports whether nothing follows this state.
func (s RolloutState) Final() bool {
	return s == RolloutSucceeded || s == RolloutRolledBack || s == RolloutFailed
}

// TargetState is where one CVM of a fleet rollout is.
type TargetState string

// States of one CVM of a fleet rollout.
const (
	TargetPending   TargetState = "pending"   // its turn has not come
	TargetUpdating  TargetState = "updating"  // its update is under way
	TargetSettling  TargetState = "settling"  // it runs the document and has to stay healthy for a while
	TargetDone      TargetState = "done"      // it runs the document
	TargetFailed    TargetState = "failed"    // the document did not come to run, or did not stay healthy
	TargetSkipped   TargetState = "skipped"   // left as it was found
	TargetReverting TargetState = "reverting" // goes back to the revision that it ran before
	TargetReverted  TargetState = "reverted"  // runs that revision again
	TargetStuck     TargetState = "stuck"     // could not go back; the reason says why
)

// RolloutStrategy is how a fleet rollout goes about its CVMs.
type RolloutStrategy string

// Strategies of a fleet rollout.
const (
	StrategyRolling   RolloutStrategy = "rolling"     // batch after batch
	StrategyCanary    RolloutStrategy = "canary"      // a few first, then a person decides, then as rolling
	StrategyAllAtOnce RolloutStrategy = "all_at_once" // one batch
)
