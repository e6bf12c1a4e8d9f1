package vmmtest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// vm is one VM of the host.
type vm struct {
	vmm *VMM

	// op is held by the call or effect that is changing the VM, also across I/O.
	op sync.Mutex
	// writing orders what is written to the manifest.
	writing sync.Mutex

	// mu guards what follows. Guests report with locks of their own held, so it is never held across I/O or
	// across calls of the guest.
	mu               sync.Mutex
	manifest         manifest
	process          bool   // whether the QEMU process runs
	failed           bool   // the guest in it has given up on its boot
	starts           uint64 // of the process; what was begun for an earlier one does nothing any more
	restarts         int    // by the VMM itself, in a row
	progress         string
	bootError        string
	shutdownProgress string
	events           []vmmrpc.GuestEvent
}

// eventsKept is the size of the ring of events.
const eventsKept = 20

// Limits of restarts by the VMM.
const (
	maxRestarts       = 5
	maxRestartBackoff = 300 * time.Second
)

// snapshot is the manifest as it is now.
func (m *vm) snapshot() manifest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.manifest
}

// persist changes the manifest and writes it.
func (m *vm) persist(change func(*manifest)) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	change(&m.manifest)
	manifest := m.manifest
	m.mu.Unlock()
	return m.vmm.disk.writeManifest(manifest)
}

func (m *vm) log(err error, what string) {
	if err != nil && m.vmm.context.Err() == nil {
		m.vmm.config.Logger.Error(what, "vm", m.manifest.ID, "error", err)
	}
}

// heard takes an event of the guest. The guest is locked.
func (m *vm) heard(event, payload string) {
	body := payload
	m.mu.Lock()
	switch event {
	case vmmrpc.EventBootProgress:
		if m.progress != vmmrpc.ProgressNone {
			m.progress = payload
		}
	case vmmrpc.EventBootError:
		m.bootError, m.failed = payload, true
		m.rebootLater()
	case vmmrpc.EventShutdownProgress:
		m.shutdownProgress = payload
	case vmmrpc.EventInstanceInfo:
		text, err := json.Marshal(map[string]string{"app_id": m.manifest.AppID, "instance_id": payload})
		if err == nil {
			body = string(text)
		}
	}
	m.report(event, body)
	instance, started := m.manifest.InstanceID, m.manifest.Started
	m.mu.Unlock()
	switch {
	case event == vmmrpc.EventShutdownProgress && payload == vmmrpc.PoweringOff && started:
		m.log(m.persist(func(n *manifest) { n.Started = false }), "manifest is not written")
	case event == vmmrpc.EventInstanceInfo && instance != payload:
		m.log(m.persist(func(n *manifest) { n.InstanceID = payload }), "manifest is not written")
	}
}

// report puts an event into the ring. The VM is locked.
func (m *vm) report(event, body string) {
	if len(m.events) == eventsKept {
		m.events = slices.Delete(m.events, 0, 1)
	}
	m.events = append(m.events, vmmrpc.GuestEvent{Event: event, Body: body, Timestamp: uint64(m.vmm.config.Now().UnixMilli())})
}

// guestOff says that the guest's machine is off. The guest is locked. One that failed keeps its process.
func (m *vm) guestOff() {
	m.mu.Lock()
	failed := m.failed
	m.mu.Unlock()
	if !failed {
		m.processEnded()
	}
}

// processEnded notes the end of the process.
func (m *vm) processEnded() {
	m.mu.Lock()
	ended := m.process
	m.process, m.failed = false, false
	if ended && m.manifest.Started && !m.manifest.Removing {
		m.restartLater()
	}
	m.mu.Unlock()
	if ended {
		now := m.vmm.config.Now()
		m.log(m.persist(func(n *manifest) { n.StoppedAt = now }), "manifest is not written")
	}
}

