package onchain

import (
	"context"
	"sync"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/dstackapp"
	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/dstackkms"
)

// The bindings parse their ABI when they are made, hence not before first use.
var (
	appContract = sync.OnceValue(dstackapp.NewDstackApp)
	kmsContract = sync.OnceValue(dstackkms.NewDstackKms)
)

// AddComposeHashRequest approves a compose hash on an app's contract.
type AddComposeHashRequest struct {
	WriteOptions
	// KMSContract, when not zero, must have the app registered: a KMS refuses
	// an app that its contract does not know, whatever hashes it allows.
	KMSContract common.Address
	// AppID is the address of the app's contract; see ParseAppID.
	AppID common.Address
	// ComposeHash is the SHA-256 of the app-compose document's bytes.
	ComposeHash common.Hash
	// SkipIfAllowed sends nothing when the hash is allowed already. Without
	// it the transaction is sent in any case, as the official clients do.
	SkipIfAllowed bool
}

// AddComposeHashResult is what the official clients return.
type AddComposeHashResult struct {
	ComposeHash    common.Hash
	AppID          string         // 40 hex digits in lower case, without 0x, as the API writes it
	AppAuthAddress common.Address // the app's contract
	TransactionResult
	// AlreadyRegistered is true when SkipIfAllowed left nothing to send; the
	// transaction's fields are then zero.
	AlreadyRegistered bool
}

// AddComposeHash sends addComposeHash(bytes32) to the app's contract and waits
// for the receipt and its event. Chain, balance and owner are checked before
// anything is spent. It is safe to call again after any error: at worst the
// hash is approved twice, which changes nothing.
func AddComposeHash(ctx context.Context, request AddComposeHashRequest) (*AddComposeHashResult, error) {
	if err := refuseZero("compose hash", request.ComposeHash); err != nil {
		return nil, err
	}
	result := &AddComposeHashResult{
		ComposeHash:    request.ComposeHash,
		AppID:          FormatAppID(request.AppID),
		AppAuthAddress: request.AppID,
	}
	err := write(ctx, request.WriteOptions, func(w *writer) error {
		if err := w.checkOwner(ctx, request.AppID); err != nil {
			return err
		}
		if err := w.checkRegistered(ctx, request.KMSContract, request.AppID); err != nil {
			return err
		}
		if request.SkipIfAllowed {
			allowed, err := w.isAllowed(ctx, request.AppID, request.ComposeHash)
			if err != nil || allowed {
				result.AlreadyRegistered = allowed
				return err
			}
		}
		receipt, err := w.send(ctx, &request.AppID, AddComposeHashCalldata(request.ComposeHash))
		if err != nil {
			return err
		}
		if !hasComposeHashAdded(receipt, request.AppID, request.ComposeHash) {
			return &NoEventError{TxHash: receipt.TxHash, App: request.AppID, ComposeHash: request.ComposeHash}
		}
		result.TransactionResult = resultOf(receipt)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return result, nil
}

// RemoveComposeHash sends removeComposeHash(bytes32) to the app's contract. A
// hash that was not allowed is no error.
func RemoveComposeHash(ctx context.Context, opts WriteOptions, app common.Address, hash common.Hash) (*TransactionResult, error) {
	return sendToOwned(ctx, opts, app, appContract().PackRemoveComposeHash(hash))
}

func (w *writer) checkRegistered(ctx context.Context, kms, app common.Address) error {
	if kms == (common.Address{}) {
		return nil
	}
	return w.ask(ctx, func() error {
		registered, err := IsAppRegistered(ctx, w.backend, kms, app)
		if err != nil {
			return err
		}
		if !registered {
			return &NotRegisteredError{App: app, KMS: kms}
		}
		return nil
	})
}

func (w *writer) isAllowed(ctx context.Context, app common.Address, hash common.Hash) (allowed bool, err error) {
	err = w.ask(ctx, func() error {
		allowed, err = IsComposeHashAllowed(ctx, w.backend, app, hash)
		return err
	})
	return allowed, err
}
