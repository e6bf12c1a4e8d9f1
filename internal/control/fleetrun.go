package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/fleet"
	"github.com/lockstep-cvm/lockstep/internal/lease"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// RunRollout moves a fleet rollout on until it is final or waits for an update or a person; either wakes it
// again with a job of its own. Any number of calls for one rollout may happen, at once or after a crash.
func (s *Service) RunRollout(ctx context.Context, id string) error {
	return s.runAlone(ctx, id, s.AdvanceRollout)
}

// fleetStep is one look at a fleet rollout. What it finds and decides is gathered first and then written in
// one transaction, which holds only if nobody else wrote the rollout meanwhile.
type fleetStep struct {
	*Service
	row     store.Rollout
	next    store.Rollout
	targets []store.RolloutTarget
	before  []store.RolloutTarget
	began   column.RolloutState // the state of the rollout before the step
	begun   map[int]bool        // targets whose update is to begin
	exited  map[int]bool        // those of them that went down by themselves
	back    map[int]bool        // targets whose way back is to begin
	owners  map[int]string      // who allows what a target is to run, as far as the chain said so
	block   int64               // of the rollout's transaction, likewise
	cancel  []store.Update      // updates that are to be given up
	wait    time.Duration

	updates map[string]store.Update // those of targets that are under way
	seen    map[int]sight           // what nodes said of targets
}

// maxStarts bounds how many updates begin in one transaction; the next step begins more.
const maxStarts = 50

// settlePoll is how often the health of a CVM is looked at while it has to stay healthy.
const settlePoll = time.Second

// AdvanceRollout takes one step of a fleet rollout: it looks at its CVMs, decides and writes down. Repeated
// after a crash at any point it does what is left.
func (s *Service) AdvanceRollout(ctx context.Context, id string) (Step, error) {
	row, err := s.store.Read().GetRollout(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Step{}, fmt.Errorf("control: rollout %s does not exist", id)
	}
	if err != nil {
		return Step{}, fmt.Errorf("read rollout: %w", err)
	}
	if row.State.Final() {
		return Step{Done: true}, nil
	}
	f := &fleetStep{Service: s, row: row, next: row, began: row.State, begun: map[int]bool{}, exited: map[int]bool{}, back: map[int]bool{}, owners: map[int]string{}}
	if f.targets, err = s.store.Read().ListRolloutTargets(ctx, id); err != nil {
		return Step{}, fmt.Errorf("targets of rollout %s: %w", id, err)
	}
	f.before = append(f.before, f.targets...)
	ctx, done := look(ctx, tracedRollout(&row))
	defer func() { done(string(f.row.State), f.row.Reason) }()
	if err := f.lookAtAll(ctx); err != nil {
		return Step{}, fmt.Errorf("rollout %s: %w", id, err)
	}
	if err := f.decide(ctx); err != nil {
		return Step{}, fmt.Errorf("rollout %s: %w", id, err)
	}
	switch changed, err := f.write(ctx); {
	case errors.Is(err, errStale):
		return Step{}, ctx.Err() // somebody else moved it, or one of its CVMs; look again
	case err != nil:
		return Step{}, fmt.Errorf("rollout %s: %w", id, err)
	case changed && (f.moved() || f.wait == 0):
		return Step{Done: f.row.State.Final()}, nil
	case f.wait > 0:
		// Also when reasons were written: an error that differs each time is no reason to hurry.
		return Step{Wait: f.wait}, nil
	default:
		return Step{Done: true}, nil // the end of an update, or a person, wakes it
	}
}

// moved reports whether the step did more than to write reasons. It is asked after the write.
func (f *fleetStep) moved() bool {
	if len(f.cancel)+len(f.begun)+len(f.back) > 0 || f.next.State != f.began {
		return true
	}
	for i := range f.targets {
		if f.targets[i].State != f.before[i].State {
			return true
		}
	}
	return false
}

// after asks for another look within d.
func (f *fleetStep) after(d time.Duration) {
	if d = max(d, time.Millisecond); f.wait == 0 || d < f.wait {
		f.wait = d
	}
}

// set moves a target.
func (f *fleetStep) set(i int, to column.TargetState, format string, args ...any) error {
	t := &f.targets[i]
	if !fleet.CanTargetMove(t.State, to) {
		return fmt.Errorf("control: it cannot go from %s to %s", t.State, to)
	}
	t.State = to
	f.note(i, format, args...)
	return nil
}

func (f *fleetStep) note(i int, format string, args ...any) {
	f.targets[i].Reason = fmt.Sprintf(format, args...)
}

// decide asks package fleet what comes next and prepares it.
func (f *fleetStep) decide(ctx context.Context) error {
	view := fleet.Rollout{
		State: f.row.State, Policy: policy(&f.row), CanaryBatches: int(f.row.CanaryBatches), Promoted: f.row.Promoted,
		Targets: make([]fleet.Target, len(f.targets)),
	}
	for i := range f.targets {
		t := &f.targets[i]
		view.Targets[i] = fleet.Target{Batch: int(t.Batch), State: t.State, Moved: t.Moved, Down: t.Down}
	}
	d := fleet.Decide(view)
	if d.To != "" {
		f.next.State, f.next.Reason = d.To, d.Reason
		if f.row.State == column.RolloutRollingBack {
			f.next.Reason = f.row.Reason + "; " + d.Reason
		}
		return nil
	}
	for _, i := range d.Skip {
		if err := f.set(i, column.TargetSkipped, "the rollout went back before its turn"); err != nil {
			return err
		}
	}
	f.see(ctx, d.Start[:min(len(d.Start), maxStarts)])
	for _, i := range d.Start {
		if len(f.begun) == maxStarts {
			break
		}
		if err := f.prepareStart(ctx, i); err != nil {
			return fmt.Errorf("CVM %s: %w", f.targets[i].VMUUID, err)
		}
	}
	f.lookAtApproval(ctx)
	for _, i := range d.Revert {
		if len(f.back) == maxStarts {
			break
		}
		if err := f.prepareRevert(ctx, i); err != nil {
			return fmt.Errorf("CVM %s: %w", f.targets[i].VMUUID, err)
		}
	}
	if f.row.State == column.RolloutRunning {
		f.next.Reason = f.progress()
	}
	return nil
}

// progress is the reason of a rollout that runs.
func (f *fleetStep) progress() string {
	done, batch := 0, int64(-1)
	for i := range f.targets {
		switch t := &f.targets[i]; t.State {
		case column.TargetDone:
			done++
		case column.TargetPending, column.TargetUpdating, column.TargetSettling:
			if batch < 0 {
				batch = t.Batch
			}
		case column.TargetFailed, column.TargetSkipped, column.TargetReverting, column.TargetReverted, column.TargetStuck:
		}
	}
	if batch < 0 {
		return f.row.Reason
	}
	return fmt.Sprintf("batch %d of %d; %d of %d CVMs run the document", batch+1, f.targets[len(f.targets)-1].Batch+1, done, len(f.targets))
}

// write puts everything that was gathered into the database, or nothing.
func (f *fleetStep) write(ctx context.Context) (changed bool, err error) {
	dirty := len(f.cancel) > 0 || len(f.begun) > 0 || len(f.back) > 0 || f.next.State != f.row.State || f.next.Reason != f.row.Reason
	for i := range f.targets {
		dirty = dirty || f.targets[i] != f.before[i]
	}
	if !dirty {
		return false, nil
	}
	if err := lease.Check(ctx); err != nil {
		return false, err // what was seen may be old
	}
	var published []int64
	var row store.Rollout
	from := f.row.State
	err = f.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		now := column.At(f.clock.Now())
		row = f.row
		targets := append([]store.RolloutTarget(nil), f.targets...) // the transaction may be tried again
		published = published[:0]
		if err := f.setRollout(ctx, tx, &row, f.next, lockstep); err != nil {
			return err
		}
		for _, u := range f.cancel {
			if err := f.giveUp(ctx, tx, u); err != nil {
				return err
			}
		}
		for i := range targets {
			t := &targets[i]
			var err error
			switch {
			case f.begun[i]:
				err = f.start(ctx, tx, t, f.owners[i], f.exited[i])
			case f.back[i]:
				err = f.revert(ctx, tx, t, f.owners[i])
			}
			if err != nil {
				return err
			}
			if *t == f.before[i] {
				continue
			}
			t.UpdatedAt = now
			if err := tx.SetRolloutTarget(ctx, store.SetRolloutTargetParams{
				RolloutID: t.RolloutID, Position: t.Position, State: t.State, Reason: t.Reason, FromRevisionID: t.FromRevisionID,
				UpdateID: t.UpdateID, RevertID: t.RevertID, Moved: t.Moved, Down: t.Down, ReadyAt: t.ReadyAt, UpdatedAt: now,
			}); err != nil {
				return err
			}
			published = append(published, t.CVMID)
		}
		return nil
	})
	if errors.Is(err, store.ErrDuplicate) {
		return false, errStale // another update of a CVM was first
	}
	if err != nil {
		return false, err
	}
	f.row = row
	for _, id := range published {
		f.events.Publish(id)
	}
	if f.row.State != from {
		f.log.InfoContext(ctx, "rollout moved", "rollout", f.row.ID, "app", f.row.AppID, "state", f.row.State, "reason", f.row.Reason)
	}
	return true, nil
}
