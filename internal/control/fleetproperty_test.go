package control

import (
	"context"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// fleetWorld drives rollouts of one app through random interleavings of their steps, the steps of their
// updates, crashes, bad documents, lost approvals and people, and checks what must hold.
type fleetWorld struct {
	*harness
	rt      *rapid.T
	cvms    []*CVM
	before  appcompose.ComposeHash
	hash    appcompose.ComposeHash
	rollout *FleetRollout
	removed bool // the owner took the old document off the contract
}

// TestFleetInvariant: whatever happens, never more than max_unavailable CVMs are down because of the
// rollout, it ends, and after going back every CVM runs what it ran before unless that is forbidden.
func TestFleetInvariant(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "fleet")
		must(t, err)
		w := &fleetWorld{harness: newHarnessIn(t, dir), rt: rt}
		defer func() { w.close() }()
		w.cvms, w.hash = w.fleetOf(rapid.IntRange(1, 5).Draw(rt, "replicas"), api.KMSEthereum)
		w.before = w.cvms[0].Document.Hash()
		seconds := rapid.SampledFrom([]int{0, 5}).Draw(rt, "min_ready")
		r := api.RolloutRequest{
			ComposeHash: w.hash.String(), MinReady: &seconds, MaxFailures: rapid.IntRange(0, 2).Draw(rt, "max_failures"),
			Strategy: rapid.SampledFrom([]string{api.RolloutRolling, api.RolloutCanary, api.RolloutAllAtOnce}).Draw(rt, "strategy"),
		}
		if r.Strategy != api.RolloutAllAtOnce {
			r.MaxUnavailable = rapid.SampledFrom([]api.CountOrPercent{"1", "2", "50%"}).Draw(rt, "max_unavailable")
		}
		w.rollout = w.roll(w.cvms[0], r)
		sick := rapid.IntRange(0, 9).Draw(rt, "boots until it is sick")
		w.spoilAfter(w.hash, sick)
		w.node.onStop = func(id string) {
			if w.node.cvms[id].state == runtime.StateRunning { // else it is down already, and cut off now
				w.checkDown(1)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"rollout": func(*rapid.T) { w.stepRollout() },
			"update":  w.stepUpdate,
			"node":    func(*rapid.T) { w.node.tick() },
			"all": func(*rapid.T) {
				w.stepRollout()
				w.stepUpdates()
				w.node.tick()
			},
			"crash": func(*rapid.T) { w.restart() },
			"time": func(rt *rapid.T) {
				w.clock.advance(rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(rt, "time"))
			},
			"pause":   func(*rapid.T) { w.person((*Service).PauseRollout) },
			"resume":  func(*rapid.T) { w.person((*Service).ResumeRollout) },
			"abort":   w.abort,
			"chain":   func(rt *rapid.T) { w.chain.setDown(rapid.Bool().Draw(rt, "chain down")) },
			"network": func(rt *rapid.T) { w.node.unreachable = rapid.Bool().Draw(rt, "node unreachable") },
			"forbid":  w.forbid,
			"":        func(*rapid.T) { w.checkDown(0) },
		})
		w.end()
	})
}

func (w *fleetWorld) stepRollout() {
	_, err := w.service.AdvanceRollout(context.Background(), w.rollout.Row.ID)
	must(w.t, err)
}

func (w *fleetWorld) stepUpdate(rt *rapid.T) {
	open, err := w.store.Read().ListOpenUpdates(context.Background())
	must(w.t, err)
	if len(open) == 0 {
		return
	}
	if u := rapid.SampledFrom(open).Draw(rt, "update"); u.State.Rolling() {
		_, err := w.service.Advance(context.Background(), u.ID)
		must(w.t, err)
	}
}

func (w *fleetWorld) person(move func(*Service, context.Context, Principal, string, string) (*FleetRollout, error)) {
	_, err := move(w.service, context.Background(), w.alice, w.rollout.Row.AppID, w.rollout.Row.ID)
	(&world{harness: w.harness, rt: w.rt}).tolerate(err)
}

