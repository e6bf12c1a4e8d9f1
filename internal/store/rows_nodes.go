package store

import "github.com/lockstep-cvm/lockstep/internal/store/internal/db"

// The rows of nodes and the parameters of their queries.
//
//nolint:revive // a comment per alias would repeat the names
type (
	Node                = db.Node
	NodeHealth          = db.NodeHealth
	NodeUse             = db.UsageByNodeRow
	InsertNodeParams    = db.InsertNodeParams
	PutNodeHealthParams = db.PutNodeHealthParams
	SetNodeStateParams  = db.SetNodeStateParams
)
