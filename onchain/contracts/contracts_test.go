package contracts_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/lockstep-cvm/lockstep/onchain/contracts"
)

// The golden values below are those of the contracts deployed in the field:
// clients send these selectors and look for these topics.

const bootInfo = "(address,bytes32,address,bytes32,bytes32,bytes32,bytes32,string,string[])"

var shared = map[string]string{
	"isAppAllowed(" + bootInfo + ")":  "0x1e079198",
	"upgradeToAndCall(address,bytes)": "0x4f1ef286",
	"proxiableUUID()":                 "0x52d1902d",
	"UPGRADE_INTERFACE_VERSION()":     "0xad3cb1cc",
	"owner()":                         "0x8da5cb5b",
	"pendingOwner()":                  "0xe30c3978",
	"transferOwnership(address)":      "0xf2fde38b",
	"acceptOwnership()":               "0x79ba5097",
	"renounceOwnership()":             "0x715018a6",
	"supportsInterface(bytes4)":       "0x01ffc9a7",
}

var appSelectors = map[string]string{
	"initialize(address,bool,bool,bytes32,bytes32)":      "0x187515ca",
	"initialize(address,bool,bool,bool,bytes32,bytes32)": "0x9ed28193",
	"addComposeHash(bytes32)":                            "0xdfc77223",
	"removeComposeHash(bytes32)":                         "0x67b3f22c",
	"addDevice(bytes32)":                                 "0x2a819728",
	"removeDevice(bytes32)":                              "0x1d266200",
	"setAllowAnyDevice(bool)":                            "0x7c4beeb8",
	"setRequireTcbUpToDate(bool)":                        "0x6e4c7422",
	"disableUpgrades()":                                  "0xec669036",
	"allowedComposeHashes(bytes32)":                      "0x2f6622e5",
	"allowedDeviceIds(bytes32)":                          "0xbf8b211b",
	"allowAnyDevice()":                                   "0x3440a16a",
	"requireTcbUpToDate()":                               "0x0aa58c83",
	"version()":                                          "0x54fd4d50",
}

var kmsSelectors = map[string]string{
	"initialize(address,address)":                                  "0x485cc955",
	"setKmsInfo((bytes,bytes,bytes,bytes))":                        "0x7d025352",
	"setKmsQuote(bytes)":                                           "0x18c1ecb2",
	"setKmsEventlog(bytes)":                                        "0x736ede7a",
	"setGatewayAppId(string)":                                      "0x3971db27",
	"setAppImplementation(address)":                                "0x3ceaaa11",
	"addKmsAggregatedMr(bytes32)":                                  "0x3e32d346",
	"removeKmsAggregatedMr(bytes32)":                               "0x2adee48d",
	"addKmsDevice(bytes32)":                                        "0x4d5922a1",
	"removeKmsDevice(bytes32)":                                     "0x9e6f3114",
	"addOsImageHash(bytes32)":                                      "0x06a3ae96",
	"removeOsImageHash(bytes32)":                                   "0x9425bac6",
	"registerApp(address)":                                         "0x17a1d80f",
	"deployAndRegisterApp(address,bool,bool,bool,bytes32,bytes32)": "0x9cb9c31f",
	"deployAndRegisterApp(address,bool,bool,bytes32,bytes32)":      "0x8618169d",
	"isKmsAllowed(" + bootInfo + ")":                               "0xe067ec9d",
	"kmsInfo()":                                                    "0x09177063",
	"gatewayAppId()":                                               "0x95f51931",
	"registeredApps(address)":                                      "0xa6c4cce9",
	"kmsAllowedAggregatedMrs(bytes32)":                             "0xf6fe4f40",
	"kmsAllowedDeviceIds(bytes32)":                                 "0x13eb9770",
	"allowedOsImages(bytes32)":                                     "0x9a4e1d18",
	"appImplementation()":                                          "0x25a992da",
}

