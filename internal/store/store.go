// Package store keeps what the control plane knows, in SQLite or PostgreSQL behind one interface.
//
// It has no opinion: rows go in and out, transactions either happen whole or not at all, and the two
// rules that must hold whatever the code above does (one open candidate and one rollout per CVM) are
// unique indexes. The SQL is in queries/, kept inside what both engines share, and made into Go by
// sqlc; the tables are in migrations/, one folder an engine.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver"

	"github.com/lockstep-cvm/lockstep/internal/store/internal/db"
)

// The rows of the database. Their meaning is written beside the columns in migrations/.
//
//nolint:revive // a comment per alias would repeat the names
type (
	APIKey      = db.APIKey
	App         = db.App
	CVM         = db.CVM
	Provision   = db.Provision
	Revision    = db.Revision
	Update      = db.Update
	UpdateEvent = db.UpdateEvent
	Workspace   = db.Workspace
)

// KeyWithWorkspace is an API key and the workspace it is bound to.
type KeyWithWorkspace = db.GetAPIKeyByHashRow

// The parameters of queries that take more than three values.
//
//nolint:revive // a comment per alias would repeat the names
type (
	InsertAPIKeyParams            = db.InsertAPIKeyParams
	InsertAppParams               = db.InsertAppParams
	InsertFirstUpdateEventsParams = db.InsertFirstUpdateEventsParams
	InsertCVMParams               = db.InsertCVMParams
	InsertProvisionParams         = db.InsertProvisionParams
	InsertRevisionParams          = db.InsertRevisionParams
	InsertUpdateEventParams       = db.InsertUpdateEventParams
	InsertUpdateParams            = db.InsertUpdateParams
	InsertWorkspaceParams         = db.InsertWorkspaceParams
	SetCVMStateParams             = db.SetCVMStateParams
	SetUpdateNoteParams           = db.SetUpdateNoteParams
	SetUpdateStateParams          = db.SetUpdateStateParams
)

// ErrNotFound is returned by queries for one row that is not there.
var ErrNotFound = sql.ErrNoRows

// ErrDuplicate wraps the violation of a unique index.
var ErrDuplicate = errors.New("store: row exists already")

// Queries are the statements of queries/, inside or outside a transaction.
type Queries = db.Queries

// Tx is a write transaction: the queries, and the transaction itself for the job queue, whose rows
// must be written together with the state they follow.
type Tx struct {
	*Queries
	SQL *sql.Tx
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	engine engine
	write  *sql.DB
	read   *sql.DB
	writer writer
	writes *Queries // on write
	reads  *Queries // on read
}

// engine is what differs between SQLite and PostgreSQL.
type engine interface {
	name() string
	open(ctx context.Context) (write, read *sql.DB, err error)
	close()
	// prepare makes the queries of a pool, and within those of a transaction from them.
	prepare(ctx context.Context, pool *sql.DB) (*Queries, error)
	within(prepared *Queries, tx *sql.Tx) *Queries
	writer(write *sql.DB, wrap func(*sql.Tx) *Tx) writer
	dialect() (goose.Dialect, embed.FS)
	queueDriver(write *sql.DB) riverdriver.Driver[*sql.Tx]
	// alone runs f while no other process migrates the database.
	alone(ctx context.Context, f func() error) error
	backup(ctx context.Context, file string) error
	isDuplicate(err error) bool
	releaseJobs(ctx context.Context, write *sql.DB) error
	strays() strays
	lock() (unlock func() error, err error)
	leases(write *sql.DB) *Leases // nil: one server only
	follow(ctx context.Context, changed func(cvmID int64), missed func())
}

// writer carries out writes, each whole or not at all.
type writer interface {
	write(ctx context.Context, f func(context.Context, *Tx) error) error
	close()
}

// Open opens the database at a URL and brings its schema up to date. The URL is sqlite:PATH (a file;
// created when missing) or postgres://USER@HOST:PORT/DATABASE, of which PostgreSQL's own variables and
// password file give what is left out.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	s, err := connect(ctx, rawURL)
	if err != nil {
		return nil, err
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect opens a database as it is.
func connect(ctx context.Context, rawURL string) (*Store, error) {
	engine, err := engineFor(rawURL)
	if err != nil {
		return nil, err
	}
	write, read, err := engine.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", engine.name(), err)
	}
	return &Store{engine: engine, write: write, read: read}, nil
}

