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
	"errors"
	"fmt"
	"net/url"
	"strings"

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
	group  *group
	writes *Queries // prepared on write
	reads  *Queries // prepared on read
}

// engine is what differs between SQLite and PostgreSQL.
type engine interface {
	name() string
	open(ctx context.Context) (write, read *sql.DB, err error)
	migrate(ctx context.Context, write *sql.DB) error
	isDuplicate(err error) bool
	releaseJobs(ctx context.Context, write *sql.DB) error
	lock() (unlock func() error, err error)
}

// Open opens the database at a URL and brings its schema up to date. The URL is
// sqlite:PATH (a file; created when missing). Schemes of other engines are refused by name.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	engine, err := engineFor(rawURL)
	if err != nil {
		return nil, err
	}
	write, read, err := engine.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", engine.name(), err)
	}
	s := &Store{engine: engine, write: write, read: read}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare migrates, then parses every statement once, so that no call does.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.engine.migrate(ctx, s.write); err != nil {
		return fmt.Errorf("store: migrate %s: %w", s.engine.name(), err)
	}
	var err error
	if s.writes, err = db.Prepare(ctx, s.write); err != nil {
		return fmt.Errorf("store: prepare: %w", err)
	}
	if s.reads, err = db.Prepare(ctx, s.read); err != nil {
		return fmt.Errorf("store: prepare: %w", err)
	}
	s.group = newGroup(
		func(ctx context.Context) (*sql.Tx, error) { return s.write.BeginTx(ctx, nil) },
		func(tx *sql.Tx) *Tx { return &Tx{Queries: s.writes.WithTx(tx), SQL: tx} },
	)
	return nil
}

func engineFor(rawURL string) (engine, error) {
	scheme, rest, ok := strings.Cut(rawURL, ":")
	if !ok || rest == "" {
		return nil, fmt.Errorf("store: database URL %q: want sqlite:PATH", redact(rawURL))
	}
	switch scheme {
	case "sqlite":
		return sqliteEngine{path: strings.TrimPrefix(rest, "//")}, nil
	default:
		return nil, fmt.Errorf("store: database URL scheme %q is not supported: want sqlite:PATH", scheme)
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
	if s.group != nil {
		s.group.close()
	}
	for _, queries := range []*Queries{s.reads, s.writes} {
		if queries != nil {
			_ = queries.Close() // the pools go next; a statement that does not close has no other effect
		}
	}
	return errors.Join(s.read.Close(), s.write.Close())
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

// Write runs f in one transaction and returns when it is on disk. When f returns an error nothing of it
// has happened, and the error comes back as it is; a broken unique index comes back as ErrDuplicate.
//
// f uses the context it is given, which does not end: until then a write can be given up, after that it
// happens whole or not at all.
func (s *Store) Write(ctx context.Context, f func(context.Context, *Tx) error) error {
	err := s.group.write(ctx, f)
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