// start is StartVm. One whose process still runs is only meant to run again.
func (m *vm) start(ctx context.Context) error {
	m.op.Lock()
	defer m.op.Unlock()
	m.mu.Lock()
	removing, running := m.manifest.Removing, m.process
	if !removing {
		m.bootError, m.shutdownProgress = "", ""
		m.progress = m.firstProgress(running)
	}
	m.mu.Unlock()
	switch {
	case removing:
		return refuse("Failed to start VM: VM is being removed")
	case running:
		return m.persist(func(n *manifest) { n.Started = true })
	}
	return m.boot(ctx)
}

// firstProgress is what the VMM says of a VM at its start. The VM is locked.
func (m *vm) firstProgress(running bool) string {
	if image, _ := m.vmm.image(m.manifest.Image); image.Silent {
		return vmmrpc.ProgressNone
	}
	if running {
		return vmmrpc.ProgressRunning
	}
	return vmmrpc.ProgressBooting
}

// boot starts a process. The caller holds op, and none runs.
func (m *vm) boot(ctx context.Context) error {
	now := m.vmm.config.Now()
	m.mu.Lock()
	m.process, m.failed = true, false
	m.starts++
	m.mu.Unlock()
	err := m.persist(func(n *manifest) { n.Started, n.StartedAt, n.StoppedAt = true, now, time.Time{} })
	if err == nil {
		err = m.bootGuest(ctx)
	}
	if err != nil {
		m.mu.Lock()
		m.process = false
		m.mu.Unlock()
		return refuse("Failed to start VM: %v", err)
	}
	return nil
}

// bootGuest lets the guest boot with the files as they are now.
func (m *vm) bootGuest(ctx context.Context) error {
	manifest, v := m.snapshot(), m.vmm
	document, err := v.disk.readShared(manifest.ID, composeFile)
	if err != nil {
		return err
	}
	env, err := v.disk.readShared(manifest.ID, envFile)
	if err != nil {
		return err
	}
	config := runtime.Config{Document: document, EncryptedEnv: env}
	err = v.guests.Create(ctx, runtime.Spec{
		ID: manifest.ID, Name: manifest.Name, AppID: manifest.AppID, Image: manifest.Image, Config: config,
		Resources: runtime.Resources{VCPU: int(manifest.VCPU), MemoryMB: int(manifest.Memory), DiskGB: int(manifest.DiskSize)},
	})
	if err == nil {
		err = v.guests.SetImage(ctx, manifest.ID, manifest.Image)
	}
	if err == nil {
		err = v.guests.Apply(ctx, manifest.ID, config)
	}
	if err == nil {
		err = v.disk.keepBooted(manifest.ID)
	}
	if err == nil {
		err = v.guests.Start(ctx, manifest.ID)
	}
	return err
}

// resume goes on with a VM that was meant to run when the VMM ended.
func (m *vm) resume(ctx context.Context) error {
	m.op.Lock()
	defer m.op.Unlock()
	m.mu.Lock()
	if m.progress == "" {
		m.progress = m.firstProgress(true)
	}
	m.mu.Unlock()
	status, err := m.vmm.guests.Status(ctx, m.manifest.ID)
	if err == nil && (status.State == runtime.StateStarting || status.State == runtime.StateRunning) {
		return nil
	}
	if err != nil && !errors.Is(err, runtime.ErrNotFound) {
		return err
	}
	m.mu.Lock()
	failed := m.failed
	m.mu.Unlock()
	if failed {
		return nil // it came so far already
	}
	if image, ok := m.vmm.image(m.snapshot().Image); !ok {
		m.vmm.config.Logger.Error("VM is not loaded: its image is gone", "vm", m.manifest.ID, "image", image.Name)
		m.processEnded()
		return nil
	}
	return m.boot(ctx)
}

// requestStop is StopVm: from now on the VM is not meant to run, and its process will end.
func (m *vm) requestStop() error {
	m.op.Lock()
	defer m.op.Unlock()
	if err := m.persist(func(n *manifest) { n.Started = false }); err != nil {
		return err
	}
	m.mu.Lock()
	running, starts := m.process, m.starts
	m.mu.Unlock()
	if running {
		m.vmm.spawn(func() { m.endProcess(starts) })
	}
	return nil
}

