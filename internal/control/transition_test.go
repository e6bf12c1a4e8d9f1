package control

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

var allStates = []column.UpdateState{
	column.Proposed, column.AwaitingApproval, column.Approved, column.RollingOut, column.Verifying, column.RollingBack,
	column.Succeeded, column.RolledBack, column.Failed, column.Cancelled, column.Expired, column.Superseded,
}

func TestFinalStatesLeadNowhereAndOthersSomewhere(t *testing.T) {
	for _, s := range allStates {
		if s.Final() != (len(transitions[s]) == 0) {
			t.Errorf("%s: final %v, leads to %v", s, s.Final(), transitions[s])
		}
		if s.Final() && s.Rolling() {
			t.Errorf("%s is final and rolling", s)
		}
	}
}

func TestEveryStateIsReachedAndCanEnd(t *testing.T) {
	reached := map[column.UpdateState]bool{column.Proposed: true}
	for range allStates {
		for from := range reached {
			for _, to := range transitions[from] {
				reached[to] = true
			}
		}
	}
	for _, s := range allStates {
		if !reached[s] {
			t.Errorf("%s cannot be reached", s)
		}
	}
	var ends func(s column.UpdateState, seen []column.UpdateState) bool
	ends = func(s column.UpdateState, seen []column.UpdateState) bool {
		if s.Final() {
			return true
		}
		if slices.Contains(seen, s) {
			return false
		}
		return slices.ContainsFunc(transitions[s], func(to column.UpdateState) bool { return ends(to, append(seen, s)) })
	}
	for _, s := range allStates {
		if !ends(s, nil) {
			t.Errorf("%s has no way to an end", s)
		}
	}
}

// TestDiagramIsTrue compares the state machine with its drawing.
func TestDiagramIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var drawn, coded []string
	for _, m := range regexp.MustCompile(`(?m)^    (\w+) --> (\w+)`).FindAllStringSubmatch(string(page), -1) {
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

// TestPowerDiagramIsTrue compares the state machine of power operations with its drawing.
func TestPowerDiagramIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var drawn, coded []string
	for _, m := range regexp.MustCompile(`(?m)^   (\w+) --> (\w+)`).FindAllStringSubmatch(string(page), -1) {
		drawn = append(drawn, m[1]+" -> "+m[2])
	}
	for from, tos := range powerTransitions {
		if from.Final() {
			t.Errorf("%s is final and leads somewhere", from)
		}
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
