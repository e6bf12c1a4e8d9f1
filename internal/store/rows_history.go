package store

import "github.com/lockstep-cvm/lockstep/internal/store/internal/db"

// The rows of histories, revisions and idempotency keys, and the parameters of their queries.
//
//nolint:revive // a comment per alias would repeat the names
type (
	History                    = db.History
	HistoryEntry               = db.HistoryEntry
	UnrecordedEvent            = db.ListUnrecordedEventsRow
	RevisionWithOrigin         = db.ListRevisionsRow
	IdempotencyKey             = db.IdempotencyKey
	InsertHistoryEntryParams   = db.InsertHistoryEntryParams
	ListHistoryEntriesParams   = db.ListHistoryEntriesParams
	InsertIdempotencyKeyParams = db.InsertIdempotencyKeyParams
	LeaseIdempotencyKeyParams  = db.LeaseIdempotencyKeyParams
	AnswerIdempotencyKeyParams = db.AnswerIdempotencyKeyParams
	SetIdempotencyResultParams = db.SetIdempotencyResultParams
)
