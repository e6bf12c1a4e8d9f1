package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/lockstep-cvm/lockstep/internal/store"
)

// strayAfter is the time between two looks for strays, and so the least time that a job is one before it is
// given back. A job that was just fetched, or whose end is just being written down, is none.
const strayAfter = 5 * time.Second

// strays finds jobs that the database takes for being worked by this server, though they are not: the queue
// fetched them with a statement that was committed, and the answer was lost with its connection. The server
// lives, so nobody else takes them over.
type strays struct {
	river.MiddlewareDefaults
	store  *store.Store
	server string

	mu      sync.Mutex
	working map[store.Run]bool
	seen    map[store.Run]bool // not worked at the last look
}

func newStrays(s *store.Store, server string) *strays {
	return &strays{store: s, server: server, working: map[store.Run]bool{}}
}

// Work implements rivertype.WorkerMiddleware.
func (s *strays) Work(ctx context.Context, job *rivertype.JobRow, do func(context.Context) error) error {
	run := store.Run{Job: job.ID, Attempt: job.Attempt}
	s.mu.Lock()
	s.working[run] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.working, run)
	}()
	return do(ctx)
}

// look gives back the jobs that were not worked at the look before and are not now. One given back in error
// would do no harm: the next run goes on from what the database says.
func (s *strays) look(ctx context.Context) (released []store.Run, err error) {
	runs, err := s.store.ListRuns(ctx, s.server)
	if err != nil {
		return nil, fmt.Errorf("jobs: look for strays: %w", err)
	}
	for _, run := range s.again(runs) {
		ok, err := s.store.ReleaseRun(ctx, run)
		if err != nil {
			return released, fmt.Errorf("jobs: give back a stray: %w", err)
		}
		if ok {
			released = append(released, run)
		}
	}
	return released, nil
}

// again remembers which runs are not worked and tells which of them were not at the look before.
func (s *strays) again(runs []store.Run) (again []store.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	idle := map[store.Run]bool{}
	for _, run := range runs {
		if s.working[run] {
			continue
		}
		if s.seen[run] {
			again = append(again, run)
		}
		idle[run] = true
	}
	s.seen = idle
	return again
}

// watch looks until the context ends.
func (s *shift) watch(ctx context.Context) {
	for sleep(ctx, strayAfter) {
		soon, cancel := context.WithTimeout(ctx, strayAfter)
		released, err := s.strays.look(soon)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.config.Logger.WarnContext(ctx, "look for jobs that nobody works on", "server", s.id, "error", err)
		}
		for _, run := range released {
			s.config.Logger.WarnContext(ctx, "gave back a job that nobody worked on", "server", s.id, "job", run.Job, "attempt", run.Attempt)
		}
	}
}
