package vmmtest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/gofrs/flock"

	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// VMM is a server of the RPC with the VMs of one host.
type VMM struct {
	config      Config
	disk        disk
	guests      *sim.Node
	faults      Faults
	guestFaults guestFaults
	context     context.Context // ends when the VMM is closed
	cancel      context.CancelFunc
	running     sync.WaitGroup // goroutines
	held        *flock.Flock   // keeps a second VMM off the disk

	mu       sync.Mutex
	shut     bool
	vms      map[string]*vm
	order    []*vm // as created
	sequence uint64

	randMu sync.Mutex // a reader need not be safe for concurrent use
}

// New opens the host whose disk is config.Dir. What was meant to run runs again. The caller closes it.
func New(config Config) (*VMM, error) {
	if config.Dir == "" || config.Authorizer == nil {
		return nil, errors.New("vmmtest: config needs Dir and Authorizer")
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("vmmtest: create disk of the host: %w", err)
	}
	// The system gives it back when the process ends, however it ends.
	held := flock.New(filepath.Join(config.Dir, lockFile))
	if ok, err := held.TryLock(); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("vmmtest: %s is used by another VMM", config.Dir), err)
	}
	v, err := open(config)
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	v.held = held
	if err := v.recover(); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// open reads the disk and powers the guests on that ran.
func open(config Config) (*VMM, error) {
	v := &VMM{config: config.withDefaults(), disk: disk(filepath.Join(config.Dir, "vm")), vms: map[string]*vm{}}
	if v.config.Rand == nil {
		v.config.Rand = rand.Reader
	}
	manifests, err := v.disk.load()
	if err != nil {
		return nil, fmt.Errorf("vmmtest: open disk of the host: %w", err)
	}
	slices.SortFunc(manifests, func(a, b manifest) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), cmp.Compare(a.Sequence, b.Sequence))
	})
	for _, m := range manifests {
		machine := &vm{vmm: v, manifest: m}
		v.vms[m.ID], v.order = machine, append(v.order, machine)
		v.sequence = max(v.sequence, m.Sequence)
		machine.process = m.Started && !m.Removing
	}
	v.context, v.cancel = context.WithCancel(context.Background())
	guests := sim.Config{
		Dir: filepath.Join(config.Dir, "guests"), DeviceID: v.config.DeviceID, OSImageHash: v.config.OSImageHash,
		Authorizer: v.config.Authorizer, Now: v.config.Now, Rand: lockedReader{&v.randMu, v.config.Rand},
		StageDelay: v.config.StageDelay, Faults: v.config.Guests, Logger: v.config.Logger, Host: (*host)(v),
	}
	if v.config.Keys != nil {
		guests.EnvDecrypter = v.config.Keys
	}
	if v.guests, err = sim.New(guests); err != nil {
		v.cancel()
		return nil, err
	}
	return v, nil
}

// recover brings guests in line with what the VMM meant when it ended.
func (v *VMM) recover() error {
	for _, machine := range v.list() {
		m := machine.snapshot()
		switch {
		case m.Removing:
			machine.spawnRemove()
		case m.Started:
			if err := machine.resume(v.context); err != nil {
				return fmt.Errorf("vmmtest: start VM %s again: %w", m.ID, err)
			}
		default:
			if err := machine.powerOff(v.context); err != nil {
				return fmt.Errorf("vmmtest: stop VM %s again: %w", m.ID, err)
			}
		}
	}
	return nil
}

// Close ends the server. VMs that run do so again when it is opened again.
func (v *VMM) Close() error {
	v.mu.Lock()
	v.shut = true
	v.mu.Unlock()
	v.cancel()
	v.running.Wait()
	return errors.Join(v.guests.Close(), v.held.Close())
}

// Faults are what goes wrong with the RPC. See Config.Guests for what goes wrong inside guests.
func (v *VMM) Faults() *Faults { return &v.faults }

// spawn starts a goroutine that Close waits for.
func (v *VMM) spawn(run func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.shut {
		v.running.Go(run)
	}
}

// find returns a VM, also one that is being removed.
func (v *VMM) find(id string) (*vm, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	machine, ok := v.vms[id]
	return machine, ok
}

// must is find for methods that fail without the VM.
func (v *VMM) must(id string) (*vm, error) {
	machine, ok := v.find(id)
	if !ok {
		return nil, refuse("VM not found: %s", id)
	}
	return machine, nil
}

// list returns the VMs in the order of their creation.
func (v *VMM) list() []*vm {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.order)
}

func (v *VMM) add(machine *vm) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.vms[machine.manifest.ID], v.order = machine, append(v.order, machine)
}

func (v *VMM) forget(machine *vm) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.vms, machine.manifest.ID)
	v.order = slices.DeleteFunc(v.order, func(o *vm) bool { return o == machine })
}

// nextSequence numbers VMs.
func (v *VMM) nextSequence() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sequence++
	return v.sequence
}

// newID draws a version 4 UUID.
func (v *VMM) newID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(lockedReader{&v.randMu, v.config.Rand}, b[:]); err != nil {
		return "", err
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// image finds an OS image.
func (v *VMM) image(name string) (Image, bool) {
	for _, i := range v.config.Images {
		if i.Name == name {
			return i, true
		}
	}
	return Image{}, false
}

// lockedReader lets goroutines share a reader.
type lockedReader struct {
	mu     *sync.Mutex
	reader io.Reader
}

func (r lockedReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reader.Read(p)
}

// host hears what guests report.
type host VMM

var _ sim.Host = (*host)(nil)

// GuestEvent implements sim.Host.
func (h *host) GuestEvent(id, event, payload string) {
	if machine, ok := (*VMM)(h).find(id); ok {
		machine.heard(event, payload)
	}
}

// PoweredOff implements sim.Host.
func (h *host) PoweredOff(id string) {
	if machine, ok := (*VMM)(h).find(id); ok {
		machine.guestOff()
	}
}

// refusal is an error that the VMM answers with status 400 and its text.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }
