package control

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// fakeChain is the part of a chain that the control plane reads. The real one is used by the tests of
// package onchain and end to end; here the point is to put it into every state at will.
type fakeChain struct {
	mu    sync.Mutex
	down  bool
	owner common.Address // of every contract
	block uint64
	apps  map[common.Address]*fakeApp
	txs   map[common.Hash]fakeTx
}

type fakeApp struct {
	hashes  map[common.Hash]bool
	ever    map[common.Hash]bool // whatever the owner allowed once
	devices map[common.Hash]bool
}

type fakeTx struct {
	app      common.Address
	hash     common.Hash
	block    uint64
	reverted bool
	depth    uint64 // how many more blocks it needs to count
}

func newFakeChain() *fakeChain {
	return &fakeChain{apps: map[common.Address]*fakeApp{}, txs: map[common.Hash]fakeTx{}}
}

// deploy makes an app's contract and returns the app id.
func (c *fakeChain) deploy(hash appcompose.ComposeHash, device common.Hash) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	address := common.Address{0xaa, byte(len(c.apps) >> 8), byte(len(c.apps))}
	c.apps[address] = &fakeApp{
		hashes: map[common.Hash]bool{common.Hash(hash): true}, ever: map[common.Hash]bool{common.Hash(hash): true},
		devices: map[common.Hash]bool{device: true},
	}
	return hex.EncodeToString(address[:])
}

// add registers a hash and returns the transaction.
func (c *fakeChain) add(app string, hash appcompose.ComposeHash) string {
	return c.addDeep(app, hash, 0)
}

func (c *fakeChain) addDeep(app string, hash appcompose.ComposeHash, depth uint64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.block++
	address := common.HexToAddress(app)
	tx := common.BytesToHash(fmt.Appendf(nil, "tx %d", len(c.txs)))
	c.txs[tx] = fakeTx{app: address, hash: common.Hash(hash), block: c.block, depth: depth}
	c.apps[address].hashes[common.Hash(hash)] = true
	c.apps[address].ever[common.Hash(hash)] = true
	return tx.Hex()
}

func (c *fakeChain) revert(app string, hash appcompose.ComposeHash) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	tx := common.BytesToHash(fmt.Appendf(nil, "tx %d", len(c.txs)))
	c.txs[tx] = fakeTx{app: common.HexToAddress(app), hash: common.Hash(hash), reverted: true}
	return tx.Hex()
}

func (c *fakeChain) remove(app string, hash appcompose.ComposeHash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.apps[common.HexToAddress(app)].hashes, common.Hash(hash))
}

// reorg takes a transaction back as if it had never been mined.
func (c *fakeChain) reorg(tx string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	gone, ok := c.txs[common.HexToHash(tx)]
	if !ok {
		return
	}
	delete(c.txs, common.HexToHash(tx))
	delete(c.apps[gone.app].hashes, gone.hash)
}

func (c *fakeChain) mine(tx string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.txs[common.HexToHash(tx)]; ok && t.depth > 0 {
		t.depth--
		c.txs[common.HexToHash(tx)] = t
	}
}

func (c *fakeChain) setDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

func (c *fakeChain) isAllowed(app string, hash appcompose.ComposeHash) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.apps[common.HexToAddress(app)]
	return a == nil || a.hashes[common.Hash(hash)]
}

func (c *fakeChain) wasAllowed(app string, hash appcompose.ComposeHash) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.apps[common.HexToAddress(app)]
	return a == nil || a.ever[common.Hash(hash)]
}

// Registration implements Registry.
func (c *fakeChain) Registration(_ context.Context, app common.Address, hash, tx common.Hash) (onchain.Registration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, ok := c.txs[tx]
	switch {
	case c.down:
		return onchain.Registration{}, &onchain.RPCError{Op: "receipt", Err: io.ErrUnexpectedEOF}
	case !ok:
		return onchain.Registration{}, onchain.ErrReceiptNotFound
	case t.reverted:
		return onchain.Registration{}, onchain.ErrTxReverted
	case t.app != app || t.hash != hash:
		return onchain.Registration{}, onchain.ErrNoComposeHashEvent
	case t.depth > 0:
		return onchain.Registration{}, &onchain.NotFinalError{}
	}
	return onchain.Registration{TxHash: tx, BlockNumber: t.block}, nil
}

// State implements Registry.
func (c *fakeChain) State(_ context.Context, app common.Address, device, hash common.Hash) (onchain.AppState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return onchain.AppState{}, &onchain.RPCError{Op: "call", Err: io.ErrUnexpectedEOF}
	}
	a := c.apps[app]
	if a == nil {
		return onchain.AppState{}, &onchain.NotAContractError{Address: app}
	}
	return onchain.AppState{ComposeHashAllowed: a.hashes[hash], DeviceAllowed: a.devices[device], Owner: c.owner}, nil
}

// IsAppRegistered implements AppContracts.
func (c *fakeChain) IsAppRegistered(_ context.Context, _, app common.Address) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apps[app] != nil, nil
}

// fakeNode is a node where nothing happens by itself: each tick lets every CVM take its next step. Like
// a real one it asks the KMS, here the chain, before a document boots.
type fakeNode struct {
	mu    sync.Mutex
	chain *fakeChain
	clock *manualClock
	cvms  map[string]*fakeCVM

	unreachable bool
	calls       int                             // while it was unreachable
	sick        map[appcompose.ComposeHash]bool // documents that never get healthy
	refuseApply error
	stubborn    bool              // guests do not shut down when asked
	forced      bool              // some guest was cut off
	bootError   string            // what every boot ends with
	services    []runtime.Service // of every CVM
	logs        map[string]string // by container; empty: the console

	stops  []string // ids, in order
	boots  []boot
	onStop func(id string)
	onBoot func(hash appcompose.ComposeHash) // before the health of the boot is decided
}