// begin migrates and gets everything ready.
func (s *Store) begin(ctx context.Context) error {
	if err := s.migrateUp(ctx); err != nil {
		return err
	}
	return s.prepare(ctx)
}

func (s *Store) prepare(ctx context.Context) error {
	var err error
	if s.writes, err = s.engine.prepare(ctx, s.write); err != nil {
		return fmt.Errorf("store: prepare: %w", err)
	}
	if s.reads, err = s.engine.prepare(ctx, s.read); err != nil {
		return fmt.Errorf("store: prepare: %w", err)
	}
	s.writer = s.engine.writer(s.write, func(tx *sql.Tx) *Tx {
		return &Tx{Queries: s.engine.within(s.writes, tx), SQL: tx}
	})
	return nil
}

// wantURL says what a database URL looks like.
const wantURL = "want sqlite:PATH or postgres://USER@HOST:PORT/DATABASE"

func engineFor(rawURL string) (engine, error) {
	scheme, rest, ok := strings.Cut(rawURL, ":")
	if !ok || rest == "" {
		return nil, fmt.Errorf("store: database URL %q: %s", redact(rawURL), wantURL)
	}
	switch scheme {
	case "sqlite":
		return sqliteEngine{path: strings.TrimPrefix(rest, "//")}, nil
	case "postgres", "postgresql":
		return newPostgresEngine(rawURL)
	default:
		return nil, fmt.Errorf("store: database URL scheme %q is not supported: %s", scheme, wantURL)
	}
}

// redact keeps a password in a URL out of messages.
func redact(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}

// Close closes the database. No write may come after it.
func (s *Store) Close() error {
	if s.writer != nil {
		s.writer.close()
	}
	for _, queries := range []*Queries{s.reads, s.writes} {
		if queries != nil {
			_ = queries.Close() // the pools go next; a statement that does not close has no other effect
		}
	}
	err := errors.Join(s.read.Close(), s.write.Close())
	s.engine.close()
	return err
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.read.PingContext(ctx); err != nil {
		return fmt.Errorf("store: ping: %w", err)
	}
	return nil
}

// Read gives the queries outside a transaction: each sees the newest committed rows.
func (s *Store) Read() *Queries { return s.reads }

// WriteDB is the pool that transactions run on, for the job queue.
func (s *Store) WriteDB() *sql.DB { return s.write }

// QueueDriver is what the job queue reaches the database with.
func (s *Store) QueueDriver() riverdriver.Driver[*sql.Tx] { return s.engine.queueDriver(s.write) }

// Write runs f in one transaction and returns when it is on disk. When f returns an error nothing of it
// has happened, and the error comes back as it is; a broken unique index comes back as ErrDuplicate.
// Writes happen as if one came after the other.
//
// f may be called more than once: PostgreSQL undoes a transaction that would see what another one
// changes, and it is carried out again. So f works on copies, and what it found out is taken over after
// Write has returned, or set from new by each call.
//
// f uses the context it is given, which does not end: until then a write can be given up, after that it
// happens whole or not at all.
func (s *Store) Write(ctx context.Context, f func(context.Context, *Tx) error) error {
	err := s.writer.write(ctx, f)
	if err != nil && s.engine.isDuplicate(err) {
		return fmt.Errorf("%w: %w", ErrDuplicate, err)
	}
	return err
}

// Lock takes the right to work the jobs of the database, where only one server may. Programs that read
// or manage keys need none.
func (s *Store) Lock() (unlock func() error, err error) { return s.engine.lock() }

// ReleaseJobs gives jobs back to the queue that nobody works on any more.
func (s *Store) ReleaseJobs(ctx context.Context) error {
	if err := s.engine.releaseJobs(ctx, s.write); err != nil {
		return fmt.Errorf("store: release jobs: %w", err)
	}
	return nil
}
