package fleet

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

func somePolicy(rt *rapid.T, n int) Policy {
	p := Policy{
		Strategy:       rapid.SampledFrom([]column.RolloutStrategy{column.StrategyRolling, column.StrategyCanary, column.StrategyAllAtOnce}).Draw(rt, "strategy"),
		MaxUnavailable: rapid.IntRange(1, max(n, 1)).Draw(rt, "max_unavailable"),
		Canary:         rapid.IntRange(0, n+1).Draw(rt, "canary"),
		MaxFailures:    rapid.IntRange(0, 2).Draw(rt, "max_failures"),
	}
	if p.Strategy == column.StrategyAllAtOnce {
		p.MaxUnavailable = max(n, 1)
	}
	return p
}

// machine plays the part of the control plane with CVMs whose updates end as chance has it.
type machine struct {
	rt      *rapid.T
	r       Rollout
	started map[int]int // how often each target's update began
	runsNew []bool      // what each CVM runs, as the machine did it
	ranNew  []bool      // what it ran before
	broken  []bool      // not healthy
	lost    []bool      // cannot go back: forbidden or broken for good
}

func newMachine(rt *rapid.T) *machine {
	n := rapid.IntRange(1, 9).Draw(rt, "n")
	p := somePolicy(rt, n)
	batches, canary := Plan(n, p)
	m := &machine{
		rt: rt, r: Rollout{State: column.RolloutRunning, Policy: p, CanaryBatches: canary}, started: map[int]int{},
		runsNew: make([]bool, n), ranNew: make([]bool, n), broken: make([]bool, n), lost: make([]bool, n),
	}
	for i, b := range batches {
		m.r.Targets = append(m.r.Targets, Target{Batch: b, State: column.TargetPending})
		m.ranNew[i] = rapid.IntRange(0, 9).Draw(rt, "ran it before") == 0
		m.runsNew[i] = m.ranNew[i]
	}
	return m
}

func (m *machine) set(i int, to column.TargetState) {
	if t := &m.r.Targets[i]; !CanTargetMove(t.State, to) {
		m.rt.Fatalf("target %d goes from %s to %s", i, t.State, to)
	}
	m.r.Targets[i].State = to
}

func (m *machine) move(to column.RolloutState) {
	if !CanMove(m.r.State, to) {
		m.rt.Fatalf("the rollout goes from %s to %s", m.r.State, to)
	}
	m.r.State = to
}

// obey does what was decided.
func (m *machine) obey(d Decision) {
	for _, i := range d.Start {
		m.started[i]++
		if m.ranNew[i] {
			m.set(i, column.TargetDone)
			continue
		}
		m.set(i, column.TargetUpdating)
	}
	for _, i := range d.Skip {
		m.set(i, column.TargetSkipped)
	}
	for _, i := range d.Revert {
		m.set(i, column.TargetReverting)
	}
	if d.To != "" {
		if d.Reason == "" {
			m.rt.Fatalf("%s without a reason", d.To)
		}
		m.move(d.To)
	}
}

// happen lets one thing under way come to some end.
func (m *machine) happen(i int) {
	t := &m.r.Targets[i]
	good := rapid.IntRange(0, 4).Draw(m.rt, "good") > 0
	switch t.State {
	case column.TargetUpdating:
		switch {
		case good:
			m.runsNew[i], t.Moved = true, true
			m.set(i, column.TargetSettling)
		case rapid.Bool().Draw(m.rt, "went back by itself"):
			if m.r.State == column.RolloutRollingBack {
				m.set(i, column.TargetReverted)
			} else {
				m.set(i, column.TargetFailed)
			}
		default:
			m.broken[i], t.Down = true, true
			m.set(i, column.TargetFailed)
		}
	case column.TargetSettling:
		if good {
			m.set(i, column.TargetDone)
			return
		}
		m.broken[i], t.Down = true, true
		m.set(i, column.TargetFailed)
	case column.TargetReverting:
		if good {
			m.runsNew[i], m.broken[i] = false, false
			m.set(i, column.TargetReverted)
			return
		}
		m.lost[i] = true
		m.set(i, column.TargetStuck)
	case column.TargetPending, column.TargetDone, column.TargetFailed, column.TargetSkipped, column.TargetReverted, column.TargetStuck:
	}
}

// check is what must hold at every moment.
func (m *machine) check() {
	down, working := 0, 0
	for i := range m.r.Targets {
		t := &m.r.Targets[i]
		switch t.State {
		case column.TargetUpdating, column.TargetReverting:
			down++
			working++
		case column.TargetFailed:
			if m.broken[i] {
				down++
			}
		default:
			if m.broken[i] && !m.lost[i] {
				down++
			}
		}
		if m.started[i] > 1 {
			m.rt.Fatalf("the update of target %d began %d times", i, m.started[i])
		}
	}
	if down > m.r.Policy.MaxUnavailable {
		m.rt.Fatalf("%d CVMs are down, at most %d may be: %+v", down, m.r.Policy.MaxUnavailable, m.r)
	}
	if m.r.State.Final() && working > 0 {
		m.rt.Fatalf("%s with %d CVMs under way", m.r.State, working)
	}
}