func TestSelectors(t *testing.T) {
	for _, tc := range []struct {
		artifact *contracts.Artifact
		own      map[string]string
	}{
		{contracts.DstackApp(), appSelectors},
		{contracts.DstackKms(), kmsSelectors},
	} {
		t.Run(tc.artifact.Name, func(t *testing.T) {
			for _, golden := range []map[string]string{shared, tc.own} {
				for signature, want := range golden {
					if have := tc.artifact.Selectors[signature]; have.String() != want {
						t.Errorf("%s has selector %s, want %s", signature, have, want)
					}
				}
			}
			// Nothing undeclared: an extra function is an extra way in.
			if have, want := len(tc.artifact.Selectors), len(shared)+len(tc.own); have != want {
				t.Errorf("%d functions, want %d", have, want)
			}
		})
	}
	multicall := contracts.Multicall3().Selectors
	if have := multicall["aggregate3((address,bool,bytes)[])"].String(); have != "0x82ad56cb" {
		t.Errorf("aggregate3 has selector %s, want 0x82ad56cb", have)
	}
}

var commonTopics = map[string]string{
	"PolicyChanged":            "0x341d3bc64e32172fc5bcf27b0f7f69dc5adc19af64b7aa1dee361e5883c32375",
	"OwnershipTransferStarted": "0x38d16b8cac22d99fc7c124b9cd0de2d3fa1faef420bfe791d8c362d765e22700",
	"OwnershipTransferred":     "0x8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0",
	"Upgraded":                 "0xbc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b",
	"Initialized":              "0xc7f505b2f371ae2175ee4913f4499e1f2633a7b5936321eed1cdaeb6115181d2",
}

var appTopics = map[string]string{
	"ComposeHashAdded":      "0xfecb34306dd9d8b785b54d65489d06afc8822a0893ddacedff40c50a4942d0af",
	"ComposeHashRemoved":    "0x755b79bd4b0eeab344d032284a99003b2ddc018b646752ac72d681593a6e8947",
	"DeviceAdded":           "0x67fc71ab96fe3fa3c6f78e9a00e635d591b7333ce611c0380bc577aac702243b",
	"DeviceRemoved":         "0xe0862975ac517b0478d308012afabc4bc37c23874a18144d7f2dfb852ff95c2c",
	"AllowAnyDeviceSet":     "0xbb2cdb6c7b362202d40373f87bc4788301cca658f91711ac1662e1ad2cba4a20",
	"RequireTcbUpToDateSet": "0xafae60561b2481a349b45b3a47357f70eef6ae67e5b6e1749d74de7f19a25aa1",
	"UpgradesDisabled":      "0x0e5daa943fcd7e7182d0e893d180695c2ea9f6f1b4a1c5432faf14cf17b774e8",
}

var kmsTopics = map[string]string{
	"AppRegistered":          "0x0d540ad8f39e07d19909687352b9fa017405d93c91a6760981fbae9cf28bfef7",
	"AppDeployedViaFactory":  "0xfd86d7f6962eba3b7a3bf9129c06c0b2f885e1c61ef2c9f0dbb856be0deefdee",
	"AppImplementationSet":   "0x08bb433f12b5fd81d2d5e0deeb3b4d28371781ddbd80e9d053e7468d2b1aa82d",
	"GatewayAppIdSet":        "0x5b2b64f770ea5266055ebd3ebf205ef06cbfa738e62684edf0e28356e34acf06",
	"KmsInfoSet":             "0x77cdad119a452bbd96c45635758fc4af8a6bde3deaccf3fada634ddf9a162706",
	"KmsAggregatedMrAdded":   "0x68615a0b92795750b3d180ff73429e1291d225e449eee954a567b91104fd9837",
	"KmsAggregatedMrRemoved": "0x54cd662e41eec7ddf0f32f034b2533e481b471dd3ea978222d609ec8fffb1bb0",
	"KmsDeviceAdded":         "0xf2b290637b1193e12eb38ab32b986303639b1687cc2cd1e25f993e6eae2f4041",
	"KmsDeviceRemoved":       "0x1a9888a45e3df8b7e6bb3090747d598d2a0d78e61388161a90799f54df8f4434",
	"OsImageHashAdded":       "0x4911843506849c85a5ca6e6e2c01eed2d3ab86baba619517a2aad9d5ab2aeff2",
	"OsImageHashRemoved":     "0x99b3cee95daf3138d0c982299cd0264f5b7a61aa629b42b92f3ec8966aa7f6fe",
}

