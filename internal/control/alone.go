package control

import "sync"

// alone is a set of subjects (updates, rollouts, power operations) of which each is worked on once at a time
// in this process. Who comes meanwhile is not lost: the worker is woken, and goes round once more.
type alone struct {
	mu   sync.Mutex
	held map[string]*holder
}

type holder struct {
	woken chan struct{}
	again bool // somebody came meanwhile
}

// begin reports whether the caller is to work on a subject. The channel gets a value when there is something
// new to look at.
func (a *alone) begin(subject string) (woken <-chan struct{}, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h, busy := a.held[subject]; busy {
		h.again = true
		ring(h.woken)
		return nil, false
	}
	if a.held == nil {
		a.held = map[string]*holder{}
	}
	h := &holder{woken: make(chan struct{}, 1)}
	a.held[subject] = h
	return h.woken, true
}

// end gives a subject back and reports whether somebody came meanwhile.
func (a *alone) end(subject string) (again bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	again = a.held[subject].again
	delete(a.held, subject)
	return again
}

// wake has who works on a subject look at once, if anybody does.
func (a *alone) wake(subject string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h, busy := a.held[subject]; busy {
		ring(h.woken)
	}
}

func ring(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it has a wake-up waiting already
	}
}
