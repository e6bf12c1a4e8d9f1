package main

import (
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func hash(b byte) appcompose.ComposeHash { return appcompose.ComposeHash{b} }

// history writes an update that took a state a second, beginning at some second.
func (r *record) history(id string, begin float64, from string, to appcompose.ComposeHash, states ...column.UpdateState) {
	u := store.Update{
		ID: id, CVMID: 1, Kind: column.KindUpdate, CorrelationID: "c-" + id, ComposeHash: to, FromRevisionID: from, Reason: "for a reason",
		State: states[len(states)-1],
	}
	for i, state := range states {
		now := column.At(at(begin + float64(i)))
		r.steps[id] = append(r.steps[id], store.UpdateEvent{UpdateID: id, Seq: int64(i) + 1, ToState: state, CreatedAt: now})
		if state.Final() {
			u.FinishedAt = &now
		}
	}
	r.updates = append(r.updates, u)
}

// goodRecord is a run with nothing wrong: a first boot of 1, an update to 2, and one to 3 that is bad and rolled back,
// on which a second server goes on when the first is killed.
func goodRecord() *record {
	const app, vm = "app", "uuid"
	r := &record{
		steps: map[string][]store.UpdateEvent{}, revisions: map[string]appcompose.ComposeHash{"rev-1": hash(1), "rev-2": hash(2)},
		accepted: map[string]string{"c-2": "one", "c-3": "one"}, cancelled: map[string]string{"c-3": "one"},
		bad: map[appcompose.ComposeHash]bool{hash(3): true}, said: map[grant]history{},
		offered: map[operation]bool{cancelling: true}, operations: map[operation]int{cancelling: 1},
	}
	r.history("1", 0, "", hash(1), column.Proposed, column.Approved, column.RollingOut, column.Verifying, column.Succeeded)
	r.history("2", 10, "rev-1", hash(2), column.Proposed, column.AwaitingApproval, column.Approved, column.RollingOut, column.Verifying, column.Succeeded)
	r.history("3", 20, "rev-2", hash(3), column.Proposed, column.Approved, column.RollingOut, column.Verifying, column.RollingBack, column.RolledBack)
	r.boots = []boot{
		{at: at(2.5), app: app, hash: hash(1), offered: true, allowed: true},
		{at: at(13.5), app: app, hash: hash(2), offered: true, allowed: true},
		{at: at(22.5), app: app, hash: hash(3), offered: true, allowed: true},
		{at: at(24.5), app: app, hash: hash(2), offered: true, allowed: true},
	}
	r.calls = []call{
		{life: "a#1", method: "CreateVm", vm: vm, began: at(2.1), over: at(2.2)},
		{life: "a#1", method: "UpdateVm", vm: vm, began: at(13.1), over: at(13.2)},
		{life: "a#1", method: "UpdateVm", vm: vm, began: at(22.1), over: at(22.2)},
		{life: "b#1", method: "StartVm", vm: vm, began: at(22.3), over: at(22.4)},
		{life: "a#2", method: "UpdateVm", vm: vm, began: at(24.1), over: at(24.2)},
	}
	r.disturbances = []disturbance{{life: "a#1", at: at(22.25), what: "killed"}}
	r.cvms = []ending{{
		name: "one", id: 1, uuid: vm, app: app, status: api.StatusRunning, document: hash(2),
		hosted: hosted{state: runtime.StateRunning, runs: hash(2), holds: hash(2)},
	}}
	return r
}

func TestJudgeFindsNothingWrongWithAGoodRun(t *testing.T) {
	if wrong := goodRecord().judge(); len(wrong) > 0 {
		t.Fatalf("the judge finds: %v", wrong)
	}
}

// TestEachRuleCanFail doctors the good record in one way and wants the one rule to be broken that it is about.
func TestEachRuleCanFail(t *testing.T) {
	type doctored struct {
		what   string
		breaks string
		doctor func(*record)
	}
	tested := map[string]bool{}
	for _, d := range []doctored{
		{"fsck finds a document with other bytes", "fsck finds nothing", func(r *record) { r.fsck = "document 1 has bytes of hash 2" }},
		{"an update says nothing", "every update has a reason", func(r *record) { r.updates[1].Reason = "" }},
		{"an accepted update is lost", "every accepted update is final", func(r *record) { r.accepted["c-9"] = "one" }},
		{"an accepted update waits for its owner though no approval was lost", "every accepted update is final", func(r *record) {
			r.history("4", 30, "rev-2", hash(4), column.Proposed, column.AwaitingApproval)
			r.accepted["c-4"] = "one"
		}},
		{"an accepted update is stuck", "every accepted update is final", func(r *record) {
			r.history("4", 30, "rev-2", hash(4), column.Proposed, column.Approved, column.RollingOut)
			r.accepted["c-4"] = "one"
		}},
		{"an update succeeds that a client was told is cancelled", "what is cancelled does not succeed", func(r *record) { r.cancelled["c-2"] = "one" }},
		{"a document boots that nobody sent or allowed", "no document boots that was not allowed", func(r *record) { r.boots[2].offered = false }},
		{"a document is denied that is allowed", "no document boots that was not allowed", func(r *record) { r.boots[2].allowed = false }},
		{"a good document boots twice in its update", "each document of an update boots once", func(r *record) {
			r.boots = append(r.boots, boot{at: at(14.5), app: "app", hash: hash(2), offered: true, allowed: true})
		}},
		{"a bad document boots once more than servers worked on it", "each document of an update boots once", func(r *record) {
			for range 4 {
				r.boots = append(r.boots, boot{at: at(22.6), app: "app", hash: hash(3), offered: true, allowed: true})
			}
		}},
		{"the previous document boots twice in a rollback", "each document of an update boots once", func(r *record) {
			r.boots = append(r.boots, boot{at: at(24.7), app: "app", hash: hash(2), offered: true, allowed: true})
		}},
		{"a good document boots again after nothing happened, where boots go on", "each document of an update boots once", func(r *record) {
			r.bootsGoOn = true
			r.boots = append(r.boots, boot{at: at(14.5), app: "app", hash: hash(2), offered: true, allowed: true})
		}},
		{"a third document boots in an update", "each document of an update boots once", func(r *record) {
			r.boots = append(r.boots, boot{at: at(14.5), app: "app", hash: hash(9), offered: true, allowed: true})
		}},
		{"a server calls while the call of another is under way", "two servers never change one VM at once", func(r *record) {
			r.calls[2].over = at(22.35)
		}},
		{"a long call is under way while two others come", "two servers never change one VM at once", func(r *record) {
			r.calls[1].over = at(25)
			r.calls[2].life, r.calls[3].life = "a#1", "b#1"
		}},
		{"two servers take turns and nothing was done to either", "two servers never take turns in one update", func(r *record) {
			r.calls[4].life = "a#1"
			r.disturbances = nil
		}},
		{"the host runs the bad version", "the old version runs wherever the new one does not", func(r *record) { r.cvms[0].runs = hash(3) }},
		{"the host runs nothing and the API says it runs", "the old version runs wherever the new one does not", func(r *record) {
			r.cvms[0].state, r.cvms[0].runs = runtime.StateExited, appcompose.ComposeHash{}
		}},
		{"the API says stopped of what runs", "the old version runs wherever the new one does not", func(r *record) { r.cvms[0].status = api.StatusStopped }},
		{"the API shows another document than what succeeded last", "the old version runs wherever the new one does not", func(r *record) {
			r.cvms[0].document = hash(1)
		}},
		{"the host holds other bytes", "the host holds what runs, byte for byte", func(r *record) { r.cvms[0].holds = hash(1) }},
		{"a CVM is left down though its owner allows the previous version", "a CVM is down only where its owner left nothing to run", func(r *record) {
			r.history("4", 30, "rev-2", hash(4), column.Proposed, column.Approved, column.RollingOut, column.RollingBack, column.Failed)
		}},
		{"nothing was cancelled", "every operation that is offered was hammered", func(r *record) { r.operations[cancelling] = 0 }},
	} {
		t.Run(d.what, func(t *testing.T) {
			r := goodRecord()
			d.doctor(r)
			wrong := r.judge()
			if len(wrong) == 0 {
				t.Fatalf("the judge finds nothing, want %q broken", d.breaks)
			}
			for _, what := range wrong {
				if !strings.HasPrefix(what, d.breaks+": ") {
					t.Errorf("the judge finds %q, want only %q broken", what, d.breaks)
				}
			}
		})
		tested[d.breaks] = true
	}
	for _, rule := range rules {
		if !tested[rule.name] {
			t.Errorf("no doctored record breaks the rule %q", rule.name)
		}
	}
}

// TestTheJudgeIsFair wants what may happen in a good run not to be held against it.
func TestTheJudgeIsFair(t *testing.T) {
	for what, change := range map[string]func(*record){
		"an approval that was taken back is denied, and the update fails with nothing to go back to": func(r *record) {
			r.history("4", 30, "rev-2", hash(4), column.Proposed, column.Approved, column.RollingOut, column.Verifying, column.RollingBack, column.Failed)
			r.boots = append(r.boots, boot{at: at(32.5), app: "app", hash: hash(4), offered: true, removed: true})
			r.said[grant{"app", hash(2)}] = history{allowed: true, removed: true}
			r.cvms[0].status, r.cvms[0].state, r.cvms[0].runs = api.StatusError, runtime.StateExited, appcompose.ComposeHash{}
		},
		"an accepted update lost its approval and waits for its owner, with an error that says so": func(r *record) {
			r.history("4", 30, "rev-2", hash(4), column.Proposed, column.Approved, column.AwaitingApproval)
			r.updates[3].Error, r.accepted["c-4"] = "the approval was lost", "one"
		},
		"a bad version is started again by a server that takes over": func(r *record) {
			r.boots = append(r.boots, boot{at: at(22.7), app: "app", hash: hash(3), offered: true, allowed: true})
		},
		"where boots go on, what a killed server had started is started again": func(r *record) {
			r.bootsGoOn = true
			r.boots = append(r.boots, boot{at: at(24.7), app: "app", hash: hash(2), offered: true, allowed: true})
		},
		"what runs is brought up again": func(r *record) {
			r.history("4", 30, "rev-2", hash(2), column.Proposed, column.Approved, column.RollingOut, column.Verifying, column.Succeeded)
			r.boots = append(r.boots, boot{at: at(32.5), app: "app", hash: hash(2), offered: true, allowed: true})
		},
		"a killed server's call is over when it dies": func(r *record) {
			r.calls[2].over = at(22.3)
		},
		"a stopped CVM is down": func(r *record) {
			r.cvms[0].status, r.cvms[0].state, r.cvms[0].runs = api.StatusStopped, runtime.StateStopped, appcompose.ComposeHash{}
		},
		"a call to a VM goes on when the run ends": func(r *record) {
			r.calls = append(r.calls, call{life: "a#2", method: "StopVm", vm: "uuid", began: at(40)})
		},
		"what the server does not offer is not missed": func(r *record) {
			r.offered[cancelling], r.operations[cancelling] = false, 0
		},
	} {
		t.Run(what, func(t *testing.T) {
			r := goodRecord()
			change(r)
			if wrong := r.judge(); len(wrong) > 0 {
				t.Fatalf("the judge finds: %v", wrong)
			}
		})
	}
}
