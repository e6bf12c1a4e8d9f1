package control

import (
	"context"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// endlessClock never comes to the end of a sleep, unless it is skipped.
type endlessClock struct {
	*manualClock
	slept chan struct{} // receives when somebody sleeps; nil: nobody may
	skip  chan struct{}
}

func (c *endlessClock) Sleep(ctx context.Context, _ time.Duration) error {
	select {
	case c.slept <- struct{}{}:
	case <-c.skip:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-c.skip:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bellNode tells of changes when the test says so.
type bellNode struct {
	runtime.Runtime
	watches int
	rung    chan struct{}
}

func (n *bellNode) Watch(context.Context, string) (<-chan struct{}, error) {
	n.watches++
	return n.rung, nil
}

func TestPauseMissesNoChange(t *testing.T) {
	clock := &endlessClock{manualClock: newClock(), slept: make(chan struct{}), skip: make(chan struct{})}
	node := &bellNode{rung: make(chan struct{}, 1)}
	s := &Service{clock: clock}
	step := Step{Wait: time.Hour, watcher: node, cvm: "one"}

	changes, err := s.pause(t.Context(), step, nil, nil)
	must(t, err) // nobody skips the clock: had it slept, the test would hang
	if node.watches != 1 || changes == nil {
		t.Fatalf("after the first pause the node is watched %d times, want once and from then on", node.watches)
	}
	node.rung <- struct{}{} // between a look and the pause after it
	changes, err = s.pause(t.Context(), step, changes, nil)
	must(t, err)
	if node.watches != 1 {
		t.Errorf("the node is watched %d times for one update, want once", node.watches)
	}

	close(node.rung) // the CVM is gone, or its host
	ended := make(chan error)
	go func() {
		_, err := s.pause(t.Context(), step, changes, nil)
		ended <- err
	}()
	<-clock.slept // a node that has nothing more to tell must not keep the worker busy
	close(clock.skip)
	must(t, <-ended)
}

func TestPauseEndsWithItsContext(t *testing.T) {
	s := &Service{clock: &endlessClock{manualClock: newClock(), slept: make(chan struct{}, 1), skip: make(chan struct{})}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, changes := range map[string]<-chan struct{}{"without a watch": nil, "with a watch": make(chan struct{})} {
		if _, err := s.pause(ctx, Step{Wait: time.Hour}, changes, nil); err == nil {
			t.Errorf("%s: a pause whose context is over gives no error", what)
		}
	}
}
