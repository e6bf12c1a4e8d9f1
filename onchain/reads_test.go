package onchain_test

import (
	"context"
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/multicall3"
)

// noMulticall is a chain without Multicall3.
type noMulticall struct{ onchain.Backend }

func (n noMulticall) CallContract(ctx context.Context, msg ethereum.CallMsg, block *big.Int) ([]byte, error) {
	if *msg.To == onchain.Multicall3Address {
		return nil, nil
	}
	return n.Backend.CallContract(ctx, msg, block)
}

// counting counts requests.
type counting struct {
	onchain.Backend
	calls int
}

func (c *counting) CallContract(ctx context.Context, msg ethereum.CallMsg, block *big.Int) ([]byte, error) {
	c.calls++
	return c.Backend.CallContract(ctx, msg, block)
}

func multicallCalldata(target common.Address, calldata []byte) []byte {
	return multicall3.NewMulticall3().PackAggregate3([]multicall3.Multicall3Call3{{Target: target, CallData: calldata}})
}

func TestDevicesAndPrerequisites(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	expect := func(step string, want onchain.Prerequisites) {
		t.Helper()
		counter := &counting{Backend: f.Client()}
		have, err := onchain.CheckOnChainPrerequisites(t.Context(), counter, app, device, hash)
		if err != nil || have != want {
			t.Errorf("%s: %+v, %v, want %+v", step, have, err, want)
		}
		if counter.calls != 1 {
			t.Errorf("%s: %d requests, want one", step, counter.calls)
		}
		if have, err := onchain.CheckOnChainPrerequisites(t.Context(), noMulticall{f.Client()}, app, device, hash); err != nil || have != want {
			t.Errorf("%s, one by one: %+v, %v, want %+v", step, have, err, want)
		}
		if have, err := onchain.IsDeviceAllowed(t.Context(), f.Client(), app, device); err != nil || have != want.DeviceAllowed {
			t.Errorf("%s: IsDeviceAllowed %v, %v", step, have, err)
		}
	}
	do := func(result *onchain.TransactionResult, err error) {
		t.Helper()
		if err != nil || result.TransactionHash == (common.Hash{}) {
			t.Fatalf("%+v, %v", result, err)
		}
	}
	expect("nothing", onchain.Prerequisites{})
	do(onchain.AddDevice(t.Context(), f.as(f.owner), app, device))
	expect("device", onchain.Prerequisites{DeviceAllowed: true})
	do(onchain.RemoveDevice(t.Context(), f.as(f.owner), app, device))
	expect("no device", onchain.Prerequisites{})
	do(onchain.SetAllowAnyDevice(t.Context(), f.as(f.owner), app, true))
	f.approve(t, app, hash)
	expect("any device and hash", onchain.Prerequisites{AllowAnyDevice: true, DeviceAllowed: true, ComposeHashAllowed: true})

	if _, err := onchain.AddDevice(t.Context(), f.as(f.stranger), app, device); !errors.Is(err, onchain.ErrNotOwner) {
		t.Errorf("stranger: %v", err)
	}
	if _, err := onchain.AddDevice(t.Context(), f.as(f.owner), app, common.Hash{}); !errors.Is(err, onchain.ErrInvalidInput) {
		t.Errorf("zero device: %v", err)
	}
	if _, err := onchain.CheckOnChainPrerequisites(t.Context(), f.Client(), f.stranger.Address, device, hash); !errors.Is(err, onchain.ErrNotAContract) {
		t.Errorf("no contract: %v", err)
	}
	// A contract of another kind has no such flags.
	if have, err := onchain.CheckOnChainPrerequisites(t.Context(), f.Client(), f.kms.KMSContract, device, hash); err != nil || have != (onchain.Prerequisites{}) {
		t.Errorf("KMS contract: %+v, %v", have, err)
	}
	if _, err := onchain.IsDeviceAllowed(t.Context(), f.Client(), f.stranger.Address, device); !errors.Is(err, onchain.ErrNotAContract) {
		t.Errorf("device of no contract: %v", err)
	}
}

