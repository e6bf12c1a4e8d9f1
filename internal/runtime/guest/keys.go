package guest

import (
	"context"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/kms"
)

// Asking says how a KMS is asked. Zero values are the defaults.
type Asking struct {
	Tries  int           // how often one that gives no decision is asked before the boot fails; 0 means 4
	Delay  time.Duration // before the second try; it doubles with each. 0 means 250 ms
	Failed func(try int, err error)
}

func (a Asking) withDefaults() Asking {
	if a.Tries <= 0 {
		a.Tries = 4
	}
	if a.Delay <= 0 {
		a.Delay = 250 * time.Millisecond
	}
	if a.Failed == nil {
		a.Failed = func(int, error) {}
	}
	return a
}

// RequestKeys asks the KMS for leave to boot. One that gives no decision is asked again, since a guest retries;
// a denial is final. The error is in the guest's words, or that of the context.
func RequestKeys(ctx context.Context, authorizer kms.Authorizer, info kms.BootInfo, asking Asking) error {
	asking = asking.withDefaults()
	delay := asking.Delay
	for try := 1; ; try++ {
		decision, err := authorizer.AuthorizeBoot(ctx, info)
		switch {
		case err == nil && decision.Allowed:
			return nil
		case err == nil:
			return fmt.Errorf("failed to request app keys: App not allowed: Boot denied: %s", decision.Reason)
		case try == asking.Tries:
			return fmt.Errorf("failed to request app keys: no decision from the KMS in %d tries: %w", try, err)
		}
		asking.Failed(try, err)
		if err := Pause(ctx, delay); err != nil {
			return err
		}
		delay *= 2
	}
}

// Pause waits, or ends early with the error of the context.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
