package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
)

// Driver runs CVMs on one Docker Engine.
type Driver struct {
	config  Config
	disk    hostdisk.Disk
	engine  *client.Client
	plugin  plugin
	context context.Context // ends when the driver is closed
	cancel  context.CancelFunc
	work    chan struct{} // a slot for each Compose process that may run

	mu      sync.Mutex
	shut    bool // no call and no goroutine begins any more
	cvms    map[string]*cvm
	running sync.WaitGroup // calls and goroutines under way

	randMu sync.Mutex // a reader need not be safe for concurrent use
}

var (
	_ runtime.Runtime  = (*Driver)(nil)
	_ runtime.Watcher  = (*Driver)(nil)
	_ runtime.Prober   = (*Driver)(nil)
	_ runtime.Preparer = (*Driver)(nil)
)

var errClosed = fmt.Errorf("%w: docker driver is closed", runtime.ErrUnreachable)

// parallelCompose is how many Compose processes run at once. Each takes some 40 MB.
const parallelCompose = 8

// New opens a driver. The engine need not answer now. What a process before left half done goes on, and New
// does not wait for it. The caller closes the driver.
func New(config Config) (*Driver, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	engine, err := connect(config)
	if err != nil {
		return nil, err
	}
	d := &Driver{
		config: config, disk: hostdisk.Disk(config.Dir), engine: engine, plugin: plugin{path: config.Compose},
		work: make(chan struct{}, parallelCompose), cvms: map[string]*cvm{},
	}
	d.context, d.cancel = context.WithCancel(context.Background())
	records, err := d.disk.Open()
	if err != nil {
		d.cancel()
		return nil, errors.Join(fmt.Errorf("docker: open folder of the node: %w", err), engine.Close())
	}
	for _, r := range records {
		if err := d.adopt(r); err != nil {
			return nil, errors.Join(fmt.Errorf("docker: open CVM %s: %w", r.ID, err), d.Close())
		}
	}
	d.spawn(d.listen)
	return d, nil
}

// adopt takes over a CVM as its record tells of it.
func (d *Driver) adopt(r hostdisk.Record) error {
	c := newCVM(d, r.ID)
	document, err := c.folder().ReadDocument(r.Config)
	if err != nil {
		return err
	}
	c.known, c.record, c.nextHash = !r.Gone, r, appcompose.Hash(document)
	d.cvms[r.ID] = c
	switch {
	case r.Gone:
		d.spawn(func() { d.finishRemoval(c) })
	case r.Started && r.Up:
		c.view = view{state: runtime.StateRunning, runningHash: r.Measured, progress: progressDone}
	case r.Started && r.BootError != "":
		c.view = view{state: runtime.StateExited, bootError: r.BootError}
	case r.Started:
		c.begin(view{state: runtime.StateStarting, progress: progressBooting}, d.runBoot)
	case r.Down:
		c.view = view{state: runtime.StateStopped, bootError: r.BootError}
	default:
		c.begin(view{state: runtime.StateStopping, runningHash: r.Measured, bootError: r.BootError}, d.runShutdown)
	}
	return nil
}

// spawn starts a goroutine that Close waits for, unless the driver is closed.
func (d *Driver) spawn(run func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut {
		return false
	}
	d.running.Go(run)
	return true
}

// call runs a call of the interface. Its context ends with the caller's, and when the driver is closed.
func (d *Driver) call(ctx context.Context, id, name string, effect func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	if d.shut {
		d.mu.Unlock()
		return errClosed
	}
	d.running.Add(1)
	d.mu.Unlock()
	defer d.running.Done()
	ctx, cancel := d.join(ctx)
	defer cancel()
	err := d.config.hold(ctx, id, name, false)
	if err == nil {
		err = effect(ctx)
	}
	if err == nil {
		err = d.config.hold(ctx, id, name, true)
	}
	if err != nil && d.context.Err() != nil {
		return errClosed
	}
	return err
}

// join makes a context that ends with the driver too.
func (d *Driver) join(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	leave := context.AfterFunc(d.context, cancel)
	return ctx, func() { leave(); cancel() }
}

func (d *Driver) find(id string) (*cvm, error) {
	d.mu.Lock()
	c, ok := d.cvms[id]
	d.mu.Unlock()
	if !ok || !c.isKnown() {
		return nil, fmt.Errorf("%w: %q", runtime.ErrNotFound, id)
	}
	return c, nil
}

// lock finds a CVM and takes its turn; the caller gives it back.
func (d *Driver) lock(ctx context.Context, id string) (*cvm, error) {
	c, err := d.find(id)
	if err != nil {
		return nil, err
	}
	if err := c.takeTurn(ctx); err != nil {
		return nil, err
	}
	if !c.isKnown() { // removed while we waited
		c.giveTurn()
		return nil, fmt.Errorf("%w: %q", runtime.ErrNotFound, id)
	}
	return c, nil
}

func (d *Driver) random(size int) ([]byte, error) {
	d.randMu.Lock()
	defer d.randMu.Unlock()
	out := make([]byte, size)
	_, err := io.ReadFull(d.config.Rand, out)
	return out, err
}

// Info implements runtime.Runtime.
func (d *Driver) Info() runtime.Info { return runtime.Info{Driver: "docker", TEE: false} }

// Close implements runtime.Runtime. Containers keep running. A boot or shutdown under way is cut off, and goes on
// when the driver is opened again. It returns when every goroutine and child process has ended.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.shut = true
	d.mu.Unlock()
	d.cancel()
	d.running.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.cvms {
		c.endBells()
	}
	return d.engine.Close()
}
