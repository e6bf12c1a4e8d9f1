package onchain

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// gasMargin covers one more fresh storage write than the estimate saw, in case
// another transaction changes the contract in between. Unused gas is free.
const gasMargin = 25_000

// errNonceTaken means that the nonce went to another transaction; sign anew.
var errNonceTaken = errors.New("nonce taken by another transaction")

// senders holds a lock for each account of each chain, so that writes of one
// account within this process take their nonces one after the other.
var senders sync.Map // of senderKey to *sync.Mutex

type senderKey struct {
	chain   string
	address common.Address
}

// submit signs and sends a transaction. When it returns without error, a node
// has accepted it.
func (w *writer) submit(ctx context.Context, to *common.Address, calldata []byte) (*types.Transaction, error) {
	lock, _ := senders.LoadOrStore(senderKey{w.chainID.String(), w.signer.Address()}, new(sync.Mutex))
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()

	var accepted *types.Transaction
	retryable := func(err error) bool { return errors.Is(err, errNonceTaken) }
	err := w.opts.Retry.do(ctx, retryable, func() error {
		var unsigned *types.Transaction
		err := w.ask(ctx, func() (err error) {
			unsigned, err = w.prepare(ctx, to, calldata)
			return err
		})
		if err != nil {
			return err
		}
		signed, err := w.signer.SignTx(ctx, unsigned, w.chainID)
		if err != nil {
			return fmt.Errorf("onchain: sign transaction: %w", err)
		}
		accepted = signed
		return w.hand(ctx, signed)
	})
	return accepted, err
}

// prepare asks the node for nonce, fees and gas. The estimate runs the call, so
// that a refusal by the contract shows here, before anything is spent.
func (w *writer) prepare(ctx context.Context, to *common.Address, calldata []byte) (*types.Transaction, error) {
	from := w.signer.Address()
	var contract common.Address
	if to != nil {
		contract = *to
	}
	gas, err := w.backend.EstimateGas(ctx, ethereum.CallMsg{From: from, To: to, Data: calldata})
	if err != nil {
		if isInsufficientFunds(err) {
			return nil, w.cannotPay(ctx)
		}
		return nil, classify("estimate gas", contract, err)
	}
	gas += gasMargin
	nonce, err := w.backend.PendingNonceAt(ctx, from)
	if err != nil {
		return nil, classify("read nonce", contract, err)
	}
	head, err := w.backend.HeaderByNumber(ctx, nil)
	if err != nil {
		return nil, classify("read latest block", contract, err)
	}
	if head.BaseFee == nil {
		price, err := w.backend.SuggestGasPrice(ctx)
		if err != nil {
			return nil, classify("read gas price", contract, err)
		}
		return types.NewTx(&types.LegacyTx{Nonce: nonce, GasPrice: price, Gas: gas, To: to, Data: calldata}), nil
	}
	tip, err := w.backend.SuggestGasTipCap(ctx)
	if err != nil {
		return nil, classify("read priority fee", contract, err)
	}
	// Twice the base fee stays enough for six full blocks in a row.
	feeCap := new(big.Int).Add(tip, new(big.Int).Lsh(head.BaseFee, 1))
	return types.NewTx(&types.DynamicFeeTx{
		ChainID: w.chainID, Nonce: nonce, GasTipCap: tip, GasFeeCap: feeCap, Gas: gas, To: to, Data: calldata,
	}), nil
}

// hand gives a signed transaction to the node until the node has it. Nodes
// report the same situations with codes of their own and words that agree, so
// the words decide.
func (w *writer) hand(ctx context.Context, tx *types.Transaction) error {
	err := w.ask(ctx, func() error {
		err := w.backend.SendTransaction(ctx, tx)
		if err == nil {
			return nil
		}
		words := strings.ToLower(err.Error())
		switch {
		case strings.Contains(words, "already known"), strings.Contains(words, "alreadyknown"):
			return nil
		case strings.Contains(words, "nonce too low"),
			strings.Contains(words, "nonce is too low"),
			strings.Contains(words, "replacement transaction underpriced"):
			// An answer that was lost may have mined this very transaction.
			if _, receiptErr := w.backend.TransactionReceipt(ctx, tx.Hash()); receiptErr == nil {
				return nil
			}
			return errNonceTaken
		case isInsufficientFunds(err):
			return w.cannotPay(ctx)
		}
		return classify("send transaction", common.Address{}, err)
	})
	if errors.Is(err, ErrRPC) {
		return &SubmitError{TxHash: tx.Hash(), Err: err}
	}
	return err
}

func isInsufficientFunds(err error) bool {
	return strings.Contains(strings.ToLower(err.Error()), "insufficient funds")
}

func (w *writer) cannotPay(ctx context.Context) error {
	problem := &InsufficientBalanceError{Account: w.signer.Address(), Want: w.opts.MinBalance}
	if have, err := w.backend.BalanceAt(ctx, w.signer.Address(), nil); err == nil && have.Cmp(w.opts.MinBalance) < 0 {
		problem.Have = have
	}
	return problem
}
