package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
)

// Node is a simulated host. It implements runtime.Runtime and runtime.Watcher.
type Node struct {
	config  Config
	disk    hostdisk.Disk
	context context.Context // ends when the node is closed
	cancel  context.CancelFunc
	closed  <-chan struct{} // closed when context ends

	mu      sync.Mutex
	shut    bool // no call and no goroutine begins any more
	cvms    map[string]*cvm
	running sync.WaitGroup // calls and goroutines under way

	randMu sync.Mutex // a reader need not be safe for concurrent use
}

var (
	_ runtime.Runtime = (*Node)(nil)
	_ runtime.Watcher = (*Node)(nil)
)

// errClosed is ErrUnreachable: a closed node is a host that does not answer.
var errClosed = fmt.Errorf("%w: simulated node is closed", runtime.ErrUnreachable)

// parallelBoots is how many CVMs a node boots at once when it is opened. It bounds the memory that
// goroutines take, not how many CVMs may boot at once later.
const parallelBoots = 64

// New opens the node whose disk is config.Dir. CVMs that were meant to run begin to boot, and New
// does not wait for them. The caller closes the node.
func New(config Config) (*Node, error) {
	if config.Dir == "" || config.Authorizer == nil {
		return nil, errors.New("sim: config needs Dir and Authorizer")
	}
	n := &Node{config: config.withDefaults(), disk: hostdisk.Disk(config.Dir), cvms: map[string]*cvm{}}
	records, err := n.disk.Open()
	if err != nil {
		return nil, fmt.Errorf("sim: open disk of the node: %w", err)
	}
	n.context, n.cancel = context.WithCancel(context.Background())
	n.closed = n.context.Done()
	boots := make([]powerOn, 0, len(records))
	for _, r := range records {
		c := newCVM(n, r.ID)
		document, err := c.folder().ReadDocument(r.Config)
		if err != nil {
			n.cancel()
			return nil, fmt.Errorf("sim: open CVM %s: %w", r.ID, err)
		}
		c.known, c.record, c.nextHash = true, r, appcompose.Hash(document)
		n.cvms[r.ID] = c
		if r.Started {
			c.record.StartedAt = n.config.Now()
			boots = append(boots, powerOn{c, c.powerOn()})
		}
	}
	n.spawn(func() { n.bootAll(boots) })
	return n, nil
}

type powerOn struct {
	cvm     *cvm
	machine *machine
}

// bootAll boots what was meant to run when the node was opened, a few at a time.
func (n *Node) bootAll(boots []powerOn) {
	slots := make(chan struct{}, parallelBoots)
	for _, b := range boots {
		slots <- struct{}{} // comes free at the latest when the node is closed: that ends every boot
		boot := func() {
			defer func() { <-slots }()
			n.runBoot(b.cvm, b.machine)
		}
		if !n.spawn(boot) {
			return
		}
	}
}

// spawn starts a goroutine that Close waits for, unless the node is closed.
func (n *Node) spawn(run func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shut {
		return false
	}
	n.running.Go(run)
	return true
}

// enter is the beginning of a call; the caller calls n.running.Done when it ends.
func (n *Node) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shut {
		return errClosed
	}
	n.running.Add(1)
	return nil
}

// call runs a call with the faults that strike before and after it.
func (n *Node) call(ctx context.Context, id string, call Call, effect func() error) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.running.Done()
	if err := n.config.Faults.atCall(ctx, n.closed, id, call, false); err != nil {
		return err
	}
	if err := effect(); err != nil {
		return err
	}
	return n.config.Faults.atCall(ctx, n.closed, id, call, true)
}

func (n *Node) find(id string) (*cvm, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, ok := n.cvms[id]
	if !ok {
		return nil, fmt.Errorf("%w: %q", runtime.ErrNotFound, id)
	}
	return c, nil
}

// lock finds a CVM and takes its turn; the caller gives it back.
func (n *Node) lock(ctx context.Context, id string) (*cvm, error) {
	c, err := n.find(id)
	if err != nil {
		return nil, err
	}
	if err := c.takeTurn(ctx); err != nil {
		return nil, err
	}
	if !c.isKnown() { // removed, or never whole, while we waited
		c.giveTurn()
		return nil, fmt.Errorf("%w: %q", runtime.ErrNotFound, id)
	}
	return c, nil
}

// random draws bytes.
func (n *Node) random(size int) ([]byte, error) {
	n.randMu.Lock()
	defer n.randMu.Unlock()
	out := make([]byte, size)
	_, err := io.ReadFull(n.config.Rand, out)
	return out, err
}

// Info implements runtime.Runtime.
func (n *Node) Info() runtime.Info { return runtime.Info{Driver: "sim", TEE: false} }

// Close implements runtime.Runtime. The CVMs go down with the node, and those that were meant to run
// boot again when it is opened again. It returns when every goroutine of the node has ended.
func (n *Node) Close() error {
	n.mu.Lock()
	n.shut = true
	n.mu.Unlock()
	n.cancel()
	n.running.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.cvms {
		c.endBells()
	}
	return nil
}
