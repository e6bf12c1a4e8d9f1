package onchain_test

import (
	"context"
	"errors"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

func (f *fixture) verifier(finality onchain.Finality) *onchain.Verifier {
	return onchain.NewVerifier(f.Client(), finality)
}

func TestRegistration(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app, app2 := f.deploy(t), f.deploy(t)
	approved := f.approve(t, app, hash)
	f.approve(t, app2, other)
	v := f.verifier(onchain.Latest)
	registration, err := v.Registration(t.Context(), app, hash, approved.TransactionHash)
	if err != nil {
		t.Fatal(err)
	}
	block, err := f.Client().HeaderByNumber(t.Context(), new(big.Int).SetUint64(approved.BlockNumber))
	if err != nil {
		t.Fatal(err)
	}
	want := onchain.Registration{
		TxHash: approved.TransactionHash, BlockNumber: approved.BlockNumber, BlockHash: block.Hash(),
		Sender: f.owner.Address, Confirmations: 1,
	}
	if registration != want {
		t.Errorf("registration %+v, want %+v", registration, want)
	}

	device := f.must(t, f.owner, app, appABI.PackAddDevice(hash)).TxHash // same data, another event
	for name, tc := range map[string]struct {
		app      common.Address
		hash, tx common.Hash
		want     error
	}{
		"another hash":    {app, other, approved.TransactionHash, onchain.ErrNoComposeHashEvent},
		"another app":     {app2, hash, approved.TransactionHash, onchain.ErrNoComposeHashEvent},
		"another event":   {app, hash, device, onchain.ErrNoComposeHashEvent},
		"unknown receipt": {app, hash, common.HexToHash("0x01"), onchain.ErrReceiptNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := v.Registration(t.Context(), tc.app, tc.hash, tc.tx); !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
		})
	}
}

// The owner may be a contract: then the transaction goes to a Safe, a timelock
// or a bundler, and only the event tells. Multicall3 plays the Safe here.
func TestRegistrationThroughAnotherContract(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app, err := onchain.DeployAppAuth(t.Context(), onchain.DeployAppAuthRequest{
		WriteOptions: f.as(f.owner), KMSContract: f.kms.KMSContract, Owner: devchain.Multicall3Address,
	})
	if err != nil {
		t.Fatal(err)
	}
	receipt := f.must(t, f.stranger, devchain.Multicall3Address, multicallCalldata(app.AppAuthAddress, onchain.AddComposeHashCalldata(hash)))
	registration, err := f.verifier(onchain.Latest).Registration(t.Context(), app.AppAuthAddress, hash, receipt.TxHash)
	if err != nil {
		t.Fatal(err)
	}
	if registration.Sender != f.stranger.Address {
		t.Errorf("sender %s, want %s", registration.Sender, f.stranger.Address)
	}
}

func TestFinalityOfRegistration(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	tx := f.approve(t, app, hash)
	for _, finality := range []onchain.Finality{onchain.Depth(3), onchain.Finalized} {
		registration, err := f.verifier(finality).Registration(t.Context(), app, hash, tx.TransactionHash)
		var early *onchain.NotFinalError
		if !errors.As(err, &early) || !errors.Is(err, onchain.ErrNotFinal) {
			t.Fatalf("%s: error %v, want ErrNotFinal", finality, err)
		}
		if early.Want != tx.BlockNumber || early.Have >= early.Want || registration.BlockNumber != tx.BlockNumber {
			t.Errorf("%s: %+v with %+v", finality, early, registration)
		}
	}
	for i := range 3 {
		registration, err := f.verifier(onchain.Depth(3)).Registration(t.Context(), app, hash, tx.TransactionHash)
		if !errors.Is(err, onchain.ErrNotFinal) || registration.Confirmations != uint64(i) {
			t.Errorf("after %d blocks: %+v, %v", i, registration, err)
		}
		f.Mine(1)
	}
	if _, err := f.verifier(onchain.Depth(3)).Registration(t.Context(), app, hash, tx.TransactionHash); err != nil {
		t.Errorf("after 3 blocks: %v", err)
	}
	f.Mine(64)
	for _, finality := range []onchain.Finality{onchain.Latest, onchain.Safe, onchain.Finalized, onchain.Depth(64)} {
		if _, err := f.verifier(finality).Registration(t.Context(), app, hash, tx.TransactionHash); err != nil {
			t.Errorf("%s after 67 blocks: %v", finality, err)
		}
	}
}

