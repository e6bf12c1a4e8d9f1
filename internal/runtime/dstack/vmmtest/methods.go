package vmmtest

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// appVersion is the version that the VMM claims to be.
const (
	vmmVersion = "0.6.0"
	vmmRev     = vmmrpc.SimulatedRev
	appVersion = "v" + vmmVersion + " (" + vmmRev + ")"
)

// nothing is the request of methods that take none.
type nothing struct{}

var methods = map[string]method{
	vmmrpc.CreateVM: call(createVM),
	vmmrpc.StartVM: call(func(ctx context.Context, v *VMM, r vmmrpc.ID) (any, error) {
		return onVM(v, r.ID, func(m *vm) error { return m.start(ctx) })
	}),
	vmmrpc.StopVM: call(func(_ context.Context, v *VMM, r vmmrpc.ID) (any, error) {
		return onVM(v, r.ID, (*vm).requestStop)
	}),
	vmmrpc.ShutdownVM: call(func(ctx context.Context, v *VMM, r vmmrpc.ID) (any, error) {
		return onVM(v, r.ID, func(m *vm) error { return m.shutdown(ctx) })
	}),
	vmmrpc.RemoveVM: call(func(_ context.Context, v *VMM, r vmmrpc.ID) (any, error) {
		if machine, ok := v.find(r.ID); ok {
			return nil, machine.remove()
		}
		return nil, nil // removed already
	}),
	vmmrpc.UpdateVM:   call(updateVM),
	vmmrpc.UpgradeApp: call(updateVM),
	vmmrpc.ResizeVM: call(func(_ context.Context, v *VMM, r vmmrpc.ResizeVMRequest) (any, error) {
		return onVM(v, r.ID, func(m *vm) error {
			m.op.Lock()
			defer m.op.Unlock()
			return m.resize(vmmrpc.UpdateVMRequest{VCPU: r.VCPU, Memory: r.Memory, DiskSize: r.DiskSize, Image: r.Image})
		})
	}),
	vmmrpc.GetComposeHash: call(func(_ context.Context, _ *VMM, r vmmrpc.VMConfiguration) (any, error) {
		if err := checkName(r.Name); err != nil {
			return nil, err
		}
		if err := checkDocument(r.ComposeFile); err != nil {
			return nil, err
		}
		return vmmrpc.ComposeHash{Hash: appcompose.Hash([]byte(r.ComposeFile)).String()}, nil
	}),
	vmmrpc.Status: call(status),
	vmmrpc.GetInfo: call(func(_ context.Context, v *VMM, r vmmrpc.ID) (any, error) {
		machine, ok := v.find(r.ID)
		if !ok {
			return vmmrpc.GetInfoResponse{}, nil
		}
		info, err := machine.info(false)
		return vmmrpc.GetInfoResponse{Found: true, Info: &info}, err
	}),
	vmmrpc.ListImages: call(func(_ context.Context, v *VMM, _ nothing) (any, error) {
		answer := vmmrpc.ImageListResponse{Images: []vmmrpc.ImageInfo{}}
		for _, i := range v.config.Images {
			answer.Images = append(answer.Images, vmmrpc.ImageInfo{Name: i.Name, Description: "{}", Version: i.Version, IsDev: i.Dev})
		}
		return answer, nil
	}),
	vmmrpc.GetAppEnvEncryptPubKey: call(envKey),
	vmmrpc.Version: call(func(context.Context, *VMM, nothing) (any, error) {
		return vmmrpc.VersionResponse{Version: vmmVersion, Rev: vmmRev}, nil
	}),
	vmmrpc.GetMeta: call(func(_ context.Context, v *VMM, _ nothing) (any, error) { return v.config.Meta, nil }),
	vmmrpc.ListGPUs: call(func(_ context.Context, v *VMM, _ nothing) (any, error) {
		return vmmrpc.ListGPUsResponse{GPUs: append([]vmmrpc.GPUInfo{}, v.config.GPUs...), AllowAttachAll: v.config.AllowAttachAll}, nil
	}),
	vmmrpc.ReloadVMs: call(func(_ context.Context, v *VMM, _ nothing) (any, error) {
		return vmmrpc.ReloadVMsResponse{Updated: uint32(len(v.list()))}, nil
	}),
}

// onVM does something with a VM that must be there and has no answer.
func onVM(v *VMM, id string, do func(*vm) error) (any, error) {
	machine, err := v.must(id)
	if err != nil {
		return nil, err
	}
	return nil, do(machine)
}

func createVM(ctx context.Context, v *VMM, r vmmrpc.VMConfiguration) (any, error) {
	if err := checkName(r.Name); err != nil {
		return nil, err
	}
	ports, err := v.checkPorts(r.Ports)
	if err != nil {
		return nil, err
	}
	if err := v.checkGPUs(r.GPUs); err != nil {
		return nil, err
	}
	if _, ok := v.image(r.Image); !ok {
		return nil, refuse("Failed to load VM: Failed to load image: image %q not found", r.Image)
	}
	if err := checkDocument(r.ComposeFile); err != nil {
		return nil, refuse("Failed to load VM: Failed to read compose file: %v", err)
	}
	appID := appcompose.Hash([]byte(r.ComposeFile)).String()[:40]
	if r.AppID != nil {
		appID = strings.ToLower(strings.TrimPrefix(*r.AppID, "0x"))
	}
	id, err := v.newID()
	if err != nil {
		return nil, err
	}
	machine := &vm{vmm: v, manifest: manifest{
		ID: id, Name: r.Name, AppID: appID, Image: r.Image, VCPU: r.VCPU, Memory: r.Memory, DiskSize: r.DiskSize, Ports: ports,
		CreatedAt: uint64(v.config.Now().UnixMilli()), Sequence: v.nextSequence(), Hugepages: r.Hugepages, PinNUMA: r.PinNUMA,
		GPUs: r.GPUs, KMSURLs: r.KMSURLs, GatewayURLs: r.GatewayURLs, NoTEE: r.NoTEE, Networks: r.Networks,
	}}
	if err := v.disk.create(machine.manifest, &r); err != nil {
		return nil, refuse("Failed to write manifest: %v", err)
	}
	v.add(machine)
	if !r.Stopped {
		if err := machine.start(ctx); err != nil {
			v.forget(machine)
			return nil, err
		}
	}
	return vmmrpc.ID{ID: id}, nil
}

