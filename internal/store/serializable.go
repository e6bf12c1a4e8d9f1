package store

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"
)

// serializable carries out writes on a database that has many writers. The code above is written as if
// writes came one after the other, and the database makes it so: it ends one of two transactions that
// would have seen otherwise, and that one is carried out again.
type serializable struct {
	db    *sql.DB
	wrap  func(*sql.Tx) *Tx
	again func(error) bool // the transaction lost to another one
	twin  func(error) bool // a unique index is broken
}

const (
	// maxAttempts bounds how often a write is carried out. One that loses so often meets a fault, not a load.
	maxAttempts = 40
	// writeTimeout bounds one attempt: a connection that is gone without a word must not keep its caller.
	writeTimeout = time.Minute
	// maxBackoff is the longest time between two attempts.
	maxBackoff = 100 * time.Millisecond
)

func (w *serializable) close() {}

func (w *serializable) write(ctx context.Context, f func(context.Context, *Tx) error) error {
	var err error
	backoff, twins := time.Millisecond, 0
	for range maxAttempts {
		err = w.once(ctx, f)
		switch {
		case err == nil:
			return nil
		case w.again(err):
		case w.twin(err) && twins == 0:
			// The row may be that of a transaction that this one could not see yet; a second look decides.
			twins++
		default:
			return err
		}
		if err := sleep(ctx, rand.N(backoff)); err != nil { //nolint:gosec // spreads attempts, guards nothing
			return err
		}
		backoff = min(2*backoff, maxBackoff)
	}
	return fmt.Errorf("store: gave up after %d attempts: %w", maxAttempts, err)
}

// once carries out f in one transaction.
func (w *serializable) once(ctx context.Context, f func(context.Context, *Tx) error) error {
	// Waiting for a connection can be given up; what has begun ends whole or not at all.
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("store: connect: %w", err)
	}
	defer conn.Close() // gives it back to the pool, which looks at its state by itself
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return fmt.Errorf("store: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	if err := f(ctx, w.wrap(tx)); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("store: commit: %w", err)
	}
	return nil
}

// sleep waits for d or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
