package store

import (
	"context"
	"fmt"
)

// Run is one attempt at a durable job.
type Run struct {
	Job     int64
	Attempt int
}

// strays are the statements of an engine that find and release runs nobody works on.
type strays struct{ list, release string }

// ListRuns tells which jobs the database takes for being worked by a server, and which by one that is not
// there any more. Where a database has one server, its name does not matter.
func (s *Store) ListRuns(ctx context.Context, server string) (runs []Run, err error) {
	rows, err := s.read.QueryContext(ctx, s.engine.strays().list, server)
	if err != nil {
		return nil, fmt.Errorf("store: runs of %s: %w", server, err)
	}
	defer rows.Close()
	for rows.Next() {
		var r Run
		if err := rows.Scan(&r.Job, &r.Attempt); err != nil {
			return nil, fmt.Errorf("store: runs of %s: %w", server, err)
		}
		runs = append(runs, r)
	}
	return runs, rows.Err()
}

// ReleaseRun gives the job of a run back to the queue and reports whether it was still that run.
func (s *Store) ReleaseRun(ctx context.Context, r Run) (bool, error) {
	result, err := s.write.ExecContext(ctx, s.engine.strays().release, r.Job, r.Attempt)
	if err != nil {
		return false, fmt.Errorf("store: release job %d: %w", r.Job, err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

var (
	// The job queue writes down which server tried a job, the last one at the end.
	postgresStrays = strays{
		list: `SELECT id, attempt FROM river_job WHERE state = 'running' AND (
			attempted_by[array_upper(attempted_by, 1)] = $1
			OR NOT EXISTS (SELECT 1 FROM servers WHERE servers.id = attempted_by[array_upper(attempted_by, 1)]))`,
		release: `UPDATE river_job SET state = 'available', scheduled_at = now() WHERE id = $1 AND attempt = $2 AND state = 'running'`,
	}
	sqliteStrays = strays{ // whatever is running is that of the one server
		list:    `SELECT id, attempt FROM river_job WHERE state = 'running' AND ?1 <> ''`,
		release: `UPDATE river_job SET state = 'available' WHERE id = ?1 AND attempt = ?2 AND state = 'running'`,
	}
)

func (e *postgresEngine) strays() strays { return postgresStrays }

func (e sqliteEngine) strays() strays { return sqliteStrays }
