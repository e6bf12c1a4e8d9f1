package server_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// manualClock stands still until it is told to move.
type manualClock struct {
	mu       sync.Mutex
	now      time.Time
	sleepers map[chan struct{}]time.Time
	changed  chan struct{} // closed and replaced when a sleeper comes or goes
}

func newClock() *manualClock {
	return &manualClock{
		now:      time.Date(2026, 1, 21, 12, 0, 0, 0, time.UTC),
		sleepers: map[chan struct{}]time.Time{}, changed: make(chan struct{}),
	}
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) Sleep(ctx context.Context, d time.Duration) error {
	wake := make(chan struct{})
	c.mu.Lock()
	c.sleepers[wake] = c.now.Add(d)
	c.signal()
	c.mu.Unlock()
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.sleepers, wake)
		c.signal()
		c.mu.Unlock()
		return ctx.Err()
	}
}

func (c *manualClock) signal() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// await returns when n goroutines sleep.
func (c *manualClock) await(n int) { c.until(func(sleepers int) bool { return sleepers >= n }) }

// awaitNone returns when no goroutine sleeps any more.
func (c *manualClock) awaitNone() { c.until(func(sleepers int) bool { return sleepers == 0 }) }

func (c *manualClock) until(enough func(sleepers int) bool) {
	for {
		c.mu.Lock()
		done, changed := enough(len(c.sleepers)), c.changed
		c.mu.Unlock()
		if done {
			return
		}
		<-changed
	}
}

// advance moves the time and wakes those whose time has come.
func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for wake, at := range c.sleepers {
		if !at.After(c.now) {
			delete(c.sleepers, wake)
			close(wake)
		}
	}
}

// noQueue forgets jobs; tests advance updates themselves.
type noQueue struct{}

func (noQueue) EnqueueAdvance(context.Context, *store.Tx, string) error { return nil }

func (noQueue) EnqueueRollout(context.Context, *store.Tx, string) error { return nil }

func (noQueue) EnqueuePower(context.Context, *store.Tx, string) error { return nil }

// fakeChain allows what tests register.
type fakeChain struct {
	mu      sync.Mutex
	allowed map[common.Hash]bool
	txs     map[common.Hash]common.Hash // transaction to the hash it registered
	down    bool
}

func (c *fakeChain) register(hash string, tx string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.allowed[common.HexToHash(hash)] = true
	c.txs[common.HexToHash(tx)] = common.HexToHash(hash)
}

func (c *fakeChain) forbid(hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.allowed, common.HexToHash(hash))
}

func (c *fakeChain) setDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

func (c *fakeChain) Registration(_ context.Context, _ common.Address, hash, tx common.Hash) (onchain.Registration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	got, ok := c.txs[tx]
	switch {
	case c.down:
		return onchain.Registration{}, &onchain.RPCError{Op: "receipt", Err: io.ErrUnexpectedEOF}
	case !ok:
		return onchain.Registration{}, onchain.ErrReceiptNotFound
	case got != hash:
		return onchain.Registration{}, onchain.ErrNoComposeHashEvent
	}
	return onchain.Registration{TxHash: tx, BlockNumber: 7}, nil
}

func (c *fakeChain) State(_ context.Context, _ common.Address, _, hash common.Hash) (onchain.AppState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return onchain.AppState{}, &onchain.RPCError{Op: "call", Err: io.ErrUnexpectedEOF}
	}
	return onchain.AppState{ComposeHashAllowed: c.allowed[hash], DeviceAllowed: true}, nil
}

func (c *fakeChain) IsAppRegistered(context.Context, common.Address, common.Address) (bool, error) {
	return true, nil
}

const instanceID = "1111111111111111111111111111111111111111"

// fakeNode does at once what it is told; tests may change what it says.
type fakeNode struct {
	mu   sync.Mutex
	cvms map[string]*runtime.Status

	down   error // what every look at the node gives
	logs   func(context.Context, runtime.LogOptions) (io.ReadCloser, error)
	asked  runtime.LogOptions // of the last call of Logs
	guests inspector
}

// inspector is what the guests of a node say.
type inspector struct {
	system  *runtime.SystemInfo
	network *runtime.NetworkInfo
	err     error
}

func (n *fakeNode) SystemInfo(context.Context, string) (*runtime.SystemInfo, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.guests.system, n.guests.err
}

func (n *fakeNode) NetworkInfo(context.Context, string) (*runtime.NetworkInfo, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.guests.network, n.guests.err
}

// say changes the node itself.
func (n *fakeNode) say(change func(*fakeNode)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n)
}

// set changes what the node says of every CVM.
func (n *fakeNode) set(change func(*runtime.Status)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, status := range n.cvms {
		change(status)
	}
}

func (n *fakeNode) with(id string, f func(*runtime.Status)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down != nil {
		return n.down
	}
	if n.cvms[id] == nil {
		return runtime.ErrNotFound
	}
	f(n.cvms[id])
	return nil
}

func (n *fakeNode) Info() runtime.Info { return runtime.Info{Driver: "fake"} }

func (n *fakeNode) Create(_ context.Context, spec runtime.Spec) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cvms[spec.ID] == nil {
		n.cvms[spec.ID] = &runtime.Status{State: runtime.StateStopped, NextHash: appcompose.Hash(spec.Config.Document)}
	}
	return nil
}

func (n *fakeNode) Apply(_ context.Context, id string, config runtime.Config) error {
	return n.with(id, func(s *runtime.Status) { s.NextHash = appcompose.Hash(config.Document) })
}

func (n *fakeNode) Start(_ context.Context, id string) error {
	return n.with(id, func(s *runtime.Status) {
		s.State, s.RunningHash, s.Health, s.InstanceID = runtime.StateRunning, s.NextHash, runtime.HealthHealthy, instanceID
	})
}

func (n *fakeNode) Stop(_ context.Context, id string, _ runtime.StopOptions) error {
	return n.with(id, func(s *runtime.Status) { s.State, s.RunningHash = runtime.StateStopped, appcompose.ComposeHash{} })
}

func (n *fakeNode) Status(_ context.Context, id string) (runtime.Status, error) {
	var status runtime.Status
	err := n.with(id, func(s *runtime.Status) { status = *s })
	return status, err
}

func (n *fakeNode) Logs(ctx context.Context, _ string, options runtime.LogOptions) (io.ReadCloser, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = options
	if n.down != nil {
		return nil, n.down
	}
	if n.logs != nil {
		return n.logs(ctx, options)
	}
	return io.NopCloser(strings.NewReader("")), nil
}

func (n *fakeNode) Remove(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cvms, id)
	return nil
}

func (n *fakeNode) Close() error { return nil }
