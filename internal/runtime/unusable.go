package runtime

import (
	"context"
	"fmt"
	"io"
)

// Unusable stands in for a machine that no driver can be made for, or that is gone: every call fails with
// ErrUnreachable and the reason, so that whatever depends on the machine waits and says why.
type Unusable struct {
	Driver string // what the machine was to be driven by
	Reason string
	// Gone says that the machine does not exist any more, and with it everything on it: removing a CVM
	// succeeds.
	Gone bool
}

var (
	_ Runtime = Unusable{}
	_ Prober  = Unusable{}
)

func (u Unusable) refuse() error { return fmt.Errorf("%w: %s", ErrUnreachable, u.Reason) }

// Info implements Runtime.
func (u Unusable) Info() Info { return Info{Driver: u.Driver} }

// Create implements Runtime.
func (u Unusable) Create(context.Context, Spec) error { return u.refuse() }

// Apply implements Runtime.
func (u Unusable) Apply(context.Context, string, Config) error { return u.refuse() }

// Start implements Runtime.
func (u Unusable) Start(context.Context, string) error { return u.refuse() }

// Stop implements Runtime.
func (u Unusable) Stop(context.Context, string, StopOptions) error { return u.refuse() }

// Status implements Runtime.
func (u Unusable) Status(context.Context, string) (Status, error) { return Status{}, u.refuse() }

// Logs implements Runtime.
func (u Unusable) Logs(context.Context, string, LogOptions) (io.ReadCloser, error) {
	return nil, u.refuse()
}

// Remove implements Runtime.
func (u Unusable) Remove(context.Context, string) error {
	if u.Gone {
		return nil
	}
	return u.refuse()
}

// Probe implements Prober.
func (u Unusable) Probe(context.Context) (Machine, error) { return Machine{}, u.refuse() }

// Close implements Runtime.
func (u Unusable) Close() error { return nil }
