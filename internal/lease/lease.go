// Package lease carries the right to work on something in the context of that work. Where several servers
// share a database, a server has it for a time only: one that stood still for longer must not go on, because
// another one has taken its work over by then.
package lease

import (
	"context"
	"errors"
)

// ErrOver says that the right to work has ended. Nothing was done; whoever has the right now does it.
var ErrOver = errors.New("lease: the lease of this server is over; another one takes the work over")

type key struct{}

// With returns a context whose work asks check before every change it makes. check is cheap, looks at the
// clock and returns ErrOver or nil.
func With(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, key{}, check)
}

// Check returns ErrOver when the work of the context must not go on. Work that nobody else could take over
// has no lease, and may.
func Check(ctx context.Context) error {
	if check, ok := ctx.Value(key{}).(func() error); ok {
		return check()
	}
	return nil
}
