package onchain_test

import (
	"context"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// flaky fails the calls that a test tells it to.
type flaky struct {
	onchain.Backend
	nonce   func(uint64) uint64
	send    func(ctx context.Context, tx *types.Transaction, pass func() error) error
	receipt func(pass func() (*types.Receipt, error)) (*types.Receipt, error)
	chainID func() error
}

func (f *flaky) ChainID(ctx context.Context) (*big.Int, error) {
	if f.chainID != nil {
		if err := f.chainID(); err != nil {
			return nil, err
		}
	}
	return f.Backend.ChainID(ctx)
}

func (f *flaky) PendingNonceAt(ctx context.Context, account common.Address) (uint64, error) {
	nonce, err := f.Backend.PendingNonceAt(ctx, account)
	if f.nonce != nil {
		nonce = f.nonce(nonce)
	}
	return nonce, err
}

func (f *flaky) SendTransaction(ctx context.Context, tx *types.Transaction) error {
	pass := func() error { return f.Backend.SendTransaction(ctx, tx) }
	if f.send != nil {
		return f.send(ctx, tx, pass)
	}
	return pass()
}

func (f *flaky) TransactionReceipt(ctx context.Context, hash common.Hash) (*types.Receipt, error) {
	pass := func() (*types.Receipt, error) { return f.Backend.TransactionReceipt(ctx, hash) }
	if f.receipt != nil {
		return f.receipt(pass)
	}
	return pass()
}

// first returns true the first n times.
func first(n int) func() bool {
	return func() bool { n--; return n >= 0 }
}

var errDropped = errors.New("connection reset by peer")

func TestUnreliableNode(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	for name, broken := range map[string]*flaky{
		"stale nonce": func() *flaky {
			stale := first(2)
			return &flaky{nonce: func(n uint64) uint64 {
				if stale() {
					return n - 1
				}
				return n
			}}
		}(),
		"answer to the submission lost": func() *flaky {
			lose := first(1)
			return &flaky{send: func(_ context.Context, _ *types.Transaction, pass func() error) error {
				if err := pass(); err != nil || !lose() {
					return err
				}
				return errDropped
			}}
		}(),
		"submission lost": func() *flaky {
			lose := first(2)
			return &flaky{send: func(_ context.Context, _ *types.Transaction, pass func() error) error {
				if lose() {
					return errDropped
				}
				return pass()
			}}
		}(),
		"first question lost": func() *flaky {
			lose := first(3)
			return &flaky{chainID: func() error {
				if lose() {
					return errDropped
				}
				return nil
			}}
		}(),
		"receipt late": func() *flaky {
			lose := first(3)
			return &flaky{receipt: func(pass func() (*types.Receipt, error)) (*types.Receipt, error) {
				if lose() {
					return nil, errDropped
				}
				return pass()
			}}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			broken.Backend = f.Client()
			nonce, err := f.Client().NonceAt(t.Context(), f.owner.Address, nil)
			if err != nil {
				t.Fatal(err)
			}
			request := f.request(app)
			request.Backend = broken
			if _, err := onchain.AddComposeHash(t.Context(), request); err != nil {
				t.Fatal(err)
			}
			after, err := f.Client().NonceAt(t.Context(), f.owner.Address, nil)
			if err != nil {
				t.Fatal(err)
			}
			if after != nonce+1 {
				t.Errorf("%d transactions, want exactly one", after-nonce)
			}
		})
	}
}

