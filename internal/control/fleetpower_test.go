package control

import (
	"context"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// settleAllPower runs every power operation to its end.
func (h *harness) settleAllPower() {
	h.t.Helper()
	for range 1000 {
		open, err := h.store.Read().ListOpenPower(context.Background())
		must(h.t, err)
		if len(open) == 0 {
			return
		}
		for _, op := range open {
			_, err := h.service.AdvancePower(context.Background(), op.ID)
			must(h.t, err)
		}
		h.node.tick()
		h.clock.advance(h.service.timeouts.Poll)
	}
	h.t.Fatal("a power operation does not end")
}

func TestRolloutLeavesStoppedReplicasAlone(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvms, hash := h.fleetOf(3, api.KMSEthereum)
	h.do(cvms[1], column.PowerStop)
	h.node.unreachable = true // what is known of the stop does not depend on the node
	rollout := h.roll(cvms[0], request(hash))
	_, err := h.service.AdvanceRollout(context.Background(), rollout.Row.ID)
	must(t, err)
	h.node.unreachable = false
	view := h.goOn(rollout)
	if got := states(view); got != "done skipped done" || view.Row.State != column.RolloutSucceeded {
		t.Errorf("rollout is %s, its CVMs %s", view.Row.State, got)
	}
	h.wantStatus(cvms[1], StatusStopped)
}

func TestRolloutGoesOnWithoutADeletedReplica(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	cvms, hash := h.fleetOf(3, api.KMSEthereum)
	r := request(hash)
	r.Strategy = api.RolloutAllAtOnce
	rollout := h.roll(cvms[0], r)
	_, err := h.service.AdvanceRollout(ctx, rollout.Row.ID)
	must(t, err)
	h.stepUpdates()
	must(t, h.service.DeleteCVM(ctx, h.alice, cvms[1].Row.HashID))
	view := h.goOn(rollout)
	if got := states(view); got != "done skipped done" || view.Row.State != column.RolloutSucceeded {
		t.Errorf("rollout is %s, its CVMs %s: %s", view.Row.State, got, view.Targets[1].Reason)
	}
	h.settleAllPower()
	if len(h.node.cvms) != 2 {
		t.Errorf("the node has %d CVMs", len(h.node.cvms))
	}
}

func TestStopOfAReplicaInARolloutCountsAsItsFailure(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	cvms, hash := h.fleetOf(3, api.KMSEthereum)
	r := request(hash)
	r.Strategy, r.MaxFailures = api.RolloutAllAtOnce, 1
	rollout := h.roll(cvms[0], r)
	_, err := h.service.AdvanceRollout(ctx, rollout.Row.ID)
	must(t, err)
	h.stepUpdates()
	_, err = h.power(cvms[1], PowerRequest{Kind: column.PowerStop})
	must(t, err)
	view := h.goOn(rollout)
	if got := states(view); got != "done failed done" || view.Row.State != column.RolloutSucceeded {
		t.Errorf("rollout is %s, its CVMs %s: %s", view.Row.State, got, view.Targets[1].Reason)
	}
	h.settleAllPower()
	h.wantStatus(cvms[1], StatusStopped)
}
