package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// group commits the writes of several callers together. A commit waits for the disk, and writes that touch one
// row take turns: with a commit each, callers would queue for the disk and stand in each other's way. Whoever
// comes while a commit is under way shares the next one. Nobody waits for others to come, and nobody is told
// before the disk has it all.
//
// Each write has a savepoint: one that fails is undone alone. A transaction that loses to one of another
// process is carried out again with all its writes.
type group struct {
	engine transactions
	wrap   func(*sql.Tx) *Tx
	writes chan *write
	done   chan struct{}
}

// transactions is what differs between engines in how a group works.
type transactions struct {
	// begin begins a transaction. With turn set it first waits for its turn among all processes that write to
	// the database with turn set.
	begin func(ctx context.Context, turn bool) (*sql.Tx, error)
	lost  func(error) bool // to a transaction of another process
	twin  func(error) bool // a unique index is broken, maybe by a row that could not be seen yet
	// timeout bounds a transaction, where a connection can be gone without a word. 0: none.
	timeout time.Duration
	// patience bounds how long a write may wait, and be carried out again and again. 0: as long as its context.
	patience time.Duration
}

// write is one caller's part of a transaction.
type write struct {
	ctx    context.Context
	f      func(context.Context, *Tx) error
	err    error
	panics any  // what f panicked with; the caller panics with it again
	again  bool // to be carried out again
	twins  int  // how often a unique index was broken
	done   chan struct{}
}

const (
	// maxGroup bounds how much one commit takes on, so that the first of a group is not kept waiting.
	maxGroup = 64
	// maxBackoff is the longest time between two goes of a transaction.
	maxBackoff = 100 * time.Millisecond
)

// errPatience is why a write is given up whose turn does not come. The database may answer, but not in time.
var errPatience = errors.New("store: the database has too much to do, or does not answer")

func newGroup(engine transactions, wrap func(*sql.Tx) *Tx) *group {
	g := &group{engine: engine, wrap: wrap, writes: make(chan *write), done: make(chan struct{})}
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
	if g.engine.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, g.engine.patience, errPatience)
		defer cancel()
	}
	w := &write{ctx: ctx, f: f, done: make(chan struct{})}
	select {
	case g.writes <- w:
	case <-ctx.Done():
		return ended(ctx)
	}
	<-w.done // from here on it happens whole or not at all, and the caller must know which
	if w.panics != nil {
		panic(w.panics)
	}
	return w.err
}

func (g *group) run() {
	defer close(g.done)
	var left []*write // of the last batch, to be carried out again
	for losses := 0; ; {
		batch := g.gather(left)
		if len(batch) == 0 {
			return
		}
		lost := g.commit(batch, losses > 0)
		left = nil
		for _, w := range batch {
			if w.again {
				left = append(left, w)
				continue
			}
			close(w.done)
		}
		if !lost {
			losses = 0
			continue
		}
		// The turn keeps apart the processes that lost. Some distance to the others does no harm.
		backoff := rand.N(min(time.Millisecond<<min(losses, 10), maxBackoff)) //nolint:gosec // spreads goes, guards nothing
		_ = sleep(context.Background(), backoff)                              // its error is that of the context
		losses++
	}
}

// gather takes the writes that wait now, and waits for one if there is none. It gives none once the group is
// closed.
func (g *group) gather(batch []*write) []*write {
	if len(batch) == 0 {
		first, ok := <-g.writes
		if !ok {
			return nil
		}
		batch = append(batch, first)
	}
	for len(batch) < maxGroup {
		select {
		case w, ok := <-g.writes:
			if !ok {
				return batch
			}
			batch = append(batch, w)
		default:
			return batch
		}
	}
	return batch
}

// commit carries out a batch in one transaction. It sets of each write the error, or that it is to be carried
// out again, and reports whether the transaction was lost to another one.
func (g *group) commit(batch []*write, turn bool) (lost bool) {
	// The transaction belongs to several callers: the end of one caller's context must not end it.
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if g.engine.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, g.engine.timeout)
	}
	defer cancel()
	alone := len(batch) == 1
	// Two transactions that each change many rows would wait for each other, so they take turns.
	tx, err := g.engine.begin(ctx, turn || !alone)
	if err != nil {
		fail(batch, fmt.Errorf("store: begin: %w", err))
		return false
	}
	defer func() { _ = tx.Rollback() }() // after a commit it does nothing
	good := make([]*write, 0, len(batch))
	for _, w := range batch {
		if w.again, w.err = false, ended(w.ctx); w.err != nil {
			continue
		}
		if err := g.one(ctx, tx, w, alone); err != nil {
			fail(batch, err) // the transaction itself is broken
			return false
		}
		switch {
		case w.panics != nil:
		case w.err == nil:
			good = append(good, w)
		case g.engine.lost(w.err):
			goAgain(batch, w.err)
			return true
		case w.twins == 0 && g.engine.twin(w.err):
			w.twins, w.again, w.err = 1, true, nil // a second look decides, in a transaction that sees more
		}
	}
	if len(good) == 0 {
		return false
	}
	if err := tx.Commit(); g.engine.lost(err) {
		goAgain(batch, err)
		return true
	} else if err != nil {
		fail(good, fmt.Errorf("store: commit: %w", err))
	}
	return false
}

// one carries out one write, inside a savepoint if there are others. The error is one of the transaction, not
// of the write.
func (g *group) one(ctx context.Context, tx *sql.Tx, w *write, alone bool) error {
	if alone {
		w.carryOut(ctx, g.wrap(tx))
		return nil
	}
	if _, err := tx.ExecContext(ctx, "SAVEPOINT one_write"); err != nil {
		return fmt.Errorf("store: savepoint: %w", err)
	}
	w.carryOut(ctx, g.wrap(tx))
	if w.err == nil && w.panics == nil {
		_, err := tx.ExecContext(ctx, "RELEASE one_write")
		if err == nil {
			return nil
		}
		w.err = fmt.Errorf("store: release savepoint: %w", err) // it went on after a statement that failed
	}
	if g.engine.lost(w.err) {
		return nil // nothing of the transaction is of use any more
	}
	for _, statement := range []string{"ROLLBACK TO one_write", "RELEASE one_write"} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("store: undo a write: %w", err)
		}
	}
	return nil
}

// carryOut calls the function of the caller. Its context does not end with that of the caller: an interrupted
// statement would undo the whole transaction, others' writes included. It ends with the time of the transaction.
func (w *write) carryOut(ctx context.Context, tx *Tx) {
	own := context.WithoutCancel(w.ctx)
	if end, bounded := ctx.Deadline(); bounded {
		var cancel context.CancelFunc
		own, cancel = context.WithDeadline(own, end)
		defer cancel()
	}
	defer func() { w.panics = recover() }()
	w.err = w.f(own, tx)
}

func fail(batch []*write, err error) {
	for _, w := range batch {
		w.again = false
		if w.err == nil {
			w.err = err
		}
	}
}

// goAgain has a batch carried out again whose transaction was lost, also what failed in it: it may have failed
// for what another one of the batch did, which did not happen. Callers who are gone, or wait for too long, are
// told why.
func goAgain(batch []*write, why error) {
	for _, w := range batch {
		w.again, w.err, w.panics = true, nil, nil
		if gone := ended(w.ctx); gone != nil {
			w.again, w.err = false, fmt.Errorf("%w; its last transaction: %w", gone, why)
		}
	}
}

// ended is why a write is given up, if it is.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, errPatience) {
		return cause
	}
	return ctx.Err()
}
