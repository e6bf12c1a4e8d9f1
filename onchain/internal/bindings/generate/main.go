// Command generate writes the contract bindings into the directory it is
// started in. It calls abigen as a library, so that its test can compare the
// files in the tree with what the generator makes of the current artifacts.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/accounts/abi/abigen"

	"github.com/lockstep-cvm/lockstep/onchain/contracts"
)

// targets maps the package of each binding to its contract. One package each,
// because abigen names result types after functions only, and the app and the
// KMS contract share function names.
var targets = map[string]func() *contracts.Artifact{
	"dstackapp":  contracts.DstackApp,
	"dstackkms":  contracts.DstackKms,
	"multicall3": contracts.Multicall3,
	"proxy":      contracts.ERC1967Proxy,
}

func main() {
	for pkg, artifact := range targets {
		if err := write(pkg, artifact()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func write(pkg string, artifact *contracts.Artifact) error {
	code, err := render(pkg, artifact)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(pkg, 0o755); err != nil {
		return err
	}
	return os.WriteFile(fileOf(pkg), []byte(code), 0o644)
}

func fileOf(pkg string) string { return filepath.Join(pkg, pkg+".go") }

func render(pkg string, artifact *contracts.Artifact) (string, error) {
	return abigen.BindV2([]string{artifact.Name}, []string{string(artifact.ABI)}, []string{""}, pkg, nil, nil)
}
