package control

import (
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

// Shutdown says how a CVM is asked to go down (shutdown_timeout and allow_force_stop of the API). A nil
// *Shutdown leaves it to the server: Timeouts.Stop, then it is cut off.
type Shutdown struct {
	// Timeout is how long the guest may take: whole seconds from 10 to 1200, NoTimeout for as long as the
	// whole operation may take, or 0 for Timeouts.Stop.
	Timeout time.Duration
	// AllowForceStop cuts the CVM off when the time is over. Without it the operation fails.
	AllowForceStop bool
}

// NoTimeout lets a guest take as long as it needs to shut down.
const NoTimeout time.Duration = -1

// noTimeout is NoTimeout in the database, where timeouts are seconds and 0 is the server's setting.
const noTimeout = -1

func (d *Shutdown) check() error {
	if d == nil || d.Timeout == 0 || d.Timeout == NoTimeout {
		return nil
	}
	const least, most = api.MinShutdownTimeout * time.Second, api.MaxShutdownTimeout * time.Second
	if d.Timeout < least || d.Timeout > most || d.Timeout%time.Second != 0 {
		return problem.New(problem.KindUnprocessable, api.CodeInvalidRequest, "bad shutdown timeout").
			With("shutdown_timeout", d.Timeout.Seconds(), fmt.Sprintf("%d to %d seconds, or null for none", api.MinShutdownTimeout, api.MaxShutdownTimeout))
	}
	return nil
}

// columns is the form in the database.
func (d *Shutdown) columns() (seconds int64, allowForce bool) {
	switch {
	case d == nil:
		return 0, true
	case d.Timeout == NoTimeout:
		return noTimeout, d.AllowForceStop
	default:
		return int64(d.Timeout / time.Second), d.AllowForceStop
	}
}

// stopLimit is how long a guest may take to shut down, from the column. Without a bound the limit is that of
// the whole operation.
func (s *Service) stopLimit(seconds int64) (limit time.Duration, bounded bool) {
	switch seconds {
	case 0:
		return s.timeouts.Stop, true
	case noTimeout:
		return s.timeouts.Progress, false
	default:
		return time.Duration(seconds) * time.Second, true
	}
}
