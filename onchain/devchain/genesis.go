package devchain

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

	"github.com/lockstep-cvm/lockstep/onchain/contracts"
)

// Multicall3Address is where clients look for aggregate3 on any chain.
var Multicall3Address = common.HexToAddress("0xcA11bde05977b3631167028862bE2a173976CA11")

const genesisFile = "genesis.json"

// loadGenesis returns the genesis that the directory was created with, so that
// a chain outlives changes of what new chains start with.
func loadGenesis(dir string, chainID uint64) (*core.Genesis, error) {
	if dir == "" {
		return newGenesis(chainID), nil
	}
	path := filepath.Join(dir, genesisFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		genesis := newGenesis(chainID)
		return genesis, writeGenesis(path, genesis)
	}
	if err != nil {
		return nil, fmt.Errorf("devchain: %w", err)
	}
	var genesis core.Genesis
	if err := json.Unmarshal(text, &genesis); err != nil {
		return nil, fmt.Errorf("devchain: %s: %w", path, err)
	}
	if genesis.Config == nil || genesis.Config.ChainID == nil {
		return nil, fmt.Errorf("devchain: %s has no chain id", path)
	}
	if have := genesis.Config.ChainID; !have.IsUint64() || have.Uint64() != chainID {
		return nil, fmt.Errorf("devchain: the chain in %s has id %s, not %d; name its id or another directory", dir, have, chainID)
	}
	return &genesis, nil
}

// writeGenesis replaces the file in one step: a crash leaves all of it or
// nothing, and the database is made only after it.
func writeGenesis(path string, genesis *core.Genesis) error {
	text, err := json.Marshal(genesis)
	if err != nil {
		return fmt.Errorf("devchain: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("devchain: %w", err)
	}
	partial := path + ".partial"
	if err := os.WriteFile(partial, text, 0o600); err != nil {
		return fmt.Errorf("devchain: %w", err)
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("devchain: %w", err)
	}
	return nil
}

// newGenesis has the forks of the public chains up to Osaka, the contracts those
// forks call, the funded accounts and Multicall3. Bogota, which go-ethereum's
// own development chains activate as well, charges other gas than any chain
// that our contracts live on.
func newGenesis(chainID uint64) *core.Genesis {
	config := *params.AllDevChainProtocolChanges
	config.ChainID = new(big.Int).SetUint64(chainID)
	config.BogotaTime = nil
	alloc := core.SystemContractAllocs()
	for _, account := range DevAccounts() {
		alloc[account.Address] = types.Account{Balance: accountBalance()}
	}
	alloc[Multicall3Address] = types.Account{
		Balance: new(big.Int),
		Nonce:   1,
		Code:    contracts.Multicall3().DeployedBytecode,
	}
	return &core.Genesis{
		Config:     &config,
		GasLimit:   30_000_000,
		BaseFee:    big.NewInt(params.InitialBaseFee),
		Difficulty: new(big.Int),
		Alloc:      alloc,
	}
}
