package jobs

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/lockstep-cvm/lockstep/internal/lease"
)

// shift is a stretch of work of this process: from when it joins the servers of its database until it
// stops or loses its lease. Where it is the only server it has no lease, and the shift ends with Stop.
type shift struct {
	*Queue
	id     string
	client *river.Client[*sql.Tx]
	ctx    context.Context // of the jobs, besides their own
	cancel context.CancelFunc
	lease  *held
	claims *claims
	strays *strays
	looks  sync.WaitGroup
}

// begin joins the servers of the database and begins to work jobs.
func (q *Queue) begin(ctx context.Context) (_ *shift, err error) {
	b := make([]byte, 8)
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("jobs: random name: %w", err)
	}
	s := &shift{Queue: q, id: "srv_" + hex.EncodeToString(b)}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.strays = newStrays(q.store, s.id)
	if leases := q.store.Leases(); leases != nil {
		s.lease = &held{server: s.id, leases: leases, lasts: q.config.Lease, now: q.config.Now}
		s.claims = newClaims(s.id, leases)
		if err := s.lease.join(ctx); err != nil {
			s.cancel()
			return nil, err
		}
	}
	if s.client, err = s.newClient(); err == nil {
		err = s.client.Start(context.WithoutCancel(ctx)) // it ends with the shift
	}
	if err != nil {
		s.cancel()
		if s.lease != nil {
			err = errors.Join(err, s.lease.leave(ctx))
		}
		return nil, fmt.Errorf("jobs: start: %w", err)
	}
	s.looks.Go(func() { s.watch(s.ctx) })
	return s, nil
}

func (s *shift) newClient() (*river.Client[*sql.Tx], error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[advanceArgs]) error {
		return s.work(resume(ctx, job.Metadata), job.Args.UpdateID, s.handler.Run)
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[rolloutArgs]) error {
		return s.work(resume(ctx, job.Metadata), job.Args.RolloutID, s.handler.RunRollout)
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[powerArgs]) error {
		return s.work(resume(ctx, job.Metadata), job.Args.OperationID, s.handler.RunPower)
	}))
	river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, _ *river.Job[sweepArgs]) error {
		return s.handler.Sweep(ctx)
	}))
	return river.NewClient(s.store.QueueDriver(), &river.Config{
		FetchCooldown:        min(s.config.PollInterval, 10*time.Millisecond),
		FetchPollInterval:    s.config.PollInterval,
		ID:                   s.id,
		JobTimeout:           jobTimeout,
		Logger:               s.config.Logger,
		MaxAttempts:          manyAttempts,
		Middleware:           []rivertype.Middleware{s.strays},
		PollOnly:             s.lease == nil, // on one machine a poll of the embedded database costs next to nothing
		Queues:               map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: s.config.Workers}},
		RescueStuckJobsAfter: stuckAfter,
		RetryPolicy:          soon{},
		Workers:              workers,
		PeriodicJobs: []*river.PeriodicJob{river.NewPeriodicJob(
			river.PeriodicInterval(s.config.SweepInterval),
			func() (river.JobArgs, *river.InsertOpts) { return sweepArgs{}, nil },
			&river.PeriodicJobOpts{RunOnStart: true},
		)},
	})
}

// takenRetry is how soon a job looks again whose subject another server works on. That server may have
// looked for the last time just before the job came, so the job must not be dropped.
const takenRetry = time.Second

// work does one job on a subject that no other server works on meanwhile.
func (s *shift) work(ctx context.Context, subject string, do func(context.Context, string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	if s.lease != nil {
		ctx = lease.With(ctx, s.lease.check)
		mine, err := s.claims.take(ctx, subject)
		if err != nil {
			return err
		}
		if !mine {
			return river.JobSnooze(takenRetry)
		}
		defer s.claims.giveBack(context.WithoutCancel(ctx), subject)
	}
	err := do(ctx, subject)
	if err != nil && (ctx.Err() != nil || errors.Is(err, lease.ErrOver)) {
		return river.JobSnooze(0) // the process stops, its lease or the time is over; go on where it was left
	}
	return err
}

// last keeps the lease and looks after the work of servers that are gone, until the lease is lost or the
// context ends.
func (s *shift) last(ctx context.Context) {
	if s.lease == nil {
		<-ctx.Done()
		return
	}
	beat := s.config.Lease / beatsPerLease
	for sleep(ctx, beat) {
		if err := s.lease.beat(ctx); errors.Is(err, lease.ErrOver) {
			return
		} else if err != nil {
			s.config.Logger.WarnContext(ctx, "renew the lease of this server", "server", s.id, "error", err)
			continue
		}
		soon, cancel := context.WithTimeout(ctx, beat) // the next beat must not be late
		s.claims.settle(soon)
		gone, err := s.lease.leases.RetireExpired(soon)
		cancel()
		if err != nil {
			s.config.Logger.WarnContext(ctx, "look for servers that are gone", "error", err)
		}
		for _, id := range gone {
			s.config.Logger.WarnContext(ctx, "took over from a server that is gone", "server", id)
		}
	}
}

// end cancels the jobs of the shift, waits until they have ended, and leaves.
func (s *shift) end(ctx context.Context) error {
	s.cancel()
	s.looks.Wait()
	wait, cancel := context.WithTimeout(ctx, max(2*s.config.Lease, time.Second))
	defer cancel()
	var errs []error
	if err := s.client.StopAndCancel(wait); err != nil && !errors.Is(err, context.Canceled) {
		errs = append(errs, fmt.Errorf("jobs: stop: %w", err)) // what still runs has no lease and changes nothing
	}
	if s.lease != nil {
		errs = append(errs, s.lease.leave(ctx))
	}
	return errors.Join(errs...)
}

// sleep waits for d and reports whether the context did not end meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
