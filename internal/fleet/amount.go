package fleet

import (
	"fmt"
	"strconv"
	"strings"
)

// Amount is a number of CVMs, given as a count or as a percentage of all.
type Amount struct {
	N       int
	Percent bool
}

// ParseAmount reads a count such as "2" or a percentage such as "25%".
func ParseAmount(s string) (Amount, error) {
	digits, percent := strings.CutSuffix(s, "%")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || (percent && n > 100) || strings.HasPrefix(digits, "+") {
		return Amount{}, fmt.Errorf("fleet: amount %q: want a count such as 2, or a percentage such as 25%%", s)
	}
	return Amount{N: n, Percent: percent}, nil
}

// Of resolves the amount for total CVMs: at least 1 and at most all. A percentage is rounded down.
func (a Amount) Of(total int) int {
	n := a.N
	if a.Percent {
		n = total * a.N / 100
	}
	return max(1, min(n, total))
}
