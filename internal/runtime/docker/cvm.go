package docker

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/bell"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
	"github.com/lockstep-cvm/lockstep/internal/runtime/logbook"
)

// cvm is one CVM of the node. One that is not booting or shutting down has no goroutine.
type cvm struct {
	driver *Driver
	id     string
	logs   logbook.Book // its console
	bell   bell.Bell    // rings when the status may have changed

	// turn is held by the call that is changing the CVM, so that calls for it come one after the other.
	// It is a channel because waiting for it ends with the caller's context.
	turn chan struct{}

	// writing serialises what is written to the folder. It is held across disk writes; mu never is.
	writing sync.Mutex

	mu       sync.Mutex
	known    bool // created and not removed; everything else is false to a call that finds it unknown
	record   hostdisk.Record
	nextHash appcompose.ComposeHash
	job      *job // the boot or shutdown under way; nil when nothing is
	view     view
}

// view is what the status shows besides the record and the containers.
type view struct {
	state       runtime.State
	runningHash appcompose.ComposeHash
	progress    string
	bootError   string
	services    []string // names, in the order of the compose text; nil when this process did not boot it
}

// job is a boot or a shutdown. One that was taken the CVM away from changes nothing any more.
type job struct {
	context context.Context // ends when the job is to be given up
	cancel  context.CancelFunc
	ended   chan struct{} // closed when its goroutine has ended
	before  *job          // the one that had to be given up for it
}

// errSuperseded says that the job on whose behalf something was to be changed has lost the CVM.
var errSuperseded = errors.New("docker: no longer in charge of the CVM")

func newCVM(d *Driver, id string) *cvm {
	return &cvm{driver: d, id: id, turn: make(chan struct{}, 1), view: view{state: runtime.StateStopped}}
}

func (c *cvm) folder() hostdisk.Folder { return c.driver.disk.CVM(c.id) }

// home is the working folder of the compose text and the script. It stays across updates, as the data disk of
// a guest does.
func (c *cvm) home() string { return filepath.Join(string(c.folder()), "app") }

// projectPrefix begins the names of our Compose projects; the id of the CVM follows.
const projectPrefix = "lockstep-"

func (c *cvm) project() string { return projectPrefix + c.id }

// takeTurn waits until no other call is changing the CVM. The caller gives the turn back.
func (c *cvm) takeTurn(ctx context.Context) error {
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *cvm) giveTurn() { <-c.turn }

func (c *cvm) isKnown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}

// persist changes the record on disk and then in memory. With a job, it changes nothing unless that is still
// in charge.
func (c *cvm) persist(j *job, change func(*hostdisk.Record)) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	r, ok := c.record, j == nil || c.job == j
	c.mu.Unlock()
	if !ok {
		return errSuperseded
	}
	change(&r)
	if err := c.folder().WriteRecord(r); err != nil {
		return fmt.Errorf("docker: write record of CVM %s: %w", c.id, err)
	}
	c.mu.Lock()
	c.record = r
	c.mu.Unlock()
	return nil
}

// update changes the view on behalf of a job and tells everyone who watches. It reports false and changes
// nothing when that job is no longer in charge.
func (c *cvm) update(j *job, change func(*view)) bool {
	c.mu.Lock()
	if c.job != j {
		c.mu.Unlock()
		return false
	}
	change(&c.view)
	c.mu.Unlock()
	c.bell.Ring()
	return true
}

// finish ends a job with what the CVM is now.
func (c *cvm) finish(j *job, change func(*view)) bool {
	if !c.update(j, change) {
		return false
	}
	c.mu.Lock()
	if c.job == j {
		c.job = nil
	}
	c.mu.Unlock()
	return true
}

// begin gives the CVM to a new job; the one before is told to end, and run waits for it. It reports false when
// the driver is closed: the record says already what goes on at the next open.
func (c *cvm) begin(v view, run func(*cvm, *job)) bool {
	j := &job{ended: make(chan struct{})}
	j.context, j.cancel = context.WithCancel(c.driver.context)
	c.mu.Lock()
	j.before = c.job
	if j.before != nil {
		j.before.cancel()
	}
	c.job, c.view = j, v
	c.mu.Unlock()
	c.bell.Ring()
	started := c.driver.spawn(func() {
		defer close(j.ended)
		defer j.cancel()
		if j.before != nil {
			<-j.before.ended
			j.before = nil
		}
		run(c, j)
	})
	if !started {
		j.cancel()
		close(j.ended)
	}
	return started
}

// interrupt takes the CVM away from its job and waits until that has ended.
func (c *cvm) interrupt() {
	c.mu.Lock()
	j := c.job
	c.job = nil
	c.mu.Unlock()
	if j != nil {
		j.cancel()
		<-j.ended
	}
}

func (c *cvm) look() view {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.view
}

// console writes a line to the console.
func (c *cvm) console(format string, args ...any) {
	c.logs.Write(logbook.Serial, c.driver.config.Now(), fmt.Sprintf(format, args...)+"\n")
}

func (c *cvm) endBells() {
	c.bell.End()
	c.logs.Bell.End()
}
