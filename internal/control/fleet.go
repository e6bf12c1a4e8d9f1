package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/fleet"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// FleetRollout is a rollout of one document to the replicas of an app, with all that is known of it.
type FleetRollout struct {
	Row     store.Rollout
	Targets []store.RolloutTarget // empty in a listing, as Events
	Events  []store.RolloutEvent
}

// errNoRollout hides whether a rollout exists in another workspace.
func errNoRollout(id string) *problem.Error {
	return problem.New(problem.KindNotFound, api.CodeInvalidRequest, "rollout not found").With("rollout_id", id, "a rollout of this app").
		Suggest("List the rollouts of the app with GET /apps/{app_id}/rollouts.")
}

// Rollouts lists the newest rollouts of an app, without their CVMs: a hundred rollouts of a large fleet would be
// more than anybody reads.
func (s *Service) Rollouts(ctx context.Context, p Principal, appID string, limit int) ([]*FleetRollout, error) {
	app, err := s.app(ctx, p, ScopeRead, appID)
	if err != nil {
		return nil, err
	}
	rows, err := s.store.Read().ListRollouts(ctx, app.AppID, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("list rollouts of %s: %w", app.AppID, err)
	}
	found := make([]*FleetRollout, 0, len(rows))
	for _, row := range rows {
		found = append(found, &FleetRollout{Row: row})
	}
	return found, nil
}

// Rollout returns one rollout of an app.
func (s *Service) Rollout(ctx context.Context, p Principal, appID, id string) (*FleetRollout, error) {
	app, err := s.app(ctx, p, ScopeRead, appID)
	if err != nil {
		return nil, err
	}
	row, err := s.store.Read().GetRollout(ctx, id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && row.AppID != app.AppID) {
		return nil, errNoRollout(id)
	}
	if err != nil {
		return nil, fmt.Errorf("rollout %s: %w", id, err)
	}
	return s.fleetView(ctx, row)
}

func (s *Service) fleetView(ctx context.Context, row store.Rollout) (*FleetRollout, error) {
	view := &FleetRollout{Row: row}
	var err error
	if view.Targets, err = s.store.Read().ListRolloutTargets(ctx, row.ID); err != nil {
		return nil, fmt.Errorf("targets of rollout %s: %w", row.ID, err)
	}
	if view.Events, err = s.store.Read().ListRolloutEvents(ctx, row.ID); err != nil {
		return nil, fmt.Errorf("events of rollout %s: %w", row.ID, err)
	}
	return view, nil
}

// PauseRollout keeps a rollout from beginning with more CVMs. Those under way go on to their end. Pausing
// one that is paused changes nothing.
func (s *Service) PauseRollout(ctx context.Context, p Principal, appID, id string) (*FleetRollout, error) {
	return s.steer(ctx, p, appID, id, column.RolloutPaused, "paused; CVMs under way go on to their end")
}

// ResumeRollout lets a paused rollout go on. After the canary that is to promote it.
func (s *Service) ResumeRollout(ctx context.Context, p Principal, appID, id string) (*FleetRollout, error) {
	return s.steer(ctx, p, appID, id, column.RolloutRunning, "resumed")
}

// AbortRollout takes the CVMs that were moved back to what they ran before. Aborting one that goes back
// changes nothing.
func (s *Service) AbortRollout(ctx context.Context, p Principal, appID, id string) (*FleetRollout, error) {
	return s.steer(ctx, p, appID, id, column.RolloutRollingBack, "aborted")
}

// steer moves a rollout because a person says so.
func (s *Service) steer(ctx context.Context, p Principal, appID, id string, to column.RolloutState, reason string) (*FleetRollout, error) {
	app, err := s.ownApp(ctx, p, appID)
	if err != nil {
		return nil, cmp.Or(p.Require(ScopeUpdate), err)
	}
	rollout, err := s.steerRollout(ctx, p, app, id, to, reason)
	return rollout, s.refused(ctx, p, attempt{what: "rollout " + string(to), appID: app.AppID}, err)
}

func (s *Service) steerRollout(ctx context.Context, p Principal, app store.App, id string, to column.RolloutState, reason string) (*FleetRollout, error) {
	if err := p.Require(ScopeUpdate); err != nil {
		return nil, err
	}
	var row store.Rollout
	err := errStale
	for errors.Is(err, errStale) && ctx.Err() == nil {
		err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			var err error
			row, err = s.steerOnce(ctx, tx, app.AppID, id, to, reason, p.KeyID)
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("move rollout %s to %s: %w", id, to, err)
	}
	return s.fleetView(ctx, row)
}

