package server

import (
	"encoding/hex"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/gateway"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// The shapes that do not depend on the API version, and what the others have in common.

// timestamp is a time as answers have it.
func timestamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339Nano)
	return &s
}

// defaultPort is the port of the address that is shown for a CVM of which no published port is known.
const defaultPort = gateway.DefaultPort

// endpoints are the addresses under which the gateway serves a CVM.
func endpoints(cvm *control.CVM) []api.NetworkURLs {
	if cvm.Node.GatewayDomain == "" || !cvm.Document.GatewayEnabled() {
		return nil
	}
	ports := cvm.Document.PublishedPorts()
	if len(ports) == 0 {
		ports = []int{defaultPort} // what services publish may be a variable, or all of the host's network
	}
	return each(ports, func(port int) api.NetworkURLs {
		urls := api.NetworkURLs{App: endpoint(cvm.Row.AppID, port, cvm.Node.GatewayDomain)}
		urls.Instance = urls.App
		if cvm.Row.InstanceID != "" {
			urls.Instance = endpoint(cvm.Row.InstanceID, port, cvm.Node.GatewayDomain)
		}
		return urls
	})
}

func endpoint(id string, port int, domain string) string {
	return gateway.Endpoint{ID: id, Port: port}.URL(domain)
}

// appURL is the first endpoint, if there is one.
func appURL(cvm *control.CVM) *string {
	if urls := endpoints(cvm); len(urls) > 0 {
		return &urls[0].App
	}
	return nil
}

func provisionResponse(p *control.Provisioned) api.ProvisionResponse {
	info, device := p.KMS.Info(), hex.EncodeToString(p.Node.DeviceID[:])
	return api.ProvisionResponse{
		AppID:        optional(p.Row.AppID),
		EnvPubkey:    optional(p.EnvKey),
		ComposeHash:  p.Row.ComposeHash.String(),
		KMSInfo:      &info,
		DeviceID:     &device,
		OSImageHash:  optional(p.Image.Hash),
		InstanceType: optional(p.Row.InstanceType),
		TeepodID:     &p.Node.ID,
		NodeID:       &p.Node.ID,
		KMSID:        &p.KMS.ID,
	}
}

// documentVersion is a member of every CVM in the older shapes; the app-compose document has none.
const documentVersion = "1.0.0"

func commitResponse(cvm *control.CVM) api.CommitResponse {
	row, document := &cvm.Row, cvm.Document
	manifest, version, runner, compose := document.ManifestVersion(), documentVersion, document.Runner(), document.DockerComposeFile()
	return api.CommitResponse{
		ID:                     row.ID,
		Name:                   row.Name,
		Status:                 api.CVMStatus(cvm.Status()),
		TeepodID:               cvm.Node.ID,
		Teepod:                 node20251028(cvm.Node),
		AppID:                  &row.AppID,
		VMUUID:                 &row.VMUUID,
		InstanceID:             optional(row.InstanceID),
		AppURL:                 appURL(cvm),
		BaseImage:              &row.Image,
		VCPU:                   int(row.VCPU),
		MemoryMB:               int(row.MemoryMB),
		DiskGB:                 int(row.DiskGB),
		ManifestVersion:        &manifest,
		Version:                &version,
		Runner:                 &runner,
		DockerCompose:          &compose,
		Features:               document.Features(),
		CreatedAt:              row.CreatedAt.UTC().Format(time.RFC3339Nano),
		EnvPubkey:              optional(row.EnvPublicKey),
		AppAuthContractAddress: optional(cvm.App.ContractAddress),
		DeployerAddress:        optional(cvm.App.DeployerAddress),
	}
}

// cvmState is the answer of GET /cvms/{id}/state. Members that are not known are absent, never null.
func cvmState(cvm *control.CVM, now time.Time) api.CVMState {
	state := api.CVMState{
		ID: &cvm.Row.HashID, InstanceID: optional(cvm.Row.InstanceID), Name: cvm.Row.Name, Status: api.CVMStatus(cvm.Status()),
	}
	if live := cvm.Live; live != nil {
		state.Uptime = optional(uptime(live, now))
		if live.State == runtime.StateExited || live.State == runtime.StateStopped {
			state.ExitedAt = timestamp(live.ExitedAt)
		}
		state.BootProgress = optional(live.BootProgress)
		state.BootError = optional(live.BootError)
		state.ShutdownProgress = optional(live.ShutdownProgress)
	}
	if state.BootError == nil && !cvm.Busy() {
		state.BootError = optional(cvm.LastError) // the node forgot it when the previous revision started
	}
	return state
}

// uptime is how long a CVM has been powered on, such as 2h3m4s; empty when it is not.
func uptime(live *runtime.Status, now time.Time) string {
	switch live.State {
	case runtime.StateStarting, runtime.StateRunning, runtime.StateStopping:
		if !live.StartedAt.IsZero() && now.After(live.StartedAt) {
			return now.Sub(live.StartedAt).Truncate(time.Second).String()
		}
	case runtime.StateStopped, runtime.StateExited:
	}
	return ""
}
