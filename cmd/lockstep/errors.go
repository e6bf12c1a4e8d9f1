package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"charm.land/fang/v2"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

// exitError ends the program with a code after a command has said everything itself.
type exitError int

func (c exitError) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// printError says what went wrong and what to do next, as plain lines that can be copied and searched
// for: fang's own handler changes case and folds.
func printError(w io.Writer, _ fang.Styles, err error) {
	if _, quiet := errors.AsType[exitError](err); quiet {
		return
	}
	_, _ = fmt.Fprint(w, describe(err)) // nobody is left to tell
}

// describe is an error as lines for people: what happened, what the server says it is about, and after
// an arrow each what can be done.
func describe(err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "error: %s\n", strings.TrimPrefix(err.Error(), "lockstep: "))
	if refusal, ok := errors.AsType[*lockstep.APIError](err); ok {
		describeRefusal(&b, refusal)
	}
	if wrong, ok := errors.AsType[*problem.Error](err); ok {
		for _, d := range wrong.Details {
			fmt.Fprintf(&b, "  %s: %v, want %s\n", d.Field, d.Value, d.Message)
		}
		next(&b, wrong.Suggestions)
	}
	return b.String()
}

func next(b *strings.Builder, suggestions []string) {
	for _, s := range suggestions {
		fmt.Fprintf(b, "  -> %s\n", s)
	}
}

// describeRefusal adds what an answer says beyond its message.
func describeRefusal(b *strings.Builder, refusal *lockstep.APIError) {
	for _, d := range refusal.Details {
		value := strings.Trim(string(d.Value), `"`)
		if strings.HasPrefix(value, "{") || value == "null" {
			value = "" // an object is for programs
		}
		if line := strings.TrimSpace(value + "  " + d.Message); line != "" {
			fmt.Fprintf(b, "  %s: %s\n", d.Field, line)
		}
	}
	for _, v := range refusal.Validation {
		fmt.Fprintf(b, "  %s: %s\n", v.Field(), v.Msg)
	}
	next(b, refusal.Suggestions)
	for _, l := range refusal.Links {
		fmt.Fprintf(b, "  %s: %s\n", l.Label, l.URL)
	}
}
