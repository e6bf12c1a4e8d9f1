package onchain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/contracts"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/dstackkms"
)

func callTo(contract common.Address, calldata []byte) ethereum.CallMsg {
	return ethereum.CallMsg{To: &contract, Data: calldata}
}

func TestKMSAccess(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	kms := f.kms.KMSContract
	for name, calldata := range map[string][]byte{
		"setKmsInfo":            kmsABI.PackSetKmsInfo(dstackkms.DstackKmsKmsInfo{}),
		"setKmsQuote":           kmsABI.PackSetKmsQuote(nil),
		"setKmsEventlog":        kmsABI.PackSetKmsEventlog(nil),
		"setGatewayAppId":       kmsABI.PackSetGatewayAppId("x"),
		"setAppImplementation":  kmsABI.PackSetAppImplementation(f.stranger.Address),
		"addKmsAggregatedMr":    kmsABI.PackAddKmsAggregatedMr(hash),
		"removeKmsAggregatedMr": kmsABI.PackRemoveKmsAggregatedMr(hash),
		"addKmsDevice":          kmsABI.PackAddKmsDevice(hash),
		"removeKmsDevice":       kmsABI.PackRemoveKmsDevice(hash),
		"addOsImageHash":        kmsABI.PackAddOsImageHash(hash),
		"removeOsImageHash":     kmsABI.PackRemoveOsImageHash(hash),
		"upgradeToAndCall":      kmsABI.PackUpgradeToAndCall(f.kms.KMSImplementation, nil),
		"transferOwnership":     kmsABI.PackTransferOwnership(f.stranger.Address),
	} {
		t.Run(name, func(t *testing.T) { f.refuse(t, f.stranger, kms, calldata, unauthorized(f.stranger)) })
	}
	f.refuse(t, f.owner, kms, kmsABI.PackInitialize(f.owner.Address, common.Address{}), "InvalidInitialization()")
	f.refuse(t, f.owner, kms, kmsABI.PackSetAppImplementation(common.Address{}), "Invalid implementation address")
	f.refuse(t, f.owner, kms, kmsABI.PackRegisterApp(common.Address{}), "Invalid app ID")
	f.refuse(t, f.owner, kms, kmsABI.PackDeployAndRegisterApp(common.Address{}, false, false, device, hash), "Invalid owner address")
	// A KMS contract stays upgradeable.
	next, reason := f.create(t, f.owner, contracts.DstackKms().Bytecode)
	if reason != "" {
		t.Fatal(reason)
	}
	f.must(t, f.owner, kms, kmsABI.PackUpgradeToAndCall(next.ContractAddress, nil))
	if image, err := onchain.AppImplementation(t.Context(), f.Client(), kms); err != nil || image != f.kms.AppImplementation {
		t.Errorf("app implementation after the upgrade: %s, %v", image, err)
	}
}

func TestProxyOfZeroOwner(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	zero := common.Address{}
	for _, tc := range []struct {
		implementation common.Address
		calldata       []byte
		want           string
	}{
		{f.kms.KMSImplementation, kmsABI.PackInitialize(zero, zero), "OwnableInvalidOwner(" + zero.Hex() + ")"},
		{f.kms.AppImplementation, appABI.PackInitialize(zero, false, false, device, hash), "invalid owner address"},
		{f.kms.AppImplementation, appABI.PackInitialize0(zero, false, false, false, device, hash), "invalid owner address"},
		{f.stranger.Address, nil, "ERC1967InvalidImplementation(" + f.stranger.Address.Hex() + ")"},
	} {
		if _, reason := f.create(t, f.owner, onchain.ProxyCreationCode(tc.implementation, tc.calldata)); reason != tc.want {
			t.Errorf("reason %q, want %q", reason, tc.want)
		}
	}
}

func TestKMSWithoutAppImplementation(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	code := onchain.ProxyCreationCode(f.kms.KMSImplementation, kmsABI.PackInitialize(f.owner.Address, common.Address{}))
	receipt, reason := f.create(t, f.owner, code)
	if reason != "" {
		t.Fatal(reason)
	}
	kms := receipt.ContractAddress
	deploy := kmsABI.PackDeployAndRegisterApp(f.owner.Address, false, false, device, hash)
	f.refuse(t, f.owner, kms, deploy, "DstackApp implementation not set")
	f.must(t, f.owner, kms, kmsABI.PackSetAppImplementation(f.kms.AppImplementation))
	f.must(t, f.owner, kms, deploy)
}

