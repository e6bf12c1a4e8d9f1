package dstack

import (
	"context"
	"fmt"
	"sync"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// Driver drives the CVMs of one dstack-vmm. It implements runtime.Runtime.
type Driver struct {
	client *client
	config Config
	turns  turns

	mu   sync.Mutex
	seen map[string]*memory // by CVM id: what is known of it, all of which can be found out again
}

var _ runtime.Runtime = (*Driver)(nil)

// New makes a driver. It does not call the VMM: a server must start without it.
func New(config Config) (*Driver, error) {
	config = config.withDefaults()
	if config.AgentURL != "" {
		var err error
		if config.AgentURL, err = httpURL("AgentURL", config.AgentURL); err != nil {
			return nil, err
		}
	}
	client, err := newClient(config)
	if err != nil {
		return nil, err
	}
	return &Driver{client: client, config: config, turns: turns{held: map[string]*turn{}}, seen: map[string]*memory{}}, nil
}

// Info implements runtime.Runtime.
func (d *Driver) Info() runtime.Info { return runtime.Info{Driver: "dstack", TEE: true} }

// Close implements runtime.Runtime. CVMs go on running.
func (d *Driver) Close() error {
	d.client.cancel()
	d.client.http.CloseIdleConnections()
	d.client.agents.CloseIdleConnections()
	return nil
}

// remember gives the memory of a CVM to a function, alone.
func (d *Driver) remember(id string, use func(*memory)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.seen[id]
	if m == nil {
		m = &memory{}
		d.seen[id] = m
	}
	use(m)
}

func (d *Driver) forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.seen, id)
}

// turns puts the calls that change a CVM in an order.
type turns struct {
	mu   sync.Mutex
	held map[string]*turn
}

type turn struct {
	token   chan struct{}
	waiting int
}

// take waits until nobody else is changing the CVM. The caller calls what it returns.
func (t *turns) take(ctx context.Context, closed <-chan struct{}, id string) (give func(), err error) {
	t.mu.Lock()
	one := t.held[id]
	if one == nil {
		one = &turn{token: make(chan struct{}, 1)}
		t.held[id] = one
	}
	one.waiting++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.waiting--; one.waiting == 0 {
			delete(t.held, id)
		}
	}
	select {
	case one.token <- struct{}{}:
		return func() { <-one.token; leave() }, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-closed:
		err = errClosed
	}
	leave()
	return nil, err
}

// change does something that changes a CVM, when it is its turn.
func (d *Driver) change(ctx context.Context, id string, do func(*machine) error) error {
	if err := d.usable(ctx); err != nil {
		return err
	}
	give, err := d.turns.take(ctx, d.client.context.Done(), id)
	if err != nil {
		return err
	}
	defer give()
	found, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	return do(found)
}

// usable tells whether calls can be made at all.
func (d *Driver) usable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.client.context.Err() != nil {
		return errClosed
	}
	return nil
}

func notFound(id string) error { return fmt.Errorf("%w: %q", runtime.ErrNotFound, id) }
