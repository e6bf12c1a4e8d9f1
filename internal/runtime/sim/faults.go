package sim

import (
	"context"
	"sync"
)

// Call names a call of runtime.Runtime at which a fault strikes.
type Call string

// Calls that can fail.
const (
	CallCreate Call = "create"
	CallApply  Call = "apply"
	CallStart  Call = "start"
	CallStop   Call = "stop"
	CallStatus Call = "status"
	CallLogs   Call = "logs"
	CallRemove Call = "remove"
)

// Fault is one thing that goes wrong, once unless Times says otherwise. It strikes either a call, before
// or after it took effect, or a stage of a boot or shutdown.
type Fault struct {
	CVM   string // id; empty for any
	Call  Call   // the call it strikes, or
	Stage Stage  // the stage it strikes
	After bool   // of a call: it takes effect first and only its answer gets lost

	// Err is what the call returns, or what a booting guest reports as its boot error. A fault without
	// Err only holds things up.
	Err error
	// Hold keeps the call or stage waiting until Release, and only then does Err count. The wait also
	// ends with the context of the call, when the CVM is cut off, and when the node is closed.
	Hold bool
	// Times is how often it strikes; 0 means once, and a negative number for ever.
	Times int
}

// Faults is what goes wrong on a node. Its methods may be called at any time and from any goroutine.
type Faults struct {
	mu    sync.Mutex
	armed []*Armed
}

// NewFaults returns a set without faults.
func NewFaults() *Faults { return &Faults{} }

// Armed is a fault that waits for its occasion.
type Armed struct {
	faults   *Faults
	fault    Fault
	left     int           // strikes left; guarded by Faults.mu
	struck   chan struct{} // closed at the first strike
	released chan struct{} // closed by Release
}

// Add arms a fault.
func (f *Faults) Add(fault Fault) *Armed {
	a := &Armed{faults: f, fault: fault, left: max(fault.Times, 1), struck: make(chan struct{}), released: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.armed = append(f.armed, a)
	return a
}

// FailCall makes the next such call on the CVM return err without taking effect.
func (f *Faults) FailCall(cvm string, call Call, err error) *Armed {
	return f.Add(Fault{CVM: cvm, Call: call, Err: err})
}

// LoseAnswer makes the next such call on the CVM take effect and return err all the same.
func (f *Faults) LoseAnswer(cvm string, call Call, err error) *Armed {
	return f.Add(Fault{CVM: cvm, Call: call, Err: err, After: true})
}

// FailStage makes the next boot of the CVM fail at a stage, with the text of err as its boot error.
func (f *Faults) FailStage(cvm string, stage Stage, err error) *Armed {
	return f.Add(Fault{CVM: cvm, Stage: stage, Err: err})
}

// HoldStage makes the CVM hang in a stage until Release: StagePoweringOff for a slow stop, any other
// for a boot that does not get on.
func (f *Faults) HoldStage(cvm string, stage Stage) *Armed {
	return f.Add(Fault{CVM: cvm, Stage: stage, Hold: true})
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

// Disarm takes back a fault that has not struck, and releases what it holds.
func (a *Armed) Disarm() {
	a.faults.mu.Lock()
	a.left = 0
	a.faults.mu.Unlock()
	a.Release()
}

func (f *Faults) atCall(ctx context.Context, closed <-chan struct{}, cvm string, call Call, after bool) error {
	return f.strike(ctx, closed, func(fault Fault) bool {
		return fault.Call == call && fault.After == after && matches(fault.CVM, cvm)
	})
}

func (f *Faults) atStage(ctx context.Context, cvm string, stage Stage) error {
	return f.strike(ctx, nil, func(fault Fault) bool {
		return fault.Call == "" && fault.Stage == stage && matches(fault.CVM, cvm)
	})
}

func matches(pattern, cvm string) bool { return pattern == "" || pattern == cvm }

// strike lets the first fault that fits do its harm.
func (f *Faults) strike(ctx context.Context, closed <-chan struct{}, fits func(Fault) bool) error {
	a := f.take(fits)
	if a == nil {
		return nil
	}
	if a.fault.Hold {
		select {
		case <-a.released:
		case <-ctx.Done():
			return ctx.Err()
		case <-closed:
			return errClosed
		}
	}
	return a.fault.Err
}

func (f *Faults) take(fits func(Fault) bool) *Armed {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := f.armed[:0]
	var found *Armed
	for _, a := range f.armed {
		if found == nil && a.left > 0 && fits(a.fault) {
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
		if a.left > 0 {
			kept = append(kept, a)
		}
	}
	clear(f.armed[len(kept):])
	f.armed = kept
	return found
}