func TestTopics(t *testing.T) {
	for _, tc := range []struct {
		artifact *contracts.Artifact
		own      map[string]string
	}{
		{contracts.DstackApp(), appTopics},
		{contracts.DstackKms(), kmsTopics},
	} {
		t.Run(tc.artifact.Name, func(t *testing.T) {
			parsed, err := tc.artifact.ParseABI()
			if err != nil {
				t.Fatal(err)
			}
			for _, golden := range []map[string]string{commonTopics, tc.own} {
				for name, want := range golden {
					if have := parsed.Events[name].ID.Hex(); have != want {
						t.Errorf("%s has topic %s, want %s", name, have, want)
					}
				}
			}
			if have, want := len(parsed.Events), len(commonTopics)+len(tc.own); have != want {
				t.Errorf("%d events, want %d", have, want)
			}
		})
	}
}

// The first topic does not depend on what is indexed, but readers do.
func TestIndexedArguments(t *testing.T) {
	indexed := map[string]int{
		"PolicyChanged": 3, "AppDeployedViaFactory": 2, "Upgraded": 1,
		"OwnershipTransferred": 2, "OwnershipTransferStarted": 2,
	}
	for _, artifact := range []*contracts.Artifact{contracts.DstackApp(), contracts.DstackKms()} {
		parsed, err := artifact.ParseABI()
		if err != nil {
			t.Fatal(err)
		}
		for name, event := range parsed.Events {
			have := len(event.Inputs) - len(event.Inputs.NonIndexed())
			if have != indexed[name] {
				t.Errorf("%s.%s has %d indexed arguments, want %d", artifact.Name, name, have, indexed[name])
			}
		}
	}
}

func TestErrors(t *testing.T) {
	golden := map[string]string{
		"OwnableUnauthorizedAccount":   "0x118cdaa7",
		"OwnableInvalidOwner":          "0x1e4fbdf7",
		"InvalidInitialization":        "0xf92ee8a9",
		"NotInitializing":              "0xd7e6bcf8",
		"UUPSUnauthorizedCallContext":  "0xe07c8dba",
		"UUPSUnsupportedProxiableUUID": "0xaa1d49a4",
		"AddressEmptyCode":             "0x9996b315",
		"ERC1967InvalidImplementation": "0x4c9c8ce3",
		"ERC1967NonPayable":            "0xb398979f",
		"FailedCall":                   "0xd6bda275",
	}
	for _, artifact := range []*contracts.Artifact{contracts.DstackApp(), contracts.DstackKms()} {
		parsed, err := artifact.ParseABI()
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range golden {
			id := parsed.Errors[name].ID
			if have := fmt.Sprintf("0x%x", id[:4]); have != want {
				t.Errorf("%s: error %s has selector %s, want %s", artifact.Name, name, have, want)
			}
		}
		if len(parsed.Errors) != len(golden) {
			t.Errorf("%s has %d errors, want %d", artifact.Name, len(parsed.Errors), len(golden))
		}
	}
}

func TestInterfaceIDs(t *testing.T) {
	for _, tc := range []struct {
		artifact *contracts.Artifact
		want     string
	}{
		{contracts.IAppAuth(), "0x1e079198"},
		{contracts.IAppAuthBasicManagement(), "0x8fd37527"},
	} {
		var id [4]byte
		for _, selector := range tc.artifact.Selectors {
			for i := range id {
				id[i] ^= selector[i]
			}
		}
		if have := fmt.Sprintf("0x%x", id); have != tc.want {
			t.Errorf("%s has id %s, want %s", tc.artifact.Name, have, tc.want)
		}
	}
}

