package store

import "github.com/lockstep-cvm/lockstep/internal/store/internal/db"

// The rows of power operations and the parameters of the queries about operations.
//
//nolint:revive // a comment per alias would repeat the names
type (
	PowerOperation             = db.PowerOperation
	PowerEvent                 = db.PowerEvent
	InsertPowerOperationParams = db.InsertPowerOperationParams
	InsertPowerEventParams     = db.InsertPowerEventParams
	SetPowerStateParams        = db.SetPowerStateParams
	OlderUpdatesParams         = db.OlderUpdatesParams
	OlderPowerOperationsParams = db.OlderPowerOperationsParams
	CountOperationsParams      = db.CountOperationsParams
)
