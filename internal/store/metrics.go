package store

import (
	"context"
	"fmt"

	"github.com/lockstep-cvm/lockstep/internal/store/internal/db"
)

// What is counted for /metrics.
//
//nolint:revive // a comment per alias would repeat the names
type (
	OpenUpdates  = db.CountOpenUpdatesRow
	OpenRollouts = db.CountOpenRolloutsRow
)

// CountJobs counts the durable jobs that are not done, by their state in the job queue, whose tables are in the same
// database. Only jobs that wait or run are counted: the done ones grow with time, and there is an index for the others.
func (s *Store) CountJobs(ctx context.Context) (map[string]int64, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT state, COUNT(*) FROM river_job
		WHERE state IN ('available', 'pending', 'retryable', 'running', 'scheduled') GROUP BY state`)
	if err != nil {
		return nil, fmt.Errorf("store: count jobs: %w", err)
	}
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var state string
		var count int64
		if err := rows.Scan(&state, &count); err != nil {
			return nil, fmt.Errorf("store: count jobs: %w", err)
		}
		counts[state] = count
	}
	return counts, rows.Err()
}
