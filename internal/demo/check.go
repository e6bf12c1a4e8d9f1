package demo

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Report is what a run found. OK is true only when every check held.
type Report struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}

// Check is one thing the demo makes sure of.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Detail is what was seen, or what was wrong.
	Detail string `json:"detail"`
	// Milliseconds is how long it took.
	Milliseconds int64 `json:"ms"`
}

// Failed lists the checks that did not hold.
func (r Report) Failed() []Check {
	return slices.DeleteFunc(slices.Clone(r.Checks), func(c Check) bool { return c.OK })
}

func (r *Report) add(c Check) {
	r.Checks = append(r.Checks, c)
	r.OK = !slices.ContainsFunc(r.Checks, func(c Check) bool { return !c.OK })
}

// holds reports whether a check was made and held.
func (r *Report) holds(name string) bool {
	return slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Name == name && c.OK })
}

// checkOf turns the outcome of a step into its check.
func checkOf(name, detail string, err error, took time.Duration) Check {
	c := Check{Name: name, OK: err == nil, Detail: detail, Milliseconds: took.Milliseconds()}
	if err != nil {
		c.Detail = err.Error()
	}
	return c
}

// same is nil when all values are equal to the wanted one, and otherwise names those that are not.
func same(what string, want any, seen ...any) error {
	var errs []error
	for _, v := range seen {
		if v != want {
			errs = append(errs, fmt.Errorf("%s is %v, want %v", what, v, want))
		}
	}
	return errors.Join(errs...)
}
