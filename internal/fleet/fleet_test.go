package fleet

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

func TestPlan(t *testing.T) {
	for _, test := range []struct {
		name        string
		n           int
		policy      Policy
		want        []int
		wantCanarys int
	}{
		{"none", 0, Policy{Strategy: column.StrategyRolling, MaxUnavailable: 1}, []int{}, 0},
		{"one by one", 3, Policy{Strategy: column.StrategyRolling, MaxUnavailable: 1}, []int{0, 1, 2}, 0},
		{"pairs", 5, Policy{Strategy: column.StrategyRolling, MaxUnavailable: 2}, []int{0, 0, 1, 1, 2}, 0},
		{"canary", 5, Policy{Strategy: column.StrategyCanary, Canary: 1, MaxUnavailable: 2}, []int{0, 1, 1, 2, 2}, 1},
		{"canary keeps to max_unavailable", 6, Policy{Strategy: column.StrategyCanary, Canary: 3, MaxUnavailable: 2}, []int{0, 0, 1, 2, 2, 3}, 2},
		{"canary of all", 2, Policy{Strategy: column.StrategyCanary, Canary: 9, MaxUnavailable: 1}, []int{0, 1}, 2},
		{"all at once", 3, Policy{Strategy: column.StrategyAllAtOnce, MaxUnavailable: 3}, []int{0, 0, 0}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, canarys := Plan(test.n, test.policy)
			if !slices.Equal(got, test.want) || canarys != test.wantCanarys {
				t.Errorf("got %v, %d; want %v, %d", got, canarys, test.want, test.wantCanarys)
			}
		})
	}
}

// TestPlanCoversEveryTargetOnce: every CVM has one batch, in order, without gaps, and no batch is larger than allowed.
func TestPlanCoversEveryTargetOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(rt, "n")
		p := somePolicy(rt, n)
		batches, canary := Plan(n, p)
		again, _ := Plan(n, p)
		if len(batches) != n || !slices.Equal(batches, again) || !slices.IsSorted(batches) {
			rt.Fatalf("plan of %d is %v, then %v", n, batches, again)
		}
		size, first := map[int]int{}, 0
		for _, b := range batches {
			size[b]++
			if b < canary {
				first++
			}
		}
		for b := range len(size) {
			if size[b] == 0 || size[b] > p.MaxUnavailable {
				rt.Fatalf("batch %d has %d of at most %d CVMs: %v", b, size[b], p.MaxUnavailable, batches)
			}
		}
		if want := min(max(p.Canary, 1), n); p.Strategy == column.StrategyCanary && first != want {
			rt.Fatalf("the canary has %d CVMs, want %d", first, want)
		}
	})
}

func TestAmount(t *testing.T) {
	for _, test := range []struct {
		text  string
		total int
		want  int
	}{
		{"1", 5, 1}, {"0", 5, 1}, {"7", 5, 5}, {"25%", 8, 2}, {"25%", 7, 1}, {"10%", 5, 1}, {"100%", 5, 5}, {"0%", 5, 1}, {"3", 0, 1},
	} {
		a, err := ParseAmount(test.text)
		if err != nil || a.Of(test.total) != test.want {
			t.Errorf("%s of %d is %d (%v), want %d", test.text, test.total, a.Of(test.total), err, test.want)
		}
	}
	for _, bad := range []string{"", "%", "-1", "+1", "101%", "1.5", "a", " 1", "1 %"} {
		if a, err := ParseAmount(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, a)
		}
	}
}

var allStates = []column.RolloutState{
	column.RolloutRunning, column.RolloutPaused, column.RolloutRollingBack,
	column.RolloutSucceeded, column.RolloutRolledBack, column.RolloutFailed,
}

func TestFinalStatesLeadNowhereAndOthersSomewhere(t *testing.T) {
	for _, s := range allStates {
		if s.Final() != (len(transitions[s]) == 0) {
			t.Errorf("%s: final %v, leads to %v", s, s.Final(), transitions[s])
		}
	}
}

// TestDiagramIsTrue compares the state machine with its drawing.
func TestDiagramIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## The fleet rollout\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var drawn, coded []string
	for _, m := range regexp.MustCompile(`(?m)^  (\w+) --> (\w+)`).FindAllStringSubmatch(section, -1) {
		drawn = append(drawn, m[1]+" -> "+m[2])
	}
	for from, tos := range transitions {
		for _, to := range tos {
			coded = append(coded, string(from)+" -> "+string(to))
		}
	}
	slices.Sort(drawn)
	slices.Sort(coded)
	if !slices.Equal(drawn, coded) {
		t.Errorf("docs/architecture.md draws\n%s\nthe code has\n%s", strings.Join(drawn, "\n"), strings.Join(coded, "\n"))
	}
}
