package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/lease"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// beatsPerLease is how often a lease is renewed in its time: some beats may be lost.
const beatsPerLease = 4

// held is the lease of this process as it sees it. Its end is counted from before the database was asked,
// so it is never later than the end that the other servers see.
type held struct {
	server string
	leases *store.Leases
	lasts  time.Duration
	now    func() time.Time

	mu    sync.Mutex
	until time.Time // zero: over for good
}

func (h *held) join(ctx context.Context) error {
	from := h.now()
	if err := h.leases.Join(ctx, h.server, h.lasts); err != nil {
		return err
	}
	h.extend(from)
	return nil
}

// beat renews the lease. The error is lease.ErrOver when it is lost; any other leaves it as it was.
func (h *held) beat(ctx context.Context) error {
	end, err := h.end()
	if err != nil {
		return err // a process that stood still: the others need not be asked
	}
	from := h.now()
	ctx, cancel := context.WithTimeout(ctx, end.Sub(from))
	defer cancel()
	ok, err := h.leases.Renew(ctx, h.server, h.lasts)
	if err == nil && ok {
		h.extend(from)
	}
	if err == nil && !ok {
		h.lose()
	}
	if _, over := h.end(); over != nil {
		return over
	}
	return err
}

func (h *held) leave(ctx context.Context) error {
	h.lose()
	return h.leases.Retire(ctx, h.server)
}

func (h *held) extend(from time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = from.Add(h.lasts)
}

func (h *held) lose() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until = time.Time{}
}

// end is when the lease ends, or ErrOver. Once over it stays over: others may have taken the work already.
func (h *held) end() (time.Time, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// The monotonic clock of a machine may stand still while it sleeps, and the other one may be set back:
	// the lease is over when either says so.
	now := h.now()
	if h.until.IsZero() || !now.Before(h.until) || !now.Round(0).Before(h.until.Round(0)) {
		h.until = time.Time{}
		return time.Time{}, lease.ErrOver
	}
	return h.until, nil
}

// check tells whether work may change something now. A little of the lease must be left, for the change
// to be through before others take over.
func (h *held) check() error {
	end, err := h.end()
	if err == nil && end.Sub(h.now()) < h.lasts/beatsPerLease/2 {
		return lease.ErrOver
	}
	return err
}
