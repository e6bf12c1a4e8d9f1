package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// rule is one thing that must hold at the end of a run. It returns what breaks it.
type rule struct {
	name  string
	check func(*record) []string
}

// rules are all of them.
var rules = []rule{
	{"fsck finds nothing", (*record).fsckFindsNothing},
	{"every update has a reason", (*record).everyUpdateHasAReason},
	{"every accepted update is final", (*record).everyAcceptedUpdateIsFinal},
	{"what is cancelled does not succeed", (*record).cancelledDoesNotSucceed},
	{"no document boots that was not allowed", (*record).onlyAllowedDocumentsBoot},
	{"each document of an update boots once", (*record).updatesAreAppliedOnce},
	{"two servers never change one VM at once", (*record).callsDoNotOverlap},
	{"two servers never take turns in one update", (*record).noTakingTurns},
	{"the old version runs wherever the new one does not", (*record).whatRunsIsWhatHistorySays},
	{"the host holds what runs, byte for byte", (*record).theHostHoldsTheDocument},
	{"a CVM is down only where its owner left nothing to run", (*record).downOnlyForAReason},
	{"every operation that is offered was hammered", (*record).everyOperationWasHammered},
}

// judge looks for everything that must not be.
func (r *record) judge() (wrong []string) {
	for _, rule := range rules {
		for _, what := range rule.check(r) {
			wrong = append(wrong, rule.name+": "+what)
		}
	}
	return wrong
}

func (r *record) fsckFindsNothing() []string {
	if r.fsck == "" {
		return nil
	}
	return []string{"lockstep fsck: " + r.fsck}
}

func (r *record) everyUpdateHasAReason() (wrong []string) {
	for _, u := range r.updates {
		if u.Reason == "" {
			wrong = append(wrong, fmt.Sprintf("update %s is %s without one", u.ID, u.State))
		}
	}
	return wrong
}

// everyAcceptedUpdateIsFinal is about what a client was answered with 202. Back with its owner is an end too, but
// only when the approval was lost, which leaves an error.
func (r *record) everyAcceptedUpdateIsFinal() (wrong []string) {
	known := map[string]store.Update{}
	for _, u := range r.updates {
		known[u.CorrelationID] = u
	}
	for id, name := range r.accepted {
		switch u, ok := known[id]; {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("the update %s of %s was accepted and is lost", id, name))
		case !u.State.Final() && (u.State != column.AwaitingApproval || u.Error == ""):
			wrong = append(wrong, fmt.Sprintf("the update %s of %s was accepted and is %s: %s", id, name, u.State, u.Reason))
		}
	}
	return wrong
}

// cancelledDoesNotSucceed is about updates; other operations have no row among them.
func (r *record) cancelledDoesNotSucceed() (wrong []string) {
	for _, u := range r.updates {
		if name, ok := r.cancelled[u.CorrelationID]; ok && (u.State == column.Succeeded || !u.State.Final()) {
			wrong = append(wrong, fmt.Sprintf("a client was told that update %s of %s is cancelled, and it is %s", u.ID, name, u.State))
		}
	}
	return wrong
}

// onlyAllowedDocumentsBoot compares each boot with what the owner and the clients had said by then. A hash that was
// taken back may be tried: a boot is decided on what held a moment before. It must then be denied, and only then.
func (r *record) onlyAllowedDocumentsBoot() (wrong []string) {
	for _, b := range r.boots {
		switch {
		case !b.offered:
			wrong = append(wrong, fmt.Sprintf("app %s tried to boot %s at %s, which nobody had allowed", b.app, b.hash, b.at.Format(time.StampMilli)))
		case !b.allowed && !b.removed:
			wrong = append(wrong, fmt.Sprintf("app %s was denied %s, which its owner had allowed and not taken back", b.app, b.hash))
		}
	}
	return wrong
}

// span is a time in which an update owned its CVM.
type span struct {
	update   store.Update
	cvm      ending
	from, to time.Time
	previous appcompose.ComposeHash // what it goes back to; zero for a first boot
}

func (s span) has(t time.Time) bool { return !t.Before(s.from) && !t.After(s.to) }