func (w *fleetWorld) abort(rt *rapid.T) {
	if rapid.IntRange(0, 5).Draw(rt, "really") == 0 {
		w.person((*Service).AbortRollout)
	}
}

// forbid takes the new or the old document off the contract.
func (w *fleetWorld) forbid(rt *rapid.T) {
	switch rapid.IntRange(0, 14).Draw(rt, "which") {
	case 0:
		w.chain.remove(w.rollout.Row.AppID, w.hash)
	case 1:
		w.chain.remove(w.rollout.Row.AppID, w.before)
		w.removed = true
	default:
	}
}

// checkDown counts the CVMs that do not run, plus more. It may be called inside the node's lock.
func (w *fleetWorld) checkDown(more int) {
	stuck := map[string]bool{}
	targets, err := w.store.Read().ListRolloutTargets(context.Background(), w.rollout.Row.ID)
	must(w.t, err)
	for _, t := range targets {
		stuck[t.VMUUID] = t.State == column.TargetStuck
	}
	down := more
	for id, cvm := range w.node.cvms {
		if cvm.state != runtime.StateRunning && !stuck[id] {
			down++
		}
	}
	if most := int(w.rollout.Row.MaxUnavailable); down > most {
		w.rt.Fatalf("%d CVMs are down, at most %d may be", down, most)
	}
}

// end ends every trouble and lets the rollout come to its end.
func (w *fleetWorld) end() {
	ctx := context.Background()
	w.chain.setDown(false)
	w.node.unreachable = false
	w.restart()
	var view *FleetRollout
	for range 30 {
		view = w.goOn(w.rollout)
		if view.Row.State.Final() {
			break
		}
		w.person((*Service).ResumeRollout)
	}
	if !view.Row.State.Final() || view.Row.Reason == "" || view.Row.FinishedAt == nil {
		w.rt.Fatalf("it does not end: %+v", view.Row)
	}
	w.checkEvents(view)
	for i, t := range view.Targets {
		if t.Reason == "" {
			w.rt.Fatalf("CVM %d is %s without a reason", i, t.State)
		}
		row, err := w.store.Read().GetCVM(ctx, w.cvms[i].Row.ID)
		must(w.t, err)
		if row.ActiveUpdateID != "" {
			w.rt.Fatalf("CVM %d is still owned by an update", i)
		}
		running := w.running(w.cvms[i])
		switch {
		case t.State == column.TargetDone && running != w.hash:
			w.rt.Fatalf("CVM %d is done and runs %s", i, running)
		case view.Row.State == column.RolloutSucceeded:
		case running != w.before && !w.removed:
			w.rt.Fatalf("the rollout is %s (%s) and CVM %d (%s: %s) runs %s, before it ran %s", view.Row.State, view.Row.Reason, i, t.State, t.Reason, running, w.before)
		case running != w.before && t.State != column.TargetStuck && t.State != column.TargetFailed:
			w.rt.Fatalf("CVM %d may not go back and is %s: %s", i, t.State, t.Reason)
		}
	}
	open, err := w.store.Read().ListOpenUpdates(ctx)
	must(w.t, err)
	for _, u := range open {
		if t := w.ofRollout(view, u); t != "" {
			w.rt.Fatalf("update %s of the rollout is left %s", u.ID, u.State)
		}
	}
}

func (w *fleetWorld) ofRollout(view *FleetRollout, u store.Update) string {
	for _, t := range view.Targets {
		if t.UpdateID == u.ID || t.RevertID == u.ID {
			return t.VMUUID
		}
	}
	return ""
}

func (w *fleetWorld) checkEvents(view *FleetRollout) {
	var at column.RolloutState
	for i, e := range view.Events {
		if e.FromState != at || e.Reason == "" {
			w.rt.Fatalf("step %d goes from %s to %s (%s), but was in %s", i, e.FromState, e.ToState, e.Reason, at)
		}
		at = e.ToState
	}
	if at != view.Row.State {
		w.rt.Fatalf("the rollout is %s, its history ends in %s", view.Row.State, at)
	}
}