func TestReorgTakesTheApprovalBack(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	tx := f.approve(t, app, hash)
	f.Mine(2)
	v := f.verifier(onchain.Depth(1))
	if _, err := v.Registration(t.Context(), app, hash, tx.TransactionHash); err != nil {
		t.Fatal(err)
	}
	if state, err := v.State(t.Context(), app, device, hash); err != nil || !state.ComposeHashAllowed {
		t.Fatalf("state %+v, %v", state, err)
	}
	if err := f.RollbackTo(tx.BlockNumber - 1); err != nil {
		t.Fatal(err)
	}
	f.Mine(5)
	if _, err := v.Registration(t.Context(), app, hash, tx.TransactionHash); !errors.Is(err, onchain.ErrReceiptNotFound) {
		t.Errorf("registration after the reorg: %v", err)
	}
	if state, err := v.State(t.Context(), app, device, hash); err != nil || state.ComposeHashAllowed {
		t.Errorf("state after the reorg: %+v, %v", state, err)
	}
	// Approved again, on the branch that is.
	again := f.approve(t, app, hash)
	f.Mine(1)
	if _, err := v.Registration(t.Context(), app, hash, again.TransactionHash); err != nil {
		t.Errorf("registration on the new branch: %v", err)
	}
}

// A node may serve a receipt of a block that it has dropped since.
func TestReceiptOfADroppedBlock(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	tx := f.approve(t, app, hash)
	receipt, err := f.Client().TransactionReceipt(t.Context(), tx.TransactionHash)
	if err != nil {
		t.Fatal(err)
	}
	v := onchain.NewVerifier(&flaky{Backend: f.Client(), receipt: func(func() (*types.Receipt, error)) (*types.Receipt, error) {
		return receipt, nil
	}}, onchain.Latest)
	if err := f.RollbackTo(tx.BlockNumber - 1); err != nil {
		t.Fatal(err)
	}
	var missing *onchain.ReceiptNotFoundError
	for _, blocks := range []int{0, 1, 2} { // shorter than, as long as, longer than before
		f.Mine(blocks)
		if _, err := v.Registration(t.Context(), app, hash, tx.TransactionHash); !errors.As(err, &missing) || !missing.Reorged {
			t.Errorf("after %d blocks: error %v, want a reorg", blocks, err)
		}
	}
	receipt.Logs[0].Removed = true
	f.approve(t, app, hash)
	receipt.BlockHash = f.head(t).Hash()
	receipt.BlockNumber = f.head(t).Number
	if _, err := v.Registration(t.Context(), app, hash, tx.TransactionHash); !errors.Is(err, onchain.ErrNoComposeHashEvent) {
		t.Errorf("removed log: %v", err)
	}
}

// foreign is a chain with a header field that go-ethereum does not know, and
// whose blocks therefore hash differently.
type foreign struct{ onchain.Backend }

func (f foreign) HeaderByNumber(ctx context.Context, number *big.Int) (*types.Header, error) {
	header, err := f.Backend.HeaderByNumber(ctx, number)
	if err == nil {
		header.Extra = []byte("lost in decoding")
	}
	return header, err
}

func TestChainWithForeignHeaders(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	tx := f.approve(t, app, hash)
	v := onchain.NewVerifier(foreign{f.Client()}, onchain.Latest)
	if _, err := v.Registration(t.Context(), app, hash, tx.TransactionHash); !errors.Is(err, onchain.ErrReceiptNotFound) {
		t.Errorf("without a block on top: %v, want ErrReceiptNotFound", err)
	}
	f.Mine(1)
	if _, err := v.Registration(t.Context(), app, hash, tx.TransactionHash); err != nil {
		t.Errorf("with a block on top: %v", err)
	}
}

