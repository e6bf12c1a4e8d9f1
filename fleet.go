package lockstep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// GetApp returns an app with its CVMs.
//
// API: GET /apps/{app_id}
func (c *Client) GetApp(ctx context.Context, appID string) (*api.App[api.CVM], error) {
	var out api.App[api.CVM]
	if err := c.callApp(ctx, http.MethodGet, appID, "", nil, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// GetAppCVMs returns the CVMs of an app, oldest first.
//
// API: GET /apps/{app_id}/cvms
func (c *Client) GetAppCVMs(ctx context.Context, appID string) ([]api.CVM, error) {
	path, err := appPath(appID, "/cvms")
	if err != nil {
		return nil, err
	}
	r := request{method: http.MethodGet, path: path, version: api.Version20260121}
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	var out []api.CVM
	if err := json.Unmarshal(resp.body, &out); err != nil {
		return nil, &ResponseError{Operation: r.name(), StatusCode: resp.status, Reason: err.Error()}
	}
	return out, nil
}

// CreateReplica makes another CVM of the app of a CVM, with the same document and KMS. With an on-chain
// KMS the contract has to allow the document and the device of the node first; what is missing comes as
// an *[APIError] that [MissingApprovals] reads.
//
// API: POST /cvms/{id}/replicas
func (c *Client) CreateReplica(ctx context.Context, cvmID string, in api.ReplicateRequest) (*api.VM, error) {
	id, err := segment(cvmID)
	if err != nil {
		return nil, err
	}
	var out api.VM
	if err := c.call(ctx, request{method: http.MethodPost, path: "/cvms/" + id + "/replicas"}, in, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// CreateAppReplica makes another CVM of an app from the one named.
//
// API: POST /apps/{app_id}/cvms/{vm_uuid}/replicas
func (c *Client) CreateAppReplica(ctx context.Context, appID, vmUUID string, in api.ReplicateRequest) (*api.VM, error) {
	id, err := segment(vmUUID)
	if err != nil {
		return nil, err
	}
	var out api.VM
	if err := c.callApp(ctx, http.MethodPost, appID, "/cvms/"+id+"/replicas", in, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// StartRollout takes one approved document to all CVMs of an app, or to those named. While a rollout to
// the same document is on its way it returns that one, so it may be repeated. Approvals that are missing come
// as an *[APIError] that [MissingApprovals] reads. Only Lockstep servers offer it.
//
// API: POST /apps/{app_id}/rollouts
func (c *Client) StartRollout(ctx context.Context, appID string, in api.RolloutRequest) (*api.Rollout, error) {
	if (in.ComposeHash == "") == (in.RevisionID == "") {
		return nil, &FieldError{Field: "compose_hash", Seen: in.ComposeHash, Expected: "either a compose hash or a revision id"}
	}
	return c.rollout(ctx, http.MethodPost, appID, "", in)
}

// Rollouts returns the newest rollouts of an app without their CVMs, at most limit of them; 0 is the server's
// choice.
//
// API: GET /apps/{app_id}/rollouts
func (c *Client) Rollouts(ctx context.Context, appID string, limit int) ([]api.Rollout, error) {
	path, err := appPath(appID, "/rollouts")
	if err != nil {
		return nil, err
	}
	r := request{method: http.MethodGet, path: path}
	if limit != 0 {
		r.query = url.Values{"limit": {strconv.Itoa(limit)}}
	}
	var out api.Rollouts
	if err := c.call(ctx, r, nil, &out); err != nil {
		return nil, err
	}
	return out.Items, nil
}

// Rollout returns one rollout with its CVMs and the steps it took.
//
// API: GET /apps/{app_id}/rollouts/{rollout_id}
func (c *Client) Rollout(ctx context.Context, appID, rolloutID string) (*api.Rollout, error) {
	return c.oneRollout(ctx, http.MethodGet, appID, rolloutID, "")
}

// PauseRollout keeps a rollout from beginning with more CVMs. Those under way go on to their end.
//
// API: POST /apps/{app_id}/rollouts/{rollout_id}/pause
func (c *Client) PauseRollout(ctx context.Context, appID, rolloutID string) (*api.Rollout, error) {
	return c.oneRollout(ctx, http.MethodPost, appID, rolloutID, "/pause")
}

// ResumeRollout lets a paused rollout go on. After the canary it promotes the document to all CVMs.
//
// API: POST /apps/{app_id}/rollouts/{rollout_id}/resume
func (c *Client) ResumeRollout(ctx context.Context, appID, rolloutID string) (*api.Rollout, error) {
	return c.oneRollout(ctx, http.MethodPost, appID, rolloutID, "/resume")
}

// AbortRollout takes the CVMs that were moved back to what they ran before.
//
// API: POST /apps/{app_id}/rollouts/{rollout_id}/abort
func (c *Client) AbortRollout(ctx context.Context, appID, rolloutID string) (*api.Rollout, error) {
	return c.oneRollout(ctx, http.MethodPost, appID, rolloutID, "/abort")
}

// WatchRollout follows a rollout: it yields it at once and after each change, and ends after it is
// final. A rollout that is paused is yielded and watched on. Failures that pass by themselves do not end
// the watch; others, and the end of ctx, are yielded as an error and do. An interval of 0 is one second.
//
// API: GET /apps/{app_id}/rollouts/{rollout_id}
func (c *Client) WatchRollout(ctx context.Context, appID, rolloutID string, interval time.Duration) iter.Seq2[*api.Rollout, error] {
	if interval <= 0 {
		interval = time.Second
	}
	return func(yield func(*api.Rollout, error) bool) {
		var last string
		for {
			rollout, err := c.Rollout(ctx, appID, rolloutID)
			switch {
			case err != nil && (ctx.Err() != nil || !passing(err)):
				yield(nil, err)
				return
			case err == nil:
				if now := fleetLook(rollout); now != last {
					last = now
					if !yield(rollout, nil) {
						return
					}
				}
				if rollout.State.Final() {
					return
				}
			}
			if err := c.clock.Sleep(ctx, interval); err != nil {
				yield(nil, fmt.Errorf("lockstep: watch rollout %s: %w", rolloutID, err))
				return
			}
		}
	}
}

// fleetLook is what of a rollout changes.
func fleetLook(r *api.Rollout) string {
	var text strings.Builder
	text.WriteString(string(r.State) + r.Reason)
	for i := range r.Targets {
		text.WriteString("\n" + r.Targets[i].State + r.Targets[i].Reason)
	}
	return text.String()
}

// FleetError says that a rollout has ended without every CVM on its document.
type FleetError struct{ Rollout *api.Rollout }

// Error implements error.
func (e *FleetError) Error() string {
	return fmt.Sprintf("lockstep: rollout %s is %s: %s", e.Rollout.RolloutID, e.Rollout.State, e.Rollout.Reason)
}

// WaitRollout waits until a rollout is final or paused, which after the canary means that it waits for a
// person. One that was rolled back or failed is a *[FleetError], beside the rollout.
func (c *Client) WaitRollout(ctx context.Context, appID, rolloutID string, interval time.Duration) (*api.Rollout, error) {
	var last *api.Rollout
	for rollout, err := range c.WatchRollout(ctx, appID, rolloutID, interval) {
		if err != nil {
			return last, err
		}
		last = rollout
		switch rollout.State {
		case api.RolloutPaused, api.RolloutSucceeded:
			return rollout, nil
		case api.RolloutRolledBack, api.RolloutFailed:
			return rollout, &FleetError{rollout}
		case api.RolloutRunning, api.RolloutRollingBack:
		}
	}
	return last, nil
}

// MissingApprovals returns what the owner has to register before a replica or a rollout, from the error
// that refused it; nil when the error says nothing of that kind.
func MissingApprovals(err error) []api.MissingApproval {
	var refusal *APIError
	if !errors.As(err, &refusal) {
		return nil
	}
	for _, d := range refusal.Details {
		var missing []api.MissingApproval
		if d.Field == api.DetailMissing && json.Unmarshal(d.Value, &missing) == nil {
			return missing
		}
	}
	return nil
}

func appPath(appID, suffix string) (string, error) {
	id, err := api.ParseAppID("app_id", appID)
	if err != nil {
		return "", err
	}
	return "/apps/" + id + suffix, nil
}

func (c *Client) callApp(ctx context.Context, method, appID, suffix string, in, out any) error {
	path, err := appPath(appID, suffix)
	if err != nil {
		return err
	}
	return c.call(ctx, request{method: method, path: path, version: api.Version20260121}, in, out)
}

func (c *Client) rollout(ctx context.Context, method, appID, suffix string, in any) (*api.Rollout, error) {
	var out api.Rollout
	if err := c.callApp(ctx, method, appID, "/rollouts"+suffix, in, &out); err != nil {
		return nil, err
	}
	if out.RolloutID == "" || out.State == "" {
		return nil, &ResponseError{Operation: method + " /apps/{app_id}/rollouts" + suffix, StatusCode: http.StatusOK, Reason: "rollout_id or state is missing"}
	}
	return &out, nil
}

func (c *Client) oneRollout(ctx context.Context, method, appID, rolloutID, suffix string) (*api.Rollout, error) {
	if rolloutID == "" {
		return nil, &FieldError{Field: "rollout_id", Seen: "nothing", Expected: "the id of a rollout"}
	}
	return c.rollout(ctx, method, appID, "/"+escape(rolloutID)+suffix, nil)
}
