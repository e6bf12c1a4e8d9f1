package runtime

import (
	"context"
	"time"
)

// Watcher is what a driver implements besides Runtime when it can tell of changes as they happen.
// Callers that cannot do without use Await, which polls the drivers that cannot.
type Watcher interface {
	// Watch returns a channel that receives once the status of the CVM may have changed since the last
	// receive. Changes in between are told once. The channel is closed when the context ends, the CVM is
	// removed or the driver is closed. The error is ErrNotFound or ErrUnreachable.
	Watch(ctx context.Context, id string) (<-chan struct{}, error)
}

// Await returns the first status for which done is true. It is woken by the driver when that is a
// Watcher, and otherwise looks every poll. The error is that of the context or of Status; the status
// is the last one seen, so that a caller who gave up can still tell why.
func Await(ctx context.Context, rt Runtime, id string, poll time.Duration, done func(Status) bool) (Status, error) {
	var changed <-chan struct{}
	if watcher, ok := rt.(Watcher); ok {
		watch, cancel := context.WithCancel(ctx)
		defer cancel()
		var err error
		if changed, err = watcher.Watch(watch, id); err != nil {
			return Status{}, err
		}
	}
	var last Status
	for {
		status, err := rt.Status(ctx, id)
		if err != nil {
			return last, err
		}
		last = status
		if done(status) {
			return status, nil
		}
		if err := awaitChange(ctx, changed, poll); err != nil {
			return last, err
		}
	}
}

// awaitChange waits for the channel, or for the time of one poll where there is none.
func awaitChange(ctx context.Context, changed <-chan struct{}, poll time.Duration) error {
	if changed != nil {
		select {
		case <-changed:
			// Closed or not, the next Status tells what happened.
			return ctx.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
