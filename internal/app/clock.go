package app

import (
	"context"
	"time"
)

// wallClock is the time of the machine.
type wallClock struct{}

// Now implements control.Clock.
func (wallClock) Now() time.Time { return time.Now() }

// Sleep implements control.Clock.
func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
