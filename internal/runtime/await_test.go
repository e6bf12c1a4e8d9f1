package runtime_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// polled is a driver that tells of nothing: each Status is one state further.
type polled struct {
	runtime.Runtime
	states []runtime.State
	looks  []time.Time
}

func (p *polled) Status(context.Context, string) (runtime.Status, error) {
	p.looks = append(p.looks, time.Now())
	if len(p.states) == 0 {
		return runtime.Status{}, runtime.ErrNotFound
	}
	state := p.states[0]
	p.states = p.states[1:]
	return runtime.Status{State: state}, nil
}

func running(s runtime.Status) bool { return s.State == runtime.StateRunning }

func TestAwaitPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		driver := &polled{states: []runtime.State{runtime.StateStopped, runtime.StateStarting, runtime.StateRunning}}
		status, err := runtime.Await(t.Context(), driver, "x", time.Minute, running)
		if err != nil || status.State != runtime.StateRunning {
			t.Fatalf("Await: %+v, %v", status, err)
		}
		if got := time.Since(start); got != 2*time.Minute || len(driver.looks) != 3 {
			t.Errorf("looked %d times in %v, want 3 in 2m", len(driver.looks), got)
		}
	})
}

func TestAwaitGivesLastStatusWithError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		driver := &polled{states: []runtime.State{runtime.StateStopped, runtime.StateStarting}}
		status, err := runtime.Await(t.Context(), driver, "x", time.Minute, running)
		if !errors.Is(err, runtime.ErrNotFound) || status.State != runtime.StateStarting {
			t.Errorf("Await of a CVM that goes away: %+v, %v", status, err)
		}

		driver = &polled{states: []runtime.State{runtime.StateStopping, runtime.StateStopping}}
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		status, err = runtime.Await(ctx, driver, "x", time.Minute, running)
		if !errors.Is(err, context.DeadlineExceeded) || status.State != runtime.StateStopping {
			t.Errorf("Await beyond its context: %+v, %v", status, err)
		}
	})
}

// watched tells of changes through a channel of the test.
type watched struct {
	polled
	changed chan struct{}
	err     error
}

func (w *watched) Watch(context.Context, string) (<-chan struct{}, error) { return w.changed, w.err }

func TestAwaitIsWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		driver := &watched{
			polled:  polled{states: []runtime.State{runtime.StateStopped, runtime.StateStarting, runtime.StateRunning}},
			changed: make(chan struct{}, 1),
		}
		go func() {
			driver.changed <- struct{}{}
			synctest.Wait()
			driver.changed <- struct{}{}
		}()
		status, err := runtime.Await(t.Context(), driver, "x", time.Hour, running)
		if err != nil || status.State != runtime.StateRunning {
			t.Fatalf("Await: %+v, %v", status, err)
		}
		if got := time.Since(start); got != 0 {
			t.Errorf("took %v, want no time: a watched driver is not polled", got)
		}
	})
	broken := &watched{err: runtime.ErrUnreachable}
	if _, err := runtime.Await(t.Context(), broken, "x", time.Hour, running); !errors.Is(err, runtime.ErrUnreachable) {
		t.Errorf("Await with a Watch that fails: %v, want ErrUnreachable", err)
	}
}
