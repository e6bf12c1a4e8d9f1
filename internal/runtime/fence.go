package runtime

import (
	"context"

	"github.com/lockstep-cvm/lockstep/internal/lease"
)

// Fenced is a Runtime that changes a CVM only while the lease of the context lasts: right before each call
// that changes something it asks the clock, and returns lease.ErrOver. The other calls are those of rt.
func Fenced(rt Runtime) Runtime { return fenced{rt} }

type fenced struct{ Runtime }

// Create implements Runtime.
func (f fenced) Create(ctx context.Context, spec Spec) error {
	if err := lease.Check(ctx); err != nil {
		return err
	}
	return f.Runtime.Create(ctx, spec)
}

// Apply implements Runtime.
func (f fenced) Apply(ctx context.Context, id string, config Config) error {
	if err := lease.Check(ctx); err != nil {
		return err
	}
	return f.Runtime.Apply(ctx, id, config)
}

// Start implements Runtime.
func (f fenced) Start(ctx context.Context, id string) error {
	if err := lease.Check(ctx); err != nil {
		return err
	}
	return f.Runtime.Start(ctx, id)
}

// Stop implements Runtime.
func (f fenced) Stop(ctx context.Context, id string, options StopOptions) error {
	if err := lease.Check(ctx); err != nil {
		return err
	}
	return f.Runtime.Stop(ctx, id, options)
}

// Remove implements Runtime.
func (f fenced) Remove(ctx context.Context, id string) error {
	if err := lease.Check(ctx); err != nil {
		return err
	}
	return f.Runtime.Remove(ctx, id)
}
