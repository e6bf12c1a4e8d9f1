package onchain

import (
	"context"
	"errors"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// ReceiptReader is what waiting for a receipt needs.
type ReceiptReader interface {
	TransactionReceipt(ctx context.Context, txHash common.Hash) (*types.Receipt, error)
}

// WaitForReceipt waits until the transaction is mined, whether it succeeded or
// not. A timeout of 0 is DefaultTimeout. It is how to go on after a
// ReceiptTimeoutError, a SubmitError or a crash. Requests that fail are
// repeated until the time is over.
func WaitForReceipt(ctx context.Context, reader ReceiptReader, txHash common.Hash, timeout time.Duration) (*types.Receipt, error) {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	return waitForReceipt(ctx, reader, txHash, timeout, 2*time.Second)
}

// waitForReceipt starts polling fast, for chains that mine at once, and slows
// down to the given interval.
func waitForReceipt(ctx context.Context, reader ReceiptReader, txHash common.Hash, timeout, interval time.Duration) (*types.Receipt, error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last error
	for pause := min(5*time.Millisecond, interval); ; pause = min(2*pause, interval) {
		receipt, err := reader.TransactionReceipt(bounded, txHash)
		if err == nil {
			return receipt, nil
		}
		if !errors.Is(err, ethereum.NotFound) && bounded.Err() == nil {
			last = err
		}
		if wait(bounded, pause) != nil {
			problem := &ReceiptTimeoutError{TxHash: txHash, Waited: timeout, Err: errors.Join(ctx.Err(), last)}
			if problem.Err == nil {
				problem.Err = context.DeadlineExceeded
			}
			return nil, problem
		}
	}
}

// failed describes a mined transaction that reverted. The receipt does not say
// why, so the call is run again: on the state before its block and, in case
// another transaction of that block made the difference, after it.
func failed(ctx context.Context, backend Backend, tx *types.Transaction, from common.Address, receipt *types.Receipt) error {
	problem := &RevertedError{TxHash: tx.Hash()}
	if tx.To() != nil {
		problem.Contract = *tx.To()
	}
	before := new(big.Int).Sub(receipt.BlockNumber, big.NewInt(1))
	for _, block := range []*big.Int{before, receipt.BlockNumber} {
		_, err := backend.CallContract(ctx, ethereum.CallMsg{From: from, To: tx.To(), Data: tx.Data(), Gas: tx.Gas()}, block)
		if err == nil {
			continue
		}
		if reason, reverted := RevertReason(err); reverted {
			problem.Reason = reason
			break
		}
	}
	return problem
}
