package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// batchOf makes a batch for a test that carries it out itself.
func batchOf(ctx context.Context, fs ...func(context.Context, *Tx) error) []*write {
	batch := make([]*write, len(fs))
	for i, f := range fs {
		batch[i] = &write{ctx: ctx, f: f, done: make(chan struct{})}
	}
	return batch
}

func groupOf(t *testing.T, s *Store) *group {
	t.Helper()
	g, ok := s.writer.(*group)
	if !ok {
		t.Fatalf("writer is %T, want a group", s.writer)
	}
	return g
}

// TestWriteOfAGroupFailsAlone has a batch in which some fail, one of them in a statement.
func TestWriteOfAGroupFailsAlone(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		refused := errors.New("refused")
		batch := batchOf(t.Context(),
			func(ctx context.Context, tx *Tx) error { return tx.InsertWorkspace(ctx, workspace("a")) },
			func(ctx context.Context, tx *Tx) error {
				return errors.Join(tx.InsertWorkspace(ctx, workspace("b")), refused)
			},
			func(ctx context.Context, tx *Tx) error { return tx.InsertWorkspace(ctx, workspace("a")) },
			func(context.Context, *Tx) error { panic("a fault") },
			func(ctx context.Context, tx *Tx) error { return tx.InsertWorkspace(ctx, workspace("c")) },
		)
		g := groupOf(t, s)
		for left := batch; len(left) > 0; {
			if lost := g.commit(left, false); lost {
				t.Fatal("the transaction was lost, and there is no other")
			}
			var again []*write
			for _, w := range left {
				if w.again {
					again = append(again, w)
				}
			}
			left = again
		}
		if got := slugs(t, s); got != "a c" {
			t.Errorf("rows %q, want those of the writes that did not fail", got)
		}
		if batch[0].err != nil || batch[4].err != nil || !errors.Is(batch[1].err, refused) || !s.engine.isDuplicate(batch[2].err) || batch[3].panics != "a fault" {
			t.Errorf("errors %v, %v, %v, %v, %v", batch[0].err, batch[1].err, batch[2].err, batch[3].panics, batch[4].err)
		}
	})
}

// TestWriteThatGoesOnAfterAFailedStatement fails on PostgreSQL, which undoes the statements before as well.
func TestWriteThatGoesOnAfterAFailedStatement(t *testing.T) {
	s := open(t, storetest.Postgres(t))
	defer s.Close()
	if err := insert(t, s, "a"); err != nil {
		t.Fatal(err)
	}
	batch := batchOf(t.Context(),
		func(ctx context.Context, tx *Tx) error {
			err := errors.Join(tx.InsertWorkspace(ctx, workspace("b")), tx.InsertWorkspace(ctx, workspace("a")))
			if err == nil {
				return errors.New("the row was not there")
			}
			return nil
		},
		func(ctx context.Context, tx *Tx) error { return tx.InsertWorkspace(ctx, workspace("c")) },
	)
	groupOf(t, s).commit(batch, false)
	if got := slugs(t, s); got != "a c" || batch[0].err == nil || batch[1].err != nil {
		t.Errorf("rows %q, errors %v and %v; want the first one told that it failed, and nothing of it", got, batch[0].err, batch[1].err)
	}
}

// TestLostGroupIsCarriedOutAgain lets a write of another process in between. A write that was refused for what
// was undone is asked again.
func TestLostGroupIsCarriedOutAgain(t *testing.T) {
	databaseURL := storetest.Postgres(t)
	s, other := open(t, databaseURL), open(t, databaseURL)
	defer s.Close()
	defer other.Close()
	if err := insert(t, s, "a"); err != nil {
		t.Fatal(err)
	}
	taken := errors.New("taken")
	ctx, giveUp := context.WithCancelCause(t.Context())
	goes := 0
	batch := batchOf(t.Context(),
		func(ctx context.Context, tx *Tx) error {
			goes++
			if goes > 1 {
				return nil // it finds that somebody else did it
			}
			return tx.InsertWorkspace(ctx, workspace("b"))
		},
		func(ctx context.Context, tx *Tx) error {
			if _, err := tx.GetWorkspaceBySlug(ctx, "b"); err == nil {
				return taken
			}
			return tx.InsertWorkspace(ctx, workspace("c"))
		},
		func(ctx context.Context, tx *Tx) error {
			return addToNonce(ctx, tx, func() {
				if goes > 1 {
					return
				}
				giveUp(errPatience)
				if err := other.Write(ctx, func(ctx context.Context, tx *Tx) error { return addToNonce(ctx, tx, func() {}) }); err != nil {
					t.Error(err)
				}
			})
		},
	)
	impatient := batchOf(ctx, func(context.Context, *Tx) error { return nil })[0]
	g := groupOf(t, s)
	if lost := g.commit(append(batch, impatient), false); !lost {
		t.Error("the transaction was not lost")
	}
	if got := slugs(t, s); got != "a" {
		t.Errorf("rows %q after the transaction was lost", got)
	}
	for i, w := range batch {
		if !w.again || w.err != nil {
			t.Errorf("write %d: again %t, error %v; want it carried out again", i, w.again, w.err)
		}
	}
	if impatient.again || !errors.Is(impatient.err, errPatience) || !lostToAnother(impatient.err) {
		t.Errorf("write that waited for too long: again %t, error %v; want it told why", impatient.again, impatient.err)
	}
	if lost := g.commit(batch, true); lost {
		t.Error("the transaction was lost again")
	}
	if got := slugs(t, s); got != "a c" || nonce(t, s) != 2 || batch[1].err != nil {
		t.Errorf("rows %q, sum %d, error %v; want both sums, and the second write taken although it was refused at first", got, nonce(t, s), batch[1].err)
	}
}

// TestManyWritersOfManyProcesses all change one row. None may be given up for that.
func TestManyWritersOfManyProcesses(t *testing.T) {
	const processes, writers, each = 3, 40, 3
	databaseURL := storetest.Postgres(t)
	first := open(t, databaseURL)
	defer first.Close()
	if err := insert(t, first, "a"); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for process := range processes {
		s := open(t, databaseURL)
		defer s.Close()
		for writer := range writers {
			group.Go(func() {
				for i := range each {
					if err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
						if err := addToNonce(ctx, tx, func() {}); err != nil {
							return err
						}
						return tx.InsertWorkspace(ctx, workspace(fmt.Sprintf("w-%d-%d-%d", process, writer, i)))
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	group.Wait()
	if got := nonce(t, first); got != processes*writers*each {
		t.Errorf("the sum is %d, want %d", got, processes*writers*each)
	}
}