func TestKMSEventsAndStorage(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	kms := f.kms.KMSContract
	short := func(text string) common.Hash { // Solidity's encoding of up to 31 bytes
		return common.Hash(append(append([]byte(text), make([]byte, 31-len(text))...), byte(2*len(text))))
	}
	for _, step := range []struct {
		name     string
		calldata []byte
		event    string // "" for none
		policy   string
		value    common.Hash
		enabled  bool
		slot     common.Hash
		stored   common.Hash
	}{
		{"info", kmsABI.PackSetKmsInfo(dstackkms.DstackKmsKmsInfo{K256Pubkey: []byte("k"), CaPubkey: []byte("c"), Quote: []byte("q"), Eventlog: []byte("e")}), "KmsInfoSet", "kms-info", crypto.Keccak256Hash([]byte("k")), true, word(1), short("c")},
		{"quote", kmsABI.PackSetKmsQuote([]byte("q2")), "", "kms-info", crypto.Keccak256Hash([]byte("q2")), true, word(2), short("q2")},
		{"eventlog", kmsABI.PackSetKmsEventlog([]byte("e2")), "", "kms-info", crypto.Keccak256Hash([]byte("e2")), true, word(3), short("e2")},
		{"gateway", kmsABI.PackSetGatewayAppId("gw"), "GatewayAppIdSet", "gateway-app-id", crypto.Keccak256Hash([]byte("gw")), true, word(4), short("gw")},
		{"app", kmsABI.PackRegisterApp(f.stranger.Address), "AppRegistered", "registered-app", common.BytesToHash(f.stranger.Address[:]), true, entry(common.BytesToHash(f.stranger.Address[:]), 5), word(1)},
		{"mr", kmsABI.PackAddKmsAggregatedMr(hash), "KmsAggregatedMrAdded", "kms-aggregated-mr", hash, true, entry(hash, 6), word(1)},
		{"no mr", kmsABI.PackRemoveKmsAggregatedMr(hash), "KmsAggregatedMrRemoved", "kms-aggregated-mr", hash, false, entry(hash, 6), word(0)},
		{"device", kmsABI.PackAddKmsDevice(device), "KmsDeviceAdded", "kms-device", device, true, entry(device, 7), word(1)},
		{"no device", kmsABI.PackRemoveKmsDevice(device), "KmsDeviceRemoved", "kms-device", device, false, entry(device, 7), word(0)},
		{"image", kmsABI.PackAddOsImageHash(other), "OsImageHashAdded", "os-image", other, true, entry(other, 8), word(1)},
		{"no image", kmsABI.PackRemoveOsImageHash(other), "OsImageHashRemoved", "os-image", other, false, entry(other, 8), word(0)},
		{"implementation", kmsABI.PackSetAppImplementation(f.stranger.Address), "AppImplementationSet", "app-implementation", common.BytesToHash(f.stranger.Address[:]), true, word(9), common.BytesToHash(f.stranger.Address[:])},
	} {
		receipt := f.must(t, f.owner, kms, step.calldata)
		logs := receipt.Logs
		if step.event != "" {
			if definition := kmsABI.GetABI().Events[step.event]; logs[0].Topics[0] != definition.ID {
				t.Errorf("%s: first log %s, want %s", step.name, logs[0].Topics[0], step.event)
			}
			logs = logs[1:]
		}
		if len(logs) != 1 {
			t.Fatalf("%s: %d logs", step.name, len(receipt.Logs))
		}
		changed, err := kmsABI.UnpackPolicyChangedEvent(logs[0])
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if common.Hash(changed.Policy) != crypto.Keccak256Hash([]byte(step.policy)) || common.Hash(changed.Value) != step.value || changed.Enabled != step.enabled {
			t.Errorf("%s: PolicyChanged%+v", step.name, changed)
		}
		if have := f.slot(t, kms, step.slot); have != step.stored {
			t.Errorf("%s: slot %s holds %s, want %s", step.name, step.slot, have, step.stored)
		}
	}
}

func TestKMSDecides(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	info := onchain.AppBootInfo{AppID: app, ComposeHash: hash, DeviceID: device, OSImageHash: osImage, TCBStatus: "UpToDate"}
	app2 := info
	app2.AppID = f.stranger.Address
	image2 := info
	image2.OSImageHash = other
	decide := func(info onchain.AppBootInfo, want string) {
		t.Helper()
		decision, err := onchain.IsAppAllowed(t.Context(), f.Client(), f.kms.KMSContract, info)
		if err != nil {
			t.Fatal(err)
		}
		if decision.Reason != want || decision.Allowed != (want == "") {
			t.Errorf("%+v, want reason %q", decision, want)
		}
	}
	decide(app2, "App not registered")
	decide(image2, "OS image is not allowed")
	decide(info, "Compose hash not allowed")
	f.approve(t, app, hash)
	decide(info, "Device not allowed")
	f.must(t, f.owner, app, appABI.PackAddDevice(device))
	decide(info, "")
	// Anyone may register anything, but only a contract can allow.
	f.must(t, f.stranger, f.kms.KMSContract, kmsABI.PackRegisterApp(f.stranger.Address))
	decide(app2, "App not deployed or invalid address")
	// What the app's contract answers is passed on, be it a revert.
	f.must(t, f.stranger, f.kms.KMSContract, kmsABI.PackRegisterApp(devchain.Multicall3Address))
	app2.AppID = devchain.Multicall3Address
	if _, err := onchain.IsAppAllowed(t.Context(), f.Client(), f.kms.KMSContract, app2); err == nil {
		t.Error("a contract that does not know the question was taken for an answer")
	}
}

