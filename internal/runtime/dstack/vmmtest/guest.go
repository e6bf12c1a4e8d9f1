package vmmtest

import (
	"context"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

var guestMethods = map[string]method{
	vmmrpc.GuestInfoMethod: call(func(ctx context.Context, v *VMM, r vmmrpc.ID) (any, error) {
		return askGuest(ctx, v, r.ID, (*vm).guestInfo)
	}),
	vmmrpc.GuestListContainers: call(func(ctx context.Context, v *VMM, r vmmrpc.ID) (any, error) {
		return askGuest(ctx, v, r.ID, (*vm).listContainers)
	}),
	vmmrpc.GuestSysInfo: call(func(ctx context.Context, v *VMM, r vmmrpc.ID) (any, error) {
		return askGuest(ctx, v, r.ID, (*vm).sysInfo)
	}),
	vmmrpc.GuestNetworkInfo: call(func(ctx context.Context, v *VMM, r vmmrpc.ID) (any, error) {
		return askGuest(ctx, v, r.ID, func(*vm, runtime.Status) (any, error) {
			return vmmrpc.NetworkInformation{
				DNSServers: []string{"10.0.2.3"}, Gateways: []vmmrpc.Gateway{{Address: "10.0.2.2"}},
				Interfaces: []vmmrpc.Interface{{Name: "enp0s2", Addresses: []vmmrpc.IPAddress{{Address: "10.0.2.10", Prefix: 24}}}},
			}, nil
		})
	}),
	vmmrpc.GuestShutdown: call(func(ctx context.Context, v *VMM, r vmmrpc.ID) (any, error) {
		return onVM(v, r.ID, func(m *vm) error { return m.shutdown(ctx) })
	}),
}

// askGuest asks the guest agent of a VM.
func askGuest(ctx context.Context, v *VMM, id string, ask func(*vm, runtime.Status) (any, error)) (any, error) {
	machine, ok := v.find(id)
	if !ok {
		return nil, refuse("vm not found")
	}
	status, err := machine.agent(ctx)
	if err != nil {
		return nil, err
	}
	return ask(machine, status)
}

// guestUp tells whether the guest agent answers.
func (m *vm) guestUp(ctx context.Context) error {
	_, err := m.agent(ctx)
	return err
}

// agent is the guest as its agent sees it. The agent comes up once the guest has its keys and disk.
func (m *vm) agent(ctx context.Context) (runtime.Status, error) {
	status, err := m.vmm.guests.Status(ctx, m.manifest.ID)
	up := false
	switch {
	case errors.Is(err, runtime.ErrNotFound):
	case err != nil:
		return status, err
	case status.State == runtime.StateRunning:
		up = true
	case status.State == runtime.StateStarting:
		switch sim.Stage(status.BootProgress) {
		case sim.StageDocker, sim.StageInitScript, sim.StagePreLaunch, sim.StageStartingContainers, sim.StageMainScript, sim.StageDone:
			up = true
		default:
		}
	}
	if !up {
		return status, refuse("Failed to connect to guest agent: Connection reset by peer (os error 104)")
	}
	return status, nil
}

// Runtime events are measured into RTMR3.
const (
	runtimeIMR   = 3
	runtimeEvent = 0x08000001
)

// guestInfo is what the guest measured, with registers that are made up except for RTMR3.
func (m *vm) guestInfo(status runtime.Status) (any, error) {
	n := m.snapshot()
	document, err := m.vmm.disk.readBooted(n.ID)
	if err != nil {
		return nil, err
	}
	app, err := hex.DecodeString(n.AppID)
	if err != nil {
		return nil, err
	}
	instance, err := hex.DecodeString(status.InstanceID)
	if err != nil {
		return nil, err
	}
	info := vmmrpc.GuestInfo{Version: vmmVersion, AppID: app, InstanceID: instance, DeviceID: m.vmm.config.DeviceID[:]}
	if public := fieldsOf(document).PublicTCBInfo; public != nil && !*public {
		return info, nil
	}
	image := m.vmm.config.OSImageHash(n.Image)
	made := func(what string) string {
		sum := sha512.Sum384(append([]byte("lockstep simulated "+what), image[:]...))
		return hex.EncodeToString(sum[:])
	}
	tcb := vmmrpc.TCBInfo{
		MRTD: made("mrtd"), RTMR0: made("rtmr0"), RTMR1: made("rtmr1"), RTMR2: made("rtmr2"), MRAggregated: made("mr_aggregated")[:64],
		OSImageHash: hex.EncodeToString(image[:]), ComposeHash: status.RunningHash.String(), DeviceID: hex.EncodeToString(m.vmm.config.DeviceID[:]),
		AppCompose: string(document),
	}
	tcb.EventLog, tcb.RTMR3 = measure([]event{
		{"system-preparing", nil}, {"app-id", app}, {"compose-hash", status.RunningHash[:]}, {"instance-id", instance}, {"boot-mr-done", nil},
		{"system-ready", nil},
	})
	text, err := json.Marshal(tcb)
	info.TCBInfo = string(text)
	return info, err
}

type event struct {
	name    string
	payload []byte
}

// measure extends RTMR3 by events in their first format: the digest of an event is SHA-384 of its type (32 bits
// little endian), ":", its name, ":" and its payload.
func measure(events []event) ([]vmmrpc.EventEntry, string) {
	var register [sha512.Size384]byte
	log := make([]vmmrpc.EventEntry, len(events))
	for i, e := range events {
		text := binary.LittleEndian.AppendUint32(nil, runtimeEvent)
		text = append(append(append(append(text, ':'), e.name...), ':'), e.payload...)
		digest := sha512.Sum384(text)
		register = sha512.Sum384(append(register[:], digest[:]...))
		log[i] = vmmrpc.EventEntry{
			IMR: runtimeIMR, EventType: runtimeEvent, Digest: hex.EncodeToString(digest[:]), Event: e.name, Payload: hex.EncodeToString(e.payload),
		}
	}
	return log, hex.EncodeToString(register[:])
}

func (m *vm) listContainers(status runtime.Status) (any, error) {
	answer := vmmrpc.ListContainersResponse{Containers: []vmmrpc.Container{}}
	for _, s := range status.Services {
		answer.Containers = append(answer.Containers, vmmrpc.Container{
			ID: s.ID, Names: []string{"/" + s.Container}, Image: s.Image, ImageID: s.ImageID, Created: s.CreatedAt.Unix(),
			State: s.State, Status: s.Status,
		})
	}
	return answer, nil
}

func (m *vm) sysInfo(status runtime.Status) (any, error) {
	n := m.snapshot()
	memory, disk := uint64(n.Memory)<<20, uint64(n.DiskSize)<<30
	return vmmrpc.SystemInfo{
		OSName: "DStack", OSVersion: vmmVersion, KernelVersion: "6.9.0-dstack", CPUModel: "simulated", NumCPUs: n.VCPU,
		TotalMemory: memory, AvailableMemory: memory, FreeMemory: memory, // nothing real runs in it
		Uptime: uint64(m.vmm.config.Now().Sub(status.StartedAt).Seconds()),
		Disks:  []vmmrpc.DiskInfo{{Name: "zfs", MountPoint: "/dstack/persistent", TotalSize: disk, FreeSize: disk}},
	}, nil
}
