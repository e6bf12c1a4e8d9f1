package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

func TestLeases(t *testing.T) {
	s := open(t, storetest.Postgres(t))
	defer s.Close()
	l := s.Leases()
	ctx := t.Context()
	claim := func(server, subject string, want bool) {
		t.Helper()
		if got, err := l.Claim(ctx, server, subject); err != nil || got != want {
			t.Errorf("Claim(%s, %s) = %v, %v; want %v", server, subject, got, err, want)
		}
	}
	servers := func(want string) {
		t.Helper()
		if got, err := l.Servers(ctx); err != nil || strings.Join(got, " ") != want {
			t.Errorf("servers = %v, %v; want %s", got, err, want)
		}
	}
	if err := errors.Join(l.Join(ctx, "a", time.Hour), l.Join(ctx, "b", time.Hour), l.Join(ctx, "late", -time.Second)); err != nil {
		t.Fatal(err)
	}
	servers("a b")
	claim("a", "update", true)
	claim("a", "update", true) // again is the same
	claim("b", "update", false)
	claim("late", "other", false)   // its lease is over
	claim("nobody", "other", false) // it never joined
	if err := l.Release(ctx, "b", "update"); err != nil {
		t.Fatal(err)
	}
	claim("b", "update", false) // only the owner gives it back
	if err := l.Release(ctx, "a", "update"); err != nil {
		t.Fatal(err)
	}
	claim("b", "update", true)
	for server, want := range map[string]bool{"a": true, "late": false, "nobody": false} {
		if got, err := l.Renew(ctx, server, time.Hour); err != nil || got != want {
			t.Errorf("Renew(%s) = %v, %v; want %v", server, got, err, want)
		}
	}
	if gone, err := l.RetireExpired(ctx); err != nil || strings.Join(gone, " ") != "late" {
		t.Errorf("retired %v, %v; want the one whose lease is over", gone, err)
	}
	if err := l.Retire(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	servers("a")
	claim("a", "update", true) // what b had is free
}

func TestSQLiteHasNoLeases(t *testing.T) {
	s := open(t, storetest.SQLite(t))
	defer s.Close()
	if s.Leases() != nil {
		t.Error("a database of one server has leases")
	}
}

// TestChangesAreToldToOthers has one server that follows and one that writes, and cuts the connection.
func TestChangesAreToldToOthers(t *testing.T) {
	databaseURL := storetest.Postgres(t)
	follower, writer := open(t, databaseURL), open(t, databaseURL)
	defer follower.Close()
	defer writer.Close()
	changed, missed := make(chan int64, 100), make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		follower.Follow(ctx, func(id int64) { changed <- id }, func() { missed <- struct{}{} })
	}()
	<-missed // at the start
	var id int64
	err := writer.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
		if err := errors.Join(tx.InsertWorkspace(ctx, workspace("a")),
			tx.InsertApp(ctx, InsertAppParams{AppID: "app", ProjectID: "p", WorkspaceID: "wks_a", KMSID: "k", CreatedAt: noon})); err != nil {
			return err
		}
		row, err := tx.InsertCVM(ctx, InsertCVMParams{HashID: "c", VMUUID: "u", WorkspaceID: "wks_a", AppID: "app", Name: "n", CreatedAt: noon})
		id = row.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := <-changed; got != id {
		t.Errorf("told of CVM %d, want %d", got, id)
	}
	storetest.Execute(t, databaseURL, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'LISTEN lockstep_cvm'`)
	<-missed // whatever happened meanwhile
	if err := writer.Write(t.Context(), func(ctx context.Context, tx *Tx) error {
		return tx.SetCVMState(ctx, SetCVMStateParams{ID: id, Status: "running", UpdatedAt: noon})
	}); err != nil {
		t.Fatal(err)
	}
	if got := <-changed; got != id {
		t.Errorf("told of CVM %d after the connection was cut, want %d", got, id)
	}
	cancel()
	<-ended
}
