package onchain

import (
	"context"
	"crypto/ecdsa"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// DefaultTimeout is how long a write waits for its receipt.
const DefaultTimeout = 120 * time.Second

// DefaultMinBalance is 0.001 ETH, in wei.
func DefaultMinBalance() *big.Int { return big.NewInt(1_000_000_000_000_000) }

// WriteOptions say where a transaction goes, who signs it, and how patiently.
// Exactly one of Backend and RPCURL, and exactly one of PrivateKey,
// PrivateKeyHex and Signer, must be given.
type WriteOptions struct {
	// Backend is an open connection; it is not closed.
	Backend Backend
	// RPCURL is dialled for this one call.
	RPCURL string
	// ChainID is compared with the node's before anything is signed; 0 takes
	// whatever chain the node serves.
	ChainID uint64

	PrivateKey    *ecdsa.PrivateKey
	PrivateKeyHex string // 64 hex digits, 0x optional
	Signer        Signer

	// SkipPrerequisiteChecks leaves out the balance check. Chain and owner are
	// checked all the same: a transaction that fails those is lost money.
	SkipPrerequisiteChecks bool
	// MinBalance is what the sender must own, in wei. Nil: DefaultMinBalance.
	MinBalance *big.Int

	// Timeout bounds the wait for the receipt. 0: DefaultTimeout.
	Timeout time.Duration
	// Retry covers requests that the node did not answer and nonces that were
	// taken in between. A transaction that may have been accepted is only ever
	// sent again as it is, so that it never counts twice.
	Retry RetryOptions
	// PollInterval is the longest pause between two looks for the receipt;
	// polling starts faster. 0: 2 s.
	PollInterval time.Duration

	// The callbacks run on the calling goroutine. Any may be nil.
	OnTransactionSubmitted func(txHash common.Hash)
	OnTransactionConfirmed func(receipt *types.Receipt)
	OnStateChange          func(state TransactionState)
}

// RetryOptions are those of the JavaScript client. The zero value means its
// defaults: 3 retries after 1, 2 and 4 seconds, never more than 10 apart.
type RetryOptions struct {
	MaxRetries    int // negative: none
	InitialDelay  time.Duration
	BackoffFactor float64
	MaxDelay      time.Duration
}

// TransactionState is where a write stands.
type TransactionState string

// The states in the order they come; one of the last three ends it.
const (
	StateChecking   TransactionState = "checking"   // prerequisites, nothing spent yet
	StateSubmitting TransactionState = "submitting" // signing and sending
	StatePending    TransactionState = "pending"    // sent, waiting for the receipt
	StateSuccess    TransactionState = "success"
	StateTimeout    TransactionState = "timeout" // sent, but no receipt in time
	StateError      TransactionState = "error"
)

// TransactionResult tells about a mined, successful transaction.
type TransactionResult struct {
	TransactionHash common.Hash
	BlockNumber     uint64
	GasUsed         uint64
}

func resultOf(receipt *types.Receipt) TransactionResult {
	return TransactionResult{
		TransactionHash: receipt.TxHash,
		BlockNumber:     receipt.BlockNumber.Uint64(),
		GasUsed:         receipt.GasUsed,
	}
}

func (o RetryOptions) withDefaults() RetryOptions {
	if o.MaxRetries == 0 {
		o.MaxRetries = 3
	}
	if o.InitialDelay <= 0 {
		o.InitialDelay = time.Second
	}
	if o.BackoffFactor < 1 {
		o.BackoffFactor = 2
	}
	if o.MaxDelay <= 0 {
		o.MaxDelay = 10 * time.Second
	}
	return o
}

// do repeats the step while it fails in a way that may pass.
func (o RetryOptions) do(ctx context.Context, retryable func(error) bool, step func() error) error {
	delay := o.InitialDelay
	for attempt := 0; ; attempt++ {
		err := step()
		if err == nil || attempt >= o.MaxRetries || !retryable(err) {
			return err
		}
		if waitErr := wait(ctx, min(delay, o.MaxDelay)); waitErr != nil {
			return err
		}
		delay = time.Duration(float64(delay) * o.BackoffFactor)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
