package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Writes are written as if they came one after the other. On a database with many writers it makes them so:
// it ends one of two transactions that would have seen otherwise, and that one is carried out again.

const (
	// transactionTimeout bounds one transaction: a connection that is gone without a word must not keep its callers.
	transactionTimeout = 30 * time.Second
	// patience is how long a write may wait and be carried out again. Clients do not wait for longer.
	patience = 30 * time.Second
	// takeTurn waits until no other transaction has the turn. It must not have a snapshot before it has waited, so
	// it is no query; the lock is one that stands in nobody's way but its own, and ends with the transaction.
	takeTurn = `LOCK TABLE goose_db_version IN SHARE UPDATE EXCLUSIVE MODE`
)

// serializable gives transactions on a database with other processes.
func serializable(write *sql.DB, twin func(error) bool) transactions {
	return transactions{
		begin: func(ctx context.Context, turn bool) (*sql.Tx, error) {
			tx, err := write.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
			if err != nil || !turn {
				return tx, err
			}
			if _, err := tx.ExecContext(ctx, takeTurn); err != nil {
				return nil, errors.Join(err, tx.Rollback())
			}
			return tx, nil
		},
		lost:     lostToAnother,
		twin:     twin,
		timeout:  transactionTimeout,
		patience: patience,
	}
}

// exclusive gives transactions on a database that has one writer.
func exclusive(write *sql.DB) transactions {
	never := func(error) bool { return false }
	return transactions{
		begin: func(ctx context.Context, _ bool) (*sql.Tx, error) { return write.BeginTx(ctx, nil) },
		lost:  never,
		twin:  never,
	}
}
