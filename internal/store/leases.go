package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Leases keep apart the servers that share a PostgreSQL database. A server is there for as long as it says
// so in time; what it works on is claimed in its name, and free again when its lease is over. Times are
// those of the database's clock, so the servers' clocks need not agree.
type Leases struct {
	beats *pgxpool.Pool // of its own: a beat must not wait behind the writes of ten thousand updates
	write *sql.DB
}

// Leases are nil where a database has one server only.
func (s *Store) Leases() *Leases { return s.engine.leases(s.write) }

// microseconds is the clock of the database.
const microseconds = `(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint`

// Join makes a server one of those that share the work, for d from now.
func (l *Leases) Join(ctx context.Context, server string, d time.Duration) error {
	_, err := l.beats.Exec(ctx, `INSERT INTO servers (id, joined_at, expires_at) VALUES ($1, `+microseconds+`, `+microseconds+` + $2)`,
		server, d.Microseconds())
	if err != nil {
		return fmt.Errorf("store: join as %s: %w", server, err)
	}
	return nil
}

// Renew lets a server go on for d from now. It reports false when its lease is over.
func (l *Leases) Renew(ctx context.Context, server string, d time.Duration) (bool, error) {
	tag, err := l.beats.Exec(ctx, `UPDATE servers SET expires_at = `+microseconds+` + $2 WHERE id = $1 AND expires_at > `+microseconds,
		server, d.Microseconds())
	if err != nil {
		return false, fmt.Errorf("store: renew lease of %s: %w", server, err)
	}
	return tag.RowsAffected() > 0, nil
}

// Claim gives a subject to a server and reports whether that has it: not when it belongs to another one,
// or the lease is over.
func (l *Leases) Claim(ctx context.Context, server, subject string) (bool, error) {
	result, err := l.write.ExecContext(ctx, `INSERT INTO claims (subject, server_id)
		SELECT $1::text, id FROM servers WHERE id = $2 AND expires_at > `+microseconds+`
		ON CONFLICT (subject) DO UPDATE SET server_id = excluded.server_id WHERE claims.server_id = excluded.server_id`, subject, server)
	if hasCode(err, foreignKeyViolation) {
		return false, nil // it was retired in the same moment
	}
	if err != nil {
		return false, fmt.Errorf("store: claim %s: %w", subject, err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// Release gives a subject back.
func (l *Leases) Release(ctx context.Context, server, subject string) error {
	if _, err := l.write.ExecContext(ctx, `DELETE FROM claims WHERE subject = $1 AND server_id = $2`, subject, server); err != nil {
		return fmt.Errorf("store: release %s: %w", subject, err)
	}
	return nil
}

// Retire removes a server and gives back what it worked on.
func (l *Leases) Retire(ctx context.Context, server string) error {
	_, err := l.retire(ctx, `DELETE FROM servers WHERE id = $1 RETURNING id`, server)
	return err
}

// RetireExpired removes the servers whose lease is over, gives back what they worked on, and names them.
func (l *Leases) RetireExpired(ctx context.Context) ([]string, error) {
	return l.retire(ctx, `DELETE FROM servers WHERE expires_at <= `+microseconds+` RETURNING id`)
}

func (l *Leases) retire(ctx context.Context, remove string, args ...any) (gone []string, err error) {
	err = pgx.BeginFunc(ctx, l.beats, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, remove, args...) // claims go with their server
		if err != nil {
			return err
		}
		if gone, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(gone) == 0 {
			return err
		}
		// The job queue writes down which server tried a job, the last one at the end.
		_, err = tx.Exec(ctx, `UPDATE river_job SET state = 'available', scheduled_at = now()
			WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = ANY($1)`, gone)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: retire servers: %w", err)
	}
	return gone, nil
}

// Servers are the ids of those that share the work now, the first to join first.
func (l *Leases) Servers(ctx context.Context) ([]string, error) {
	rows, err := l.beats.Query(ctx, `SELECT id FROM servers WHERE expires_at > `+microseconds+` ORDER BY joined_at, id`)
	if err != nil {
		return nil, fmt.Errorf("store: servers: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("store: servers: %w", err)
	}
	return ids, nil
}
