package store

import (
	"context"
	"errors"
	"fmt"
)

// Rehearse makes every write happen twice from now on: it is carried out, undone and carried out again, as
// PostgreSQL does it to one of two writes that meet. Tests turn it on, to catch a write that keeps something
// of its first go in memory. It comes before the first write.
func (s *Store) Rehearse() { s.writer = rehearsal{s.writer} }

type rehearsal struct{ writer }

func (r rehearsal) write(ctx context.Context, f func(context.Context, *Tx) error) error {
	return r.writer.write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.SQL.ExecContext(ctx, "SAVEPOINT rehearsal"); err != nil {
			return fmt.Errorf("store: savepoint: %w", err)
		}
		_ = f(ctx, tx) // the second go counts
		_, undo := tx.SQL.ExecContext(ctx, "ROLLBACK TO SAVEPOINT rehearsal")
		_, release := tx.SQL.ExecContext(ctx, "RELEASE SAVEPOINT rehearsal")
		if err := errors.Join(undo, release); err != nil {
			return fmt.Errorf("store: undo a rehearsal: %w", err)
		}
		return f(ctx, tx)
	})
}