// Policy ids are constants of the bytecode; the tests of package onchain see
// them in logs. Here it is their preimages that are held fast.
func TestPolicyIDs(t *testing.T) {
	app, kms := contracts.DstackApp(), contracts.DstackKms()
	for _, tc := range []struct {
		name, id string
		in       []*contracts.Artifact
	}{
		{"compose-hash", "0x56bdf4352a9ceb1ba8f5c68066725c095e69c1d3f8a437290f0ac1da8fb4e19c", []*contracts.Artifact{app}},
		{"device", "0x8e7eff7e4a57bd436b18f220111863326b17773a8b4460f9fabd87a334233046", []*contracts.Artifact{app}},
		{"allow-any-device", "0x560720bbc77afadfad8faeab0a79cf66b13e5433c09dd9182d5d36413084a84e", []*contracts.Artifact{app}},
		{"require-tcb-up-to-date", "0xeb206ee4e1c06549322091bfcf2a5ff8658edc40901aa7f3af6f571a159471fb", []*contracts.Artifact{app}},
		{"upgrades-disabled", "0xf6943036509aad7f2319e01f7ed528873bcbdaaf6d25921b03e395124e6a46d3", []*contracts.Artifact{app}},
		{"implementation-upgrade", "0xdd3079240d4e002c905dcbcaf6b06d77e782afb127bbb837120b8c7fc6703da3", []*contracts.Artifact{app, kms}},
		{"registered-app", "0x1a61f88f2e67632c1bf4321c88aec40bbf788e2b1a14b69f1186e6a3a31d9028", []*contracts.Artifact{kms}},
		{"os-image", "0xbc0346dd2a1caffcfdf89515e8a3ad921515d32b39d8e28334b87bd5a1bdb6aa", []*contracts.Artifact{kms}},
	} {
		id := crypto.Keccak256Hash([]byte(tc.name))
		if id != common.HexToHash(tc.id) {
			t.Errorf("policy %q has id %s, want %s", tc.name, id, tc.id)
		}
		for _, artifact := range tc.in {
			if !strings.Contains(artifact.DeployedBytecode.String(), tc.id[2:]) {
				t.Errorf("%s does not know policy %q", artifact.Name, tc.name)
			}
		}
	}
}

func TestStorageLayout(t *testing.T) {
	for _, tc := range []struct {
		artifact *contracts.Artifact
		want     []contracts.StorageSlot
	}{
		{contracts.DstackApp(), []contracts.StorageSlot{
			{"allowedComposeHashes", 0, 0, "mapping(bytes32 => bool)"},
			{"_upgradesDisabled", 1, 0, "bool"},
			{"allowAnyDevice", 1, 1, "bool"},
			{"allowedDeviceIds", 2, 0, "mapping(bytes32 => bool)"},
			{"requireTcbUpToDate", 3, 0, "bool"},
			{"__gap", 4, 0, "uint256[49]"},
		}},
		{contracts.DstackKms(), []contracts.StorageSlot{
			{"kmsInfo", 0, 0, "struct DstackKms.KmsInfo"},
			{"gatewayAppId", 4, 0, "string"},
			{"registeredApps", 5, 0, "mapping(address => bool)"},
			{"kmsAllowedAggregatedMrs", 6, 0, "mapping(bytes32 => bool)"},
			{"kmsAllowedDeviceIds", 7, 0, "mapping(bytes32 => bool)"},
			{"allowedOsImages", 8, 0, "mapping(bytes32 => bool)"},
			{"appImplementation", 9, 0, "address"},
			{"__gap", 10, 0, "uint256[50]"},
		}},
	} {
		if have, want := fmt.Sprint(tc.artifact.StorageLayout), fmt.Sprint(tc.want); have != want {
			t.Errorf("%s:\nhave %s\nwant %s", tc.artifact.Name, have, want)
		}
	}
}

func TestEveryArtifactLoads(t *testing.T) {
	for _, tc := range []struct {
		artifact *contracts.Artifact
		abstract bool
	}{
		{contracts.DstackApp(), false},
		{contracts.DstackKms(), false},
		{contracts.ERC1967Proxy(), false},
		{contracts.Multicall3(), false},
		{contracts.IAppAuth(), true},
		{contracts.IAppAuthBasicManagement(), true},
	} {
		if _, err := tc.artifact.ParseABI(); err != nil {
			t.Error(err)
		}
		if have := len(tc.artifact.Bytecode) == 0; have != tc.abstract {
			t.Errorf("%s without bytecode: %v, want %v", tc.artifact.Name, have, tc.abstract)
		}
		// EIP-170: a larger contract cannot be deployed.
		if n := len(tc.artifact.DeployedBytecode); n > 24576 {
			t.Errorf("%s has %d bytes of code, at most 24576 can be deployed", tc.artifact.Name, n)
		}
	}
	if _, err := contracts.Load("Nothing"); err == nil {
		t.Error("an unknown contract was loaded")
	}
}

func TestSourcesAreEmbedded(t *testing.T) {
	text, err := fs.ReadFile(contracts.Sources(), "DstackApp.sol")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "contract DstackApp is") {
		t.Error("DstackApp.sol does not define DstackApp")
	}
}
