// Package jobs runs durable work with River, in the database that holds the state the work is about:
// a job is written in the same transaction as the state it follows, so neither exists without the other.
package jobs

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/lockstep-cvm/lockstep/internal/store"
)

// Handler is what the jobs do. *control.Service is one.
type Handler interface {
	// Run moves one update on until nothing is left to do.
	Run(ctx context.Context, updateID string) error
	// RunRollout moves one fleet rollout on until it is final or something else wakes it.
	RunRollout(ctx context.Context, rolloutID string) error
	// RunPower moves one power operation on until nothing is left to do.
	RunPower(ctx context.Context, operationID string) error
	// Sweep looks after updates, rollouts and power operations that no job looks after.
	Sweep(ctx context.Context) error
}

// Config of a Queue. Zero values mean the defaults.
type Config struct {
	Store         *store.Store
	Workers       int           // jobs at once; default 10,000 (they mostly wait for their node)
	PollInterval  time.Duration // how soon a job is seen that nobody told of; default 50 ms, PostgreSQL 500 ms
	SweepInterval time.Duration // default 1 min
	Lease         time.Duration // how long others wait for a server that says nothing; default 6 s; PostgreSQL
	Now           func() time.Time
	Logger        *slog.Logger // default: discards
}

// Queue enqueues jobs and works them.
type Queue struct {
	config  Config
	store   *store.Store
	insert  *river.Client[*sql.Tx] // works nothing
	handler Handler

	mu      sync.Mutex
	shift   *shift             // nil while this process works no jobs
	stop    context.CancelFunc // ends keep
	stopped chan struct{}      // keep has ended
}

// advanceArgs is the job that moves an update on.
type advanceArgs struct {
	UpdateID string `json:"update_id"`
}

// Kind implements river.JobArgs. The name is stored; it must not change.
func (advanceArgs) Kind() string { return "advance_update" }

// rolloutArgs is the job that moves a fleet rollout on.
type rolloutArgs struct {
	RolloutID string `json:"rollout_id"`
}

// Kind implements river.JobArgs. The name is stored; it must not change.
func (rolloutArgs) Kind() string { return "advance_rollout" }

// powerArgs is the job that moves a power operation on.
type powerArgs struct {
	OperationID string `json:"operation_id"`
}

// Kind implements river.JobArgs. The name is stored; it must not change.
func (powerArgs) Kind() string { return "advance_power" }

// sweepArgs is the periodic job that leaves no update behind.
type sweepArgs struct{}

// Kind implements river.JobArgs.
func (sweepArgs) Kind() string { return "sweep_updates" }

const (
	// jobTimeout bounds one run of a job. Nothing is lost when it ends: the job is tried again and goes
	// on from what the database says.
	jobTimeout = 10 * time.Minute
	// stuckAfter is when a job whose process died is given to another one.
	stuckAfter = jobTimeout + time.Minute
	// manyAttempts lets a job outlive any outage of the database; each try is spaced out by River.
	manyAttempts = 1000
)

