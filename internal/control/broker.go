package control

import "sync"

// Broker wakes those who watch a CVM after something about it was committed. It carries no data: a
// watcher reads what is there, so a lost wake-up could at worst delay it to its next look.
type Broker struct {
	mu       sync.Mutex
	watchers map[int64]map[chan struct{}]struct{}
}

// NewBroker makes a Broker.
func NewBroker() *Broker { return &Broker{watchers: map[int64]map[chan struct{}]struct{}{}} }

// Watch returns a channel that gets a value after each change of the CVM (several changes may come as
// one value), and the function that ends the watch.
func (b *Broker) Watch(cvmID int64) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watchers[cvmID] == nil {
		b.watchers[cvmID] = map[chan struct{}]struct{}{}
	}
	b.watchers[cvmID][c] = struct{}{}
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers[cvmID], c)
		if len(b.watchers[cvmID]) == 0 {
			delete(b.watchers, cvmID)
		}
	}
}

// Publish wakes the watchers of a CVM.
func (b *Broker) Publish(cvmID int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.watchers[cvmID] {
		ring(c)
	}
}

// PublishAll wakes every watcher: a change of any CVM may have been missed.
func (b *Broker) PublishAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, watchers := range b.watchers {
		for c := range watchers {
			ring(c)
		}
	}
}

// Changed takes up that another server of the database changed a CVM.
func (s *Service) Changed(cvmID int64) { s.events.Publish(cvmID) }

// ChangesMissed takes up that others may have changed any CVM, and nobody told.
func (s *Service) ChangesMissed() { s.events.PublishAll() }

// Watch returns a channel that gets a value after each change of the CVM.
func (s *Service) Watch(cvmID int64) (<-chan struct{}, func()) { return s.events.Watch(cvmID) }