func TestDeployAppAuth(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	padded, err := onchain.PadID("0xabCD")
	if err != nil {
		t.Fatal(err)
	}
	app, err := onchain.DeployAppAuth(t.Context(), onchain.DeployAppAuthRequest{
		WriteOptions: f.as(f.owner), KMSContract: f.kms.KMSContract, DeviceID: device, ComposeHash: padded,
	})
	if err != nil {
		t.Fatal(err)
	}
	if app.AppID != onchain.FormatAppID(app.AppAuthAddress) || app.Deployer != f.owner.Address || app.GasUsed == 0 {
		t.Errorf("result %+v", app)
	}
	state, err := f.verifier(onchain.Latest).State(t.Context(), app.AppAuthAddress, device, common.HexToHash("0xabcd"+"000000000000000000000000000000000000000000000000000000000000"))
	if err != nil || !state.Allowed() || state.Owner != f.owner.Address {
		t.Errorf("state %+v, %v", state, err)
	}
	if registered, err := onchain.IsAppRegistered(t.Context(), f.Client(), f.kms.KMSContract, app.AppAuthAddress); err != nil || !registered {
		t.Errorf("registered: %v, %v", registered, err)
	}

	strict, err := onchain.DeployAppAuth(t.Context(), onchain.DeployAppAuthRequest{
		WriteOptions: f.as(f.stranger), KMSContract: f.kms.KMSContract, Owner: f.owner.Address,
		RequireTCBUpToDate: true, DisableUpgrades: true, AllowAnyDevice: true, ComposeHash: hash,
	})
	if err != nil {
		t.Fatal(err)
	}
	decision, err := onchain.IsAllowedByApp(t.Context(), f.Client(), onchain.AppBootInfo{AppID: strict.AppAuthAddress, ComposeHash: hash, TCBStatus: "OutOfDate"})
	if err != nil || decision.Reason != "TCB status is not up to date" {
		t.Errorf("decision %+v, %v", decision, err)
	}
	f.refuse(t, f.owner, strict.AppAuthAddress, appABI.PackUpgradeToAndCall(f.kms.AppImplementation, nil), "Upgrades are permanently disabled")

	if _, err := onchain.DeployAppAuth(t.Context(), onchain.DeployAppAuthRequest{WriteOptions: f.as(f.owner), KMSContract: f.stranger.Address}); !errors.Is(err, onchain.ErrNotAContract) {
		t.Errorf("no KMS contract: %v", err)
	}
}

func TestKMSAdministration(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	kms := f.kms.KMSContract
	if _, err := onchain.SetGatewayAppID(t.Context(), f.as(f.owner), kms, "gateway"); err != nil {
		t.Fatal(err)
	}
	if gateway, err := onchain.GatewayAppID(t.Context(), f.Client(), kms); err != nil || gateway != "gateway" {
		t.Errorf("gateway %q, %v", gateway, err)
	}
	if image, err := onchain.AppImplementation(t.Context(), f.Client(), kms); err != nil || image != f.kms.AppImplementation {
		t.Errorf("app implementation %s, %v", image, err)
	}
	if _, err := onchain.RegisterOSImage(t.Context(), f.as(f.stranger), kms, other); !errors.Is(err, onchain.ErrNotOwner) {
		t.Errorf("stranger: %v", err)
	}
	if _, err := onchain.RegisterOSImage(t.Context(), f.as(f.owner), kms, common.Hash{}); !errors.Is(err, onchain.ErrInvalidInput) {
		t.Errorf("zero image: %v", err)
	}
	if _, err := onchain.RegisterApp(t.Context(), f.as(f.stranger), kms, f.stranger.Address); err != nil {
		t.Errorf("anyone may register: %v", err)
	}
	if _, err := onchain.RegisterApp(t.Context(), f.as(f.stranger), kms, common.Address{}); !errors.Is(err, onchain.ErrInvalidInput) {
		t.Errorf("zero app: %v", err)
	}
	info := onchain.AppBootInfo{AppID: f.deploy(t), OSImageHash: osImage}
	if _, err := onchain.RemoveOSImage(t.Context(), f.as(f.owner), kms, osImage); err != nil {
		t.Fatal(err)
	}
	if decision, err := onchain.IsAppAllowed(t.Context(), f.Client(), kms, info); err != nil || decision.Reason != "OS image is not allowed" {
		t.Errorf("decision %+v, %v", decision, err)
	}
	if _, err := onchain.IsAppAllowed(t.Context(), f.Client(), f.stranger.Address, info); !errors.Is(err, onchain.ErrNotAContract) {
		t.Errorf("no KMS contract: %v", err)
	}
}
