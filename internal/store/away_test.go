package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

func TestAway(t *testing.T) {
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{io.EOF, false},
		{ErrNotFound, false},
		{errors.New("a fault"), false},
		{context.Canceled, false},
		{fmt.Errorf("store: %w", context.DeadlineExceeded), true},
		{fmt.Errorf("%w; its last transaction: %w", errPatience, &pgconn.PgError{Code: serializationFailure}), true},
		{&net.OpError{Op: "read", Err: errors.New("connection reset")}, true},
		{&pgconn.PgError{Code: "08006"}, true},
		{&pgconn.PgError{Code: "57P01"}, true},
		{&pgconn.PgError{Code: uniqueViolation}, false},
		{&pgconn.PgError{Code: undefinedTable}, false},
	} {
		if got := Away(test.err); got != test.want {
			t.Errorf("Away(%v) = %t, want %t", test.err, got, test.want)
		}
	}
}

// TestDatabaseThatIsCutOff is away for reads and writes, also for a write under way, and then back.
func TestDatabaseThatIsCutOff(t *testing.T) {
	databaseURL, link := storetest.CutPostgres(t)
	s := open(t, databaseURL)
	defer s.Close()
	err := s.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
		if err := tx.InsertWorkspace(ctx, workspace("a")); err != nil {
			return err
		}
		link.Cut()
		return tx.InsertWorkspace(ctx, workspace("b"))
	})
	if !Away(err) {
		t.Errorf("write under way: %v, want the database away", err)
	}
	for range 2 {
		if err := insert(t, s, "a"); !Away(err) {
			t.Errorf("write: %v, want the database away", err)
		}
		if _, err := s.Read().ListWorkspaces(t.Context()); !Away(err) {
			t.Errorf("read: %v, want the database away", err)
		}
	}
	link.Mend()
	for range connections + 1 { // each dead connection of the pool may fail once
		if err = insert(t, s, "a"); err == nil {
			break
		}
	}
	if err != nil {
		t.Errorf("write after it came back: %v", err)
	}
	if err := insert(t, s, "a"); !errors.Is(err, ErrDuplicate) || Away(err) {
		t.Errorf("the same row again: %v, want ErrDuplicate, and the database not away", err)
	}
}