func TestNodeThatNeverAnswers(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	request := f.request(app)
	attempts := 0
	request.Backend = &flaky{Backend: f.Client(), chainID: func() error { attempts++; return errDropped }}
	if _, err := onchain.AddComposeHash(t.Context(), request); !errors.Is(err, onchain.ErrRPC) || !errors.Is(err, errDropped) {
		t.Errorf("error %v, want ErrRPC with its cause", err)
	}
	if attempts != 4 {
		t.Errorf("%d attempts, want 4", attempts)
	}
	request.Retry.MaxRetries = -1
	attempts = 0
	if _, err := onchain.AddComposeHash(t.Context(), request); !errors.Is(err, onchain.ErrRPC) || attempts != 1 {
		t.Errorf("error %v after %d attempts, want ErrRPC after one", err, attempts)
	}
	// A submission whose fate is unknown names the transaction.
	request = f.request(app)
	var sent common.Hash
	request.Backend = &flaky{Backend: f.Client(), send: func(_ context.Context, tx *types.Transaction, _ func() error) error {
		sent = tx.Hash()
		return errDropped
	}}
	_, err := onchain.AddComposeHash(t.Context(), request)
	var unknown *onchain.SubmitError
	if !errors.As(err, &unknown) || unknown.TxHash != sent || !errors.Is(err, onchain.ErrRPC) {
		t.Errorf("error %v, want SubmitError of %s", err, sent)
	}
}

func TestReceiptTimeoutCanBeResumed(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	held := &flaky{Backend: f.Client(), receipt: func(func() (*types.Receipt, error)) (*types.Receipt, error) {
		return nil, ethereum.NotFound
	}}
	request := f.request(app)
	request.Backend = held
	request.Timeout = time.Millisecond
	var states []onchain.TransactionState
	request.OnStateChange = func(s onchain.TransactionState) { states = append(states, s) }
	_, err := onchain.AddComposeHash(t.Context(), request)
	var timeout *onchain.ReceiptTimeoutError
	if !errors.As(err, &timeout) || !errors.Is(err, onchain.ErrReceiptTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v, want ReceiptTimeoutError", err)
	}
	if last := states[len(states)-1]; last != onchain.StateTimeout {
		t.Errorf("ended in state %s", last)
	}
	receipt, err := onchain.WaitForReceipt(t.Context(), f.Client(), timeout.TxHash, 0)
	if err != nil || receipt.Status != types.ReceiptStatusSuccessful {
		t.Errorf("resumed: %+v, %v", receipt, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := onchain.WaitForReceipt(cancelled, held, timeout.TxHash, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

// The estimate is right when it is made, but another transaction gets into the
// block first.
func TestRevertedWhenMined(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	f.must(t, f.owner, app, appABI.PackTransferOwnership(f.stranger.Address))
	request := f.request(app)
	request.Backend = &flaky{Backend: f.Client(), send: func(_ context.Context, _ *types.Transaction, pass func() error) error {
		f.must(t, f.stranger, app, appABI.PackAcceptOwnership())
		return pass()
	}}
	_, err := onchain.AddComposeHash(t.Context(), request)
	var reverted *onchain.RevertedError
	if !errors.As(err, &reverted) || reverted.Reason != unauthorized(f.owner) || reverted.Contract != app {
		t.Fatalf("error %v, want a revert for the owner", err)
	}
	if !errors.Is(err, onchain.ErrTxReverted) || !errors.Is(err, onchain.ErrReverted) {
		t.Errorf("error %v is not one of a mined transaction", err)
	}
	_, err = onchain.NewVerifier(f.Client(), onchain.Latest).Registration(t.Context(), app, hash, reverted.TxHash)
	if !errors.Is(err, onchain.ErrTxReverted) {
		t.Errorf("the verifier says %v", err)
	}
}

// When the contract refuses at the estimate, nothing is sent.
func TestRevertedAtEstimate(t *testing.T) {
	f := newFixture(t, devchain.Config{})
	app := f.deploy(t)
	request := f.request(app)
	request.Backend = &flaky{Backend: f.Client(), nonce: func(n uint64) uint64 { return n }}
	stale := first(1)
	request.Backend.(*flaky).send = func(_ context.Context, _ *types.Transaction, pass func() error) error {
		if stale() {
			f.must(t, f.owner, app, appABI.PackRenounceOwnership())
		}
		return pass() // the nonce is taken now, and the second estimate fails
	}
	_, err := onchain.AddComposeHash(t.Context(), request)
	var reverted *onchain.RevertedError
	if !errors.As(err, &reverted) || reverted.Reason != unauthorized(f.owner) || errors.Is(err, onchain.ErrTxReverted) {
		t.Fatalf("error %v, want a refusal at the estimate", err)
	}
}
