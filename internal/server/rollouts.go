package server

import (
	"context"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// Sizes of the listing GET /apps/{app_id}/rollouts.
const (
	defaultRollouts = 20
	maxRollouts     = 100
)

// startRollout is POST /apps/{app_id}/rollouts.
func (s *Server) startRollout(w http.ResponseWriter, r *http.Request, c *call) error {
	var request api.RolloutRequest
	if err := decodeJSON(w, r, &request); err != nil {
		return err
	}
	rollout, err := s.domain.StartRollout(r.Context(), c.principal, c.params["app_id"], request)
	if err != nil {
		return err
	}
	s.json(w, http.StatusAccepted, rolloutOf(rollout))
	return nil
}

// listRollouts is GET /apps/{app_id}/rollouts.
func (s *Server) listRollouts(w http.ResponseWriter, r *http.Request, c *call) error {
	limit, err := queryInt(r.URL.Query(), "limit", defaultRollouts, 1, maxRollouts)
	if err != nil {
		return err
	}
	rollouts, err := s.domain.Rollouts(r.Context(), c.principal, c.params["app_id"], limit)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, api.Rollouts{Items: each(rollouts, rolloutOf)})
	return nil
}

// getRollout is GET /apps/{app_id}/rollouts/{rollout_id}.
func (s *Server) getRollout(w http.ResponseWriter, r *http.Request, c *call) error {
	rollout, err := s.domain.Rollout(r.Context(), c.principal, c.params["app_id"], c.params["rollout_id"])
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, rolloutOf(rollout))
	return nil
}

// steering is one of the calls that move a rollout.
type steering func(Domain, context.Context, control.Principal, string, string) (*control.FleetRollout, error)

func steer(move steering) func(*Server, http.ResponseWriter, *http.Request, *call) error {
	return func(s *Server, w http.ResponseWriter, r *http.Request, c *call) error {
		rollout, err := move(s.domain, r.Context(), c.principal, c.params["app_id"], c.params["rollout_id"])
		if err != nil {
			return err
		}
		s.json(w, http.StatusAccepted, rolloutOf(rollout))
		return nil
	}
}

func rolloutOf(rollout *control.FleetRollout) api.Rollout {
	row := &rollout.Row
	shown := api.Rollout{
		RolloutID: row.ID, AppID: row.AppID, ComposeHash: row.ComposeHash.String(), TransactionHash: optional(row.TxHash),
		Strategy: string(row.Strategy), MaxUnavailable: int(row.MaxUnavailable), Canary: int(row.Canary), MinReady: int(row.MinReady),
		MaxFailures: int(row.MaxFailures), State: api.RolloutState(row.State), Reason: row.Reason, CreatedBy: row.CreatedBy,
		CreatedAt: *timestamp(row.CreatedAt.Time), StateSince: *timestamp(row.StateSince.Time),
		Targets: each(rollout.Targets, func(t store.RolloutTarget) api.RolloutTarget {
			return api.RolloutTarget{
				VMUUID: t.VMUUID, Batch: int(t.Batch) + 1, State: string(t.State), Reason: t.Reason,
				FromRevisionID: optional(t.FromRevisionID), UpdatedAt: *timestamp(t.UpdatedAt.Time),
			}
		}),
	}
	if row.FinishedAt != nil {
		shown.FinishedAt = timestamp(row.FinishedAt.Time)
	}
	if len(rollout.Events) > 0 {
		shown.Events = each(rollout.Events, func(e store.RolloutEvent) api.RolloutEvent {
			return api.RolloutEvent{
				FromState: string(e.FromState), ToState: string(e.ToState), Reason: e.Reason, Actor: e.Actor, Timestamp: *timestamp(e.CreatedAt.Time),
			}
		})
	}
	return shown
}
