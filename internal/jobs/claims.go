package jobs

import (
	"context"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/store"
)

// claims are the updates and rollouts that this server works on. Several jobs of one process may be about
// one subject: they share its claim, and the handler puts them in an order.
type claims struct {
	server string
	leases *store.Leases

	mu   sync.Mutex
	held map[string]*claim
	owed map[string]bool // could not be given back yet
}

type claim struct {
	users int           // 0: it is being given back
	asked chan struct{} // closed once mine and err are known
	gone  chan struct{} // closed once it was given back
	mine  bool
	err   error
}

func newClaims(server string, leases *store.Leases) *claims {
	return &claims{server: server, leases: leases, held: map[string]*claim{}, owed: map[string]bool{}}
}

// take claims a subject and reports whether this server has it. Who has it gives it back.
func (c *claims) take(ctx context.Context, subject string) (bool, error) {
	for {
		known, first := c.join(subject)
		switch {
		case first:
			known.mine, known.err = c.leases.Claim(ctx, c.server, subject)
			if !known.mine {
				c.forget(subject) // the next one asks anew
			}
			close(known.asked)
		case known.asked == nil:
			<-known.gone
			continue
		default:
			<-known.asked
		}
		return known.mine, known.err
	}
}

// join counts a user of the claim on a subject, and makes the claim for the first one. A claim that is
// being given back has no asked.
func (c *claims) join(subject string) (known *claim, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known = c.held[subject]
	switch {
	case known == nil:
		known = &claim{users: 1, asked: make(chan struct{}), gone: make(chan struct{})}
		c.held[subject] = known
		return known, true
	case known.users == 0:
		return &claim{gone: known.gone}, false
	default:
		known.users++
		return known, false
	}
}

func (c *claims) forget(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, subject)
}

// releaseWithin bounds how long giving a claim back may take.
const releaseWithin = 10 * time.Second

// giveBack ends one use of a subject.
func (c *claims) giveBack(ctx context.Context, subject string) {
	c.mu.Lock()
	known := c.held[subject]
	known.users--
	last := known.users == 0
	c.mu.Unlock()
	if last {
		c.release(ctx, subject, known)
	}
}

func (c *claims) release(ctx context.Context, subject string, known *claim) {
	ctx, cancel := context.WithTimeout(ctx, releaseWithin)
	defer cancel()
	err := c.leases.Release(ctx, c.server, subject)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, subject)
	delete(c.owed, subject)
	if err != nil {
		c.owed[subject] = true // another server must not wait for it as long as this one lives
	}
	close(known.gone)
}

// settle gives back what could not be before.
func (c *claims) settle(ctx context.Context) {
	owed := map[string]*claim{}
	c.mu.Lock()
	for subject := range c.owed {
		if c.held[subject] == nil {
			owed[subject] = &claim{gone: make(chan struct{})}
			c.held[subject] = owed[subject]
		}
	}
	c.mu.Unlock()
	for subject, known := range owed {
		c.release(ctx, subject, known)
	}
}
