package onchain

import (
	"context"
	"math/big"
	"sync"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/multicall3"
)

// Multicall3Address is where Multicall3 lives on nearly every public chain, and
// on the development chain.
var Multicall3Address = common.HexToAddress("0xcA11bde05977b3631167028862bE2a173976CA11")

var multicallContract = sync.OnceValue(multicall3.NewMulticall3)

// answer is one contract's answer within a batch.
type answer struct {
	ok   bool // the call did not revert
	data []byte
}

// callAll asks one contract several things at one block: in a single request
// through Multicall3, or one by one where the chain has none.
func callAll(ctx context.Context, caller Caller, to common.Address, calls [][]byte, block *big.Int) ([]answer, error) {
	batch := make([]multicall3.Multicall3Call3, len(calls))
	for i, calldata := range calls {
		batch[i] = multicall3.Multicall3Call3{Target: to, AllowFailure: true, CallData: calldata}
	}
	c := multicallContract()
	out, err := caller.CallContract(ctx, ethereum.CallMsg{To: &Multicall3Address, Data: c.PackAggregate3(batch)}, block)
	if err != nil {
		return nil, classify("call aggregate3", Multicall3Address, err)
	}
	if len(out) == 0 {
		return callEach(ctx, caller, to, calls, block)
	}
	results, err := c.UnpackAggregate3(out)
	if err != nil || len(results) != len(calls) {
		return nil, &NotAContractError{Address: Multicall3Address, Call: "aggregate3"}
	}
	answers := make([]answer, len(results))
	for i, result := range results {
		answers[i] = answer{ok: result.Success, data: result.ReturnData}
	}
	return answers, nil
}

func callEach(ctx context.Context, caller Caller, to common.Address, calls [][]byte, block *big.Int) ([]answer, error) {
	answers := make([]answer, len(calls))
	for i, calldata := range calls {
		out, err := caller.CallContract(ctx, ethereum.CallMsg{To: &to, Data: calldata}, block)
		if err != nil {
			if _, reverted := RevertReason(err); reverted {
				continue
			}
			return nil, classify("call "+to.Hex(), to, err)
		}
		answers[i] = answer{ok: true, data: out}
	}
	return answers, nil
}
