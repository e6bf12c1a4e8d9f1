package devchain_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// childDir, when set, makes the test binary run a chain there until it is
// killed: a crash cannot be played within the process.
const childDir = "LOCKSTEP_TEST_DEVCHAIN_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := runChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func start(t testing.TB, cfg devchain.Config) *devchain.Chain {
	t.Helper()
	chain, err := devchain.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
	})
	return chain
}

// pay sends wei from account 0 and returns the transaction's hash.
func pay(ctx context.Context, chain *devchain.Chain, to common.Address, wei int64) (common.Hash, error) {
	from := chain.Accounts()[0]
	nonce, err := chain.Client().PendingNonceAt(ctx, from.Address)
	if err != nil {
		return common.Hash{}, err
	}
	tx, err := types.SignNewTx(from.Key, types.LatestSignerForChainID(chain.ChainID()), &types.DynamicFeeTx{
		ChainID: chain.ChainID(), Nonce: nonce, To: &to, Value: big.NewInt(wei), Gas: 21_000,
		GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(1e11),
	})
	if err != nil {
		return common.Hash{}, err
	}
	return tx.Hash(), chain.Client().SendTransaction(ctx, tx)
}

func mustPay(t *testing.T, chain *devchain.Chain, to common.Address, wei int64) common.Hash {
	t.Helper()
	hash, err := pay(t.Context(), chain, to, wei)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func balance(t *testing.T, chain *devchain.Chain, of common.Address) int64 {
	t.Helper()
	wei, err := chain.Client().BalanceAt(t.Context(), of, nil)
	if err != nil {
		t.Fatal(err)
	}
	return wei.Int64()
}

func height(t *testing.T, chain *devchain.Chain) uint64 {
	t.Helper()
	number, err := chain.Client().BlockNumber(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return number
}

var payee = common.HexToAddress("0x00000000000000000000000000000000000000aa")

func TestTransactionIsMinedBeforeItsHashIsReturned(t *testing.T) {
	chain := start(t, devchain.Config{})
	for i := range 5 {
		hash := mustPay(t, chain, payee, 1)
		receipt, err := chain.Client().TransactionReceipt(t.Context(), hash)
		if err != nil {
			t.Fatalf("transaction %d: %v", i, err)
		}
		if receipt.Status != types.ReceiptStatusSuccessful || receipt.BlockNumber.Int64() != int64(i+2) {
			t.Errorf("transaction %d has status %d in block %s", i, receipt.Status, receipt.BlockNumber)
		}
	}
	if have := balance(t, chain, payee); have != 5 {
		t.Errorf("balance %d, want 5", have)
	}
}

func TestManualHoldsTransactionsBack(t *testing.T) {
	chain := start(t, devchain.Config{Manual: true})
	hash := mustPay(t, chain, payee, 7)
	if _, err := chain.Client().TransactionReceipt(t.Context(), hash); !errors.Is(err, ethereum.NotFound) {
		t.Fatalf("receipt before Mine: %v", err)
	}
	chain.Mine(1)
	if _, err := chain.Client().TransactionReceipt(t.Context(), hash); err != nil {
		t.Fatalf("receipt after Mine: %v", err)
	}
}

func TestPeriodMakesBlocksByItself(t *testing.T) {
	chain := start(t, devchain.Config{Period: 1})
	heads := make(chan *types.Header)
	sub, err := chain.Client().SubscribeNewHead(t.Context(), heads)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	for range 3 {
		select {
		case <-heads:
		case err := <-sub.Err():
			t.Fatal(err)
		case <-t.Context().Done():
			t.Fatal("no block")
		}
	}
}

func TestRollbackMakesTransactionsVanish(t *testing.T) {
	chain := start(t, devchain.Config{})
	kept := mustPay(t, chain, payee, 1)
	lost := mustPay(t, chain, payee, 10)
	mustPay(t, chain, payee, 100)
	old, err := chain.Client().HeaderByNumber(t.Context(), big.NewInt(3))
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.RollbackTo(2); err != nil {
		t.Fatal(err)
	}
	if have := height(t, chain); have != 2 {
		t.Errorf("height %d, want 2", have)
	}
	if have := balance(t, chain, payee); have != 1 {
		t.Errorf("balance %d, want 1", have)
	}
	// They stay away on the new branch, which is another one.
	chain.Mine(3)
	if have := balance(t, chain, payee); have != 1 {
		t.Errorf("balance on the new branch %d, want 1", have)
	}
	if _, err := chain.Client().TransactionReceipt(t.Context(), lost); !errors.Is(err, ethereum.NotFound) {
		t.Errorf("receipt of a dropped transaction: %v", err)
	}
	if _, err := chain.Client().TransactionReceipt(t.Context(), kept); err != nil {
		t.Errorf("receipt of a kept transaction: %v", err)
	}
	now, err := chain.Client().HeaderByNumber(t.Context(), big.NewInt(3))
	if err != nil {
		t.Fatal(err)
	}
	if now.Hash() == old.Hash() {
		t.Error("the new branch has the old block")
	}
	// And the chain goes on.
	mustPay(t, chain, payee, 1000)
	if have := balance(t, chain, payee); have != 1001 {
		t.Errorf("balance %d, want 1001", have)
	}
	if err := chain.RollbackTo(99); err == nil {
		t.Error("rolled back to a block that does not exist")
	}
}

func TestAdvanceTime(t *testing.T) {
	chain := start(t, devchain.Config{})
	chain.Mine(1)
	before, err := chain.Client().HeaderByNumber(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := chain.AdvanceTime(3600e9); err != nil {
		t.Fatal(err)
	}
	after, err := chain.Client().HeaderByNumber(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if have := after.Time - before.Time; have != 3600 {
		t.Errorf("time moved by %d s, want 3600", have)
	}
}

func TestChainOnDiskGoesOn(t *testing.T) {
	cfg := devchain.Config{DataDir: filepath.Join(t.TempDir(), "a", "chain"), ChainID: 4242}
	first, err := devchain.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	hash := mustPay(t, first, payee, 5)
	if _, err := devchain.Start(t.Context(), cfg); err == nil {
		t.Error("two chains opened one directory")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	second := start(t, cfg)
	if _, err := second.Client().TransactionReceipt(t.Context(), hash); err != nil {
		t.Errorf("receipt after restart: %v", err)
	}
	mustPay(t, second, payee, 5)
	if have := balance(t, second, payee); have != 10 {
		t.Errorf("balance %d, want 10", have)
	}
}

func TestChainSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		hash := common.HexToHash(strings.TrimSpace(line))
		chain, err := devchain.Start(t.Context(), devchain.Config{DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := chain.Client().TransactionReceipt(t.Context(), hash); err != nil {
			t.Errorf("round %d: receipt after kill: %v", round, err)
		}
		if have, want := balance(t, chain, payee), int64(round+1); have != want {
			t.Errorf("round %d: balance %d, want %d", round, have, want)
		}
		if err := chain.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func runChild(dir string) error {
	ctx := context.Background()
	chain, err := devchain.Start(ctx, devchain.Config{DataDir: dir})
	if err != nil {
		return err
	}
	hash, err := pay(ctx, chain, payee, 1)
	if err != nil {
		return err
	}
	fmt.Println(hash.Hex())
	select {} // until killed
}

func TestStartRefuses(t *testing.T) {
	taken := start(t, devchain.Config{})
	dir := t.TempDir()
	other, err := devchain.Start(t.Context(), devchain.Config{DataDir: dir, ChainID: 5})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "genesis.json"), []byte(`{"config":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		cfg  devchain.Config
		want string
	}{
		"address":       {t.Context(), devchain.Config{ListenAddr: "8545"}, "want host:port"},
		"port":          {t.Context(), devchain.Config{ListenAddr: "127.0.0.1:70000"}, "want 0 to 65535"},
		"port in use":   {t.Context(), devchain.Config{ListenAddr: strings.TrimPrefix(taken.RPCURL(), "http://")}, "in use"},
		"other chain":   {t.Context(), devchain.Config{DataDir: dir, ChainID: 6}, "has id 5, not 6"},
		"bad genesis":   {t.Context(), devchain.Config{DataDir: broken}, "chain"},
		"negative time": {t.Context(), devchain.Config{Period: -1}, "want zero or more"},
		"cancelled":     {cancelled, devchain.Config{}, "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			chain, err := devchain.Start(tc.ctx, tc.cfg)
			if err == nil {
				t.Fatal(errors.Join(errors.New("started"), chain.Close()))
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %q does not say %q", err, tc.want)
			}
		})
	}
}
