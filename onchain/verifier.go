package onchain

import (
	"context"
	"errors"
	"math/big"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/dstackapp"
)

// Verifier answers a server's two questions about an approval: did this
// transaction make it, and does it hold. It is safe for concurrent use when its
// backend is.
type Verifier struct {
	backend  Backend
	finality Finality
}

// NewVerifier reads the chain through the backend and believes blocks that are
// as deep as finality wants.
func NewVerifier(backend Backend, finality Finality) *Verifier {
	return &Verifier{backend: backend, finality: finality}
}

// Finality is what the verifier was made with.
func (v *Verifier) Finality() Finality { return v.finality }

// Registration is a transaction that approved a compose hash.
type Registration struct {
	TxHash      common.Hash
	BlockNumber uint64
	BlockHash   common.Hash
	// Sender is who signed the transaction; zero when the node did not tell.
	// It need not be the contract's owner: a Safe, a timelock or an ERC-4337
	// bundler executes for others.
	Sender common.Address
	// Confirmations counts the blocks on top of the transaction's.
	Confirmations uint64
}

// Registration verifies that the transaction succeeded, that the app's contract
// itself emitted ComposeHashAdded with this hash in it, and that its block is
// canonical and final. What the transaction was addressed to does not matter.
//
// Errors: ErrReceiptNotFound (ask again: the node may be behind), ErrTxReverted,
// ErrNoComposeHashEvent, ErrNotFinal (together with a valid Registration), ErrRPC.
func (v *Verifier) Registration(ctx context.Context, app common.Address, hash, tx common.Hash) (Registration, error) {
	receipt, err := v.backend.TransactionReceipt(ctx, tx)
	if errors.Is(err, ethereum.NotFound) {
		return Registration{}, &ReceiptNotFoundError{TxHash: tx}
	}
	if err != nil {
		return Registration{}, classify("read receipt of "+tx.Hex(), app, err)
	}
	canonical, err := v.isCanonical(ctx, receipt)
	if err != nil {
		return Registration{}, err
	}
	if !canonical {
		return Registration{}, &ReceiptNotFoundError{TxHash: tx, Reorged: true}
	}
	if receipt.Status != types.ReceiptStatusSuccessful {
		return Registration{}, &RevertedError{Contract: app, TxHash: tx}
	}
	if !hasComposeHashAdded(receipt, app, hash) {
		return Registration{}, &NoEventError{TxHash: tx, App: app, ComposeHash: hash}
	}
	registration := Registration{
		TxHash:      tx,
		BlockNumber: receipt.BlockNumber.Uint64(),
		BlockHash:   receipt.BlockHash,
		Sender:      v.sender(ctx, tx),
	}
	latest, final, err := v.finality.heads(ctx, v.backend)
	if err != nil {
		return registration, err
	}
	if head := latest.Number.Uint64(); head > registration.BlockNumber {
		registration.Confirmations = head - registration.BlockNumber
	}
	if newest := final.Number.Uint64(); newest < registration.BlockNumber {
		return registration, &NotFinalError{Finality: v.finality, Have: newest, Want: registration.BlockNumber}
	}
	return registration, nil
}

// State reads what the app's contract allows. With finality Latest that is one
// request at the newest block. Otherwise the newest final block is asked too,
// and only what both allow is allowed: an approval counts once it is final, a
// removal counts at once.
//
// Errors: ErrNotAContract when the address keeps no list of compose hashes,
// ErrRPC.
func (v *Verifier) State(ctx context.Context, app common.Address, device, hash common.Hash) (AppState, error) {
	latest, final, err := v.finality.heads(ctx, v.backend)
	if err != nil {
		return AppState{}, err
	}
	now, err := v.stateAt(ctx, app, device, hash, latest.Number)
	if err != nil || final.Number.Cmp(latest.Number) >= 0 {
		return now, err
	}
	then, err := v.stateAt(ctx, app, device, hash, final.Number)
	if err != nil && !errors.Is(err, ErrNotAContract) { // the app may be younger
		return AppState{}, err
	}
	state := now
	state.ComposeHashAllowed = now.ComposeHashAllowed && then.ComposeHashAllowed
	state.AllowAnyDevice = now.AllowAnyDevice && then.AllowAnyDevice
	state.DeviceAllowed = now.DeviceAllowed && then.DeviceAllowed
	state.AwaitingFinality = now.Allowed() && !state.Allowed()
	return state, nil
}

func (v *Verifier) stateAt(ctx context.Context, app common.Address, device, hash common.Hash, block *big.Int) (AppState, error) {
	state, listsHashes, err := readAppState(ctx, v.backend, app, device, hash, block)
	if err != nil {
		return AppState{}, err
	}
	if !listsHashes {
		return AppState{}, &NotAContractError{Address: app, Call: "allowedComposeHashes(bytes32)"}
	}
	state.BlockNumber = block.Uint64()
	return state, nil
}

// isCanonical tells whether the receipt's block is the one that the chain has at
// its number. Some chains have headers that go-ethereum hashes differently;
// there, the next block's link to its parent tells, once there is one.
func (v *Verifier) isCanonical(ctx context.Context, receipt *types.Receipt) (bool, error) {
	block, err := headerAt(ctx, v.backend, receipt.BlockNumber)
	if errors.Is(err, ethereum.NotFound) {
		return false, nil
	}
	if err != nil || block.Hash() == receipt.BlockHash {
		return err == nil, err
	}
	next, err := headerAt(ctx, v.backend, new(big.Int).Add(receipt.BlockNumber, big.NewInt(1)))
	if errors.Is(err, ethereum.NotFound) {
		return false, nil
	}
	return err == nil && next.ParentHash == receipt.BlockHash, err
}

// sender is best effort: some chains have transaction types that go-ethereum
// cannot decode.
func (v *Verifier) sender(ctx context.Context, hash common.Hash) common.Address {
	tx, _, err := v.backend.TransactionByHash(ctx, hash)
	if err != nil {
		return common.Address{}
	}
	sender, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), tx)
	if err != nil {
		return common.Address{}
	}
	return sender
}

// hasComposeHashAdded looks for ComposeHashAdded(hash) emitted by the app's own
// contract: any contract can emit an event that looks the same.
func hasComposeHashAdded(receipt *types.Receipt, app common.Address, hash common.Hash) bool {
	for _, log := range receipt.Logs {
		if log.Address != app || log.Removed {
			continue
		}
		event, err := appContract().UnpackComposeHashAddedEvent(log)
		if err == nil && isExact(log, event, hash) {
			return true
		}
	}
	return false
}

func isExact(log *types.Log, event *dstackapp.DstackAppComposeHashAdded, hash common.Hash) bool {
	return len(log.Topics) == 1 && len(log.Data) == common.HashLength && event.ComposeHash == hash
}

// headerAt keeps ethereum.NotFound recognisable.
func headerAt(ctx context.Context, chain headerReader, number *big.Int) (*types.Header, error) {
	header, err := chain.HeaderByNumber(ctx, number)
	if err != nil {
		return nil, classify("read block header", common.Address{}, err)
	}
	return header, nil
}
