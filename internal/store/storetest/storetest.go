// Package storetest gives tests databases to work on, of each engine that the store has. For PostgreSQL it
// uses the server at LOCKSTEP_TEST_POSTGRES_URL, or starts one of its own from the programs that are
// installed; each test gets a database of its own on it.
package storetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lockstep-cvm/lockstep/internal/postgrestest"
)

// EnvURL names the variable with the URL of a PostgreSQL whose user may create databases.
const EnvURL = "LOCKSTEP_TEST_POSTGRES_URL"

// Main runs the tests of a package and stops what they started. It is called from TestMain.
func Main(m *testing.M) { os.Exit(Runner(m).Run()) }

// Runner is what Main runs, for a TestMain that has something else to do as well.
func Runner(m interface{ Run() int }) interface{ Run() int } { return runner{m} }

type runner struct{ tests interface{ Run() int } }

// Run implements the part of testing.M that counts.
func (r runner) Run() int {
	shared.mu.Lock()
	shared.stops = true
	shared.mu.Unlock()
	code := r.tests.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the PostgreSQL of the tests:", err)
		return max(code, 1)
	}
	return code
}

// Each runs a test on a new database of each engine. f gets the URL.
func Each(t *testing.T, f func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { f(t, Postgres(t)) })
}

// SQLite is the URL of a new SQLite database.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "lockstep.db")
}

// Postgres is the URL of a new PostgreSQL database, which goes with the test. Where no PostgreSQL can be
// had the test is skipped, and says so.
func Postgres(t testing.TB) string {
	t.Helper()
	server, err := shared.start()
	if err != nil {
		t.Fatalf("start a PostgreSQL: %v", err)
	}
	if server == nil {
		t.Skipf("NOT TESTED on PostgreSQL: %s is not set, and %v", EnvURL, postgrestest.ErrNotInstalled)
	}
	name := "lockstep_" + random(t)
	if err := onServer(server.url, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create a database: %v", err)
	}
	t.Cleanup(func() {
		if err := onServer(server.url, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the database: %v", err)
		}
	})
	u, err := url.Parse(server.url)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// Execute carries out statements on a PostgreSQL database, past the store.
func Execute(t testing.TB, databaseURL string, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := onServer(databaseURL, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func random(t testing.TB) string {
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

// onServer carries out one statement outside a transaction.
func onServer(serverURL, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, serverURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) // the statement is what counts
	_, err = conn.Exec(ctx, statement)
	return err
}

// shared is the PostgreSQL of this process.
var shared server

// server is started with the first test that needs it.
type server struct {
	mu      sync.Mutex
	stops   bool // Run will stop it
	tried   bool
	found   *running
	failure error
}

// running is a PostgreSQL server.
type running struct {
	url  string // of a database on it, to create others from
	stop func() error
}

// start returns the server, or nil when there is none to be had.
func (s *server) start() (*running, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tried {
		return s.found, s.failure
	}
	s.tried = true
	if given := os.Getenv(EnvURL); given != "" {
		s.found = &running{url: given, stop: func() error { return nil }}
		return s.found, nil
	}
	if !s.stops {
		s.failure = fmt.Errorf("nobody would stop it: TestMain of the package must call storetest.Main")
		return nil, s.failure
	}
	cluster, err := postgrestest.Start(context.Background(), postgrestest.Options{})
	switch {
	case errors.Is(err, postgrestest.ErrNotInstalled):
		return nil, nil //nolint:nilnil // "none to be had" is an answer here, and the caller handles it
	case err != nil:
		s.failure = err
	default:
		s.found = &running{url: cluster.URL, stop: cluster.Close}
	}
	return s.found, s.failure
}

func (s *server) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found == nil {
		return nil
	}
	return s.found.stop()
}
