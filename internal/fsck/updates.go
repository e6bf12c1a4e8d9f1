package fsck

import (
	"context"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// updates walks the history of every update through the state machine.
func (c *check) updates(ctx context.Context, q *store.Queries) error {
	after := ""
	return pages(c, "updates", "",
		func(u store.Update) string { return u.ID },
		func(from string) ([]store.Update, error) {
			after = from
			return q.PageUpdates(ctx, from, pageSize)
		},
		func(rows []store.Update) error {
			events, err := q.UpdateEventsBetween(ctx, after, rows[len(rows)-1].ID)
			if err != nil {
				return err
			}
			c.report.Rows["update_events"] += len(events)
			steps := map[string][]store.UpdateEvent{}
			for _, e := range events {
				steps[e.UpdateID] = append(steps[e.UpdateID], e)
			}
			for _, u := range rows {
				c.update(u, steps[u.ID])
				for _, step := range steps[u.ID] {
					if err := c.recordOf(ctx, q, u, step); err != nil {
						return err
					}
				}
			}
			return nil
		})
}

func (c *check) update(u store.Update, steps []store.UpdateEvent) {
	wrong := func(rule, seen string, args ...any) { c.found("updates", u.ID, rule, seen, args...) }
	if _, named := c.fleetUpdates[u.ID]; named {
		c.fleetUpdates[u.ID] = fleetUpdate{found: true, cvm: u.CVMID, hash: u.ComposeHash, state: u.State}
	}
	final := u.State.Final()
	if final != (u.FinishedAt != nil) {
		wrong("finished_at is set exactly in a final state", "state %s, finished_at %v", u.State, u.FinishedAt)
	}
	if u.Reason == "" {
		wrong("every state has a reason", "none in state %s", u.State)
	}
	c.history(u, steps, wrong)
	cvm, ok := c.cvms[u.CVMID]
	if !ok {
		wrong("its CVM exists", "cvm %d", u.CVMID)
		return
	}
	// A proof that is not deep enough yet keeps the update in awaiting_approval, but it owns the CVM.
	owns := u.State.Rolling() || u.State == column.AwaitingApproval && u.TxHash != ""
	switch {
	case owns && cvm.ActiveUpdateID != u.ID:
		wrong("an update that rolls owns its CVM", "state %s, the CVM is owned by %q", u.State, cvm.ActiveUpdateID)
	case !owns && cvm.ActiveUpdateID == u.ID:
		wrong("an update owns its CVM only while it rolls", "state %s", u.State)
	}
	if owns {
		c.active[u.CVMID] = u.ID
	}
	if u.State == column.AwaitingApproval && u.TxHash == "" && c.options.Now.After(u.ExpiresAt.Add(c.options.Grace)) {
		wrong("a candidate expires in time", "expired at %s", u.ExpiresAt.Format(time.RFC3339))
	}
	if u.FromRevisionID != "" {
		if from, ok := c.revisions[u.FromRevisionID]; !ok {
			wrong("the revision it starts from exists", "%s", u.FromRevisionID)
		} else if from.appID != cvm.AppID {
			wrong("the revision it starts from is of the same app", "%s of app %s", u.FromRevisionID, from.appID)
		}
	} else if u.Kind != column.KindDeploy {
		c.fromNothing[u.CVMID] = u.ID
	} else if u.State == column.Succeeded {
		c.booted[u.CVMID] = true
	}
	c.revisionOf(u, steps, wrong)
}

// history checks that the steps lead from the first state to the present one, each along an edge of the state
// machine.
func (c *check) history(u store.Update, steps []store.UpdateEvent, wrong func(rule, seen string, args ...any)) {
	if len(steps) == 0 {
		wrong("every update has a history", "no step")
		return
	}
	at := column.UpdateState("")
	rollouts := 0
	for i, step := range steps {
		if step.Seq != int64(i)+1 {
			wrong("steps count from 1 without a gap", "step %d is number %d", i+1, step.Seq)
		}
		if step.FromState != at {
			wrong("each step begins where the one before ended", "step %d from %q after %q", step.Seq, step.FromState, at)
		}
		switch {
		case i == 0 && step.ToState != column.Proposed:
			wrong("a history begins with proposed", "%s", step.ToState)
		case i > 0 && !control.CanMove(step.FromState, step.ToState):
			wrong("each step is a transition of the state machine", "step %d from %s to %s", step.Seq, step.FromState, step.ToState)
		}
		if step.Reason == "" || step.Actor == "" {
			wrong("each step has a reason and an actor", "step %d: reason %q, actor %q", step.Seq, step.Reason, step.Actor)
		}
		if step.ToState == column.RollingOut {
			rollouts++
		}
		at = step.ToState
	}
	if at != u.State {
		wrong("the last step leads to the present state", "last step to %s, state %s", at, u.State)
	}
	if rollouts > 1 {
		wrong("an update rolls out once", "%d times", rollouts)
	}
}

// revisionOf checks that what was accepted is a revision, with the same document.
func (c *check) revisionOf(u store.Update, steps []store.UpdateEvent, wrong func(rule, seen string, args ...any)) {
	accepted, began := false, false
	for _, step := range steps {
		accepted = accepted || step.ToState == column.Approved
		began = began || step.ToState == column.RollingOut
	}
	if began && u.State.Final() && u.FinishedAt != nil {
		last := c.newest[u.CVMID]
		if u.FinishedAt.After(last.at) {
			c.newest[u.CVMID] = outcome{update: u.ID, kind: u.Kind, state: u.State, at: u.FinishedAt.Time}
		}
	}
	id := control.RevisionID(u.ID)
	r, ok := c.revisions[id]
	changes := u.Kind == column.KindDeploy || u.Kind == column.KindUpdate
	switch {
	case accepted && changes && !ok:
		wrong("what was accepted is a revision", "no revision %s", id)
	case !accepted && ok:
		wrong("only what was accepted is a revision", "revision %s of an update in state %s", id, u.State)
	case ok && r.hash != u.ComposeHash:
		wrong("the revision has the document of its update", "revision %s, update %s", r.hash, u.ComposeHash)
	}
	if ok {
		r.hasUpdate = r.update == u.ID && r.cvm == u.CVMID
		c.revisions[id] = r
	}
}