// updateVM rewrites what the request names, step by step. What went before a step that fails stays done.
func updateVM(_ context.Context, v *VMM, r vmmrpc.UpdateVMRequest) (any, error) {
	if r.ComposeFile != "" {
		if err := checkDocument(r.ComposeFile); err != nil {
			return nil, err
		}
	}
	machine, ok := v.find(r.ID)
	if !ok {
		return nil, refuse("The instance %s not found", r.ID)
	}
	machine.op.Lock()
	defer machine.op.Unlock()
	if machine.snapshot().Removing {
		return nil, refuse("The instance %s not found", r.ID)
	}
	for _, file := range []struct {
		name    string
		content []byte
	}{{composeFile, []byte(r.ComposeFile)}, {envFile, r.EncryptedEnv}, {userFile, []byte(r.UserConfig)}} {
		if len(file.content) > 0 {
			if err := v.disk.writeShared(r.ID, file.name, file.content); err != nil {
				return nil, refuse("Failed to write %s: %v", file.name, err)
			}
		}
	}
	if err := machine.resize(r); err != nil {
		return nil, err
	}
	if err := machine.reconfigure(r); err != nil {
		return nil, err
	}
	hash := ""
	if r.ComposeFile != "" {
		hash = appcompose.Hash([]byte(r.ComposeFile)).String()[:40]
	}
	return vmmrpc.ID{ID: hash}, nil
}

// resize changes resources, which takes a VM that does not run. The caller holds op.
func (m *vm) resize(r vmmrpc.UpdateVMRequest) error {
	if r.VCPU == nil && r.Memory == nil && r.DiskSize == nil && r.Image == nil {
		return nil
	}
	m.mu.Lock()
	state, size := m.state(), m.manifest.DiskSize
	m.mu.Unlock()
	if state != vmmrpc.StatusStopped && state != vmmrpc.StatusExited {
		return refuse("vm should be stopped before resize: %s", m.manifest.ID)
	}
	if r.DiskSize != nil && *r.DiskSize < size {
		return refuse("Cannot shrink disk size")
	}
	if r.Image != nil {
		if _, ok := m.vmm.image(*r.Image); !ok {
			return refuse("Failed to load VM: Failed to load image: image %q not found", *r.Image)
		}
	}
	return m.persist(func(n *manifest) {
		set(&n.VCPU, r.VCPU)
		set(&n.Memory, r.Memory)
		set(&n.DiskSize, r.DiskSize)
		set(&n.Image, r.Image)
	})
}

func set[T any](into, value *T) {
	if value != nil {
		*into = *value
	}
}

// reconfigure does the remaining steps of an update. The caller holds op.
func (m *vm) reconfigure(r vmmrpc.UpdateVMRequest) error {
	var err error
	for _, step := range []struct {
		asked bool
		check func() error
		do    func(*manifest)
	}{
		{r.GPUs != nil, func() error { return m.vmm.checkGPUs(r.GPUs) }, func(n *manifest) { n.GPUs = r.GPUs }},
		{r.NoTEE != nil, nil, func(n *manifest) { n.NoTEE = *r.NoTEE }},
		{r.UpdatePorts, func() error { r.Ports, err = m.parsePorts(r.Ports); return err }, func(n *manifest) { n.Ports = r.Ports }},
		{r.UpdateKMSURLs, nil, func(n *manifest) { n.KMSURLs = r.KMSURLs }},
		{r.UpdateGatewayURLs, nil, func(n *manifest) { n.GatewayURLs = r.GatewayURLs }},
		{r.UpdateNetworking, nil, func(n *manifest) { n.Networks = r.Networks }},
	} {
		if !step.asked {
			continue
		}
		if step.check != nil {
			if err := step.check(); err != nil {
				return err
			}
		}
		if err := m.persist(step.do); err != nil {
			return err
		}
	}
	return nil
}

// envKey passes the question on to the KMS.
func envKey(ctx context.Context, v *VMM, r vmmrpc.AppID) (any, error) {
	if v.config.Keys == nil {
		return nil, refuse("KMS is not configured")
	}
	if len(r.AppID) != 20 {
		return nil, refuse("Invalid app id %s", hex.EncodeToString(r.AppID))
	}
	app, now := [20]byte(r.AppID), v.config.Now()
	key, err := v.config.Keys.AppEnvKey(ctx, app)
	if err != nil {
		return nil, err
	}
	stamped, err := v.config.Keys.AppEnvKeyAt(ctx, app, now)
	if err != nil {
		return nil, err
	}
	return vmmrpc.PublicKeyResponse{
		PublicKey: key.PublicKey[:], Signature: key.Signature[:], Timestamp: uint64(now.Unix()), SignatureV1: stamped.Signature[:],
	}, nil
}