func TestKMSDecidesAboutItself(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	kms := f.kms.KMSContract
	info := onchain.AppBootInfo{MRAggregated: hash, DeviceID: device, OSImageHash: osImage, TCBStatus: "UpToDate"}
	decide := func(info onchain.AppBootInfo, want string) {
		t.Helper()
		decision, err := onchain.IsKMSAllowed(t.Context(), f.Client(), kms, info)
		if err != nil {
			t.Fatal(err)
		}
		if decision.Reason != want || decision.Allowed != (want == "") {
			t.Errorf("%+v, want reason %q", decision, want)
		}
	}
	old := info
	old.TCBStatus = "OutOfDate"
	image := info
	image.OSImageHash = other
	decide(old, "TCB status is not up to date")
	decide(image, "OS image is not allowed")
	decide(info, "Aggregated MR not allowed")
	if _, err := onchain.RegisterKMSMeasurement(t.Context(), f.as(f.owner), kms, hash); err != nil {
		t.Fatal(err)
	}
	decide(info, "KMS is not allowed to boot on this device")
	if _, err := onchain.RegisterKMSDevice(t.Context(), f.as(f.owner), kms, device); err != nil {
		t.Fatal(err)
	}
	decide(info, "")
}

// Indexers follow the logs of a deployment by their order.
func TestFactoryLogOrder(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	full := []string{"Upgraded", "DeviceAdded", "PolicyChanged", "ComposeHashAdded", "PolicyChanged", "OwnershipTransferred", "Initialized"}
	bare := []string{"Upgraded", "OwnershipTransferred", "Initialized"}
	registered := []string{"AppRegistered", "PolicyChanged", "AppDeployedViaFactory"}
	owner := f.stranger.Address
	for _, tc := range []struct {
		name     string
		calldata []byte
		want     []string
	}{
		{"six arguments", kmsABI.PackDeployAndRegisterApp0(owner, false, true, false, device, hash), full},
		{"five arguments", kmsABI.PackDeployAndRegisterApp(owner, false, true, device, hash), full},
		{"zero device and hash", kmsABI.PackDeployAndRegisterApp(owner, false, false, common.Hash{}, common.Hash{}), bare},
	} {
		t.Run(tc.name, func(t *testing.T) {
			receipt := f.must(t, f.owner, f.kms.KMSContract, tc.calldata)
			want := slices.Concat(tc.want, registered)
			if have := eventNames(receipt.Logs); !slices.Equal(have, want) {
				t.Errorf("logs\nhave %s\nwant %s", strings.Join(have, " "), strings.Join(want, " "))
			}
			last := receipt.Logs[len(receipt.Logs)-1]
			event, err := kmsABI.UnpackAppDeployedViaFactoryEvent(last)
			if err != nil {
				t.Fatal(err)
			}
			if event.Deployer != f.owner.Address {
				t.Errorf("deployer %s, want %s", event.Deployer, f.owner.Address)
			}
			app := event.AppId
			for i, log := range receipt.Logs {
				if fromApp := i < len(tc.want); (log.Address == app) != fromApp {
					t.Errorf("log %d comes from %s", i, log.Address)
				}
			}
			if have, err := onchain.AppOwner(t.Context(), f.Client(), app); err != nil || have != owner {
				t.Errorf("owner %s, %v, want %s at once", have, err, owner)
			}
			six := strings.HasPrefix(tc.name, "six")
			if have := f.slot(t, app, word(3)) == word(1); have != six {
				t.Errorf("requireTcbUpToDate is %v, want %v", have, six)
			}
			if have := f.slot(t, app, entry(common.Hash{}, 0)); have != word(0) {
				t.Error("the zero compose hash is allowed")
			}
			if len(tc.want) == len(full) {
				changed, err := appABI.UnpackPolicyChangedEvent(receipt.Logs[2])
				if err != nil || changed.Actor != f.kms.KMSContract {
					t.Errorf("actor %+v, %v, want the KMS contract", changed, err)
				}
			}
		})
	}
}

func eventNames(logs []*types.Log) []string {
	known := make(map[common.Hash]string)
	for _, parsed := range []abi.ABI{appABI.GetABI(), kmsABI.GetABI()} {
		for name, event := range parsed.Events {
			known[event.ID] = name
		}
	}
	names := make([]string, len(logs))
	for i, log := range logs {
		names[i] = known[log.Topics[0]]
	}
	return names
}
