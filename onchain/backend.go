package onchain

import (
	"context"
	"math/big"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// Backend is a node of a chain. *ethclient.Client and the client of package
// ethclient/simulated have all of it.
type Backend interface {
	bind.ContractBackend
	ChainID(ctx context.Context) (*big.Int, error)
	BalanceAt(ctx context.Context, account common.Address, blockNumber *big.Int) (*big.Int, error)
	TransactionReceipt(ctx context.Context, txHash common.Hash) (*types.Receipt, error)
}

// Caller is what the functions that only read contracts need.
type Caller = bind.ContractCaller

// call asks a contract and makes sure that one answered. A nil block is the
// latest. The name is the function's, for errors.
func call(ctx context.Context, caller Caller, to common.Address, name string, calldata []byte, block *big.Int) ([]byte, error) {
	out, err := caller.CallContract(ctx, ethereum.CallMsg{To: &to, Data: calldata}, block)
	if err != nil {
		return nil, classify("call "+name+" of "+to.Hex(), to, err)
	}
	// An address without code answers every call with nothing.
	if len(out) == 0 {
		return nil, &NotAContractError{Address: to, Call: name}
	}
	return out, nil
}

// read asks a contract and decodes the answer.
func read[T any](ctx context.Context, caller Caller, to common.Address, name string, calldata []byte, block *big.Int, unpack func([]byte) (T, error)) (T, error) {
	var zero T
	out, err := call(ctx, caller, to, name, calldata, block)
	if err != nil {
		return zero, err
	}
	value, err := unpack(out)
	if err != nil {
		return zero, &NotAContractError{Address: to, Call: name}
	}
	return value, nil
}
