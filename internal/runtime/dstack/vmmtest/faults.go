package vmmtest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// Effects are what the VMM does after it has answered. A fault names one in place of a method.
const (
	EffectStop   = "effect:stop"   // the process ends after StopVm
	EffectRemove = "effect:remove" // the VM goes away after RemoveVm
)

// Fault is one thing that goes wrong with the RPC, once unless Times says otherwise. Several of Delay, Hold,
// Drop, Error and Stale may be set; they count in this order.
type Fault struct {
	// Method is an RPC method, a guest method as "guest/Info", "logs", an effect, or empty for any method.
	Method string `json:"method,omitempty"`
	// VM is an id or part of a name; empty for any.
	VM string `json:"vm,omitempty"`
	// After lets the call take effect first, so that only its answer is lost.
	After bool `json:"after,omitempty"`

	Delay time.Duration `json:"delay,omitempty"` // nanoseconds in JSON
	Hold  bool          `json:"hold,omitempty"`  // until Release; ends also with the connection
	Drop  bool          `json:"drop,omitempty"`  // the connection ends without an answer
	Error string        `json:"error,omitempty"` // the text of an answer with status Code
	Code  int           `json:"code,omitempty"`  // 400 when 0
	Stale bool          `json:"stale,omitempty"` // Status answers what it answered when the fault was armed

	// Times is how often it strikes; 0 means once, and a negative number for ever.
	Times int `json:"times,omitempty"`
}

// Faults is what goes wrong with the RPC of a VMM. The zero value is nothing. Its methods may be called at
// any time and from any goroutine.
type Faults struct {
	mu    sync.Mutex
	armed []*Armed
	next  uint64
}

// Armed is a fault that waits for its occasion.
type Armed struct {
	ID uint64

	faults   *Faults
	fault    Fault
	left     int
	seen     any           // what a stale Status answers
	struck   chan struct{} // closed at the first strike
	released chan struct{}
}

// Add arms a fault. One that is Stale is armed with VMM.AddStale.
func (f *Faults) Add(fault Fault) *Armed { return f.add(fault, nil) }

func (f *Faults) add(fault Fault, seen any) *Armed {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	a := &Armed{
		ID: f.next, faults: f, fault: fault, left: max(fault.Times, 1), seen: seen,
		struck: make(chan struct{}), released: make(chan struct{}),
	}
	f.armed = append(f.armed, a)
	return a
}

// Clear takes all faults back and lets go of what they hold.
func (f *Faults) Clear() {
	f.mu.Lock()
	armed := f.armed
	f.mu.Unlock()
	for _, a := range armed {
		a.Disarm()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = nil
}

// find returns an armed fault by its id.
func (f *Faults) find(id uint64) (*Armed, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.armed {
		if a.ID == id {
			return a, true
		}
	}
	return nil, false
}

// Struck is closed once the fault has struck for the first time.
func (a *Armed) Struck() <-chan struct{} { return a.struck }

// Release lets go of what the fault holds, now and later. It may be called more than once.
func (a *Armed) Release() {
	a.faults.mu.Lock()
	defer a.faults.mu.Unlock()
	select {
	case <-a.released:
	default:
		close(a.released)
	}
}

// Disarm takes back a fault and releases what it holds.
func (a *Armed) Disarm() {
	a.faults.mu.Lock()
	a.left = 0
	a.faults.mu.Unlock()
	a.Release()
}

// errDropped says that the connection is to end without an answer.
var errDropped = errors.New("vmmtest: connection is dropped")

// codedError is an answer with a status of its own.
type codedError struct {
	code int
	text string
}

func (e codedError) Error() string { return e.text }

// at lets the fault that fits do its harm. A stale answer is returned with a nil error.
func (f *Faults) at(ctx context.Context, method string, names []string, after bool) (stale any, err error) {
	a := f.take(method, names, after)
	if a == nil {
		return nil, nil
	}
	if err := a.wait(ctx); err != nil {
		return nil, errDropped
	}
	switch {
	case a.fault.Drop:
		return nil, errDropped
	case a.fault.Error != "" || a.fault.Code != 0:
		code := a.fault.Code
		if code == 0 {
			code = 400
		}
		return nil, codedError{code, a.fault.Error}
	case a.fault.Stale:
		return a.seen, nil
	}
	return nil, nil
}

// atEffect is at for what happens after the answer.
func (f *Faults) atEffect(ctx context.Context, effect string, names []string) error {
	if a := f.take(effect, names, false); a != nil {
		return a.wait(ctx)
	}
	return ctx.Err()
}

func (a *Armed) wait(ctx context.Context) error {
	if a.fault.Delay > 0 {
		timer := time.NewTimer(a.fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if a.fault.Hold {
		select {
		case <-a.released:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (f *Faults) take(method string, names []string, after bool) *Armed {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.armed) == 0 {
		return nil
	}
	kept := f.armed[:0]
	var found *Armed
	for _, a := range f.armed {
		if found == nil && a.left > 0 && a.fault.After == after && a.fault.fits(method, names) {
			found = a
			if a.fault.Times >= 0 {
				a.left--
			}
			select {
			case <-a.struck:
			default:
				close(a.struck)
			}
		}
		if a.left > 0 || a == found {
			kept = append(kept, a)
		}
	}
	clear(f.armed[len(kept):])
	f.armed = kept
	return found
}

func (f Fault) fits(method string, names []string) bool {
	if f.Method == "" && strings.HasPrefix(method, "effect:") || f.Method != "" && f.Method != method {
		return false
	}
	if f.VM == "" {
		return true
	}
	for _, name := range names {
		if strings.Contains(name, f.VM) {
			return true
		}
	}
	return false
}

// guestFaults are the faults inside guests that were armed over HTTP.
type guestFaults struct {
	mu    sync.Mutex
	armed []*sim.Armed
}

func (f *guestFaults) add(a *sim.Armed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = append(f.armed, a)
}

func (f *guestFaults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.armed {
		a.Disarm()
	}
	f.armed = nil
}