type boot struct {
	app  string
	hash appcompose.ComposeHash
}

type fakeCVM struct {
	spec    runtime.Spec
	state   runtime.State
	doc     []byte
	running appcompose.ComposeHash
	health  runtime.Health
	bootErr string
	started time.Time
}

func newFakeNode(chain *fakeChain, clock *manualClock) *fakeNode {
	return &fakeNode{chain: chain, clock: clock, cvms: map[string]*fakeCVM{}, sick: map[appcompose.ComposeHash]bool{}}
}

func (n *fakeNode) get(id string) (*fakeCVM, error) {
	if n.unreachable {
		n.calls++ // as with real ones, no two errors are the same
		return nil, fmt.Errorf("%w: from port %d: connection refused", runtime.ErrUnreachable, n.calls)
	}
	cvm := n.cvms[id]
	if cvm == nil {
		return nil, runtime.ErrNotFound
	}
	return cvm, nil
}

func (n *fakeNode) Info() runtime.Info { return runtime.Info{Driver: "fake"} }

func (n *fakeNode) Create(_ context.Context, spec runtime.Spec) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.unreachable {
		return runtime.ErrUnreachable
	}
	if n.cvms[spec.ID] == nil {
		n.cvms[spec.ID] = &fakeCVM{spec: spec, state: runtime.StateStopped, doc: spec.Config.Document}
	}
	return nil
}

func (n *fakeNode) Apply(_ context.Context, id string, config runtime.Config) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	cvm, err := n.get(id)
	if err != nil {
		return err
	}
	if n.refuseApply != nil {
		return n.refuseApply
	}
	if cvm.state != runtime.StateStopped && cvm.state != runtime.StateExited {
		return runtime.ErrConflict
	}
	cvm.doc = config.Document
	return nil
}

func (n *fakeNode) Start(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	cvm, err := n.get(id)
	if err != nil {
		return err
	}
	if cvm.state == runtime.StateStopped || cvm.state == runtime.StateExited {
		cvm.state, cvm.bootErr = runtime.StateStarting, ""
	}
	return nil
}

func (n *fakeNode) Stop(_ context.Context, id string, options runtime.StopOptions) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	cvm, err := n.get(id)
	if err != nil {
		return err
	}
	if n.onStop != nil {
		n.onStop(id)
	}
	n.stops = append(n.stops, id)
	switch {
	case cvm.state == runtime.StateStopped:
	case cvm.state == runtime.StateExited, options.Force:
		n.forced = n.forced || options.Force
		cvm.state, cvm.running = runtime.StateStopped, appcompose.ComposeHash{}
	default:
		cvm.state = runtime.StateStopping
	}
	return nil
}

func (n *fakeNode) Status(_ context.Context, id string) (runtime.Status, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	cvm, err := n.get(id)
	if err != nil {
		return runtime.Status{}, err
	}
	return runtime.Status{
		State: cvm.state, InstanceID: strings.Repeat("1", 40), NextHash: appcompose.Hash(cvm.doc), RunningHash: cvm.running,
		Health: cvm.health, BootError: cvm.bootErr, StartedAt: cvm.started, Services: n.services,
	}, nil
}

func (n *fakeNode) Logs(_ context.Context, _ string, options runtime.LogOptions) (io.ReadCloser, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return io.NopCloser(strings.NewReader(n.logs[options.Container])), nil
}

func (n *fakeNode) Remove(_ context.Context, id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cvms, id)
	return nil
}

func (n *fakeNode) Close() error { return nil }

// tick lets every CVM take its next step.
func (n *fakeNode) tick() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, cvm := range n.cvms {
		switch cvm.state {
		case runtime.StateStopping:
			if n.stubborn {
				continue
			}
			cvm.state, cvm.running = runtime.StateStopped, appcompose.ComposeHash{}
		case runtime.StateStarting:
			hash := appcompose.Hash(cvm.doc)
			if !n.chain.isAllowed(cvm.spec.AppID, hash) {
				cvm.state, cvm.bootErr = runtime.StateExited, "App not allowed: Boot denied: Compose hash not allowed"
				continue
			}
			if n.bootError != "" {
				cvm.state, cvm.bootErr = runtime.StateExited, n.bootError
				continue
			}
			n.boots = append(n.boots, boot{app: cvm.spec.AppID, hash: hash})
			if n.onBoot != nil {
				n.onBoot(hash)
			}
			cvm.state, cvm.running, cvm.health, cvm.started = runtime.StateRunning, hash, runtime.HealthHealthy, n.clock.Now()
			if n.sick[hash] {
				cvm.health = runtime.HealthUnhealthy
			}
		case runtime.StateStopped, runtime.StateRunning, runtime.StateExited:
		}
	}
}

// lateRegistry knows no transaction before a moment.
type lateRegistry struct {
	Registry
	clock  *manualClock
	until  time.Time
	misses int
}

func (r *lateRegistry) Registration(ctx context.Context, app common.Address, hash, tx common.Hash) (onchain.Registration, error) {
	if r.clock.Now().Before(r.until) {
		r.misses++
		return onchain.Registration{}, onchain.ErrReceiptNotFound
	}
	return r.Registry.Registration(ctx, app, hash, tx)
}
