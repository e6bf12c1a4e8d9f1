package onchain

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Sentinels for errors.Is. Each has a type, for errors.As, that carries the
// values seen and expected.
var (
	// ErrInvalidInput: an argument is malformed; see InputError.
	ErrInvalidInput = errors.New("invalid input")
	// ErrRPC: the node could not be asked; the same call may succeed later.
	ErrRPC = errors.New("chain RPC failed")
	// ErrWrongChain: the node serves another chain; see WrongChainError.
	ErrWrongChain = errors.New("wrong chain")
	// ErrInsufficientBalance: see InsufficientBalanceError.
	ErrInsufficientBalance = errors.New("insufficient balance")
	// ErrNotAContract: nothing at the address answers; see NotAContractError.
	ErrNotAContract = errors.New("not a contract of the expected kind")
	// ErrNotOwner: the sender does not own the contract; see NotOwnerError.
	ErrNotOwner = errors.New("sender is not the owner")
	// ErrNotRegistered: the KMS contract does not know the app; see NotRegisteredError.
	ErrNotRegistered = errors.New("app is not registered with the KMS contract")
	// ErrReverted: the contract refused; see RevertedError.
	ErrReverted = errors.New("execution reverted")
	// ErrTxReverted: a mined transaction failed. Such errors are ErrReverted too.
	ErrTxReverted = errors.New("transaction reverted")
	// ErrReceiptTimeout: sent, but no receipt in time; see ReceiptTimeoutError.
	ErrReceiptTimeout = errors.New("no receipt in time")
	// ErrReceiptNotFound: the node does not know the transaction, or not as
	// part of the canonical chain. It may merely be behind: ask again.
	ErrReceiptNotFound = errors.New("receipt not found")
	// ErrNoComposeHashEvent: the receipt has no ComposeHashAdded event of the
	// app's contract with the hash; see NoEventError.
	ErrNoComposeHashEvent = errors.New("no matching ComposeHashAdded event")
	// ErrNotFinal: not deep enough in the chain yet; see NotFinalError.
	ErrNotFinal = errors.New("not final yet")
)

// InputError tells which argument is malformed and how.
type InputError struct {
	Field string // the argument's name
	Value string // what was given; never a private key
	Want  string // what is accepted
}

func (e *InputError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("onchain: %s: want %s", e.Field, e.Want)
	}
	return fmt.Sprintf("onchain: %s is %q, want %s", e.Field, e.Value, e.Want)
}

// Is reports true for ErrInvalidInput.
func (e *InputError) Is(target error) bool { return target == ErrInvalidInput }

// RPCError is a request that the node did not answer, or answered with an error
// that says nothing about the chain.
type RPCError struct {
	Op  string // what was asked, in words
	Err error
}

func (e *RPCError) Error() string { return fmt.Sprintf("onchain: %s: %v", e.Op, e.Err) }

// Unwrap gives the transport's error.
func (e *RPCError) Unwrap() error { return e.Err }

// Is reports true for ErrRPC.
func (e *RPCError) Is(target error) bool { return target == ErrRPC }

// WrongChainError is returned before anything is sent.
type WrongChainError struct{ Have, Want *big.Int }

func (e *WrongChainError) Error() string {
	return fmt.Sprintf("onchain: the RPC endpoint serves chain %s, want chain %s", e.Have, e.Want)
}

// Is reports true for ErrWrongChain.
func (e *WrongChainError) Is(target error) bool { return target == ErrWrongChain }

// InsufficientBalanceError gives amounts in wei.
type InsufficientBalanceError struct {
	Account common.Address
	Have    *big.Int // nil when the node refused without saying
	Want    *big.Int
}

func (e *InsufficientBalanceError) Error() string {
	if e.Have == nil {
		return fmt.Sprintf("onchain: %s cannot pay for the transaction", e.Account)
	}
	return fmt.Sprintf("onchain: %s has %s ETH, want at least %s ETH", e.Account, FormatEther(e.Have), FormatEther(e.Want))
}

// Is reports true for ErrInsufficientBalance.
func (e *InsufficientBalanceError) Is(target error) bool { return target == ErrInsufficientBalance }

// NotAContractError means that the address has no code, or code that does not
// answer the call.
type NotAContractError struct {
	Address common.Address
	Call    string // the function that was not answered
}

func (e *NotAContractError) Error() string {
	return fmt.Sprintf("onchain: %s does not answer %s: no contract of that kind on this chain", e.Address, e.Call)
}

// Is reports true for ErrNotAContract.
func (e *NotAContractError) Is(target error) bool { return target == ErrNotAContract }

// NotOwnerError is returned before anything is sent.
type NotOwnerError struct{ Sender, Owner, Contract common.Address }

