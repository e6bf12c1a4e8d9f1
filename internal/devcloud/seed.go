package devcloud

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// Names that `lockstep dev` starts with.
const (
	Workspace       = "dev"
	SecondWorkspace = "second"
	OffChainCVM     = "demo-offchain"
	OnChainCVM      = "demo-onchain"
)

// seed makes what a new cloud starts with, and fills in what clients need to know. What is there
// already stays as it is.
func (d *Cloud) seed(ctx context.Context, state *state, compose string) error {
	service := d.Server.Control
	for _, w := range []struct {
		slug, name string
		key        *string
	}{{Workspace, "Development", &state.APIKey}, {SecondWorkspace, "Somebody else", &state.SecondAPIKey}} {
		if _, err := service.EnsureWorkspace(ctx, w.slug, w.name); err != nil {
			return err
		}
		if *w.key != "" {
			continue
		}
		key, err := service.CreateKey(ctx, w.slug, "dev", []control.Scope{control.ScopeAdmin}, 0)
		if err != nil {
			return err
		}
		*w.key = key.Key
	}
	if err := state.save(); err != nil {
		return err
	}
	principal, err := service.Authenticate(ctx, state.APIKey)
	if err != nil {
		return fmt.Errorf("the API key in %s: %w", state.path, err)
	}
	d.Ready.APIURL, d.Ready.RPCURL, d.Ready.ChainID = d.Server.APIURL(), d.Chain.RPCURL(), d.Chain.ChainID().Uint64()
	d.Ready.APIKey, d.Ready.SecondAPIKey = state.APIKey, state.SecondAPIKey
	d.Ready.Workspace, d.Ready.SecondWorkspace = Workspace, SecondWorkspace
	d.Ready.KMSContract, d.Ready.Multicall3 = state.KMSContract, onchain.Multicall3Address.Hex()
	for _, c := range []struct {
		name string
		kms  api.KMSType
	}{{OffChainCVM, api.KMSPhala}, {OnChainCVM, api.KMSEthereum}} {
		cvm, err := d.ensureCVM(ctx, principal, seedCVM{c.name, c.kms, compose}, common.HexToAddress(state.KMSContract))
		if err != nil {
			return fmt.Errorf("CVM %s: %w", c.name, err)
		}
		d.Ready.CVMs = append(d.Ready.CVMs, CVM{
			Name: cvm.Row.Name, ID: cvm.Row.HashID, VMUUID: cvm.Row.VMUUID, AppID: cvm.Row.AppID, KMSType: string(c.kms),
		})
	}
	return nil
}

// seedCVM is a CVM that a new cloud is to have.
type seedCVM struct {
	name    string
	kind    api.KMSType
	compose string
}

func (d *Cloud) ensureCVM(ctx context.Context, p control.Principal, seed seedCVM, kmsContract common.Address) (*control.CVM, error) {
	service := d.Server.Control
	cvm, err := service.CVM(ctx, p, seed.name)
	if problem.Is(err, problem.KindNotFound) {
		cvm, err = d.createCVM(ctx, p, seed, kmsContract)
	}
	if err != nil {
		return nil, err
	}
	return d.awaitRunning(ctx, p, cvm)
}

func (d *Cloud) createCVM(ctx context.Context, p control.Principal, seed seedCVM, kmsContract common.Address) (*control.CVM, error) {
	wire := string(seed.kind)
	provisioned, err := d.Server.Control.Provision(ctx, p, api.ProvisionRequest{
		Name: seed.name, KMS: &wire, ComposeFile: api.ComposeFile{DockerComposeFile: seed.compose},
	}, nil)
	if err != nil {
		return nil, err
	}
	request := api.CommitRequest{AppID: provisioned.Row.AppID, ComposeHash: provisioned.Row.ComposeHash.String()}
	if seed.kind.OnChain() {
		app, err := onchain.DeployAppAuth(ctx, onchain.DeployAppAuthRequest{
			WriteOptions: d.write(), KMSContract: kmsContract, DeviceID: provisioned.Node.DeviceID,
			ComposeHash: common.Hash(provisioned.Row.ComposeHash),
		})
		if err != nil {
			return nil, err
		}
		request.AppID, request.DeployerAddress = app.AppID, &d.Ready.OwnerAddress
	}
	return d.Server.Control.Commit(ctx, p, request)
}

// nodePoll is how often a node is looked at that does not tell of changes by itself.
const nodePoll = 20 * time.Millisecond

// awaitRunning waits until nothing is in progress any more: neither an update that an earlier run left
// behind, nor the boot of the node, which starts its CVMs again as a host does that was switched on.
func (d *Cloud) awaitRunning(ctx context.Context, p control.Principal, cvm *control.CVM) (*control.CVM, error) {
	changed, stop := d.Server.Control.Watch(cvm.Row.ID)
	defer stop()
	for {
		now, err := d.Server.Control.CVM(ctx, p, cvm.Row.HashID)
		if err != nil {
			return nil, err
		}
		if now.Active == nil {
			if now.Row.Status == control.StatusError && now.Row.RevisionID == "" {
				return nil, errors.New("its first boot failed; look at the log")
			}
			_, err := runtime.Await(ctx, now.Node.Runtime, now.Row.VMUUID, nodePoll, func(status runtime.Status) bool {
				return status.State != runtime.StateStarting && status.State != runtime.StateStopping
			})
			return now, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
