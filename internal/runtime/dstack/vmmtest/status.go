package vmmtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// AddStale arms a fault that makes Status answer what it would answer now.
func (v *VMM) AddStale(fault Fault) (*Armed, error) {
	seen, err := v.match(vmmrpc.StatusRequest{Keyword: fault.VM})
	if err != nil {
		return nil, err
	}
	fault.Method, fault.Stale = vmmrpc.Status, true
	return v.faults.add(fault, seen), nil
}

func status(_ context.Context, v *VMM, r vmmrpc.StatusRequest) (any, error) {
	answer, err := v.match(r)
	return answer, err
}

// match finds the VMs that a request asks for.
func (v *VMM) match(r vmmrpc.StatusRequest) (*vmmrpc.StatusResponse, error) {
	var found []*vm
	if len(r.IDs) == 1 { // what a control plane asks all the time
		if machine, ok := v.find(r.IDs[0]); ok {
			found = []*vm{machine}
		}
	} else {
		found = v.list()
	}
	wanted := map[string]bool{}
	for _, id := range r.IDs {
		wanted[id] = true
	}
	kept := found[:0:0]
	for _, machine := range found {
		if len(wanted) > 0 && !wanted[machine.manifest.ID] || !machine.has(r.Keyword) {
			continue
		}
		kept = append(kept, machine)
	}
	answer := &vmmrpc.StatusResponse{VMs: []vmmrpc.VMInfo{}, PortMappingEnabled: v.config.Ports.Enabled, Total: uint32(len(kept))}
	if r.Page > 0 && r.PageSize > 0 {
		first := min(uint64(r.Page-1)*uint64(r.PageSize), uint64(len(kept)))
		kept = kept[first:min(first+uint64(r.PageSize), uint64(len(kept)))]
	}
	for _, machine := range kept {
		info, err := machine.info(r.Brief)
		if err != nil {
			return nil, err
		}
		answer.VMs = append(answer.VMs, info)
	}
	return answer, nil
}

func (m *vm) has(keyword string) bool {
	if keyword == "" {
		return true
	}
	n := m.snapshot()
	return strings.Contains(n.Name, keyword) || strings.Contains(n.ID, keyword) || strings.Contains(n.AppID, keyword) || strings.Contains(n.Image, keyword)
}

// state combines what the VM is meant to do with what its process does. The VM is locked.
func (m *vm) state() string {
	switch {
	case m.manifest.Removing:
		return vmmrpc.StatusRemoving
	case m.manifest.Started && m.process:
		return vmmrpc.StatusRunning
	case m.manifest.Started:
		return vmmrpc.StatusExited
	case m.process:
		return vmmrpc.StatusStopping
	}
	return vmmrpc.StatusStopped
}

// info is what the VMM tells of a VM.
func (m *vm) info(brief bool) (vmmrpc.VMInfo, error) {
	now := m.vmm.config.Now()
	m.mu.Lock()
	n := m.manifest
	exited := elapsed(n.StoppedAt, now)
	instance := n.InstanceID
	info := vmmrpc.VMInfo{
		ID: n.ID, Name: n.Name, Status: m.state(), Uptime: elapsed(n.StartedAt, now), AppID: n.AppID, InstanceID: &instance,
		ExitedAt: &exited, BootProgress: m.progress, BootError: m.bootError, ShutdownProgress: m.shutdownProgress,
		Events: append([]vmmrpc.GuestEvent{}, m.events...),
	}
	m.mu.Unlock()
	image, _ := m.vmm.image(n.Image)
	info.ImageVersion = image.Version
	document, err := m.vmm.disk.readShared(n.ID, composeFile)
	if err != nil {
		return info, err
	}
	if gateway := m.vmm.config.Meta.Gateway; instance != "" && gatewayEnabled(document) {
		url := fmt.Sprintf("https://%s-%d.%s:%d", instance, gateway.AgentPort, gateway.BaseDomain, gateway.Port)
		info.AppURL = &url
	}
	if !brief {
		info.Configuration, err = m.configuration(n, document)
	}
	return info, err
}

// configuration is what is on the disk now.
func (m *vm) configuration(n manifest, document []byte) (*vmmrpc.VMConfiguration, error) {
	env, err := m.vmm.disk.readShared(n.ID, envFile)
	if err != nil {
		return nil, err
	}
	user, err := m.vmm.disk.readShared(n.ID, userFile)
	if err != nil {
		return nil, err
	}
	return &vmmrpc.VMConfiguration{
		Name: n.Name, Image: n.Image, ComposeFile: string(document), VCPU: n.VCPU, Memory: n.Memory, DiskSize: n.DiskSize, Ports: list(n.Ports),
		EncryptedEnv: env, AppID: &n.AppID, UserConfig: string(user), Hugepages: n.Hugepages, PinNUMA: n.PinNUMA, GPUs: n.GPUs,
		KMSURLs: list(n.KMSURLs), GatewayURLs: list(n.GatewayURLs), Stopped: !n.Started, NoTEE: n.NoTEE, Networks: list(n.Networks),
	}, nil
}

// list is never null in JSON.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func elapsed(since, now time.Time) string {
	if since.IsZero() {
		return vmmrpc.Never
	}
	return vmmrpc.FormatElapsed(now.Sub(since))
}

// guestFields are what the host side reads of a document.
type guestFields struct {
	Gateway       bool  `json:"gateway_enabled"`
	TProxy        bool  `json:"tproxy_enabled"`
	PublicLogs    bool  `json:"public_logs"`
	PublicTCBInfo *bool `json:"public_tcbinfo"`
}

func fieldsOf(document []byte) guestFields {
	var fields guestFields
	_ = json.Unmarshal(document, &fields) // it was checked when it was written
	return fields
}

func gatewayEnabled(document []byte) bool {
	fields := fieldsOf(document)
	return fields.Gateway || fields.TProxy
}
