package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/store/internal/db"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

// tables counts the tables of a database that are not those of the migrations.
func tables(t *testing.T, s *Store) (n int) {
	t.Helper()
	query := `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'goose%' AND name NOT LIKE 'sqlite%'`
	if s.engine.name() == "postgres" {
		query = `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'`
	}
	if err := s.write.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// connectTest opens a database without a schema.
func connectTest(t *testing.T, databaseURL string) *Store {
	t.Helper()
	s, err := connect(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestMigrationsGoUpAndDown makes sure that each migration can be taken back, and comes again.
func TestMigrationsGoUpAndDown(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		s := connectTest(t, databaseURL)
		schema, err := s.schema()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			before := 0
			for _, source := range schema.ListSources() {
				if _, err := schema.UpTo(t.Context(), source.Version); err != nil {
					t.Fatal(err)
				}
				if n := tables(t, s); n < before {
					t.Fatalf("%d tables after %s, %d before", n, source.Path, before)
				} else {
					before = n
				}
			}
			if before == 0 {
				t.Fatal("no tables after migrating up")
			}
			if err := s.migrateDown(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if n := tables(t, s); n != 0 {
				t.Fatalf("%d tables are left after migrating down", n)
			}
		}
	})
}

func TestBothEnginesHaveTheSameTables(t *testing.T) {
	columns := map[string]string{}
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		s := open(t, databaseURL)
		defer s.Close()
		query := `SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1`
		if s.engine.name() == "postgres" {
			query = `SELECT name FROM (SELECT table_name || '.' || column_name AS name FROM information_schema.columns WHERE table_schema = 'public') c
				ORDER BY name COLLATE "C"`
		}
		rows, err := s.read.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var all []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(name, "river") && !strings.HasPrefix(name, "goose") && !strings.HasPrefix(name, "sqlite") {
				all = append(all, name)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		columns[s.engine.name()] = strings.Join(all, "\n")
	})
	if both := len(columns) == 2; both && columns["sqlite"] != columns["postgres"] {
		t.Errorf("columns differ; sqlite has\n%s\n\npostgres has\n%s", columns["sqlite"], columns["postgres"])
	}
}

// older prepares what a program of before the last migration had: a statement that the schema does not
// know yet is not one of its.
type older struct {
	db.DBTX
	newer int
}

// PrepareContext implements db.DBTX.
func (o *older) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	stmt, err := o.DBTX.PrepareContext(ctx, query)
	if err == nil {
		return stmt, nil
	}
	o.newer++
	return o.DBTX.PrepareContext(ctx, "SELECT 1")
}

// TestMigrationBesideAnOlderServer migrates a database while statements that were prepared before it are
// in use.
func TestMigrationBesideAnOlderServer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		s := connectTest(t, databaseURL)
		schema, err := s.schema()
		if err != nil {
			t.Fatal(err)
		}
		sources := schema.ListSources()
		if _, err := schema.UpTo(t.Context(), sources[len(sources)-2].Version); err != nil {
			t.Fatal(err)
		}
		var pool db.DBTX = s.write
		if s.engine.name() == "postgres" {
			pool = numbered{s.write}
		}
		statements := &older{DBTX: pool}
		queries, err := db.Prepare(t.Context(), statements)
		if err != nil {
			t.Fatal(err)
		}
		defer queries.Close()
		work := func(id string) {
			t.Helper()
			_, listErr := queries.ListOpenUpdates(t.Context())
			_, eventErr := queries.ListUpdateEvents(t.Context(), "none")
			_, cvmErr := queries.FindCVMsByApp(t.Context(), "none")
			row, rowErr := queries.GetWorkspaceBySlug(t.Context(), id)
			if errors.Is(rowErr, ErrNotFound) {
				rowErr = nil
			}
			if err := errors.Join(queries.InsertWorkspace(t.Context(), workspace(id)), listErr, eventErr, cvmErr, rowErr); err != nil {
				t.Fatalf("%s the migration: %v (%+v)", id, err, row)
			}
		}
		work("before")
		if _, err := Migrate(t.Context(), databaseURL); err != nil {
			t.Fatal(err)
		}
		work("after")
		// And the newer program works on what the older one wrote.
		newer := open(t, databaseURL)
		defer newer.Close()
		if got := slugs(t, newer); got != "after before" {
			t.Errorf("rows %q", got)
		}
	})
}

func TestMigrateAndStatus(t *testing.T) {
	storetest.Each(t, func(t *testing.T, databaseURL string) {
		applied := func(all []Migration, err error) (n int) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range all {
				if m.Applied {
					n++
				}
			}
			return n
		}
		if n := applied(Migrations(t.Context(), databaseURL)); n != 0 {
			t.Errorf("%d migrations of a new database are applied", n)
		}
		all, err := Migrate(t.Context(), databaseURL)
		if n := applied(all, err); n == 0 || n != len(all) {
			t.Errorf("%d of %d migrations are applied after Migrate", n, len(all))
		}
		if n := applied(MigrateDown(t.Context(), databaseURL, 1)); n != 1 {
			t.Errorf("%d migrations are applied after going down to 1", n)
		}
		for _, version := range []int64{-1, 99999} {
			if _, err := MigrateDown(t.Context(), databaseURL, version); err == nil || !strings.Contains(err.Error(), "want 0 to") {
				t.Errorf("MigrateDown(%d) = %v, want it refused", version, err)
			}
		}
	})
}

func TestNoWayDownBesideServers(t *testing.T) {
	databaseURL := storetest.Postgres(t)
	s := open(t, databaseURL)
	defer s.Close()
	if err := s.Leases().Join(t.Context(), "srv_one", time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := MigrateDown(t.Context(), databaseURL, 1); err == nil || !strings.Contains(err.Error(), "1 servers work") {
		t.Errorf("MigrateDown = %v, want it refused while a server works", err)
	}
	if err := s.Leases().Retire(t.Context(), "srv_one"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is no table of servers any more
		if _, err := MigrateDown(t.Context(), databaseURL, 1); err != nil {
			t.Error(err)
		}
	}
}

func TestNoWayDownBesideAServer(t *testing.T) {
	databaseURL := storetest.SQLite(t)
	s := open(t, databaseURL)
	defer s.Close()
	unlock, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unlock() }() // the test is over
	if _, err := MigrateDown(t.Context(), databaseURL, 1); err == nil || !strings.Contains(err.Error(), "another server") {
		t.Errorf("MigrateDown = %v, want it refused while a server works", err)
	}
}
