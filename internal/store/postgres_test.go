package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// addToNonce reads and writes in two steps, as the code above does.
func addToNonce(ctx context.Context, tx *Tx, between func()) error {
	row, err := tx.GetWorkspaceBySlug(ctx, "a")
	if err != nil {
		return err
	}
	between()
	return tx.SetWorkspaceNonce(ctx, row.ID, row.NextNonce+1)
}

func nonce(t *testing.T, s *Store) int64 {
	t.Helper()
	row, err := s.Read().GetWorkspaceBySlug(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	return row.NextNonce
}

// TestWritesHappenOneAfterTheOther has writers that would lose each other's work if any saw the same row.
func TestWritesHappenOneAfterTheOther(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		if err := insert(t, s, "a"); err != nil {
			t.Fatal(err)
		}
		const writers, each = 8, 5
		var group sync.WaitGroup
		for range writers {
			group.Go(func() {
				for range each {
					if err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error { return addToNonce(ctx, tx, func() {}) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		if got := nonce(t, s); got != writers*each {
			t.Errorf("the sum is %d, want %d", got, writers*each)
		}
	})
}

// TestWriteThatLostIsCarriedOutAgain lets a write of another process in between the read and the write of one.
func TestWriteThatLostIsCarriedOutAgain(t *testing.T) {
	databaseURL := storetest.Postgres(t)
	s, other := open(t, databaseURL), open(t, databaseURL)
	defer s.Close()
	defer other.Close()
	if err := insert(t, s, "a"); err != nil {
		t.Fatal(err)
	}
	goes := 0
	err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
		goes++
		return addToNonce(ctx, tx, func() {
			if goes > 1 {
				return
			}
			if err := other.Write(ctx, func(ctx context.Context, tx *Tx) error { return addToNonce(ctx, tx, func() {}) }); err != nil {
				t.Error(err)
			}
		})
	})
	if err != nil || goes != 2 || nonce(t, s) != 2 {
		t.Errorf("error %v after %d goes, sum %d; want two goes and both counted", err, goes, nonce(t, s))
	}
}

// TestRowOfAnotherWriteIsFound has writes of two processes that make the same row when it is not there.
func TestRowOfAnotherWriteIsFound(t *testing.T) {
	databaseURL := storetest.Postgres(t)
	s, other := open(t, databaseURL), open(t, databaseURL)
	defer s.Close()
	defer other.Close()
	goes := 0
	err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
		goes++
		_, err := tx.GetWorkspaceBySlug(ctx, "a")
		if !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := insert(t, other, "a"); err != nil {
			t.Error(err)
		}
		return tx.InsertWorkspace(ctx, workspace("a"))
	})
	if err != nil || goes != 2 {
		t.Errorf("error %v after %d goes, want the row found in the second", err, goes)
	}
}

// TestLostConnections ends every connection of the store, one of them in the middle of a write.
func TestLostConnections(t *testing.T) {
	databaseURL := storetest.Postgres(t)
	s := open(t, databaseURL)
	defer s.Close()
	cut := func() {
		storetest.Execute(t, databaseURL, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	}
	err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
		if err := tx.InsertWorkspace(ctx, workspace("a")); err != nil {
			return err
		}
		cut()
		return tx.InsertWorkspace(ctx, workspace("b"))
	})
	if err == nil {
		t.Error("a write whose connection was cut in the middle succeeded")
	}
	for _, try := range []func() error{
		func() error { return insert(t, s, "c") },
		func() error { return s.Ping(t.Context()) },
	} {
		var err error
		for range connections + 1 { // each dead connection of the pool may fail once
			if err = try(); err == nil {
				break
			}
		}
		if err != nil {
			t.Errorf("the store did not recover: %v", err)
		}
	}
	if got := slugs(t, s); got != "c" {
		t.Errorf("rows %q, want nothing of the write that was cut", got)
	}
}

func TestUnreachablePostgres(t *testing.T) {
	const url = "postgres://user:secret@127.0.0.1:1/db?connect_timeout=2"
	_, err := Open(t.Context(), url)
	if err == nil || !strings.Contains(err.Error(), "open postgres") || strings.Contains(err.Error(), "secret") {
		t.Errorf("Open = %v, want an error that names what failed and keeps the password", err)
	}
}

// TestServersThatStartAtOnce migrate one after the other.
func TestServersThatStartAtOnce(t *testing.T) {
	databaseURL := storetest.Postgres(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			s, err := Open(t.Context(), databaseURL)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}
