// Package contracts holds the Solidity sources of the app and KMS contracts
// together with what they compile to, so that Go code can deploy and read them
// without a Solidity toolchain.
//
// The files under artifacts are generated from those under src by build.mjs;
// artifacts/manifest.json records the digests of both sides, and a test fails
// when one changes without the other.
package contracts

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"sync"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

//go:embed artifacts/*.json
var artifactFiles embed.FS

//go:embed src/*.sol
var sourceFiles embed.FS

// Artifact is one compiled contract.
type Artifact struct {
	// Name is the contract's name in its source.
	Name string `json:"contractName"`
	// Source is the path of the source unit: below src, or an import path.
	Source string `json:"sourceName"`
	// ABI is the contract's ABI as the compiler gave it, in JSON.
	ABI json.RawMessage `json:"abi"`
	// Bytecode creates the contract; constructor arguments are appended to it.
	// Empty for an interface.
	Bytecode hexutil.Bytes `json:"bytecode"`
	// DeployedBytecode is what lies on chain afterwards, immutables still zero.
	DeployedBytecode hexutil.Bytes `json:"deployedBytecode"`
	// Selectors maps function signatures to their four bytes.
	Selectors map[string]hexutil.Bytes `json:"selectors"`
	// StorageLayout lists the contract's own variables. OpenZeppelin's lie in
	// ERC-7201 namespaces and are not part of it.
	StorageLayout []StorageSlot `json:"storageLayout"`
}

// StorageSlot tells where a state variable lies.
type StorageSlot struct {
	Label  string `json:"label"`
	Slot   uint64 `json:"slot"`
	Offset uint64 `json:"offset"` // bytes from the right within the slot
	Type   string `json:"type"`   // Solidity's name of the type
}

// ParseABI decodes the artifact's ABI. It costs about a millisecond, which is
// why nothing here does it at start-up.
func (a *Artifact) ParseABI() (abi.ABI, error) {
	parsed, err := abi.JSON(bytes.NewReader(a.ABI))
	if err != nil {
		return abi.ABI{}, fmt.Errorf("contracts: ABI of %s: %w", a.Name, err)
	}
	return parsed, nil
}

// DstackApp is the authority of one app; its proxy's address is the app id.
var DstackApp = lazily("DstackApp")

// DstackKms is the authority of a KMS and the factory of apps.
var DstackKms = lazily("DstackKms")

// ERC1967Proxy stands before both; its constructor takes the implementation
// and the initializer's call data.
var ERC1967Proxy = lazily("ERC1967Proxy")

// IAppAuth is what a KMS asks of any app contract.
var IAppAuth = lazily("IAppAuth")

// IAppAuthBasicManagement is how tools manage an app's allow lists.
var IAppAuthBasicManagement = lazily("IAppAuthBasicManagement")

// Multicall3 aggregates calls; compatible with the contract found at
// 0xcA11bde05977b3631167028862bE2a173976CA11 on public chains.
var Multicall3 = lazily("Multicall3")

// Load reads the artifact of the contract with that name.
func Load(name string) (*Artifact, error) {
	text, err := artifactFiles.ReadFile("artifacts/" + name + ".json")
	if err != nil {
		return nil, fmt.Errorf("contracts: no contract named %q", name)
	}
	var a Artifact
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("contracts: artifact of %s: %w", name, err)
	}
	return &a, nil
}

// Sources returns our Solidity files, for block explorers that verify source
// code. Imports come from OpenZeppelin 5.4.0.
func Sources() fs.FS {
	sub, err := fs.Sub(sourceFiles, "src")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	return sub
}

// lazily postpones decoding to the first use: most commands never touch a
// contract and must not pay for it. A missing artifact is a broken build, not
// bad input, hence the panic; a test loads every one.
func lazily(name string) func() *Artifact {
	return sync.OnceValue(func() *Artifact {
		a, err := Load(name)
		if err != nil {
			panic(err)
		}
		return a
	})
}
