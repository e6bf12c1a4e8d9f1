package onchain

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// writer carries one write through checks, submission and receipt.
type writer struct {
	opts    WriteOptions
	backend Backend
	signer  Signer
	chainID *big.Int
	close   func()
}

// write opens a writer, lets body use it, and reports how it ended.
func write(ctx context.Context, opts WriteOptions, body func(w *writer) error) error {
	w, err := newWriter(ctx, opts)
	if err != nil {
		return err
	}
	defer w.close()
	w.state(StateChecking)
	err = w.checkSender(ctx)
	if err == nil {
		err = body(w)
	}
	switch {
	case err == nil:
		w.state(StateSuccess)
	case errors.Is(err, ErrReceiptTimeout):
		w.state(StateTimeout)
	default:
		w.state(StateError)
	}
	return err
}

func newWriter(ctx context.Context, opts WriteOptions) (*writer, error) {
	signer, err := opts.signer()
	if err != nil {
		return nil, err
	}
	if (opts.Backend == nil) == (opts.RPCURL == "") {
		return nil, &InputError{Field: "backend", Want: "exactly one of Backend and RPCURL"}
	}
	if opts.Timeout <= 0 {
		opts.Timeout = DefaultTimeout
	}
	if opts.PollInterval <= 0 {
		opts.PollInterval = 2 * time.Second
	}
	if opts.MinBalance == nil {
		opts.MinBalance = DefaultMinBalance()
	}
	opts.Retry = opts.Retry.withDefaults()
	w := &writer{opts: opts, backend: opts.Backend, signer: signer, close: func() {}}
	if w.backend == nil {
		client, err := Dial(ctx, ChainConfig{ChainID: opts.ChainID, RPCURLs: []string{opts.RPCURL}})
		if err != nil {
			return nil, err
		}
		w.backend, w.close = client, client.Close
	}
	return w, nil
}

func (o WriteOptions) signer() (Signer, error) {
	given := 0
	for _, set := range []bool{o.PrivateKey != nil, o.PrivateKeyHex != "", o.Signer != nil} {
		if set {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, &InputError{Field: "signer", Want: "exactly one of PrivateKey, PrivateKeyHex and Signer"}
	case o.Signer != nil:
		return o.Signer, nil
	case o.PrivateKey != nil:
		return KeySigner(o.PrivateKey), nil
	}
	key, err := ParsePrivateKey(o.PrivateKeyHex)
	if err != nil {
		return nil, err
	}
	return KeySigner(key), nil
}

func (w *writer) state(state TransactionState) {
	if w.opts.OnStateChange != nil {
		w.opts.OnStateChange(state)
	}
}

// ask repeats a request that the node did not answer.
func (w *writer) ask(ctx context.Context, step func() error) error {
	return w.opts.Retry.do(ctx, func(err error) bool { return errors.Is(err, ErrRPC) }, step)
}

// checkSender learns the chain id and compares chain and balance.
func (w *writer) checkSender(ctx context.Context) error {
	err := w.ask(ctx, func() error {
		id, err := w.backend.ChainID(ctx)
		w.chainID = id
		return classify("read chain id", common.Address{}, err)
	})
	if err != nil {
		return err
	}
	if want := new(big.Int).SetUint64(w.opts.ChainID); want.Sign() != 0 && w.chainID.Cmp(want) != 0 {
		return &WrongChainError{Have: w.chainID, Want: want}
	}
	if w.opts.SkipPrerequisiteChecks {
		return nil
	}
	return w.ask(ctx, func() error {
		have, err := w.backend.BalanceAt(ctx, w.signer.Address(), nil)
		if err != nil {
			return classify("read balance", common.Address{}, err)
		}
		if have.Cmp(w.opts.MinBalance) < 0 {
			return &InsufficientBalanceError{Account: w.signer.Address(), Have: have, Want: w.opts.MinBalance}
		}
		return nil
	})
}

// checkOwner compares the sender with the contract's owner, which also tells
// whether there is a contract at all.
func (w *writer) checkOwner(ctx context.Context, contract common.Address) error {
	return w.ask(ctx, func() error {
		owner, err := AppOwner(ctx, w.backend, contract)
		if err != nil {
			return err
		}
		if sender := w.signer.Address(); owner != sender {
			return &NotOwnerError{Sender: sender, Owner: owner, Contract: contract}
		}
		return nil
	})
}

// send submits a call, or a contract creation when to is nil, and returns the
// receipt of its success.
func (w *writer) send(ctx context.Context, to *common.Address, calldata []byte) (*types.Receipt, error) {
	w.state(StateSubmitting)
	tx, err := w.submit(ctx, to, calldata)
	if err != nil {
		return nil, err
	}
	w.state(StatePending)
	if w.opts.OnTransactionSubmitted != nil {
		w.opts.OnTransactionSubmitted(tx.Hash())
	}
	receipt, err := waitForReceipt(ctx, w.backend, tx.Hash(), w.opts.Timeout, w.opts.PollInterval)
	if err != nil {
		return nil, err
	}
	if receipt.Status != types.ReceiptStatusSuccessful {
		return nil, failed(ctx, w.backend, tx, w.signer.Address(), receipt)
	}
	if w.opts.OnTransactionConfirmed != nil {
		w.opts.OnTransactionConfirmed(receipt)
	}
	return receipt, nil
}

// sendToOwned is send after a check that the sender owns the contract.
func sendToOwned(ctx context.Context, opts WriteOptions, contract common.Address, calldata []byte) (*TransactionResult, error) {
	var result TransactionResult
	err := write(ctx, opts, func(w *writer) error {
		if err := w.checkOwner(ctx, contract); err != nil {
			return err
		}
		receipt, err := w.send(ctx, &contract, calldata)
		if err != nil {
			return err
		}
		result = resultOf(receipt)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &result, nil
}

func refuseZero(field string, id common.Hash) error {
	if id == (common.Hash{}) {
		return &InputError{Field: field, Value: id.Hex(), Want: fmt.Sprintf("a %s that is not zero", field)}
	}
	return nil
}
