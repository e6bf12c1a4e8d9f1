// Package jobs runs durable work with River, in the database that holds the state the work is about:
// a job is written in the same transaction as the state it follows, so neither exists without the other.
package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/lockstep-cvm/lockstep/internal/store"
)

// Handler is what the jobs do. *control.Service is one.
type Handler interface {
	// Run moves one update on until nothing is left to do.
	Run(ctx context.Context, updateID string) error
	// RunRollout moves one fleet rollout on until it is final or something else wakes it.
	RunRollout(ctx context.Context, rolloutID string) error
	// Sweep looks after updates and rollouts that no job looks after.
	Sweep(ctx context.Context) error
}

// Config of a Queue. Zero values mean the defaults.
type Config struct {
	Store         *store.Store
	Workers       int           // jobs at once; default 100 (they mostly wait for their node)
	PollInterval  time.Duration // how soon a new job is seen; default 50 ms
	SweepInterval time.Duration // default 1 min
	Logger        *slog.Logger  // default: discards
}

// Queue enqueues jobs and works them.
type Queue struct {
	store  *store.Store
	client *river.Client[*sql.Tx]

	mu      sync.Mutex
	handler Handler
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
	if config.Workers == 0 {
		config.Workers = 100
	}
	if config.PollInterval == 0 {
		config.PollInterval = 50 * time.Millisecond
	}
	if config.SweepInterval == 0 {
		config.SweepInterval = time.Minute
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	q := &Queue{store: config.Store}
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[advanceArgs]) error {
		err := q.current().Run(ctx, job.Args.UpdateID)
		if err != nil && ctx.Err() != nil {
			return river.JobSnooze(0) // the process stops or the time is over; go on where it was left
		}
		return err
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[rolloutArgs]) error {
		err := q.current().RunRollout(ctx, job.Args.RolloutID)
		if err != nil && ctx.Err() != nil {
			return river.JobSnooze(0)
		}
		return err
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[sweepArgs]) error {
		return q.current().Sweep(ctx)
	}))
	var err error
	q.client, err = river.NewClient(riversqlite.New(config.Store.WriteDB()), &river.Config{
		FetchCooldown:        min(config.PollInterval, 10*time.Millisecond),
		FetchPollInterval:    config.PollInterval,
		JobTimeout:           jobTimeout,
		Logger:               config.Logger,
		MaxAttempts:          manyAttempts,
		PollOnly:             true, // on one machine a poll of the embedded database costs next to nothing
		Queues:               map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: config.Workers}},
		RescueStuckJobsAfter: stuckAfter,
		RetryPolicy:          soon{},
		Workers:              workers,
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(
			river.PeriodicInterval(config.SweepInterval),
			func() (river.JobArgs, *river.InsertOpts) { return sweepArgs{}, nil },
			&river.PeriodicJobOpts{RunOnStart: true},
		)},
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

func (q *Queue) current() Handler {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.handler
}

// EnqueueAdvance adds, inside tx, the job that moves an update on.
func (q *Queue) EnqueueAdvance(ctx context.Context, tx *store.Tx, updateID string) error {
	if _, err := q.client.InsertTx(ctx, tx.SQL, advanceArgs{UpdateID: updateID}, nil); err != nil {
		return fmt.Errorf("jobs: enqueue update %s: %w", updateID, err)
	}
	return nil
}

// EnqueueRollout adds, inside tx, the job that moves a fleet rollout on.
func (q *Queue) EnqueueRollout(ctx context.Context, tx *store.Tx, rolloutID string) error {
	if _, err := q.client.InsertTx(ctx, tx.SQL, rolloutArgs{RolloutID: rolloutID}, nil); err != nil {
		return fmt.Errorf("jobs: enqueue rollout %s: %w", rolloutID, err)
	}
	return nil
}

// Start gives the jobs of a process that died before back to the queue, makes sure that no update is
// without one, and begins to work. The context is only for starting.
func (q *Queue) Start(ctx context.Context, handler Handler) error {
	q.mu.Lock()
	q.handler = handler
	q.mu.Unlock()
	if err := q.store.ReleaseJobs(ctx); err != nil {
		return err
	}
	// Jobs must outlive the context of the call: they end with Stop.
	if err := q.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("jobs: start: %w", err)
	}
	// The periodic sweep waits until the leadership of a process that died has run out.
	if err := handler.Sweep(ctx); err != nil {
		return errors.Join(err, q.Stop(ctx))
	}
	return nil
}

// Stop cancels the jobs that run and waits until they have ended. They go on at the next Start.
func (q *Queue) Stop(ctx context.Context) error {
	if err := q.client.StopAndCancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("jobs: stop: %w", err)
	}
	return nil
}
