// Package bell wakes those who wait for something to change on a CVM.
package bell

import (
	"context"
	"sync"
)

// Bell wakes everyone who waits for something to change. It costs nothing while nobody waits, and no
// goroutine while somebody does: there is one in every CVM.
type Bell struct {
	mu      sync.Mutex
	waiting map[chan struct{}]struct{}
	gone    bool
}

// Listen returns a channel that receives after each ring; rings that come before the receive count as
// one. It is closed when the context ends or the bell does.
func (b *Bell) Listen(ctx context.Context) <-chan struct{} {
	rung := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		close(rung)
		return rung
	}
	if b.waiting == nil {
		b.waiting = map[chan struct{}]struct{}{}
	}
	b.waiting[rung] = struct{}{}
	context.AfterFunc(ctx, func() { b.leave(rung) })
	return rung
}

func (b *Bell) leave(rung chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.waiting[rung]; ok {
		delete(b.waiting, rung)
		close(rung)
	}
}

// Ring tells everyone who listens.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for rung := range b.waiting {
		select {
		case rung <- struct{}{}:
		default: // already told
		}
	}
}

// End closes the channels of all who listen, and of all who will.
func (b *Bell) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = true
	for rung := range b.waiting {
		close(rung)
	}
	b.waiting = nil
}
