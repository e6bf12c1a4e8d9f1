package store

import "github.com/lockstep-cvm/lockstep/internal/store/internal/db"

// The rows of fleet rollouts and the parameters of their queries.
//
//nolint:revive // a comment per alias would repeat the names
type (
	Rollout                   = db.Rollout
	RolloutEvent              = db.RolloutEvent
	RolloutTarget             = db.RolloutTarget
	InsertRolloutParams       = db.InsertRolloutParams
	InsertRolloutEventParams  = db.InsertRolloutEventParams
	InsertRolloutTargetParams = db.InsertRolloutTargetParams
	SetRolloutParams          = db.SetRolloutParams
	SetRolloutTargetParams    = db.SetRolloutTargetParams
)