// spans reads from the steps of the updates when each owned its CVM.
func (r *record) spans() (all []span) {
	cvms := map[int64]ending{}
	for _, c := range r.cvms {
		cvms[c.id] = c
	}
	for _, u := range r.updates {
		s := span{update: u, cvm: cvms[u.CVMID], previous: r.revisions[u.FromRevisionID]}
		for _, step := range r.steps[u.ID] {
			switch owns := step.ToState.Rolling(); {
			case owns && s.from.IsZero():
				s.from = step.CreatedAt.Time
			case !owns && !s.from.IsZero():
				s.to = step.CreatedAt.Time
				all = append(all, s)
				s.from = time.Time{}
			}
		}
	}
	return all
}

// updatesAreAppliedOnce: while an update owns its CVM, its document boots at most once, and after it the previous
// one at most once, and no other at all. A document whose guest does not boot may be started again by a server that
// takes over, which finds the CVM as down as if it had not been started. On docker a boot that is cut off, by the death
// of the server or the loss of the engine, goes on by asking the KMS again; when that does not answer, what ran already
// is taken down and started once more.
func (r *record) updatesAreAppliedOnce() (wrong []string) {
	for _, s := range r.spans() {
		booted := map[appcompose.ComposeHash]int{}
		for _, b := range r.boots {
			if b.app == s.cvm.app && s.has(b.at) {
				booted[b.hash]++
			}
		}
		for hash, times := range booted {
			most := 0
			if hash == s.update.ComposeHash {
				most++
			}
			if hash == s.previous {
				most++
			}
			if most > 0 && (r.bad[hash] || r.denied(hash)) {
				most += r.servers(s)
			}
			if most > 0 && r.bootsGoOn {
				most += r.interruptions(s)
			}
			if times > most {
				wrong = append(wrong, fmt.Sprintf("%s booted %s %d times in update %s (to %s, from %s), want at most %d",
					s.cvm.name, hash, times, s.update.ID, s.update.ComposeHash, s.previous, most))
			}
		}
	}
	return wrong
}

// denied tells whether the KMS ever refused a document: its guest ends at once, like that of a bad version.
func (r *record) denied(hash appcompose.ComposeHash) bool {
	return slices.ContainsFunc(r.boots, func(b boot) bool { return b.hash == hash && !b.allowed })
}

// servers counts the server processes that changed the CVM of a span in its time, and the losses of calls among them.
func (r *record) servers(s span) int {
	lives := map[string]bool{}
	for _, c := range r.calls {
		if c.vm == s.cvm.uuid && s.has(c.began) {
			lives[c.life] = true
		}
	}
	return len(lives)
}

// interruptions counts what was done to servers and the host in the time of a span, or began before and may have lasted.
func (r *record) interruptions(s span) (n int) {
	const lasts = 10 * time.Second // longer than the calm between two kills
	for _, d := range r.disturbances {
		if d.at.After(s.from.Add(-lasts)) && !d.at.After(s.to) {
			n++
		}
	}
	return n
}

// callsDoNotOverlap: the host never has calls of two server processes under way that change the same VM.
func (r *record) callsDoNotOverlap() (wrong []string) {
	for _, calls := range r.callsByVM() {
		for i, a := range calls {
			for _, b := range calls[i+1:] {
				if a.over.IsZero() || !b.began.Before(a.over) {
					break // a was sent by a server that still runs, or ended first
				}
				if a.life != b.life {
					wrong = append(wrong, fmt.Sprintf("VM of CVM %s: %s of %s from %s to %s, and %s of %s at %s", a.vm, a.method, a.life,
						a.began.Format(clock), a.over.Format(clock), b.method, b.life, b.began.Format(clock)))
				}
			}
		}
	}
	return wrong
}

const clock = "15:04:05.000000"

// callsByVM groups calls by the VM that they change, in the order of their beginning.
func (r *record) callsByVM() map[string][]call {
	grouped := map[string][]call{}
	for _, c := range r.calls {
		grouped[c.vm] = append(grouped[c.vm], c)
	}
	for _, calls := range grouped {
		slices.SortFunc(calls, func(a, b call) int { return a.began.Compare(b.began) })
	}
	return grouped
}

