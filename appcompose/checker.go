package appcompose

import (
	"context"
	"crypto/sha256"
	"sync"
)

// Checker is [CheckCompose] with a memory of the texts it accepted. A server
// sees each text at least twice (phase 1, phase 2, retries, the same app on
// many CVMs), and a check takes a millisecond where a look-up takes one
// SHA-256. It may be used from several goroutines.
type Checker struct {
	mu       sync.Mutex
	accepted map[[sha256.Size]byte]struct{}
	order    [][sha256.Size]byte // a ring: the oldest is forgotten first
	next     int
}

// NewChecker returns a Checker that remembers up to size texts, at 64 bytes
// each; with a size of 0 or less it remembers none.
func NewChecker(size int) *Checker {
	size = max(size, 0)
	return &Checker{
		accepted: make(map[[sha256.Size]byte]struct{}, size),
		order:    make([][sha256.Size]byte, size),
	}
}

// Check returns what [CheckCompose] returns.
func (c *Checker) Check(ctx context.Context, text []byte, opts CheckOptions) error {
	if err := checkComposeSize(len(text), len(opts.PreLaunchScript)); err != nil {
		return err
	}
	key := sha256.Sum256(text)
	c.mu.Lock()
	_, known := c.accepted[key]
	c.mu.Unlock()
	if known {
		return ctx.Err()
	}
	if err := CheckCompose(ctx, text, opts); err != nil {
		return err
	}
	c.remember(key)
	return nil
}

func (c *Checker) remember(key [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.accepted[key]; known || len(c.order) == 0 {
		return
	}
	if len(c.accepted) == len(c.order) {
		delete(c.accepted, c.order[c.next])
	}
	c.order[c.next] = key
	c.next = (c.next + 1) % len(c.order)
	c.accepted[key] = struct{}{}
}
