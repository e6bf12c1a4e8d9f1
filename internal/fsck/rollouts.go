package fsck

import (
	"context"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/fleet"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// fleetUpdate is what the rules need of an update that a fleet rollout began.
type fleetUpdate struct {
	found bool
	cvm   int64
	hash  appcompose.ComposeHash
	state column.UpdateState
}

// rollouts walks the history of every fleet rollout through its state machine and looks at its targets. What
// it says about updates is checked once those were read.
func (c *check) rollouts(ctx context.Context, q *store.Queries) error {
	after := ""
	active := map[string]string{} // by app
	return pages(c, "rollouts", "",
		func(r store.Rollout) string { return r.ID },
		func(from string) ([]store.Rollout, error) {
			after = from
			return q.PageRollouts(ctx, from, pageSize)
		},
		func(rows []store.Rollout) error {
			events, err := q.RolloutEventsBetween(ctx, after, rows[len(rows)-1].ID)
			if err != nil {
				return err
			}
			c.report.Rows["rollout_events"] += len(events)
			steps := map[string][]store.RolloutEvent{}
			for _, e := range events {
				steps[e.RolloutID] = append(steps[e.RolloutID], e)
			}
			for _, r := range rows {
				wrong := func(rule, seen string, args ...any) { c.found("rollouts", r.ID, rule, seen, args...) }
				if other := active[r.AppID]; other != "" && !r.State.Final() {
					wrong("an app has one active rollout", "%s too", other)
				}
				if !r.State.Final() {
					active[r.AppID] = r.ID
				}
				c.rollout(r, steps[r.ID], wrong)
				targets, err := q.ListRolloutTargets(ctx, r.ID)
				if err != nil {
					return err
				}
				c.report.Rows["rollout_targets"] += len(targets)
				c.targets(r, targets, wrong)
			}
			return nil
		})
}

// rollout checks the row and that the steps lead from the first state to the present one, each along an edge
// of the state machine.
func (c *check) rollout(r store.Rollout, steps []store.RolloutEvent, wrong func(rule, seen string, args ...any)) {
	if r.State.Final() != (r.FinishedAt != nil) {
		wrong("finished_at is set exactly in a final state", "state %s, finished_at %v", r.State, r.FinishedAt)
	}
	if r.Reason == "" {
		wrong("every state has a reason", "none in state %s", r.State)
	}
	if len(steps) == 0 {
		wrong("every rollout has a history", "no step")
		return
	}
	at := column.RolloutState("")
	for i, step := range steps {
		if step.Seq != int64(i)+1 {
			wrong("steps count from 1 without a gap", "step %d is number %d", i+1, step.Seq)
		}
		if step.FromState != at {
			wrong("each step begins where the one before ended", "step %d from %q after %q", step.Seq, step.FromState, at)
		}
		switch {
		case i == 0 && step.ToState != column.RolloutRunning:
			wrong("a history begins with running", "%s", step.ToState)
		case i > 0 && !fleet.CanMove(step.FromState, step.ToState):
			wrong("each step is a transition of the state machine", "step %d from %s to %s", step.Seq, step.FromState, step.ToState)
		}
		if step.Reason == "" || step.Actor == "" {
			wrong("each step has a reason and an actor", "step %d: reason %q, actor %q", step.Seq, step.Reason, step.Actor)
		}
		at = step.ToState
	}
	if at != r.State {
		wrong("the last step leads to the present state", "last step to %s, state %s", at, r.State)
	}
}

// targets checks the CVMs of a rollout against its state.
func (c *check) targets(r store.Rollout, targets []store.RolloutTarget, wrong func(rule, seen string, args ...any)) {
	if len(targets) == 0 {
		wrong("a rollout has CVMs", "none")
	}
	batch, stuck := int64(0), 0
	for i, t := range targets {
		if t.Position != int64(i) {
			wrong("its CVMs count from 0 without a gap", "CVM %d is number %d", i, t.Position)
		}
		if t.Batch < batch || t.Batch > batch+1 || i == 0 && t.Batch != 0 {
			wrong("its batches follow each other", "batch %d after %d", t.Batch, batch)
		}
		batch = t.Batch
		if t.Reason == "" {
			wrong("every CVM of it has a reason", "CVM %d is %s", t.Position, t.State)
		}
		switch cvm, ok := c.cvms[t.CVMID]; {
		case !ok:
			wrong("its CVMs exist", "CVM %d", t.CVMID)
		case cvm.AppID != r.AppID || cvm.VMUUID != t.VMUUID:
			wrong("its CVMs are of its app", "CVM %s of app %s", cvm.VMUUID, cvm.AppID)
		}
		if t.State == column.TargetStuck {
			stuck++
		}
		if r.State.Final() && underWay(t.State) {
			wrong("nothing is under way when it has ended", "CVM %d is %s", t.Position, t.State)
		}
		for _, id := range []string{t.UpdateID, t.RevertID} {
			if id != "" {
				c.fleetUpdates[id] = fleetUpdate{} // read with all updates
			}
		}
		c.fleetTargets = append(c.fleetTargets, fleetTarget{rollout: r.ID, hash: r.ComposeHash, row: t})
	}
	if (r.State == column.RolloutFailed) != (stuck > 0 && r.State.Final()) {
		wrong("it has failed exactly when a CVM could not go back", "state %s, %d of them", r.State, stuck)
	}
}

func underWay(s column.TargetState) bool {
	switch s {
	case column.TargetPending, column.TargetUpdating, column.TargetSettling, column.TargetReverting:
		return true
	case column.TargetDone, column.TargetFailed, column.TargetSkipped, column.TargetReverted, column.TargetStuck:
	}
	return false
}

// fleetTarget is a CVM of a rollout whose updates have to be looked at.
type fleetTarget struct {
	rollout string
	hash    appcompose.ComposeHash
	row     store.RolloutTarget
}

// checkTargets compares the CVMs of rollouts with the updates that they name.
func (c *check) checkTargets() {
	for _, target := range c.fleetTargets {
		t := target.row
		wrong := func(rule, seen string, args ...any) { c.found("rollouts", target.rollout, rule, seen, args...) }
		for _, id := range []string{t.UpdateID, t.RevertID} {
			if id == "" {
				continue
			}
			switch u := c.fleetUpdates[id]; {
			case !u.found:
				wrong("the updates of its CVMs exist", "%s of CVM %d", id, t.Position)
			case u.cvm != t.CVMID:
				wrong("the updates of its CVMs are theirs", "%s is of CVM %d, not %d", id, u.cvm, t.CVMID)
			case id == t.UpdateID && u.hash != target.hash:
				wrong("its updates have its document", "%s has %s", id, u.hash)
			}
		}
		began, back := c.fleetUpdates[t.UpdateID], c.fleetUpdates[t.RevertID]
		seen := func(u fleetUpdate) string {
			if !u.found {
				return "none"
			}
			return string(u.state)
		}
		switch t.State {
		case column.TargetPending:
			if t.UpdateID != "" {
				wrong("a CVM whose turn has not come has no update", "CVM %d has %s", t.Position, t.UpdateID)
			}
		case column.TargetUpdating:
			if t.UpdateID == "" {
				wrong("a CVM that is updated has an update", "CVM %d", t.Position)
			}
		case column.TargetSettling:
			if began.state != column.Succeeded {
				wrong("a CVM that has the document has an update that succeeded", "CVM %d: %s", t.Position, seen(began))
			}
		case column.TargetReverting:
			if t.RevertID == "" {
				wrong("a CVM that goes back has an update for that", "CVM %d", t.Position)
			}
		case column.TargetReverted:
			if t.RevertID != "" && back.state != column.Succeeded {
				wrong("a CVM that went back has an update that succeeded", "CVM %d: %s", t.Position, seen(back))
			}
		case column.TargetFailed:
			if began.found && !began.state.Final() {
				wrong("a CVM that failed has an update that ended", "CVM %d: %s", t.Position, seen(began))
			}
		case column.TargetDone, column.TargetSkipped, column.TargetStuck:
		}
		if t.Moved && began.state != column.Succeeded {
			wrong("a CVM that was moved has an update that succeeded", "CVM %d: %s", t.Position, seen(began))
		}
	}
}
