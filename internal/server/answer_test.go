package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// answer is a response that has been read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// at returns the value at a path such as "items.0.name" in a JSON body; nil when it is not there.
func (a answer) at(tb testing.TB, path string) any {
	tb.Helper()
	var value any
	if err := json.Unmarshal(a.body, &value); err != nil {
		tb.Fatalf("%v in %s", err, a.body)
	}
	for name := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

func (a answer) text(tb testing.TB, path string) string {
	tb.Helper()
	s, ok := a.at(tb, path).(string)
	if !ok {
		tb.Fatalf("%s is no string in %s", path, a.body)
	}
	return s
}

// want checks the status and, as path, value pairs, parts of the body.
func (a answer) want(tb testing.TB, status int, values ...any) answer {
	tb.Helper()
	if a.status != status {
		tb.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	for i := 0; i < len(values); i += 2 {
		if got := a.at(tb, values[i].(string)); fmt.Sprint(got) != fmt.Sprint(values[i+1]) {
			tb.Errorf("%s = %v, want %v in %s", values[i], got, values[i+1], a.body)
		}
	}
	return a
}

// detail returns the value of a detail of a structured error.
func (a answer) detail(tb testing.TB, field string) any {
	tb.Helper()
	details, _ := a.at(tb, "details").([]any)
	for _, d := range details {
		if d.(map[string]any)["field"] == field {
			return d.(map[string]any)["value"]
		}
	}
	tb.Fatalf("there is no detail %s in %s", field, a.body)
	return nil
}
