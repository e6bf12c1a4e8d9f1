package store

import (
	"context"
	"database/sql"
	"fmt"
)

// group commits the writes of several callers together. A commit waits for the disk, and SQLite has one
// writer: with a commit each, callers would queue for the disk. Whoever comes while a commit is under way
// shares the next one. Nobody waits for others to come, and nobody is told before the disk has it all.
//
// Each write has a savepoint: one that fails is undone alone.
type group struct {
	begin  func(context.Context) (*sql.Tx, error)
	wrap   func(*sql.Tx) *Tx
	writes chan *write
	done   chan struct{}
}

// write is one caller's part of a transaction.
type write struct {
	ctx    context.Context
	f      func(context.Context, *Tx) error
	err    error
	panics any // what f panicked with; the caller panics with it again
	done   chan struct{}
}

// maxGroup bounds how much one commit takes on, so that the first of a group is not kept waiting.
const maxGroup = 64

func newGroup(begin func(context.Context) (*sql.Tx, error), wrap func(*sql.Tx) *Tx) *group {
	g := &group{begin: begin, wrap: wrap, writes: make(chan *write), done: make(chan struct{})}
	go g.run()
	return g
}

// close ends the group. No write may come after it.
func (g *group) close() {
	close(g.writes)
	<-g.done
}

// write carries out f and returns when it is on disk, or has failed.
func (g *group) write(ctx context.Context, f func(context.Context, *Tx) error) error {
	w := &write{ctx: ctx, f: f, done: make(chan struct{})}
	select {
	case g.writes <- w:
	case <-ctx.Done():
		return ctx.Err()
	}
	<-w.done // from here on it happens whole or not at all, and the caller must know which
	if w.panics != nil {
		panic(w.panics)
	}
	return w.err
}

func (g *group) run() {
	defer close(g.done)
	for first := range g.writes {
		batch := []*write{first}
	more:
		for len(batch) < maxGroup {
			select {
			case w, ok := <-g.writes:
				if !ok {
					break more
				}
				batch = append(batch, w)
			default:
				break more
			}
		}
		g.commit(batch)
		for _, w := range batch {
			close(w.done)
		}
	}
}

// commit carries out a batch in one transaction and sets the error of each.
func (g *group) commit(batch []*write) {
	// The transaction belongs to several callers: the end of one caller's context must not end it.
	ctx := context.Background()
	tx, err := g.begin(ctx)
	if err != nil {
		fail(batch, fmt.Errorf("store: begin: %w", err))
		return
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	good := make([]*write, 0, len(batch))
	for _, w := range batch {
		if w.err = w.ctx.Err(); w.err != nil {
			continue
		}
		if err := g.one(ctx, tx, w); err != nil {
			fail(batch, err) // the transaction itself is broken
			return
		}
		if w.err == nil && w.panics == nil {
			good = append(good, w)
		}
	}
	if err := tx.Commit(); err != nil {
		fail(good, fmt.Errorf("store: commit: %w", err))
	}
}

// one carries out one write inside a savepoint. The error is one of the transaction, not of the write.
func (g *group) one(ctx context.Context, tx *sql.Tx, w *write) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT one_write"); err != nil {
		return fmt.Errorf("store: savepoint: %w", err)
	}
	w.carryOut(g.wrap(tx))
	if w.err != nil || w.panics != nil {
		if _, err := tx.ExecContext(ctx, "ROLLBACK TO one_write"); err != nil {
			return fmt.Errorf("store: undo a write: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, "RELEASE one_write"); err != nil {
		return fmt.Errorf("store: release savepoint: %w", err)
	}
	return nil
}

// carryOut calls the function of the caller. It gets a context that does not end: an interrupted
// statement would undo the whole transaction, others' writes included.
func (w *write) carryOut(tx *Tx) {
	defer func() { w.panics = recover() }()
	w.err = w.f(context.WithoutCancel(w.ctx), tx)
}

func fail(batch []*write, err error) {
	for _, w := range batch {
		if w.err == nil {
			w.err = err
		}
	}
}