func (m *machine) moving() []int {
	var at []int
	for i := range m.r.Targets {
		switch m.r.Targets[i].State {
		case column.TargetUpdating, column.TargetSettling, column.TargetReverting:
			at = append(at, i)
		default:
		}
	}
	return at
}

// TestDecide drives rollouts whose updates end at random, with pauses, resumes and aborts in between:
// each ends, nothing exceeds max_unavailable, and after going back every CVM runs what it ran before
// unless it is lost.
func TestDecide(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(rt)
		for range 500 {
			m.check()
			if m.r.State.Final() {
				break
			}
			d := Decide(m.r)
			if !d.Empty() {
				m.obey(d)
				continue
			}
			moving := m.moving()
			if m.r.State == column.RolloutPaused && (len(moving) == 0 || rapid.Bool().Draw(rt, "person acts")) {
				if rapid.IntRange(0, 3).Draw(rt, "abort") == 0 {
					m.move(column.RolloutRollingBack)
				} else {
					m.r.Promoted = true
					m.move(column.RolloutRunning)
				}
				continue
			}
			if len(moving) == 0 {
				rt.Fatalf("stuck in %s: %+v", m.r.State, m.r)
			}
			if m.r.State == column.RolloutRunning {
				switch rapid.IntRange(0, 12).Draw(rt, "interrupt") {
				case 0:
					m.move(column.RolloutPaused)
					continue
				case 1:
					m.move(column.RolloutRollingBack)
					continue
				}
			}
			m.happen(rapid.SampledFrom(moving).Draw(rt, "target"))
		}
		m.ended()
	})
}

func (m *machine) ended() {
	if !m.r.State.Final() {
		m.rt.Fatalf("does not end: %+v", m.r)
	}
	lost := false
	for i := range m.r.Targets {
		lost = lost || m.lost[i]
		switch m.r.State {
		case column.RolloutSucceeded:
			if m.r.Targets[i].State == column.TargetDone && !m.runsNew[i] {
				m.rt.Fatalf("target %d is done and does not run the document", i)
			}
			if m.r.Targets[i].open() {
				m.rt.Fatalf("succeeded with target %d %s", i, m.r.Targets[i].State)
			}
		default:
			if !m.lost[i] && (m.runsNew[i] != m.ranNew[i] || m.broken[i]) {
				m.rt.Fatalf("target %d (%s) does not run what it ran before", i, m.r.Targets[i].State)
			}
		}
	}
	if want := m.r.State == column.RolloutFailed; m.r.State != column.RolloutSucceeded && lost != want {
		m.rt.Fatalf("%s, lost %v", m.r.State, m.lost)
	}
}

func TestDecideCases(t *testing.T) {
	one := Policy{Strategy: column.StrategyRolling, MaxUnavailable: 1}
	for _, test := range []struct {
		name string
		r    Rollout
		want Decision
	}{
		{"a failure that is allowed but keeps a CVM down ends the rollout", Rollout{
			State: column.RolloutRunning, Policy: Policy{MaxUnavailable: 1, MaxFailures: 1},
			Targets: []Target{{State: column.TargetFailed, Down: true}, {Batch: 1, State: column.TargetPending}},
		}, Decision{To: column.RolloutRollingBack, Reason: "the CVMs that failed and are down use up max_unavailable 1"}},
		{"any failure of the canary counts", Rollout{
			State: column.RolloutRunning, Policy: Policy{MaxUnavailable: 1, MaxFailures: 5}, CanaryBatches: 1,
			Targets: []Target{{State: column.TargetFailed}, {Batch: 1, State: column.TargetPending}},
		}, Decision{To: column.RolloutRollingBack, Reason: "the canary failed"}},
		{"the canary waits for a person", Rollout{
			State: column.RolloutRunning, Policy: one, CanaryBatches: 1,
			Targets: []Target{{State: column.TargetDone}, {Batch: 1, State: column.TargetPending}},
		}, Decision{To: column.RolloutPaused, Reason: "the canary is good; waits to be resumed or aborted"}},
		{"a canary that was all ends", Rollout{
			State: column.RolloutRunning, Policy: one, CanaryBatches: 1, Targets: []Target{{State: column.TargetDone}},
		}, Decision{To: column.RolloutSucceeded, Reason: "1 of 1 CVMs run the document"}},
		{"a pause begins nothing", Rollout{
			State: column.RolloutPaused, Policy: one, Targets: []Target{{State: column.TargetPending}},
		}, Decision{}},
		{"a batch that settles holds the next", Rollout{
			State: column.RolloutRunning, Policy: Policy{MaxUnavailable: 2},
			Targets: []Target{{State: column.TargetSettling}, {State: column.TargetDone}, {Batch: 1, State: column.TargetPending}},
		}, Decision{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Decide(test.r); got.To != test.want.To || got.Reason != test.want.Reason || len(got.Start)+len(got.Skip)+len(got.Revert) > 0 {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
