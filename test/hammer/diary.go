package main

import (
	"slices"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

// diary is what is written down while servers are hammered, to be judged at the end.
type diary struct {
	mu           sync.Mutex
	boots        []boot
	calls        []call
	disturbances []disturbance
}

// boot is one boot of a guest, at the moment at which it asks the KMS for its keys.
type boot struct {
	at      time.Time
	app     string
	hash    appcompose.ComposeHash
	offered bool // off chain: a client had sent the document; on chain: the owner had allowed it, at some time
	removed bool // the owner had taken it back, at some time
	allowed bool // what the KMS decided: the boot goes on
}

// call is one call of a server that changes a VM of the host.
type call struct {
	life   string // of the server
	method string
	vm     string // id; of a create the name
	began  time.Time
	over   time.Time // answered, or the server was gone
}

// disturbance is something that was done to a server after which another one may take over its work.
type disturbance struct {
	life string
	at   time.Time
	what string
}

func (d *diary) bootOf(b boot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.boots = append(d.boots, b)
}

// begin writes down a call and returns what ends it; only the first end counts.
func (d *diary) begin(c call) (end func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.began = time.Now()
	at := len(d.calls)
	d.calls = append(d.calls, c)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.calls[at].over.IsZero() {
			d.calls[at].over = time.Now()
		}
	}
}

// disturb writes down what was done to a server. A call that one was in the middle of when it was killed is over.
func (d *diary) disturb(life, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.disturbances = append(d.disturbances, disturbance{life: life, at: now, what: what})
	if what != "killed" {
		return
	}
	for i := range d.calls {
		if d.calls[i].life == life && d.calls[i].over.IsZero() {
			d.calls[i].over = now
		}
	}
}

// copied returns what is written down so far.
func (d *diary) copied() ([]boot, []call, []disturbance) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.boots), slices.Clone(d.calls), slices.Clone(d.disturbances)
}
