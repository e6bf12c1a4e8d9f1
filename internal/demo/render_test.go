package demo

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/examples"
)

func TestFold(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		width      int
		want       []string
	}{
		{"fits", "one two", 7, []string{"one two"}},
		{"breaks at blanks", "one two three", 7, []string{"one two", "three"}},
		{"long words stay whole", "a verylongword b", 6, []string{"a", "verylongword", "b"}},
		{"line ends stay", "a\nb", 6, []string{"a", "b"}},
		{"what to do next hangs", "-> one two three", 8, []string{"-> one", "   two", "   three"}},
		{"empty", "", 5, []string{""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fold(tt.text, tt.width); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFoldKeepsEveryWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,12}`), 1, 20).Draw(t, "words")
		width := rapid.IntRange(1, 40).Draw(t, "width")
		lead := rapid.SampledFrom([]string{"", arrow, "  "}).Draw(t, "lead")
		lines := fold(lead+strings.Join(words, " "), width)
		if got := strings.Fields(strings.TrimPrefix(strings.Join(lines, " "), arrow)); !slices.Equal(got, words) {
			t.Fatalf("got %q, want the words %q", lines, words)
		}
		for _, line := range lines {
			if len(line) > width && len(strings.Fields(strings.TrimPrefix(line, arrow))) > 1 {
				t.Fatalf("line %q is longer than %d", line, width)
			}
		}
	})
}

func TestPageOfAFailure(t *testing.T) {
	var out bytes.Buffer
	p := &page{out: &out}
	p.opening()
	p.chapter(1, "A chapter")
	p.say(client, "asks")
	p.say(control, "468 ERR-01-008: no\n%snext", arrow)
	var report Report
	for _, c := range []Check{
		{Name: "first", OK: true, Detail: "fine", Milliseconds: 12},
		{Name: "second", Detail: "the status is 200, want 468", Milliseconds: 1},
	} {
		report.add(c)
		p.check(c)
	}
	p.summary(report, 1500*time.Millisecond)
	pad := strings.Repeat(" ", lineWidth)
	right := func(name, took string) string { return name + pad[:lineWidth-markWidth-len(name)-len(took)] + took }
	want := strings.Join([]string{
		"Lockstep demo: the whole cloud in one process, and every claim checked.",
		"", "1. A chapter", "",
		"      client   asks",
		"      control  468 ERR-01-008: no",
		"               -> next",
		"ok    " + right("first", "12 ms"),
		"FAIL  " + right("second", "1 ms"),
		"      the status is 200, want 468",
		"",
		"FAIL  second",
		"1 of 2 checks FAILED, after 1.5 s.",
		"",
	}, "\n")
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestVersionsDiffer(t *testing.T) {
	versions := []string{examples.ComposeV1, versionTwo(), versionThree(), versionFour(), badCompose()}
	slices.Sort(versions)
	if len(slices.Compact(versions)) != 5 {
		t.Error("two versions of the story are the same")
	}
	if !strings.Contains(badCompose(), guestWords) {
		t.Error("the bad version lacks the label that makes it fail")
	}
	if got := len(tooLarge()); got != api.MaxComposeSize+1 {
		t.Errorf("the large body has %d bytes, want %d", got, api.MaxComposeSize+1)
	}
}
