package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/lockstep-cvm/lockstep/internal/postgrestest"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// The databases that a run can be on.
const (
	sqlite   = "sqlite"
	postgres = "postgres"
)

// database is where the servers keep everything.
type database struct {
	url    string
	db     *store.Store // opened beside the servers, to read what became of the updates
	behind *url.URL     // of PostgreSQL; nil with SQLite
}

func (w *world) buildDatabase(ctx context.Context) error {
	if w.options.database == sqlite {
		w.database.url = "sqlite:" + filepath.Join(w.dir, "lockstep.db")
		return nil
	}
	raw := w.options.postgresURL
	if raw == "" {
		private, err := postgrestest.Start(ctx, postgrestest.Options{TCP: true, Durable: true})
		if err != nil {
			return err
		}
		w.closers = append(w.closers, private.Close)
		raw = private.URL
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "postgres") {
		return errors.New("-postgres-url: want postgres://USER@HOST:PORT/DATABASE")
	}
	w.database.url, w.database.behind = raw, u
	return nil
}

// urlFor is the database as one server reaches it: PostgreSQL through a proxy of its own, whose connections can
// be cut.
func (w *world) urlFor(ctx context.Context, s *server) (string, error) {
	if w.database.behind == nil {
		return w.database.url, nil
	}
	cuts, err := newProxy(ctx, dialTCP(w.database.behind.Host))
	if err != nil {
		return "", err
	}
	w.closers = append(w.closers, cuts.close)
	s.database = cuts
	through := *w.database.behind
	through.Host = cuts.address()
	return through.String(), nil
}

// openDatabase opens the database to read in it. The servers have made its tables by then.
func (w *world) openDatabase(ctx context.Context) error {
	db, err := store.Open(ctx, w.database.url)
	if err != nil {
		return fmt.Errorf("open database beside the servers: %w", err)
	}
	w.database.db = db
	w.closers = append(w.closers, db.Close)
	return nil
}

// updates reads every update.
func (w *world) updates(ctx context.Context) (all []store.Update, err error) {
	after := ""
	for {
		page, err := w.database.db.Read().PageUpdates(ctx, after, 1000)
		if err != nil || len(page) == 0 {
			return all, err
		}
		all, after = append(all, page...), page[len(page)-1].ID
	}
}

// steps reads every step that every update took, in order.
func (w *world) steps(ctx context.Context) (map[string][]store.UpdateEvent, error) {
	all := map[string][]store.UpdateEvent{}
	updates, err := w.updates(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range updates {
		if all[u.ID], err = w.database.db.Read().ListUpdateEvents(ctx, u.ID); err != nil {
			return nil, err
		}
	}
	return all, nil
}