// New makes a Queue. It works no jobs until Start.
func New(config Config) (*Queue, error) {
	config.Workers = cmp.Or(config.Workers, river.QueueNumWorkersMax)
	config.SweepInterval = cmp.Or(config.SweepInterval, time.Minute)
	config.Lease = cmp.Or(config.Lease, 6*time.Second)
	if config.PollInterval == 0 {
		config.PollInterval = 50 * time.Millisecond
		if config.Store.Leases() != nil {
			config.PollInterval = 500 * time.Millisecond // the database tells of new jobs
		}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	q := &Queue{config: config, store: config.Store}
	var err error
	q.insert, err = river.NewClient(config.Store.QueueDriver(), &river.Config{
		FetchCooldown: river.FetchCooldownMin, // also the least time between two notifications of new jobs
		Logger:        config.Logger,
		MaxAttempts:   manyAttempts,
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return q, nil
}

// soon retries a failed job within seconds: it fails when the database does, and people wait for it.
type soon struct{}

// NextRetry implements river.ClientRetryPolicy.
func (soon) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().Add(min(time.Duration(job.Attempt)*time.Second, 30*time.Second))
}

// EnqueueAdvance adds, inside tx, the job that moves an update on.
func (q *Queue) EnqueueAdvance(ctx context.Context, tx *store.Tx, updateID string) error {
	if _, err := q.insert.InsertTx(ctx, tx.SQL, advanceArgs{UpdateID: updateID}, origin(ctx)); err != nil {
		return fmt.Errorf("jobs: enqueue update %s: %w", updateID, err)
	}
	return nil
}

// EnqueueRollout adds, inside tx, the job that moves a fleet rollout on.
func (q *Queue) EnqueueRollout(ctx context.Context, tx *store.Tx, rolloutID string) error {
	if _, err := q.insert.InsertTx(ctx, tx.SQL, rolloutArgs{RolloutID: rolloutID}, origin(ctx)); err != nil {
		return fmt.Errorf("jobs: enqueue rollout %s: %w", rolloutID, err)
	}
	return nil
}

// advancing are the states of a job that is still to do something.
var advancing = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
}

// jobsAtOnce is how many jobs are listed with one query.
const jobsAtOnce = 5000

// Advancing tells which updates have a job, so that a sweep gives none a second one.
func (q *Queue) Advancing(ctx context.Context) (map[string]bool, error) {
	updates := map[string]bool{}
	page := river.NewJobListParams().Kinds(advanceArgs{}.Kind()).States(advancing...).OrderBy(river.JobListOrderByID, river.SortOrderAsc).First(jobsAtOnce)
	for {
		list, err := q.insert.JobList(ctx, page)
		if err != nil {
			return nil, fmt.Errorf("jobs: list: %w", err)
		}
		for _, job := range list.Jobs {
			var args advanceArgs
			if err := json.Unmarshal(job.EncodedArgs, &args); err != nil {
				return nil, fmt.Errorf("jobs: arguments of job %d: %w", job.ID, err)
			}
			updates[args.UpdateID] = true
		}
		if len(list.Jobs) < jobsAtOnce {
			return updates, nil
		}
		page = page.After(list.LastCursor)
	}
}

// EnqueuePower adds, inside tx, the job that moves a power operation on.
func (q *Queue) EnqueuePower(ctx context.Context, tx *store.Tx, operationID string) error {
	if _, err := q.insert.InsertTx(ctx, tx.SQL, powerArgs{OperationID: operationID}, origin(ctx)); err != nil {
		return fmt.Errorf("jobs: enqueue power operation %s: %w", operationID, err)
	}
	return nil
}

// Start gives the jobs of a process that died before back to the queue, makes sure that no update is
// without one, and begins to work. The context is only for starting.
func (q *Queue) Start(ctx context.Context, handler Handler) error {
	q.handler = handler
	if err := q.store.ReleaseJobs(ctx); err != nil {
		return err
	}
	s, err := q.begin(ctx)
	if err != nil {
		return err
	}
	// Jobs must outlive the context of the call: they end with Stop.
	keep, stop := context.WithCancel(context.WithoutCancel(ctx))
	q.mu.Lock()
	q.shift, q.stop, q.stopped = s, stop, make(chan struct{})
	q.mu.Unlock()
	go q.keep(keep, s)
	// The periodic sweep waits until the leadership of a process that died has run out.
	if err := handler.Sweep(ctx); err != nil {
		return errors.Join(err, q.Stop(ctx))
	}
	return nil
}

// keep works one shift after the other: the next one begins when the lease of one is lost.
func (q *Queue) keep(ctx context.Context, s *shift) {
	defer close(q.stopped)
	for {
		s.last(ctx)
		if ctx.Err() != nil {
			return // Stop ends the shift
		}
		q.config.Logger.WarnContext(ctx, "the lease of this server is over; its work is left to others, and it joins again", "server", s.id)
		q.mu.Lock()
		q.shift = nil
		q.mu.Unlock()
		if err := s.end(ctx); err != nil {
			q.config.Logger.WarnContext(ctx, "leave the work of this server", "server", s.id, "error", err)
		}
		for {
			next, err := q.begin(ctx)
			if err == nil {
				s = next
				break
			}
			q.config.Logger.WarnContext(ctx, "join the servers of the database", "error", err)
			if !sleep(ctx, q.config.Lease/beatsPerLease) {
				return
			}
		}
		q.mu.Lock()
		q.shift = s
		q.mu.Unlock()
	}
}

// Stop cancels the jobs that run and waits until they have ended. They go on at the next Start, or on
// another server.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	stop, stopped := q.stop, q.stopped
	q.mu.Unlock()
	if stop == nil {
		return nil
	}
	stop()
	select {
	case <-stopped:
	case <-ctx.Done():
		return fmt.Errorf("jobs: stop: %w", ctx.Err())
	}
	q.mu.Lock()
	s := q.shift
	q.shift = nil
	q.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.end(ctx)
}

// Server is the name under which this process works now; empty where it is the only one, or does not work.
func (q *Queue) Server() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.shift == nil || q.shift.lease == nil {
		return ""
	}
	return q.shift.id
}
