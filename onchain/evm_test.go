package onchain_test

import (
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/contracts"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/dstackapp"
	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/dstackkms"
)

// These tests talk to the contracts past the package's own checks, which would
// keep most refusals from ever reaching them.

var (
	appABI = dstackapp.NewDstackApp()
	kmsABI = dstackkms.NewDstackKms()
)

// send transacts without any check of ours and returns the receipt, or the
// contract's reason against it.
func (f *fixture) send(t testing.TB, from devchain.Account, to common.Address, calldata []byte) (*types.Receipt, string) {
	t.Helper()
	opts := bind.NewKeyedTransactor(from.Key, f.ChainID())
	tx, err := bind.NewBoundContract(to, appABI.GetABI(), f.Client(), f.Client(), f.Client()).RawTransact(opts, calldata)
	return f.receipt(t, tx, err)
}

// create deploys code and returns the receipt, or the constructor's reason.
func (f *fixture) create(t testing.TB, from devchain.Account, code []byte) (*types.Receipt, string) {
	t.Helper()
	opts := bind.NewKeyedTransactor(from.Key, f.ChainID())
	_, tx, err := bind.DeployContract(opts, code, f.Client(), nil)
	return f.receipt(t, tx, err)
}

func (f *fixture) receipt(t testing.TB, tx *types.Transaction, err error) (*types.Receipt, string) {
	t.Helper()
	if err != nil {
		reason, ok := onchain.RevertReason(err)
		if !ok {
			t.Fatal(err)
		}
		return nil, reason
	}
	receipt, err := bind.WaitMined(t.Context(), f.Client(), tx.Hash())
	if err != nil {
		t.Fatal(err)
	}
	if receipt.Status != types.ReceiptStatusSuccessful {
		t.Fatalf("transaction %s failed", tx.Hash())
	}
	return receipt, ""
}

// must is send that has to succeed.
func (f *fixture) must(t testing.TB, from devchain.Account, to common.Address, calldata []byte) *types.Receipt {
	t.Helper()
	receipt, reason := f.send(t, from, to, calldata)
	if reason != "" {
		t.Fatalf("refused: %s", reason)
	}
	return receipt
}

// refuse is send that has to fail for the reason.
func (f *fixture) refuse(t testing.TB, from devchain.Account, to common.Address, calldata []byte, want string) {
	t.Helper()
	receipt, reason := f.send(t, from, to, calldata)
	if receipt != nil {
		t.Errorf("accepted, want refusal %q", want)
	} else if reason != want {
		t.Errorf("reason %q, want %q", reason, want)
	}
}

func (f *fixture) slot(t testing.TB, contract common.Address, slot common.Hash) common.Hash {
	t.Helper()
	value, err := f.Client().StorageAt(t.Context(), contract, slot, nil)
	if err != nil {
		t.Fatal(err)
	}
	return common.BytesToHash(value)
}

// entry is where mapping[key] lies when the mapping has the slot.
func entry(key common.Hash, slot byte) common.Hash {
	return crypto.Keccak256Hash(key[:], common.Hash{31: slot}.Bytes())
}

func word(n int64) common.Hash { return common.BigToHash(big.NewInt(n)) }

func unauthorized(account devchain.Account) string {
	return "OwnableUnauthorizedAccount(" + account.Address.Hex() + ")"
}

func TestAppAccess(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	for name, calldata := range map[string][]byte{
		"addComposeHash":        appABI.PackAddComposeHash(hash),
		"removeComposeHash":     appABI.PackRemoveComposeHash(hash),
		"addDevice":             appABI.PackAddDevice(device),
		"removeDevice":          appABI.PackRemoveDevice(device),
		"setAllowAnyDevice":     appABI.PackSetAllowAnyDevice(true),
		"setRequireTcbUpToDate": appABI.PackSetRequireTcbUpToDate(true),
		"disableUpgrades":       appABI.PackDisableUpgrades(),
		"transferOwnership":     appABI.PackTransferOwnership(f.stranger.Address),
		"renounceOwnership":     appABI.PackRenounceOwnership(),
		"acceptOwnership":       appABI.PackAcceptOwnership(),
		"upgradeToAndCall":      appABI.PackUpgradeToAndCall(f.kms.AppImplementation, nil),
	} {
		t.Run(name, func(t *testing.T) { f.refuse(t, f.stranger, app, calldata, unauthorized(f.stranger)) })
	}
	f.refuse(t, f.owner, app, appABI.PackAddComposeHash(common.Hash{}), "invalid compose hash")
	f.refuse(t, f.owner, app, appABI.PackAddDevice(common.Hash{}), "invalid device id")
	f.refuse(t, f.owner, app, appABI.PackInitialize(f.owner.Address, false, false, device, hash), "InvalidInitialization()")
	f.refuse(t, f.owner, app, appABI.PackInitialize0(f.owner.Address, false, false, false, device, hash), "InvalidInitialization()")
	// The implementation itself belongs to nobody and never will.
	f.refuse(t, f.owner, f.kms.AppImplementation, appABI.PackInitialize(f.owner.Address, false, false, device, hash), "InvalidInitialization()")
	f.refuse(t, f.owner, f.kms.AppImplementation, appABI.PackUpgradeToAndCall(f.kms.AppImplementation, nil), "UUPSUnauthorizedCallContext()")
}