func (f *fixture) head(t *testing.T) *types.Header {
	t.Helper()
	header, err := f.Client().HeaderByNumber(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return header
}

func TestState(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	for name, backend := range map[string]onchain.Backend{"multicall": f.Client(), "one by one": noMulticall{f.Client()}} {
		t.Run(name, func(t *testing.T) {
			v := onchain.NewVerifier(backend, onchain.Latest)
			expect := func(want onchain.AppState) {
				t.Helper()
				want.Owner, want.BlockNumber = f.owner.Address, f.head(t).Number.Uint64()
				if have, err := v.State(t.Context(), app, device, hash); err != nil || have != want {
					t.Errorf("state %+v, %v, want %+v", have, err, want)
				}
			}
			expect(onchain.AppState{})
			f.approve(t, app, hash)
			expect(onchain.AppState{ComposeHashAllowed: true})
			f.must(t, f.owner, app, appABI.PackAddDevice(device))
			expect(onchain.AppState{ComposeHashAllowed: true, DeviceAllowed: true})
			f.must(t, f.owner, app, appABI.PackRemoveDevice(device))
			f.must(t, f.owner, app, appABI.PackSetAllowAnyDevice(true))
			expect(onchain.AppState{ComposeHashAllowed: true, DeviceAllowed: true, AllowAnyDevice: true})
			f.must(t, f.owner, app, appABI.PackRemoveComposeHash(hash))
			f.must(t, f.owner, app, appABI.PackSetAllowAnyDevice(false))
			expect(onchain.AppState{})

			for _, address := range []common.Address{f.stranger.Address, devchain.Multicall3Address, f.kms.KMSContract} {
				if _, err := v.State(t.Context(), address, device, hash); !errors.Is(err, onchain.ErrNotAContract) {
					t.Errorf("state of %s: error %v, want ErrNotAContract", address, err)
				}
			}
		})
	}
}

// An approval counts once it is deep enough; a removal counts at once.
func TestStateAtDepth(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app, err := onchain.DeployAppAuth(t.Context(), onchain.DeployAppAuthRequest{
		WriteOptions: f.as(f.owner), KMSContract: f.kms.KMSContract, AllowAnyDevice: true, ComposeHash: hash,
	})
	if err != nil {
		t.Fatal(err)
	}
	v := f.verifier(onchain.Depth(2))
	for i, want := range []bool{false, false, true} { // at first the contract is younger than the final block
		state, err := v.State(t.Context(), app.AppAuthAddress, device, hash)
		if err != nil {
			t.Fatal(err)
		}
		if state.Allowed() != want || state.AwaitingFinality == want {
			t.Errorf("after %d blocks: %+v, want allowed %v", i, state, want)
		}
		f.Mine(1)
	}
	f.must(t, f.owner, app.AppAuthAddress, appABI.PackRemoveComposeHash(hash))
	if state, err := v.State(t.Context(), app.AppAuthAddress, device, hash); err != nil || state.ComposeHashAllowed || state.AwaitingFinality {
		t.Errorf("after the removal: %+v, %v", state, err)
	}
}

// silent fails every request.
type silent struct{ onchain.Backend }

func (silent) HeaderByNumber(context.Context, *big.Int) (*types.Header, error) {
	return nil, errDropped
}

func (silent) TransactionReceipt(context.Context, common.Hash) (*types.Receipt, error) {
	return nil, errDropped
}

func (silent) CallContract(context.Context, ethereum.CallMsg, *big.Int) ([]byte, error) {
	return nil, errDropped
}

// A node that fails must never look like a chain that says no.
func TestFailureIsNotAnAnswer(t *testing.T) {
	v := onchain.NewVerifier(silent{}, onchain.Latest)
	address := common.HexToAddress("0x01")
	_, stateErr := v.State(t.Context(), address, device, hash)
	_, registrationErr := v.Registration(t.Context(), address, hash, hash)
	_, allowedErr := onchain.IsComposeHashAllowed(t.Context(), silent{}, address, hash)
	_, prerequisitesErr := onchain.CheckOnChainPrerequisites(t.Context(), silent{}, address, device, hash)
	_, decisionErr := onchain.IsAppAllowed(t.Context(), silent{}, address, onchain.AppBootInfo{})
	for name, err := range map[string]error{
		"State": stateErr, "Registration": registrationErr, "IsComposeHashAllowed": allowedErr,
		"CheckOnChainPrerequisites": prerequisitesErr, "IsAppAllowed": decisionErr,
	} {
		if !errors.Is(err, onchain.ErrRPC) || !errors.Is(err, errDropped) {
			t.Errorf("%s: error %v, want ErrRPC with its cause", name, err)
		}
		for _, verdict := range []error{onchain.ErrReceiptNotFound, onchain.ErrNotAContract, onchain.ErrReverted, onchain.ErrNoComposeHashEvent} {
			if errors.Is(err, verdict) {
				t.Errorf("%s: a failure looks like %v", name, verdict)
			}
		}
	}
}
