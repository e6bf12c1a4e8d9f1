package control

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// exec changes the database behind the back of the service.
func (h *harness) exec(statement string, args ...any) {
	h.t.Helper()
	_, err := h.store.WriteDB().ExecContext(context.Background(), statement, args...)
	must(h.t, err)
}

// delete takes a CVM away in the middle of its update.
func (h *harness) delete(row store.CVM) {
	h.t.Helper()
	h.exec(`UPDATE updates SET state = 'rolled_back', reason = 'the CVM was deleted', finished_at = 1, version = version + 1 WHERE id = ?`, row.ActiveUpdateID)
	h.exec(`UPDATE cvms SET deleted_at = 1, active_update_id = '' WHERE id = ?`, row.ID)
}

// until steps the rollout and its updates until a target is in a state.
func (h *harness) until(rollout *FleetRollout, target int, state column.TargetState) {
	h.t.Helper()
	ctx := context.Background()
	for range 500 {
		view, err := h.service.Rollout(ctx, h.alice, rollout.Row.AppID, rollout.Row.ID)
		must(h.t, err)
		if view.Targets[target].State == state {
			return
		}
		_, err = h.service.AdvanceRollout(ctx, rollout.Row.ID)
		must(h.t, err)
		h.stepUpdates()
		h.node.tick()
		h.clock.advance(time.Second)
	}
	h.t.Fatalf("target %d does not become %s", target, state)
}

// A node whose errors differ each time (they name ports) must not make the rollout write without a pause.
func TestARolloutPausesWhileHealthIsNotKnown(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(1, api.KMSEthereum)
	r := request(hash)
	r.MinReady = new(int)
	*r.MinReady = 60
	rollout := h.roll(cvms[0], r)
	h.until(rollout, 0, column.TargetSettling)
	h.node.unreachable = true
	for range 5 {
		step, err := h.service.AdvanceRollout(t.Context(), rollout.Row.ID)
		must(t, err)
		if step.Wait <= 0 {
			t.Fatalf("step %+v, want a wait", step)
		}
	}
	h.node.unreachable = false
	if got := h.goOn(rollout); got.Row.State != column.RolloutSucceeded {
		t.Errorf("%s: %s", got.Row.State, got.Row.Reason)
	}
}

// Deleting a replica while it is updated is no failure of the document.
func TestAReplicaThatIsDeletedInItsUpdateIsSkipped(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(3, api.KMSEthereum)
	rollout := h.roll(cvms[0], request(hash))
	h.until(rollout, 1, column.TargetUpdating)
	row, err := h.store.Read().GetCVM(t.Context(), cvms[1].Row.ID)
	must(t, err)
	h.delete(row)
	got := h.goOn(rollout)
	if got.Row.State != column.RolloutSucceeded || states(got) != "done skipped done" {
		t.Errorf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
}

// One that goes back and is deleted meanwhile does not make the rollout fail.
func TestAReplicaThatIsDeletedOnItsWayBackIsSkipped(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(2, api.KMSEthereum)
	rollout := h.roll(cvms[0], request(hash))
	h.until(rollout, 0, column.TargetDone)
	_, err := h.service.AbortRollout(t.Context(), h.alice, rollout.Row.AppID, rollout.Row.ID)
	must(t, err)
	h.until(rollout, 0, column.TargetReverting)
	row, err := h.store.Read().GetCVM(t.Context(), cvms[0].Row.ID)
	must(t, err)
	h.delete(row)
	if got := h.goOn(rollout); got.Row.State != column.RolloutRolledBack || got.Targets[0].State != column.TargetSkipped {
		t.Errorf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
}

// A CVM that has the document and went down is brought up, as the architecture says.
func TestAReplicaThatExitedIsBroughtUp(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(2, api.KMSEthereum)
	h.goOn(h.roll(cvms[0], request(hash)))
	h.node.mu.Lock()
	down := h.node.cvms[cvms[1].Row.VMUUID]
	down.state, down.running = runtime.StateExited, [32]byte{}
	h.node.mu.Unlock()
	got := h.goOn(h.roll(cvms[0], request(hash)))
	if got.Row.State != column.RolloutSucceeded || h.running(cvms[1]) != hash {
		t.Errorf("%s (%s): %s; it runs %s", got.Row.State, got.Row.Reason, states(got), h.running(cvms[1]))
	}
}

// A CVM whose node is not configured any more fails alone, and the rollout comes to an end.
func TestAReplicaOfANodeThatIsGone(t *testing.T) {
	for name, tt := range map[string]struct {
		at     column.TargetState // of the CVM when its node goes
		abort  bool
		state  column.RolloutState
		target column.TargetState
	}{
		"before its turn":     {column.TargetPending, false, column.RolloutSucceeded, column.TargetFailed},
		"while it settles":    {column.TargetSettling, false, column.RolloutFailed, column.TargetStuck},
		"when it has to come": {column.TargetDone, true, column.RolloutFailed, column.TargetStuck},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			cvms, hash := h.fleetOf(3, api.KMSEthereum)
			r := request(hash)
			if tt.state == column.RolloutSucceeded {
				r.MaxFailures = 1
			}
			rollout := h.roll(cvms[0], r)
			h.until(rollout, 1, tt.at)
			h.exec(`UPDATE cvms SET node_id = 99 WHERE id = ?`, cvms[1].Row.ID)
			if tt.abort {
				_, err := h.service.AbortRollout(t.Context(), h.alice, rollout.Row.AppID, rollout.Row.ID)
				must(t, err)
			}
			got := h.goOn(rollout)
			if got.Row.State != tt.state || got.Targets[1].State != tt.target || !strings.Contains(got.Targets[1].Reason, "node 99") {
				t.Errorf("%s (%s): %s; %s", got.Row.State, got.Row.Reason, states(got), got.Targets[1].Reason)
			}
		})
	}
}

// What the owner approved again since it was looked at is not given up.
func TestWhatWasApprovedAgainIsNotGivenUp(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("approved-again", api.KMSEthereum)
	u, tx := h.approved(cvm, yamlNumber(2))
	h.chain.remove(cvm.Row.AppID, u.ComposeHash)
	if lost := h.settle(u.ID); lost.State != column.AwaitingApproval {
		t.Fatalf("update is %s", lost.State)
	}
	looked := h.get(u.ID)
	h.chain.add(cvm.Row.AppID, u.ComposeHash)
	_, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), ComposeHash: u.ComposeHash.String(), TransactionHash: tx})
	must(t, err)
	f := &fleetStep{Service: h.service}
	err = h.store.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error { return f.giveUp(ctx, tx, looked) })
	if now := h.get(u.ID); !errors.Is(err, errStale) || now.State != column.Approved {
		t.Errorf("got %v, and the update is %s: %s", err, now.State, now.Reason)
	}
}

// A rollout that goes back is not what a request for its document asks for.
func TestARolloutThatGoesBackIsNotStartedAgain(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(2, api.KMSEthereum)
	rollout := h.roll(cvms[0], request(hash))
	if again := h.roll(cvms[0], request(hash)); again.Row.ID != rollout.Row.ID {
		t.Errorf("a repeated request made %s beside %s", again.Row.ID, rollout.Row.ID)
	}
	h.until(rollout, 0, column.TargetDone)
	_, err := h.service.AbortRollout(t.Context(), h.alice, rollout.Row.AppID, rollout.Row.ID)
	must(t, err)
	if again, err := h.service.StartRollout(t.Context(), h.alice, rollout.Row.AppID, request(hash)); !problem.Is(err, problem.KindConflict) {
		t.Errorf("got %+v, %v", again, err)
	}
}