func TestAppEventsAndStorage(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	yes, no := word(1), word(0)
	for _, step := range []struct {
		name     string
		calldata []byte
		event    string // its topic
		data     []byte
		policy   string
		value    common.Hash
		enabled  common.Hash
		slot     common.Hash
		stored   common.Hash
	}{
		{"addComposeHash", appABI.PackAddComposeHash(hash), "ComposeHashAdded", hash[:], "compose-hash", hash, yes, entry(hash, 0), yes},
		{"add it again", appABI.PackAddComposeHash(hash), "ComposeHashAdded", hash[:], "compose-hash", hash, yes, entry(hash, 0), yes},
		{"removeComposeHash", appABI.PackRemoveComposeHash(hash), "ComposeHashRemoved", hash[:], "compose-hash", hash, no, entry(hash, 0), no},
		{"remove it again", appABI.PackRemoveComposeHash(hash), "ComposeHashRemoved", hash[:], "compose-hash", hash, no, entry(hash, 0), no},
		{"addDevice", appABI.PackAddDevice(device), "DeviceAdded", device[:], "device", device, yes, entry(device, 2), yes},
		{"removeDevice", appABI.PackRemoveDevice(device), "DeviceRemoved", device[:], "device", device, no, entry(device, 2), no},
		{"setAllowAnyDevice", appABI.PackSetAllowAnyDevice(true), "AllowAnyDeviceSet", yes[:], "allow-any-device", no, yes, word(1), word(0x0100)},
		{"setAllowAnyDevice off", appABI.PackSetAllowAnyDevice(false), "AllowAnyDeviceSet", no[:], "allow-any-device", no, no, word(1), no},
		{"setRequireTcbUpToDate", appABI.PackSetRequireTcbUpToDate(true), "RequireTcbUpToDateSet", yes[:], "require-tcb-up-to-date", no, yes, word(3), yes},
		{"disableUpgrades", appABI.PackDisableUpgrades(), "UpgradesDisabled", nil, "upgrades-disabled", no, yes, word(1), yes},
	} {
		receipt := f.must(t, f.owner, app, step.calldata)
		if len(receipt.Logs) != 2 {
			t.Fatalf("%s: %d logs, want 2", step.name, len(receipt.Logs))
		}
		event, policy := receipt.Logs[0], receipt.Logs[1]
		definition := appABI.GetABI().Events[step.event]
		if event.Topics[0] != definition.ID || common.Bytes2Hex(event.Data) != common.Bytes2Hex(step.data) {
			t.Errorf("%s: event %s %x, want %s %x", step.name, event.Topics[0], event.Data, step.event, step.data)
		}
		changed, err := appABI.UnpackPolicyChangedEvent(policy)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if changed.Actor != f.owner.Address || common.Hash(changed.Policy) != crypto.Keccak256Hash([]byte(step.policy)) ||
			common.Hash(changed.Value) != step.value || changed.Enabled != (step.enabled == yes) {
			t.Errorf("%s: PolicyChanged%+v", step.name, changed)
		}
		if have := f.slot(t, app, step.slot); have != step.stored {
			t.Errorf("%s: slot %s holds %s, want %s", step.name, step.slot, have, step.stored)
		}
	}
}