// noTakingTurns: when the calls of one update come from a server, then from another, then from the first again,
// something was done to one of them meanwhile: it was killed, held up or cut off from the database. Otherwise two
// servers work on one update.
func (r *record) noTakingTurns() (wrong []string) {
	calls := r.callsByVM()
	for _, s := range r.spans() {
		var turns []string
		for _, c := range calls[s.cvm.uuid] {
			if s.has(c.began) && (len(turns) == 0 || turns[len(turns)-1] != c.life) {
				turns = append(turns, c.life)
			}
		}
		for i := range turns {
			if i >= 2 && turns[i] == turns[i-2] && !r.disturbed(s, turns[i-2], turns[i-1]) {
				wrong = append(wrong, fmt.Sprintf("%s in update %s: %v", s.cvm.name, s.update.ID, turns))
				break
			}
		}
	}
	return wrong
}

// disturbed tells whether something was done to one of some servers in the time of a span, or a moment before.
func (r *record) disturbed(s span, lives ...string) bool {
	const moment = 30 * time.Second // longer than a server is held up
	return slices.ContainsFunc(r.disturbances, func(d disturbance) bool {
		return slices.Contains(lives, d.life) && d.at.After(s.from.Add(-moment)) && !d.at.After(s.to)
	})
}

// whatRunsIsWhatHistorySays plays the history of each CVM: an update that succeeded moves it, every other end leaves
// it where it was. What comes out is what the host runs, and what the API shows.
func (r *record) whatRunsIsWhatHistorySays() (wrong []string) {
	current := r.current()
	for _, c := range r.cvms {
		want := current[c.id]
		if c.document != want {
			wrong = append(wrong, fmt.Sprintf("%s: the API shows %s, its history leads to %s", c.name, c.document, want))
		}
		down := c.state == runtime.StateStopped || c.state == runtime.StateExited
		switch {
		case c.status == api.StatusError && c.state != runtime.StateRunning:
			// downOnlyForAReason looks whether that may be.
		case c.status == api.StatusStopped && down:
		case c.status == api.StatusRunning && c.state == runtime.StateRunning && c.runs == want:
		default:
			wrong = append(wrong, fmt.Sprintf("%s: the API says %s of %s, the host has it %s with %s: %s", c.name, c.status, want, c.state, c.runs, c.error))
		}
	}
	return wrong
}

// current is where the history of each CVM leads to.
func (r *record) current() map[int64]appcompose.ComposeHash {
	updates := slices.Clone(r.updates)
	slices.SortStableFunc(updates, compareFinished)
	current := map[int64]appcompose.ComposeHash{}
	for _, u := range updates {
		if u.State == column.Succeeded {
			current[u.CVMID] = u.ComposeHash
		}
	}
	return current
}

// theHostHoldsTheDocument: what would boot next is what runs.
func (r *record) theHostHoldsTheDocument() (wrong []string) {
	current := r.current()
	for _, c := range r.cvms {
		if want := current[c.id]; c.status == api.StatusRunning && c.holds != want {
			wrong = append(wrong, fmt.Sprintf("%s: its history leads to %s, the host holds %s", c.name, want, c.holds))
		}
	}
	return wrong
}

func compareFinished(a, b store.Update) int {
	at := func(u store.Update) time.Time {
		if u.FinishedAt == nil {
			return time.Time{}
		}
		return u.FinishedAt.Time
	}
	return cmp.Or(at(a).Compare(at(b)), cmp.Compare(a.ID, b.ID))
}

// downOnlyForAReason: an update fails, which leaves its CVM down, only where it has nothing to go back to: a first
// boot, or an owner who took the previous document back.
func (r *record) downOnlyForAReason() (wrong []string) {
	apps := map[int64]string{}
	for _, c := range r.cvms {
		apps[c.id] = c.app
	}
	for _, u := range r.updates {
		if u.State != column.Failed || u.FromRevisionID == "" {
			continue
		}
		previous := r.revisions[u.FromRevisionID]
		if !r.said[grant{apps[u.CVMID], previous}].removed {
			wrong = append(wrong, fmt.Sprintf("update %s failed and its owner still allows the previous %s: %s; %s", u.ID, previous, u.Reason, u.Error))
		}
	}
	return wrong
}

// everyOperationWasHammered: a run in which nothing was cancelled says nothing about cancelling.
func (r *record) everyOperationWasHammered() (wrong []string) {
	for o := range routes {
		if r.offered[o] && r.operations[o] == 0 {
			wrong = append(wrong, fmt.Sprintf("the server offers %s, and no CVM was %s", routes[o], o))
		}
	}
	return wrong
}
