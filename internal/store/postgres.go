package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"

	"github.com/lockstep-cvm/lockstep/internal/store/internal/db"
)

//go:embed migrations/postgres/*.sql
var postgresMigrations embed.FS

// connections is how many connections writes may have, and as many again reads, unless the URL says
// otherwise with pool_max_conns. Three servers stay below the 100 that PostgreSQL allows by default.
const connections = 12

// SQLSTATE codes.
const (
	foreignKeyViolation  = "23503"
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	undefinedTable       = "42P01"
)

type postgresEngine struct {
	config *pgxpool.Config
	apart  *pgxpool.Pool // connections that must not wait for others: notifications and leases
}

func newPostgresEngine(rawURL string) (engine, error) {
	// What the URL leaves out comes from PG* variables, the password file and the service file, as psql
	// has it. The error does not show a password.
	config, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		return nil, fmt.Errorf("store: database URL: %w; want postgres://USER@HOST:PORT/DATABASE", err)
	}
	if !strings.Contains(rawURL, "pool_max_conns") {
		config.MaxConns = connections
	}
	settings := map[string]string{
		"application_name": "lockstep",
		// A serializable transaction that reads a whole table meets every other one, so indexes are used however
		// small a table still is.
		"enable_seqscan": "off",
		// Where there is no index after all, the plan looks so dear that it would be compiled first.
		"jit": "off",
		// A server that stands still in the middle of a transaction must not hold up the others.
		"idle_in_transaction_session_timeout": "10s",
		// Nor must the connection of a machine that is gone.
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	}
	for name, value := range settings {
		if _, told := config.ConnConfig.RuntimeParams[name]; !told {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return &postgresEngine{config: config}, nil
}

func (e *postgresEngine) name() string { return "postgres" }

// open makes two pools: a write that is under way may read on a connection of its own, and must not wait
// for other writes to get one.
func (e *postgresEngine) open(ctx context.Context) (write, read *sql.DB, err error) {
	if write, err = e.openPool(ctx); err != nil {
		return nil, nil, err
	}
	if err := write.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	if read, err = e.openPool(ctx); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	apart := e.config.Copy()
	apart.MaxConns = 2
	if e.apart, err = pgxpool.NewWithConfig(ctx, apart); err != nil {
		return nil, nil, errors.Join(err, write.Close(), read.Close())
	}
	return write, read, nil
}

func (e *postgresEngine) close() { e.apart.Close() }

func (e *postgresEngine) leases(write *sql.DB) *Leases { return &Leases{beats: e.apart, write: write} }

func (e *postgresEngine) openPool(ctx context.Context) (*sql.DB, error) {
	pool, err := pgxpool.NewWithConfig(ctx, e.config.Copy())
	if err != nil {
		return nil, err
	}
	opened := sql.OpenDB(pooled{stdlib.GetPoolConnector(pool), pool})
	opened.SetMaxIdleConns(0) // idle connections belong to the pool below
	return opened, nil
}

// pooled gives connections of a pool, which ends with the sql.DB.
type pooled struct {
	driver.Connector
	pool *pgxpool.Pool
}

// Close implements io.Closer for sql.DB.
func (p pooled) Close() error {
	p.pool.Close()
	return nil
}

func (e *postgresEngine) prepare(_ context.Context, pool *sql.DB) (*Queries, error) {
	return db.New(numbered{pool}), nil // the driver keeps parsed statements by itself
}

func (e *postgresEngine) within(_ *Queries, tx *sql.Tx) *Queries { return db.New(numbered{tx}) }

func (e *postgresEngine) writer(write *sql.DB, wrap func(*sql.Tx) *Tx) writer {
	return newGroup(serializable(write, e.isDuplicate), wrap)
}

func (e *postgresEngine) dialect() (goose.Dialect, embed.FS) {
	return goose.DialectPostgres, postgresMigrations
}

func (e *postgresEngine) queueDriver(write *sql.DB) riverdriver.Driver[*sql.Tx] {
	return riverdatabasesql.NewWithPgxListener(write, e.apart)
}

// migrationLock is the advisory lock under which servers that start at once migrate one after the other.
const migrationLock = 0x6c6f636b73746570 // "lockstep"

func (e *postgresEngine) alone(ctx context.Context, f func() error) error {
	conn, err := pgx.ConnectConfig(ctx, e.config.ConnConfig.Copy())
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // it ends either way, and the lock with it
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return err
	}
	return f()
}

func (e *postgresEngine) isDuplicate(err error) bool { return hasCode(err, uniqueViolation) }

func lostToAnother(err error) bool { return hasCode(err, serializationFailure, deadlockDetected) }

func hasCode(err error, codes ...string) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if pgErr.Code == code {
			return true
		}
	}
	return false
}

func (e *postgresEngine) releaseJobs(context.Context, *sql.DB) error { return nil } // other servers may work on them

func (e *postgresEngine) lock() (unlock func() error, err error) {
	return func() error { return nil }, nil // any number of servers may work
}

func (e *postgresEngine) backup(context.Context, string) error {
	return errors.New("store: a PostgreSQL database is backed up with pg_dump, or with a base backup and its log")
}