func TestAppDecides(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	decide := func(step string, want string) {
		t.Helper()
		decision, err := onchain.IsAllowedByApp(t.Context(), f.Client(), onchain.AppBootInfo{
			AppID: app, ComposeHash: hash, DeviceID: device, TCBStatus: "OutOfDate", AdvisoryIDs: []string{"INTEL-SA-1"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if decision.Reason != want || decision.Allowed != (want == "") {
			t.Errorf("%s: %+v, want reason %q", step, decision, want)
		}
	}
	decide("nothing approved", "Compose hash not allowed")
	f.must(t, f.owner, app, appABI.PackAddComposeHash(hash))
	decide("hash", "Device not allowed")
	f.must(t, f.owner, app, appABI.PackAddDevice(device))
	decide("hash and device", "")
	f.must(t, f.owner, app, appABI.PackRemoveDevice(device))
	f.must(t, f.owner, app, appABI.PackSetAllowAnyDevice(true))
	decide("any device", "")
	f.must(t, f.owner, app, appABI.PackSetRequireTcbUpToDate(true))
	f.must(t, f.owner, app, appABI.PackRemoveComposeHash(hash))
	decide("TCB comes before the hash", "TCB status is not up to date")
	f.must(t, f.owner, app, appABI.PackSetRequireTcbUpToDate(false))
	decide("hash removed", "Compose hash not allowed")
}

func TestOwnershipPassesInTwoSteps(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	f.must(t, f.owner, app, appABI.PackTransferOwnership(f.stranger.Address))
	if owner, err := onchain.AppOwner(t.Context(), f.Client(), app); err != nil || owner != f.owner.Address {
		t.Errorf("owner after the first step: %s, %v", owner, err)
	}
	f.must(t, f.stranger, app, appABI.PackAcceptOwnership())
	if owner, err := onchain.AppOwner(t.Context(), f.Client(), app); err != nil || owner != f.stranger.Address {
		t.Errorf("owner after the second step: %s, %v", owner, err)
	}
	f.refuse(t, f.owner, app, appABI.PackAddComposeHash(hash), unauthorized(f.owner))
}

func TestUpgrades(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	f.must(t, f.owner, app, appABI.PackAddComposeHash(hash))
	next, reason := f.create(t, f.owner, contracts.DstackApp().Bytecode)
	if reason != "" {
		t.Fatal(reason)
	}
	receipt := f.must(t, f.owner, app, appABI.PackUpgradeToAndCall(next.ContractAddress, nil))
	changed, err := appABI.UnpackPolicyChangedEvent(receipt.Logs[0])
	if err != nil {
		t.Fatal(err)
	}
	if want := common.BytesToHash(next.ContractAddress[:]); common.Hash(changed.Value) != want ||
		common.Hash(changed.Policy) != crypto.Keccak256Hash([]byte("implementation-upgrade")) {
		t.Errorf("PolicyChanged%+v, want value %s", changed, want)
	}
	// ERC-1967's implementation slot.
	slot := common.HexToHash("0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc")
	if have := f.slot(t, app, slot); have != common.BytesToHash(next.ContractAddress[:]) {
		t.Errorf("implementation is %s, want %s", have, next.ContractAddress)
	}
	if allowed, err := onchain.IsComposeHashAllowed(t.Context(), f.Client(), app, hash); err != nil || !allowed {
		t.Errorf("hash after the upgrade: %v, %v", allowed, err)
	}
	f.refuse(t, f.owner, app, appABI.PackUpgradeToAndCall(f.stranger.Address, nil), "") // no code, so no reason either
	notUUPS := devchain.Multicall3Address
	f.refuse(t, f.owner, app, appABI.PackUpgradeToAndCall(notUUPS, nil), "ERC1967InvalidImplementation("+notUUPS.Hex()+")")
	f.must(t, f.owner, app, appABI.PackDisableUpgrades())
	f.refuse(t, f.owner, app, appABI.PackUpgradeToAndCall(f.kms.AppImplementation, nil), "Upgrades are permanently disabled")
}

func TestIntrospection(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	supports := func(contract common.Address, id [4]byte) bool {
		out, err := f.Client().CallContract(t.Context(), callTo(contract, appABI.PackSupportsInterface(id)), nil)
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(out).Sign() > 0
	}
	for _, tc := range []struct {
		id       [4]byte
		app, kms bool
	}{
		{[4]byte{0x1e, 0x07, 0x91, 0x98}, true, true},  // IAppAuth
		{[4]byte{0x8f, 0xd3, 0x75, 0x27}, true, false}, // IAppAuthBasicManagement
		{[4]byte{0x01, 0xff, 0xc9, 0xa7}, true, true},  // ERC-165
		{[4]byte{0xff, 0xff, 0xff, 0xff}, false, false},
	} {
		if have := supports(app, tc.id); have != tc.app {
			t.Errorf("app supports %x: %v, want %v", tc.id, have, tc.app)
		}
		if have := supports(f.kms.KMSContract, tc.id); have != tc.kms {
			t.Errorf("KMS supports %x: %v, want %v", tc.id, have, tc.kms)
		}
	}
	out, err := f.Client().CallContract(t.Context(), callTo(app, appABI.PackVersion()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if have := new(big.Int).SetBytes(out); have.Int64() != 2 {
		t.Errorf("version %s, want 2", have)
	}
	if _, err := f.Client().CallContract(t.Context(), callTo(app, appABI.PackProxiableUUID()), nil); err == nil {
		t.Error("a proxy claims to be an implementation")
	} else if reason, _ := onchain.RevertReason(err); reason != "UUPSUnauthorizedCallContext()" {
		t.Error(errors.Join(errors.New(reason), err))
	}
}
