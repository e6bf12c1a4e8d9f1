package onchain_test

import (
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/multicall3"
)

// Clients call this contract as if it were the one of the public chains.
func TestMulticall3(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	c := multicall3.NewMulticall3()
	good := multicall3.Multicall3Call{Target: app, CallData: appABI.PackOwner()}
	bad := multicall3.Multicall3Call{Target: app, CallData: []byte{1, 2, 3, 4}}
	call := func(calldata []byte, value int64) ([]byte, string) {
		t.Helper()
		out, err := f.Client().CallContract(t.Context(), ethereum.CallMsg{
			From: f.owner.Address, To: &onchain.Multicall3Address, Data: calldata, Value: big.NewInt(value),
		}, nil)
		if err != nil {
			reason, ok := onchain.RevertReason(err)
			if !ok {
				t.Fatal(err)
			}
			return nil, reason
		}
		return out, ""
	}
	isOwner := func(data []byte) bool {
		owner, err := appABI.UnpackOwner(data)
		return err == nil && owner == f.owner.Address
	}

	out, reason := call(c.PackAggregate([]multicall3.Multicall3Call{good, good}), 0)
	if all, err := c.UnpackAggregate(out); err != nil || reason != "" || len(all.ReturnData) != 2 || !isOwner(all.ReturnData[1]) ||
		all.BlockNumber.Uint64() != f.head(t).Number.Uint64() {
		t.Errorf("aggregate: %+v, %v, %s", all, err, reason)
	}
	const failed = "Multicall3: call failed"
	for name, calldata := range map[string][]byte{
		"aggregate":         c.PackAggregate([]multicall3.Multicall3Call{good, bad}),
		"tryAggregate":      c.PackTryAggregate(true, []multicall3.Multicall3Call{good, bad}),
		"blockAndAggregate": c.PackBlockAndAggregate([]multicall3.Multicall3Call{bad}),
		"aggregate3":        c.PackAggregate3([]multicall3.Multicall3Call3{{Target: bad.Target, CallData: bad.CallData}}),
		"aggregate3Value":   c.PackAggregate3Value([]multicall3.Multicall3Call3Value{{Target: bad.Target, Value: new(big.Int), CallData: bad.CallData}}),
	} {
		if _, reason := call(calldata, 0); reason != failed {
			t.Errorf("%s of a failing call: reason %q, want %q", name, reason, failed)
		}
	}

	check := func(name string, results []multicall3.Multicall3Result, err error) {
		t.Helper()
		if err != nil || len(results) != 2 || !results[0].Success || !isOwner(results[0].ReturnData) || results[1].Success {
			t.Errorf("%s: %+v, %v", name, results, err)
		}
	}
	out, _ = call(c.PackTryAggregate(false, []multicall3.Multicall3Call{good, bad}), 0)
	results, err := c.UnpackTryAggregate(out)
	check("tryAggregate", results, err)
	out, _ = call(c.PackTryBlockAndAggregate(false, []multicall3.Multicall3Call{good, bad}), 0)
	block, err := c.UnpackTryBlockAndAggregate(out)
	check("tryBlockAndAggregate", block.ReturnData, err)
	out, _ = call(c.PackAggregate3([]multicall3.Multicall3Call3{
		{Target: good.Target, CallData: good.CallData}, {Target: bad.Target, AllowFailure: true, CallData: bad.CallData},
	}), 0)
	results, err = c.UnpackAggregate3(out)
	check("aggregate3", results, err)

	pay := c.PackAggregate3Value([]multicall3.Multicall3Call3Value{{Target: common.HexToAddress("0xaa"), Value: big.NewInt(5)}})
	if _, reason := call(pay, 5); reason != "" {
		t.Errorf("aggregate3Value: %s", reason)
	}
	if _, reason := call(pay, 6); reason != "Multicall3: value mismatch" {
		t.Errorf("aggregate3Value with other value: reason %q", reason)
	}

	head := f.head(t)
	for name, tc := range map[string]struct {
		calldata []byte
		want     *big.Int
	}{
		"getBlockNumber":           {c.PackGetBlockNumber(), head.Number},
		"getChainId":               {c.PackGetChainId(), f.ChainID()},
		"getCurrentBlockTimestamp": {c.PackGetCurrentBlockTimestamp(), new(big.Int).SetUint64(head.Time)},
		"getCurrentBlockGasLimit":  {c.PackGetCurrentBlockGasLimit(), new(big.Int).SetUint64(head.GasLimit)},
		"getCurrentBlockCoinbase":  {c.PackGetCurrentBlockCoinbase(), new(big.Int)},
		"getLastBlockHash":         {c.PackGetLastBlockHash(), head.ParentHash.Big()},
		"getBlockHash":             {c.PackGetBlockHash(new(big.Int).Sub(head.Number, big.NewInt(1))), head.ParentHash.Big()},
		"getEthBalance":            {c.PackGetEthBalance(onchain.Multicall3Address), new(big.Int)},
	} {
		if out, reason := call(tc.calldata, 0); reason != "" || new(big.Int).SetBytes(out).Cmp(tc.want) != 0 {
			t.Errorf("%s: %x, %s, want %s", name, out, reason, tc.want)
		}
	}
}