func (e *NotOwnerError) Error() string {
	return fmt.Sprintf("onchain: sender %s is not the owner of contract %s; the owner is %s", e.Sender, e.Contract, e.Owner)
}

// Is reports true for ErrNotOwner.
func (e *NotOwnerError) Is(target error) bool { return target == ErrNotOwner }

// NotRegisteredError is returned before anything is sent.
type NotRegisteredError struct{ App, KMS common.Address }

func (e *NotRegisteredError) Error() string {
	return fmt.Sprintf("onchain: app %s is not registered with KMS contract %s", e.App, e.KMS)
}

// Is reports true for ErrNotRegistered.
func (e *NotRegisteredError) Is(target error) bool { return target == ErrNotRegistered }

// RevertedError is a refusal by a contract.
type RevertedError struct {
	Contract common.Address
	// Reason is the decoded require string or custom error, such as
	// "OwnableUnauthorizedAccount(0x…)"; empty when the node gave none.
	Reason string
	// TxHash is set when a mined transaction failed; otherwise the refusal
	// came from a call or an estimate, and nothing was spent.
	TxHash common.Hash
}

func (e *RevertedError) Error() string {
	reason := e.Reason
	if reason == "" {
		reason = "no reason given"
	}
	if e.TxHash != (common.Hash{}) {
		return fmt.Sprintf("onchain: transaction %s failed on chain: %s", e.TxHash, reason)
	}
	return fmt.Sprintf("onchain: contract %s refuses: %s", e.Contract, reason)
}

// Is reports true for ErrReverted, and for ErrTxReverted when a mined
// transaction failed.
func (e *RevertedError) Is(target error) bool {
	return target == ErrReverted || target == ErrTxReverted && e.TxHash != (common.Hash{})
}

// SubmitError means that the node's answer to a submission was lost: the
// transaction may or may not be on its way. WaitForReceipt tells.
type SubmitError struct {
	TxHash common.Hash
	Err    error
}

func (e *SubmitError) Error() string {
	return fmt.Sprintf("onchain: whether transaction %s was accepted is unknown: %v", e.TxHash, e.Err)
}

// Unwrap gives the last error of the submission.
func (e *SubmitError) Unwrap() error { return e.Err }

// Is reports true for ErrRPC.
func (e *SubmitError) Is(target error) bool { return target == ErrRPC }

// ReceiptTimeoutError means that the transaction was sent but not seen mined.
// It may still be mined: go on with WaitForReceipt instead of sending again.
type ReceiptTimeoutError struct {
	TxHash common.Hash
	Waited time.Duration
	Err    error // the context's error, or the last one of the node
}

func (e *ReceiptTimeoutError) Error() string {
	return fmt.Sprintf("onchain: transaction %s has no receipt after %s: %v", e.TxHash, e.Waited, e.Err)
}

// Unwrap gives the cause, so that a cancelled context can be told apart.
func (e *ReceiptTimeoutError) Unwrap() error { return e.Err }

// Is reports true for ErrReceiptTimeout.
func (e *ReceiptTimeoutError) Is(target error) bool { return target == ErrReceiptTimeout }

// ReceiptNotFoundError is not final: the node may be behind the one that the
// transaction was sent to.
type ReceiptNotFoundError struct {
	TxHash common.Hash
	// Reorged is true when there is a receipt, but its block is not part of
	// the canonical chain.
	Reorged bool
}

func (e *ReceiptNotFoundError) Error() string {
	if e.Reorged {
		return fmt.Sprintf("onchain: the block of transaction %s is no longer part of the chain", e.TxHash)
	}
	return fmt.Sprintf("onchain: no receipt of transaction %s", e.TxHash)
}

// Is reports true for ErrReceiptNotFound.
func (e *ReceiptNotFoundError) Is(target error) bool { return target == ErrReceiptNotFound }

// NoEventError means that the transaction succeeded but did not approve this
// hash for this app.
type NoEventError struct {
	TxHash      common.Hash
	App         common.Address
	ComposeHash common.Hash
}

func (e *NoEventError) Error() string {
	return fmt.Sprintf("onchain: transaction %s has no ComposeHashAdded event of app %s with hash %s", e.TxHash, e.App, e.ComposeHash)
}

// Is reports true for ErrNoComposeHashEvent.
func (e *NoEventError) Is(target error) bool { return target == ErrNoComposeHashEvent }

// NotFinalError counts in block numbers: Want-Have more blocks must become
// final.
type NotFinalError struct {
	Finality Finality
	Have     uint64 // the newest block that is final
	Want     uint64 // the block of the transaction
}

func (e *NotFinalError) Error() string {
	return fmt.Sprintf("onchain: block %d is not final yet: with finality %s, block %d is", e.Want, e.Finality, e.Have)
}

// Is reports true for ErrNotFinal.
func (e *NotFinalError) Is(target error) bool { return target == ErrNotFinal }
