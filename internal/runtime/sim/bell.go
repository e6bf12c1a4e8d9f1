package sim

import (
	"context"
	"sync"
)

// bell wakes everyone who waits for something to change. It costs nothing while nobody waits, and no
// goroutine while somebody does: there is one in every CVM.
type bell struct {
	mu      sync.Mutex
	waiting map[chan struct{}]struct{}
	gone    bool
}

// listen returns a channel that receives after each ring; rings that come before the receive count as
// one. It is closed when the context ends or the bell does.
func (b *bell) listen(ctx context.Context) <-chan struct{} {
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

func (b *bell) leave(rung chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.waiting[rung]; ok {
		delete(b.waiting, rung)
		close(rung)
	}
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for rung := range b.waiting {
		select {
		case rung <- struct{}{}:
		default: // already told
		}
	}
}

// end closes the channels of all who listen, and of all who will.
func (b *bell) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = true
	for rung := range b.waiting {
		close(rung)
	}
	b.waiting = nil
}
