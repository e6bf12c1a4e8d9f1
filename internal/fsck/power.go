package fsck

import (
	"context"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// power walks the history of every power operation through the state machine.
func (c *check) power(ctx context.Context, q *store.Queries) error {
	after := ""
	return pages(c, "power_operations", "",
		func(op store.PowerOperation) string { return op.ID },
		func(from string) ([]store.PowerOperation, error) {
			after = from
			return q.PagePowerOperations(ctx, from, pageSize)
		},
		func(rows []store.PowerOperation) error {
			events, err := q.PowerEventsBetween(ctx, after, rows[len(rows)-1].ID)
			if err != nil {
				return err
			}
			c.report.Rows["power_events"] += len(events)
			steps := map[string][]store.PowerEvent{}
			for _, e := range events {
				steps[e.OperationID] = append(steps[e.OperationID], e)
			}
			for _, op := range rows {
				c.powerOperation(op, steps[op.ID])
			}
			return nil
		})
}

func (c *check) powerOperation(op store.PowerOperation, steps []store.PowerEvent) {
	wrong := func(rule, seen string, args ...any) { c.found("power_operations", op.ID, rule, seen, args...) }
	if op.State.Final() != (op.FinishedAt != nil) {
		wrong("finished_at is set exactly in a final state", "state %s, finished_at %v", op.State, op.FinishedAt)
	}
	if op.Reason == "" {
		wrong("every state has a reason", "none in state %s", op.State)
	}
	powerHistory(op, steps, wrong)
	cvm, ok := c.cvms[op.CVMID]
	if !ok {
		wrong("its CVM exists", "cvm %d", op.CVMID)
		return
	}
	c.recordsOfPower(op, steps, wrong)
	owns := op.State.Owns()
	switch {
	case owns && cvm.ActiveUpdateID != op.ID:
		wrong("an operation under way owns its CVM", "state %s, the CVM is owned by %q", op.State, cvm.ActiveUpdateID)
	case !owns && cvm.ActiveUpdateID == op.ID:
		wrong("an operation owns its CVM only while it is under way", "state %s", op.State)
	case op.State == column.PowerQueued && cvm.ActiveUpdateID == "" && c.options.Now.After(op.StateSince.Add(c.options.Grace)):
		wrong("what is in line gets its turn", "in line since %s, and nothing has the CVM", op.StateSince)
	}
	if owns {
		c.active[op.CVMID] = op.ID
	}
	if op.Kind == column.PowerDelete && op.State != column.PowerCancelled && cvm.DeletedAt == nil {
		wrong("a CVM that is being deleted is marked so", "the delete is %s", op.State)
	}
	if op.FinishedAt != nil && op.State != column.PowerCancelled && op.FinishedAt.After(c.powered[op.CVMID].at) {
		c.powered[op.CVMID] = powered{kind: op.Kind, state: op.State, at: op.FinishedAt.Time}
	}
}

func powerHistory(op store.PowerOperation, steps []store.PowerEvent, wrong func(rule, seen string, args ...any)) {
	if len(steps) == 0 {
		wrong("every operation has a history", "no step")
		return
	}
	at := column.PowerState("")
	for i, step := range steps {
		if step.Seq != int64(i)+1 {
			wrong("steps count from 1 without a gap", "step %d is number %d", i+1, step.Seq)
		}
		if step.FromState != at {
			wrong("each step begins where the one before ended", "step %d from %q after %q", step.Seq, step.FromState, at)
		}
		switch {
		case i == 0 && step.ToState != column.PowerPending && step.ToState != column.PowerQueued:
			wrong("a history begins with pending or queued", "%s", step.ToState)
		case i > 0 && !control.CanMovePower(step.FromState, step.ToState):
			wrong("each step is a transition of the state machine", "step %d from %s to %s", step.Seq, step.FromState, step.ToState)
		}
		if step.Reason == "" || step.Actor == "" {
			wrong("each step has a reason and an actor", "step %d: reason %q, actor %q", step.Seq, step.Reason, step.Actor)
		}
		at = step.ToState
	}
	if at != op.State {
		wrong("the last step leads to the present state", "last step to %s, state %s", at, op.State)
	}
}

// powerStatus compares what a CVM is said to be with how its newest power operation ended, when that came
// after its newest rollout. It reports whether it could.
func (c *check) powerStatus(v store.CVM, rollout outcome, wrong func(rule, seen string, args ...any)) bool {
	last, ok := c.powered[v.ID]
	if !ok || last.at.Before(rollout.at) {
		return false
	}
	want := control.StatusRunning
	switch last.kind {
	case column.PowerStop, column.PowerShutdown:
		want = control.StatusStopped
	case column.PowerStart, column.PowerRestart, column.PowerDelete:
	}
	// One that failed leaves the CVM as it was found, or down.
	if last.state == column.PowerSucceeded && v.Status != want {
		wrong("its status is the one that its newest power operation led to", "status %s after a %s", v.Status, last.kind)
	}
	return true
}