func (s *Service) steerOnce(ctx context.Context, tx *store.Tx, appID, id string, to column.RolloutState, reason, actor string) (store.Rollout, error) {
	row, err := tx.GetRollout(ctx, id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && row.AppID != appID) {
		return row, errNoRollout(id)
	}
	if err != nil || row.State == to {
		return row, err // asked again
	}
	if !fleet.CanMove(row.State, to) {
		return row, problem.New(problem.KindConflict, "", "the rollout is %s and cannot become %s", row.State, to).
			With("state", string(row.State), "").With("reason", row.Reason, "")
	}
	next := row
	next.State, next.Reason = to, reason
	if to == column.RolloutRunning && !row.Promoted {
		// One that was paused in the middle of its canary has not shown anything yet.
		targets, err := tx.ListRolloutTargets(ctx, id)
		if err != nil {
			return row, err
		}
		next.Promoted = !slices.ContainsFunc(targets, func(t store.RolloutTarget) bool {
			return t.Batch < row.CanaryBatches && (t.State == column.TargetPending || t.State == column.TargetUpdating || t.State == column.TargetSettling)
		})
	}
	if err := s.setRollout(ctx, tx, &row, next, actor); err != nil {
		return row, err
	}
	return row, s.queue.EnqueueRollout(ctx, tx, id)
}

// setRollout writes a rollout if nobody else did since it was read, with a step of its history when the
// state changes. row becomes what was written.
func (s *Service) setRollout(ctx context.Context, tx *store.Tx, row *store.Rollout, next store.Rollout, actor string) error {
	now := column.At(s.clock.Now())
	moved := next.State != row.State
	if moved {
		if !fleet.CanMove(row.State, next.State) {
			return fmt.Errorf("control: rollout %s cannot go from %s to %s", row.ID, row.State, next.State)
		}
		next.StateSince = now
		if next.State.Final() {
			next.FinishedAt = &now
		}
		if err := s.enterRollout(ctx, tx, row, row.State, next.State, next.Reason, actor, now); err != nil {
			return err
		}
	}
	changed, err := tx.SetRollout(ctx, store.SetRolloutParams{
		ID: row.ID, Version: row.Version, State: next.State, Reason: next.Reason, Promoted: next.Promoted,
		StateSince: next.StateSince, FinishedAt: next.FinishedAt,
	})
	if err != nil {
		return err
	}
	if changed == 0 {
		return errStale
	}
	next.Version++
	if moved {
		if err := tx.InsertRolloutEvent(ctx, store.InsertRolloutEventParams{
			RolloutID: row.ID, FromState: row.State, ToState: next.State, Reason: next.Reason, Actor: actor, CreatedAt: now,
		}); err != nil {
			return err
		}
	}
	*row = next
	return nil
}

// wakeRollout gives the rollout that began an update a job when the update has come to an end, or to where
// it would wait for its owner. It runs in the transaction that says so.
func (s *Service) wakeRollout(ctx context.Context, tx *store.Tx, u *store.Update) error {
	if !u.State.Final() && u.State != column.AwaitingApproval {
		return nil
	}
	id, err := tx.FindRolloutOfUpdate(ctx, u.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("rollout of update %s: %w", u.ID, err)
	}
	return s.queue.EnqueueRollout(ctx, tx, id)
}

// sweepRollouts gives every rollout that is not final a job.
func (s *Service) sweepRollouts(ctx context.Context) error {
	open, err := s.store.Read().ListOpenRollouts(ctx)
	if err != nil {
		return fmt.Errorf("sweep rollouts: %w", err)
	}
	for _, row := range open {
		if err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			return s.queue.EnqueueRollout(ctx, tx, row.ID)
		}); err != nil {
			return fmt.Errorf("sweep rollout %s: %w", row.ID, err)
		}
	}
	return nil
}

// app finds an app of the caller's workspace.
func (s *Service) app(ctx context.Context, p Principal, scope Scope, ref string) (store.App, error) {
	if err := p.Require(scope); err != nil {
		return store.App{}, err
	}
	return s.ownApp(ctx, p, ref)
}

// ownApp finds an app of the caller's workspace, whatever the key may do.
func (s *Service) ownApp(ctx context.Context, p Principal, ref string) (store.App, error) {
	missing := problem.New(problem.KindNotFound, api.CodeCVMNotFound, "app not found").
		With("app_id", ref, "no app of this workspace has this id").
		Suggest("The app id of a CVM is its member app_id: 40 hex digits.")
	id, err := api.ParseAppID("app_id", ref)
	if err != nil {
		return store.App{}, missing.Because(err)
	}
	app, err := s.store.Read().GetApp(ctx, id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && app.WorkspaceID != p.Workspace.ID) {
		return store.App{}, missing
	}
	if err != nil {
		return store.App{}, fmt.Errorf("app %s: %w", id, err)
	}
	return app, nil
}

// policy is the policy of a rollout in the words of package fleet.
func policy(row *store.Rollout) fleet.Policy {
	return fleet.Policy{
		Strategy: row.Strategy, MaxUnavailable: int(row.MaxUnavailable), Canary: int(row.Canary),
		MinReady: time.Duration(row.MinReady) * time.Second, MaxFailures: int(row.MaxFailures),
	}
}