// endProcess ends the process of a start, unless it has ended.
func (m *vm) endProcess(starts uint64) {
	if err := m.vmm.faults.atEffect(m.vmm.context, EffectStop, m.names()); err != nil {
		return
	}
	m.op.Lock()
	defer m.op.Unlock()
	m.mu.Lock()
	current := m.process && m.starts == starts
	m.mu.Unlock()
	if current {
		m.log(m.powerOff(m.vmm.context), "guest is not cut off")
	}
}

// powerOff cuts the guest off and ends the process.
func (m *vm) powerOff(ctx context.Context) error {
	err := m.vmm.guests.Stop(ctx, m.manifest.ID, runtime.StopOptions{Force: true})
	if err != nil && !errors.Is(err, runtime.ErrNotFound) {
		return err
	}
	m.processEnded() // a failed guest had no machine to go off
	return nil
}

// shutdown asks the guest, which has to be up for that.
func (m *vm) shutdown(ctx context.Context) error {
	m.op.Lock()
	defer m.op.Unlock()
	if err := m.guestUp(ctx); err != nil {
		return err
	}
	return m.vmm.guests.Stop(ctx, m.manifest.ID, runtime.StopOptions{})
}

// remove is RemoveVm. It may be called again.
func (m *vm) remove() error {
	m.op.Lock()
	defer m.op.Unlock()
	if m.snapshot().Removing {
		return nil
	}
	if err := m.persist(func(n *manifest) { n.Removing, n.Started = true, false }); err != nil {
		return err
	}
	m.spawnRemove()
	return nil
}

func (m *vm) spawnRemove() {
	m.vmm.spawn(func() {
		if err := m.vmm.faults.atEffect(m.vmm.context, EffectRemove, m.names()); err != nil {
			return
		}
		m.op.Lock()
		defer m.op.Unlock()
		err := m.vmm.guests.Remove(m.vmm.context, m.manifest.ID)
		if err == nil {
			err = m.vmm.disk.remove(m.manifest.ID)
		}
		if m.log(err, "VM is not removed"); err == nil {
			m.vmm.forget(m)
		}
	})
}

// afterPreparation are the stages whose failure leaves a guest sitting there. Before them, it reboots.
func afterPreparation(progress string) bool {
	switch sim.Stage(progress) {
	case sim.StageInitScript, sim.StagePreLaunch, sim.StageStartingContainers, sim.StageMainScript, sim.StageDone:
		return true
	default:
		return false
	}
}

// rebootLater lets a guest whose preparation failed boot again in place. The VM is locked.
func (m *vm) rebootLater() {
	if m.vmm.config.RebootDelay <= 0 || afterPreparation(m.progress) {
		return
	}
	starts := m.starts
	m.later(m.vmm.config.RebootDelay, func() {
		m.op.Lock()
		defer m.op.Unlock()
		m.mu.Lock()
		current := m.process && m.failed && m.starts == starts
		if current {
			m.failed = false
		}
		m.mu.Unlock()
		if current {
			m.log(m.bootGuest(m.vmm.context), "guest does not boot again")
		}
	})
}

// restartLater lets the VMM start a process that ended by itself again. The VM is locked.
func (m *vm) restartLater() {
	if m.vmm.config.RestartBackoff <= 0 {
		return
	}
	if m.restarts == maxRestarts {
		m.report("vmm.auto_restart.exhausted", "")
		return
	}
	delay := min(m.vmm.config.RestartBackoff<<m.restarts, maxRestartBackoff)
	m.restarts++
	starts := m.starts
	m.later(delay, func() {
		m.mu.Lock()
		current := !m.process && m.manifest.Started && m.starts == starts
		m.mu.Unlock()
		if current {
			m.log(m.start(m.vmm.context), "VM is not restarted")
		}
	})
}

// later does something unless the VMM is closed before.
func (m *vm) later(delay time.Duration, do func()) {
	m.vmm.spawn(func() {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			do()
		case <-m.vmm.context.Done():
		}
	})
}

// names are what a fault may know the VM by.
func (m *vm) names() []string {
	manifest := m.snapshot()
	return []string{manifest.ID, manifest.Name}
}
