package dstack

import (
	"io"
	"strings"
	"testing"
)

func TestLastLines(t *testing.T) {
	for _, tt := range []struct {
		log   string
		count int
		want  string
	}{
		{"", 2, ""},
		{"a\n", 2, "a\n"},
		{"a\nb\n", 2, "a\nb\n"},
		{"a\nb\nc\n", 2, "b\nc\n"},
		{"a\nb\nc\nd", 3, "b\nc\nd"},
		{"a\nb\nc\nd\ne\n", 1, "e\n"},
	} {
		log, err := lastLines(io.NopCloser(strings.NewReader(tt.log)), tt.count)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(log); err != nil || string(got) != tt.want {
			t.Errorf("last %d of %q: got %q, %v, want %q", tt.count, tt.log, got, err, tt.want)
		}
	}
}
