package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/bell"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
	"github.com/lockstep-cvm/lockstep/internal/runtime/logbook"
)

// cvm is one CVM of the node. One that is idle has no goroutine, whether it runs or not.
type cvm struct {
	node *Node
	id   string
	logs logbook.Book
	bell bell.Bell // rings when the status changes

	// turn is held by the call that is changing the CVM, so that calls for it come one after the other.
	// It is a channel because waiting for it ends with the caller's context.
	turn chan struct{}

	// writing serialises what is written to the folder. It is held across disk writes; mu never is.
	writing sync.Mutex

	mu       sync.Mutex
	known    bool // created and not removed; everything else is false to a call that finds it unknown
	record   hostdisk.Record
	nextHash appcompose.ComposeHash
	machine  *machine // what is powered on; nil when nothing is
	view     view
}

// view is what the status shows of the present or last run.
type view struct {
	state            runtime.State
	runningHash      appcompose.ComposeHash
	health           runtime.Health
	bootProgress     string
	bootError        string
	shutdownProgress string
	containers       []container
}

// machine is one power-on of a CVM. A goroutine that outlives it, because the CVM was cut off and perhaps
// powered on again, finds that it is no longer the CVM's machine and changes nothing any more.
type machine struct {
	power     context.Context    // ends when the CVM is cut off or the node is closed
	cutOff    context.CancelFunc // ends power
	boot      context.Context    // ends when the boot is to be given up
	abortBoot context.CancelFunc // ends boot
	booted    chan struct{}      // closed when the boot goroutine has ended
}

// errSuperseded says that the machine on whose behalf something was to be changed is off.
var errSuperseded = errors.New("sim: machine is no longer on")

func newCVM(n *Node, id string) *cvm {
	return &cvm{node: n, id: id, turn: make(chan struct{}, 1), view: view{state: runtime.StateStopped}}
}

func (c *cvm) folder() hostdisk.Folder { return c.node.disk.CVM(c.id) }

// takeTurn waits until no other call is changing the CVM. The caller gives the turn back.
func (c *cvm) takeTurn(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.node.closed:
		return errClosed
	}
}

func (c *cvm) giveTurn() { <-c.turn }

func (c *cvm) isKnown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// persist changes the record on disk and then in memory. With a machine, it changes nothing unless that
// is still the one that is on.
func (c *cvm) persist(m *machine, change func(*hostdisk.Record)) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	r, ok := c.record, c.known && (m == nil || c.machine == m)
	c.mu.Unlock()
	if !ok {
		return errSuperseded
	}
	change(&r)
	if err := c.folder().WriteRecord(r); err != nil {
		return fmt.Errorf("sim: write record of CVM %s: %w", c.id, err)
	}
	c.mu.Lock()
	c.record = r
	c.mu.Unlock()
	return nil
}

// update changes the view on behalf of a machine and tells everyone who watches. It reports false and
// changes nothing when that machine is off.
func (c *cvm) update(m *machine, change func(*view)) bool {
	c.mu.Lock()
	if c.machine != m {
		c.mu.Unlock()
		return false
	}
	change(&c.view)
	c.mu.Unlock()
	c.bell.Ring()
	return true
}

// powerOn makes the CVM a starting one and returns its machine. The record says already that it is
// meant to run.
func (c *cvm) powerOn() *machine {
	m := &machine{booted: make(chan struct{})}
	m.power, m.cutOff = context.WithCancel(c.node.context)
	m.boot, m.abortBoot = context.WithCancel(m.power)
	c.mu.Lock()
	c.machine = m
	c.view = view{state: runtime.StateStarting, bootProgress: string(StageBooting)}
	c.mu.Unlock()
	c.bell.Ring()
	return m
}

// powerOff takes the machine away and leaves the CVM in a state without one. It does
// nothing when the machine was off already. With m nil it takes whatever is on.
func (c *cvm) powerOff(m *machine, state runtime.State, bootError string) {
	now := c.node.config.Now()
	c.mu.Lock()
	if m != nil && c.machine != m {
		c.mu.Unlock()
		return
	}
	if bootError != "" {
		c.tell(eventBootError, bootError)
	}
	if c.machine != nil {
		c.machine.cutOff()
		c.machine = nil
		c.record.ExitedAt = now
		c.node.config.Host.PoweredOff(c.id)
	}
	v := &c.view
	v.state = state
	v.runningHash = appcompose.ComposeHash{}
	v.health = runtime.HealthUnknown
	v.shutdownProgress = ""
	v.containers = nil
	if bootError != "" {
		v.bootError = bootError
	}
	c.mu.Unlock()
	c.bell.Ring()
}

// console writes a line to the serial console.
func (c *cvm) console(format string, args ...any) {
	c.logs.Write(logbook.Serial, c.node.config.Now(), fmt.Sprintf(format, args...)+"\n")
}

// status is what the node sees now.
func (c *cvm) status(now time.Time) (runtime.Status, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		return runtime.Status{}, false
	}
	s := runtime.Status{
		State:            c.view.state,
		InstanceID:       c.record.Instance,
		NextHash:         c.nextHash,
		RunningHash:      c.view.runningHash,
		Health:           c.view.health,
		BootProgress:     c.view.bootProgress,
		BootError:        c.view.bootError,
		ShutdownProgress: c.view.shutdownProgress,
		StartedAt:        c.record.StartedAt,
		ExitedAt:         c.record.ExitedAt,
	}
	for _, container := range c.view.containers {
		s.Services = append(s.Services, container.status(now))
	}
	return s, true
}
