package devchain_test

import (
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/lockstep-cvm/lockstep/onchain/contracts"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// The methods that the official clients call, over HTTP.
func TestJSONRPC(t *testing.T) {
	chain := start(t, devchain.Config{})
	tx := mustPay(t, chain, payee, 1)
	client, err := rpc.DialContext(t.Context(), chain.RPCURL())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	from := chain.Accounts()[0].Address
	for _, tc := range []struct {
		method string
		args   []any
		want   string // a part of the answer
	}{
		{"eth_chainId", nil, `"0x539"`},
		{"net_version", nil, `"1337"`},
		{"web3_clientVersion", nil, `devchain`},
		{"eth_blockNumber", nil, `"0x2"`},
		{"eth_getBalance", []any{payee, "latest"}, `"0x1"`},
		{"eth_getBalance", []any{payee, "safe"}, `"0x1"`},
		{"eth_getBalance", []any{payee, "finalized"}, `"0x0"`},
		{"eth_getBlockByNumber", []any{"safe", false}, `"number":"0x2"`},
		{"eth_getBlockByNumber", []any{"finalized", false}, `"number":"0x0"`},
		{"eth_maxPriorityFeePerGas", nil, `"0x`},
		{"eth_gasPrice", nil, `"0x`},
		{"eth_feeHistory", []any{"0x1", "latest", []int{50}}, `baseFeePerGas`},
		{"eth_getLogs", []any{map[string]any{"fromBlock": "0x0", "toBlock": "latest"}}, `[]`},
		{"eth_fillTransaction", []any{map[string]any{"from": from, "to": payee, "value": "0x1"}}, `"raw":"0x`},
		{"eth_getTransactionReceipt", []any{tx}, `"status":"0x1"`},
		{"eth_getTransactionReceipt", []any{common.Hash{1}}, `null`},
		{"eth_getTransactionByHash", []any{common.Hash{1}}, `null`},
		{"txpool_status", nil, `"pending":"0x0"`},
		{"debug_traceTransaction", []any{tx}, `"failed":false`},
	} {
		var answer json.RawMessage
		if err := client.CallContext(t.Context(), &answer, tc.method, tc.args...); err != nil {
			t.Errorf("%s: %v", tc.method, err)
		} else if !strings.Contains(string(answer), tc.want) {
			t.Errorf("%s answers %s, want %s in it", tc.method, answer, tc.want)
		}
	}
	for _, method := range []string{"admin_nodeInfo", "miner_setGasPrice", "personal_listAccounts", "engine_forkchoiceUpdatedV3"} {
		if err := client.CallContext(t.Context(), nil, method); err == nil {
			t.Errorf("%s is open to everybody", method)
		}
	}
	if err := client.CallContext(t.Context(), nil, "eth_sendRawTransaction", "0x00"); err == nil {
		t.Error("a malformed transaction was accepted")
	}
}

func TestBrowsersMayCall(t *testing.T) {
	chain := start(t, devchain.Config{})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, chain.RPCURL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "http://localhost:3000")
	request.Header.Set("Access-Control-Request-Method", "POST")
	request.Header.Set("Access-Control-Request-Headers", "content-type")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if have := response.Header.Get("Access-Control-Allow-Origin"); have != "*" {
		t.Errorf("Access-Control-Allow-Origin is %q, want *", have)
	}
}

func TestFinalizedFollows(t *testing.T) {
	chain := start(t, devchain.Config{})
	chain.Mine(70) // on top of the first block
	for tag, want := range map[rpc.BlockNumber]int64{rpc.SafeBlockNumber: 71, rpc.FinalizedBlockNumber: 64} {
		header, err := chain.Client().HeaderByNumber(t.Context(), big.NewInt(int64(tag)))
		if err != nil {
			t.Fatal(err)
		}
		if header.Number.Int64() != want {
			t.Errorf("%s is block %s, want %d", tag, header.Number, want)
		}
	}
}

func TestMulticallIsThere(t *testing.T) {
	chain := start(t, devchain.Config{})
	parsed, err := contracts.Multicall3().ParseABI()
	if err != nil {
		t.Fatal(err)
	}
	calldata, err := parsed.Pack("getChainId")
	if err != nil {
		t.Fatal(err)
	}
	out, err := chain.Client().CallContract(t.Context(), ethereum.CallMsg{To: &devchain.Multicall3Address, Data: calldata}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if have := new(big.Int).SetBytes(out); have.Int64() != devchain.DefaultChainID {
		t.Errorf("chain id %s, want %d", have, devchain.DefaultChainID)
	}
}

// The accounts are part of what people write into their scripts.
func TestAccounts(t *testing.T) {
	chain := start(t, devchain.Config{})
	accounts := chain.Accounts()
	if len(accounts) != 10 {
		t.Fatalf("%d accounts, want 10", len(accounts))
	}
	if have, want := accounts[0].Address, common.HexToAddress("0x5042D6224f10f29b8f3B2300F113c895F6F2dEa0"); have != want {
		t.Errorf("account 0 is %s, want %s", have, want)
	}
	if key := accounts[0].KeyHex(); len(key) != 66 || len(hexutil.MustDecode(key)) != 32 {
		t.Errorf("key %q is not 32 bytes in hex", key)
	}
	seen := map[common.Address]bool{}
	for i, account := range accounts {
		if seen[account.Address] {
			t.Errorf("account %d appears twice", i)
		}
		seen[account.Address] = true
		wei, err := chain.Client().BalanceAt(t.Context(), account.Address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if wei.String() != "10000"+strings.Repeat("0", 18) {
			t.Errorf("account %d has %s wei, want 10,000 ETH", i, wei)
		}
	}
}

func TestListeningOnAllAddresses(t *testing.T) {
	chain := start(t, devchain.Config{ListenAddr: "0.0.0.0:0"})
	if !strings.HasPrefix(chain.RPCURL(), "http://127.0.0.1:") {
		t.Errorf("%s is no address to connect to", chain.RPCURL())
	}
	client, err := ethclient.DialContext(t.Context(), chain.RPCURL())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.ChainID(t.Context()); err != nil {
		t.Fatal(err)
	}
}
