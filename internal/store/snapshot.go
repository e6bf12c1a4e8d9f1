package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Snapshot runs f on the database as it is at one moment, however long f takes and whatever is written
// meanwhile.
func (s *Store) Snapshot(ctx context.Context, f func(context.Context, *Queries) error) error {
	// SQLite's readers have one state for a whole transaction anyway and know no other level.
	var options *sql.TxOptions
	if s.engine.name() != "sqlite" {
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := s.read.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("store: begin snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	return f(ctx, s.engine.within(s.reads, tx))
}
