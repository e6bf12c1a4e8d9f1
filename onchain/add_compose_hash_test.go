package onchain_test

import (
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/ethclient/simulated"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// The clients that people have are backends.
var (
	_ onchain.Backend = (*ethclient.Client)(nil)
	_ onchain.Backend = simulated.Client(nil)
)

func (f *fixture) request(app common.Address) onchain.AddComposeHashRequest {
	return onchain.AddComposeHashRequest{
		WriteOptions: f.as(f.owner), KMSContract: f.kms.KMSContract, AppID: app, ComposeHash: hash,
	}
}

func TestAddComposeHash(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	var states []onchain.TransactionState
	var submitted common.Hash
	var confirmed *types.Receipt
	request := f.request(app)
	request.ChainID = devchain.DefaultChainID
	request.OnStateChange = func(s onchain.TransactionState) { states = append(states, s) }
	request.OnTransactionSubmitted = func(h common.Hash) { submitted = h }
	request.OnTransactionConfirmed = func(r *types.Receipt) { confirmed = r }
	result, err := onchain.AddComposeHash(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := f.Client().TransactionReceipt(t.Context(), result.TransactionHash)
	if err != nil {
		t.Fatal(err)
	}
	want := onchain.AddComposeHashResult{
		ComposeHash: hash, AppID: onchain.FormatAppID(app), AppAuthAddress: app,
		TransactionResult: onchain.TransactionResult{
			TransactionHash: receipt.TxHash, BlockNumber: receipt.BlockNumber.Uint64(), GasUsed: receipt.GasUsed,
		},
	}
	if *result != want {
		t.Errorf("result %+v, want %+v", *result, want)
	}
	// As deployed in the field: about 54,600. More would be another contract.
	if result.GasUsed > 60_000 {
		t.Errorf("%d gas, want less than 60,000", result.GasUsed)
	}
	if submitted != result.TransactionHash || confirmed == nil || confirmed.TxHash != submitted {
		t.Errorf("callbacks saw %s and %v", submitted, confirmed)
	}
	if want := []onchain.TransactionState{onchain.StateChecking, onchain.StateSubmitting, onchain.StatePending, onchain.StateSuccess}; !slices.Equal(states, want) {
		t.Errorf("states %v, want %v", states, want)
	}
	if allowed, err := onchain.IsComposeHashAllowed(t.Context(), f.Client(), app, hash); err != nil || !allowed {
		t.Errorf("allowed: %v, %v", allowed, err)
	}
	if allowed, err := onchain.IsComposeHashAllowed(t.Context(), f.Client(), app, other); err != nil || allowed {
		t.Errorf("another hash is allowed: %v, %v", allowed, err)
	}

	// Sent again it is mined again, unless told otherwise.
	again, err := onchain.AddComposeHash(t.Context(), f.request(app))
	if err != nil || again.TransactionHash == result.TransactionHash || again.AlreadyRegistered {
		t.Errorf("second call: %+v, %v", again, err)
	}
	request = f.request(app)
	request.SkipIfAllowed = true
	skipped, err := onchain.AddComposeHash(t.Context(), request)
	if err != nil || !skipped.AlreadyRegistered || skipped.TransactionResult != (onchain.TransactionResult{}) {
		t.Errorf("third call: %+v, %v", skipped, err)
	}
	if _, err := onchain.RemoveComposeHash(t.Context(), f.as(f.owner), app, hash); err != nil {
		t.Fatal(err)
	}
	if allowed, err := onchain.IsComposeHashAllowed(t.Context(), f.Client(), app, hash); err != nil || allowed {
		t.Errorf("allowed after removal: %v, %v", allowed, err)
	}
}

func TestEveryKindOfKeyAndEndpoint(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	for name, change := range map[string]func(*onchain.AddComposeHashRequest){
		"hex key":    func(r *onchain.AddComposeHashRequest) { r.PrivateKey, r.PrivateKeyHex = nil, f.owner.KeyHex() },
		"signer":     func(r *onchain.AddComposeHashRequest) { r.PrivateKey, r.Signer = nil, onchain.KeySigner(f.owner.Key) },
		"RPC URL":    func(r *onchain.AddComposeHashRequest) { r.Backend, r.RPCURL = nil, f.RPCURL() },
		"skip check": func(r *onchain.AddComposeHashRequest) { r.SkipPrerequisiteChecks = true },
		"transactor": func(r *onchain.AddComposeHashRequest) {
			r.PrivateKey, r.Signer = nil, onchain.TransactorSigner(bind.NewKeyedTransactor(f.owner.Key, f.ChainID()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			request := f.request(app)
			change(&request)
			if _, err := onchain.AddComposeHash(t.Context(), request); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Whatever goes wrong before the submission costs nothing.
func TestRefusedBeforeAnythingIsSpent(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	unregistered, err := onchain.DeployKMS(t.Context(), onchain.DeployKMSRequest{WriteOptions: f.as(f.owner)})
	if err != nil {
		t.Fatal(err)
	}
	tooMuch := new(big.Int).Exp(big.NewInt(10), big.NewInt(30), nil)
	for name, tc := range map[string]struct {
		change func(*onchain.AddComposeHashRequest)
		want   error
		check  func(error) bool
	}{
		"not the owner": {func(r *onchain.AddComposeHashRequest) { r.PrivateKey = f.stranger.Key }, onchain.ErrNotOwner, func(err error) bool {
			var e *onchain.NotOwnerError
			return errors.As(err, &e) && *e == onchain.NotOwnerError{Sender: f.stranger.Address, Owner: f.owner.Address, Contract: app}
		}},
		"wrong chain": {func(r *onchain.AddComposeHashRequest) { r.ChainID = 8453 }, onchain.ErrWrongChain, func(err error) bool {
			var e *onchain.WrongChainError
			return errors.As(err, &e) && e.Have.Int64() == 1337 && e.Want.Int64() == 8453
		}},
		"wrong chain by URL": {func(r *onchain.AddComposeHashRequest) { r.Backend, r.RPCURL, r.ChainID = nil, f.RPCURL(), 8453 }, onchain.ErrWrongChain, nil},
		"poor": {func(r *onchain.AddComposeHashRequest) { r.MinBalance = tooMuch }, onchain.ErrInsufficientBalance, func(err error) bool {
			var e *onchain.InsufficientBalanceError
			return errors.As(err, &e) && e.Account == f.owner.Address && e.Want == tooMuch && e.Have.Sign() > 0
		}},
		"no contract":        {func(r *onchain.AddComposeHashRequest) { r.AppID = f.stranger.Address }, onchain.ErrNotAContract, nil},
		"contract of a kind": {func(r *onchain.AddComposeHashRequest) { r.AppID = devchain.Multicall3Address }, onchain.ErrReverted, nil},
		"not registered": {func(r *onchain.AddComposeHashRequest) { r.KMSContract = unregistered.KMSContract }, onchain.ErrNotRegistered, func(err error) bool {
			var e *onchain.NotRegisteredError
			return errors.As(err, &e) && e.App == app && e.KMS == unregistered.KMSContract
		}},
		"zero hash":     {func(r *onchain.AddComposeHashRequest) { r.ComposeHash = common.Hash{} }, onchain.ErrInvalidInput, nil},
		"no key":        {func(r *onchain.AddComposeHashRequest) { r.PrivateKey = nil }, onchain.ErrInvalidInput, nil},
		"two keys":      {func(r *onchain.AddComposeHashRequest) { r.PrivateKeyHex = f.owner.KeyHex() }, onchain.ErrInvalidInput, nil},
		"bad key":       {func(r *onchain.AddComposeHashRequest) { r.PrivateKey, r.PrivateKeyHex = nil, "0x12" }, onchain.ErrInvalidInput, nil},
		"no backend":    {func(r *onchain.AddComposeHashRequest) { r.Backend = nil }, onchain.ErrInvalidInput, nil},
		"two backends":  {func(r *onchain.AddComposeHashRequest) { r.RPCURL = f.RPCURL() }, onchain.ErrInvalidInput, nil},
		"dead endpoint": {func(r *onchain.AddComposeHashRequest) { r.Backend, r.RPCURL = nil, "http://127.0.0.1:1" }, onchain.ErrRPC, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := f.Client().BalanceAt(t.Context(), f.owner.Address, nil)
			if err != nil {
				t.Fatal(err)
			}
			request := f.request(app)
			request.OnTransactionSubmitted = func(common.Hash) { t.Error("something was sent") }
			tc.change(&request)
			result, err := onchain.AddComposeHash(t.Context(), request)
			if !errors.Is(err, tc.want) || result != nil {
				t.Fatalf("result %+v, error %v, want %v", result, err, tc.want)
			}
			if tc.check != nil && !tc.check(err) {
				t.Errorf("error %+v does not tell enough", err)
			}
			after, err := f.Client().BalanceAt(t.Context(), f.owner.Address, nil)
			if err != nil {
				t.Fatal(err)
			}
			if before.Cmp(after) != 0 {
				t.Errorf("balance went from %s to %s", before, after)
			}
		})
	}
}

// Many writes of one account at once must neither share a nonce nor leave one
// out; so must two programs that do not know of each other.
func TestConcurrentWritesOfOneAccount(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	const writers = 12
	var group sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		group.Go(func() {
			request := f.request(app)
			request.ComposeHash = word(int64(100 + i))
			_, errs[i] = onchain.AddComposeHash(t.Context(), request)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i := range writers {
		if allowed, err := onchain.IsComposeHashAllowed(t.Context(), f.Client(), app, word(int64(100+i))); err != nil || !allowed {
			t.Errorf("hash %d: %v, %v", i, allowed, err)
		}
	}
}
