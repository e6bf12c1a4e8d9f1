package server

import (
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// detail20251028 is GET /cvms/{id} in version 2025-10-28, which `phala deploy` asks for.
func detail20251028(cvm *control.CVM) api.CVMDetail20251028 {
	row, document, info := &cvm.Row, cvm.Document, cvm.KMS.Info()
	return api.CVMDetail20251028{
		ID:              row.ID,
		Name:            row.Name,
		Status:          api.CVMStatus(cvm.Status()),
		InProgress:      cvm.Busy(),
		TeepodID:        &cvm.Node.ID,
		Teepod:          node20251028(cvm.Node),
		AppID:           row.AppID,
		VMUUID:          &row.VMUUID,
		InstanceID:      optional(row.InstanceID),
		VCPU:            int(row.VCPU),
		MemoryMB:        int(row.MemoryMB),
		DiskGB:          int(row.DiskGB),
		BaseImage:       &row.Image,
		EnvPubkey:       optional(row.EnvPublicKey),
		Listed:          row.Listed,
		ProjectID:       optional(cvm.App.ProjectID),
		InstanceType:    optional(row.InstanceType),
		PublicSysinfo:   document.PublicSysinfo(),
		PublicLogs:      document.PublicLogs(),
		KMSInfo:         &info,
		ContractAddress: optional(cvm.App.ContractAddress),
		DeployerAddress: optional(cvm.App.DeployerAddress),
		PublicURLs:      endpoints(cvm),
		GatewayDomain:   optional(cvm.Node.GatewayDomain),
		MachineInfo:     machine20251028(cvm),
		UpdatedAt:       timestamp(row.UpdatedAt.Time),
	}
}

// info20251028 is an item of GET /cvms/paginated in version 2025-10-28.
func info20251028(cvm *control.CVM) api.CVMInfo20251028 {
	row, info := &cvm.Row, cvm.KMS.Info()
	machine := machine20251028(cvm)
	billing := string(api.BillingSkip)
	return api.CVMInfo20251028{
		Hosted: api.HostedVM20251028{
			ID: row.VMUUID, Name: row.Name, Status: api.CVMStatus(cvm.Status()), AppURL: appURL(cvm), AppID: row.AppID,
			InstanceID: optional(row.InstanceID), ImageVersion: &row.Image,
		},
		Name:            row.Name,
		Node:            node20251028(cvm.Node),
		Listed:          row.Listed,
		Status:          api.CVMStatus(cvm.Status()),
		InProgress:      cvm.Busy(),
		ProjectID:       optional(cvm.App.ProjectID),
		BillingPeriod:   &billing,
		KMSInfo:         &info,
		ContractAddress: optional(cvm.App.ContractAddress),
		DeployerAddress: optional(cvm.App.DeployerAddress),
		VCPU:            &machine.VCPU,
		MemoryMB:        &machine.MemoryMB,
		DiskGB:          &machine.DiskGB,
		GatewayDomain:   optional(cvm.Node.GatewayDomain),
		PublicURLs:      endpoints(cvm),
		MachineInfo:     machine,
		UpdatedAt:       timestamp(row.UpdatedAt.Time),
	}
}

func node20251028(n *control.Node) *api.CVMNode20251028 {
	return &api.CVMNode20251028{ID: n.ID, Name: n.Name, RegionIdentifier: optional(n.Region)}
}

func machine20251028(cvm *control.CVM) *api.MachineInfo20251028 {
	return &api.MachineInfo20251028{VCPU: int(cvm.Row.VCPU), MemoryMB: int(cvm.Row.MemoryMB), DiskGB: int(cvm.Row.DiskGB)}
}
