package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/lockstep-cvm/lockstep/internal/store/internal/db"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// readers is how many queries run beside the one writer that SQLite has.
const readers = 4

type sqliteEngine struct{ path string }

func (e sqliteEngine) name() string { return "sqlite" }

// lock makes sure that one server works on the database: the jobs that it takes over at its start must
// not be those of another one.
func (e sqliteEngine) lock() (unlock func() error, err error) {
	lock := flock.New(e.path + ".lock")
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("store: lock %s: %w", lock.Path(), err)
	}
	if !held {
		return nil, fmt.Errorf("store: another server works on the database %s", e.path)
	}
	return lock.Unlock, nil
}

// open opens one connection that writes and several that only read. SQLite has a single writer;
// giving it a single connection makes writers queue in order instead of failing with "locked".
func (e sqliteEngine) open(ctx context.Context) (*sql.DB, *sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(e.path), 0o700); err != nil {
		return nil, nil, err
	}
	write, err := sql.Open("sqlite", e.dsn("immediate",
		"journal_mode(WAL)", // readers see the last commit while the writer works
		"synchronous(FULL)", // a commit is on disk before anybody is told of it
		"foreign_keys(ON)",
	))
	if err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	write.SetMaxIdleConns(1)
	if err := write.PingContext(ctx); err != nil { // creates the file
		return nil, nil, errors.Join(err, write.Close())
	}
	read, err := sql.Open("sqlite", e.dsn("deferred", "query_only(ON)"))
	if err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return write, read, nil
}

func (e sqliteEngine) dsn(txlock string, pragmas ...string) string {
	// Another process (a CLI that manages keys) may hold the lock for a moment.
	query := url.Values{"_txlock": {txlock}, "_pragma": append([]string{"busy_timeout(10000)"}, pragmas...)}
	return "file:" + (&url.URL{Path: e.path}).EscapedPath() + "?" + query.Encode()
}

func (e sqliteEngine) close() {}

func (e sqliteEngine) leases(*sql.DB) *Leases { return nil }

func (e sqliteEngine) prepare(ctx context.Context, pool *sql.DB) (*Queries, error) {
	return db.Prepare(ctx, pool) // parses every statement once, so that no call does
}

func (e sqliteEngine) within(prepared *Queries, tx *sql.Tx) *Queries { return prepared.WithTx(tx) }

func (e sqliteEngine) writer(write *sql.DB, wrap func(*sql.Tx) *Tx) writer {
	return newGroup(exclusive(write), wrap)
}

func (e sqliteEngine) dialect() (goose.Dialect, embed.FS) {
	return goose.DialectSQLite3, sqliteMigrations
}

func (e sqliteEngine) queueDriver(write *sql.DB) riverdriver.Driver[*sql.Tx] {
	return riversqlite.New(write)
}

// alone needs no lock: each step of a migration is a transaction, and there is one writer.
func (e sqliteEngine) alone(_ context.Context, f func() error) error { return f() }

func (e sqliteEngine) isDuplicate(err error) bool {
	sqliteErr, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return false
	}
	switch sqliteErr.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return true
	default:
		return false
	}
}

// releaseJobs makes jobs available again that a process was working on when it died. An embedded
// database has one server, and it calls this before it works: so whatever is running is not.
func (e sqliteEngine) releaseJobs(ctx context.Context, write *sql.DB) error {
	_, err := write.ExecContext(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running'`)
	return err
}
