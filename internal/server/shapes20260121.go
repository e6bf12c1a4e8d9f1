package server

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// cvm20260121 is a CVM in version 2026-01-21. It is in the caller's workspace, as all that a caller sees.
func cvm20260121(cvm *control.CVM, p control.Principal) api.CVM {
	row, document := &cvm.Row, cvm.Document
	composeHash, dockerHash := document.Hash().String(), sha256Hex(document.DockerComposeFile())
	publicLogs, publicSysinfo, publicTcbinfo := document.PublicLogs(), document.PublicSysinfo(), document.PublicTcbinfo()
	gateway, secureTime := document.GatewayEnabled(), document.SecureTime()
	shown := api.CVM{
		ID:                row.HashID,
		Name:              row.Name,
		AppID:             &row.AppID,
		VMUUID:            &row.VMUUID,
		InstanceID:        optional(row.InstanceID),
		Resource:          resource20260121(cvm),
		NodeInfo:          node20260121(cvm),
		OS:                os20260121(cvm),
		KMSType:           kmsType(cvm.KMS.Type),
		KMSInfo:           kms20260121(cvm),
		Status:            api.CVMStatus(cvm.Status()),
		InProgress:        cvm.Busy(),
		Progress:          progress20260121(cvm),
		ComposeHash:       &composeHash,
		DockerComposeHash: &dockerHash,
		Endpoints:         endpoints(cvm),
		PublicLogs:        &publicLogs,
		PublicSysinfo:     &publicSysinfo,
		PublicTcbinfo:     &publicTcbinfo,
		GatewayEnabled:    &gateway,
		SecureTime:        &secureTime,
		Listed:            row.Listed,
		StorageFS:         document.StorageFS(),
		Workspace:         &api.WorkspaceRef{ID: p.Workspace.ID, Name: p.Workspace.Name, Slug: &p.Workspace.Slug},
		Creator:           &api.UserRef{ID: &row.CreatedBy, Username: &cvm.Creator},
		CreatedAt:         timestamp(row.CreatedAt.Time),
	}
	if script := document.PreLaunchScript(); script != "" {
		hash := sha256Hex(script)
		shown.PreLaunchScriptHash = &hash
	}
	if domain := cvm.Node.GatewayDomain; domain != "" {
		cname := "_." + domain
		shown.Gateway = api.CVMGateway{BaseDomain: &domain, CNAME: &cname}
	}
	return shown
}

func sha256Hex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

const mbPerGB = 1024

func resource20260121(cvm *control.CVM) api.CVMResource {
	vcpu, disk, gpus := int(cvm.Row.VCPU), int(cvm.Row.DiskGB), 0
	memory, billing := float64(cvm.Row.MemoryMB)/mbPerGB, api.BillingSkip
	return api.CVMResource{
		InstanceType: optional(cvm.Row.InstanceType), VCPU: &vcpu, MemoryInGB: &memory, DiskInGB: &disk, GPUs: &gpus,
		BillingPeriod: &billing,
	}
}

// nodeOnline is the status of a node that answers. That of one that was not asked is unknown: null.
const nodeOnline = "ONLINE"

func node20260121(cvm *control.CVM) *api.NodeRef {
	ref := nodeRef(cvm.Node)
	if cvm.Live != nil && !cvm.Node.Condition().Draining {
		ref.Status = optional(nodeOnline) // it has just answered
	}
	return &ref
}

func os20260121(cvm *control.CVM) *api.CVMOS {
	os := &api.CVMOS{Name: &cvm.Row.Image}
	i := slices.IndexFunc(cvm.Node.Images, func(i control.Image) bool { return i.Name == cvm.Row.Image })
	if i < 0 {
		return os // the operator took the image away; the CVM keeps what it booted
	}
	image := cvm.Node.Images[i]
	version := fmt.Sprintf("%d.%d.%d", image.Version[0], image.Version[1], image.Version[2])
	os.Version, os.IsDev, os.OSImageHash = &version, &image.Dev, optional(image.Hash)
	return os
}

func kms20260121(cvm *control.CVM) *api.CVMKMSInfo {
	whole := cvm.KMS.Info()
	info := &api.CVMKMSInfo{
		ChainID: whole.ChainID, DstackKMSAddress: whole.KMSContractAddress,
		DstackAppAddress: optional(cvm.App.ContractAddress), DeployerAddress: optional(cvm.App.DeployerAddress),
		EncryptedEnvPubkey: optional(cvm.Row.EnvPublicKey),
	}
	if whole.Chain != nil {
		if urls := whole.Chain.RPCURLs["default"].HTTP; len(urls) > 0 {
			info.RPCEndpoint = &urls[0]
		}
	}
	return info
}

// kmsType is null for a type that the clients do not know: they would reject the whole CVM.
func kmsType(t api.KMSType) *api.KMSType {
	if known, ok := api.ParseKMSType(string(t)); ok {
		return &known
	}
	return nil
}

// progress20260121 is the operation under way. The clients only look whether there is a target.
func progress20260121(cvm *control.CVM) *api.CVMProgress {
	if !cvm.Busy() {
		return nil
	}
	target, correlation := cvm.Target(), cvm.CorrelationID()
	return &api.CVMProgress{
		Target: &target,
		// The row was last written when the operation took the CVM over; an update may be days older.
		StartedAt:     timestamp(cvm.Row.UpdatedAt.Time),
		CorrelationID: &correlation,
	}
}
