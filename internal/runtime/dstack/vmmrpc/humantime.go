package vmmrpc

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Never is how the VMM shows a time that has not come.
const Never = "never"

// unit is a unit of the VMM's durations, in the words of the humantime library that it prints them with.
type unit struct {
	one, many string
	seconds   int64
}

var units = []unit{
	{"year", "years", 31_557_600},
	{"month", "months", 2_630_016},
	{"day", "days", 86_400},
	{"h", "h", 3_600},
	{"m", "m", 60},
	{"s", "s", 1},
}

// maxElapsed bounds what ParseElapsed takes: 250 years, which a time.Duration holds.
const maxElapsed = 250 * 31_557_600

// FormatElapsed writes how long ago something was, cut to whole seconds, as the VMM does: "1day 2h 3s".
func FormatElapsed(d time.Duration) string {
	left := int64(d / time.Second)
	if left <= 0 {
		return "0s"
	}
	var parts []string
	for _, u := range units {
		n := left / u.seconds
		left %= u.seconds
		switch n {
		case 0:
		case 1:
			parts = append(parts, "1"+u.one)
		default:
			parts = append(parts, strconv.FormatInt(n, 10)+u.many)
		}
	}
	return strings.Join(parts, " ")
}

// ParseElapsed reads what FormatElapsed writes. The second result is false for Never and for no text at all.
// The true duration is up to a second longer.
func ParseElapsed(text string) (time.Duration, bool, error) {
	if text == "" || text == Never {
		return 0, false, nil
	}
	var total int64
	for word := range strings.FieldsSeq(text) {
		digits := 0
		for digits < len(word) && word[digits] >= '0' && word[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseInt(word[:digits], 10, 64)
		seconds, known := secondsOf(word[digits:])
		if err != nil || !known || n > maxElapsed {
			return 0, false, fmt.Errorf("vmmrpc: elapsed time is %.60q, want such as \"1day 2h 3s\" or %q", text, Never)
		}
		if total += n * seconds; total > maxElapsed {
			return 0, false, fmt.Errorf("vmmrpc: elapsed time %.60q is too long", text)
		}
	}
	return time.Duration(total) * time.Second, true, nil
}

func secondsOf(name string) (int64, bool) {
	switch name {
	case "ms", "us", "ns":
		return 0, true // less than what is shown
	}
	for _, u := range units {
		if name == u.one || name == u.many {
			return u.seconds, true
		}
	}
	return 0, false
}
