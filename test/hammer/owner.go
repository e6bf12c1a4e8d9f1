package main

import (
	"context"
	"crypto/ecdsa"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// owner owns the apps on chain. It has one key, so one transaction at a time.
type owner struct {
	chain   *devchain.Chain
	key     *ecdsa.PrivateKey
	kms     common.Address
	sending sync.Mutex

	mu      sync.Mutex
	granted map[grant]history
}

// grant is a compose hash of an app.
type grant struct {
	app  string
	hash appcompose.ComposeHash
}

// history is what the owner said about a hash. A boot may be decided on what held a moment before, so a hash
// that was ever allowed counts as allowed, and one that was ever taken back may be denied.
type history struct{ allowed, removed bool }

func (o *owner) write() onchain.WriteOptions {
	return onchain.WriteOptions{Backend: o.chain.Client(), ChainID: o.chain.ChainID().Uint64(), PrivateKey: o.key, PollInterval: 2 * time.Millisecond}
}

// allow registers a hash and returns the transaction.
func (o *owner) allow(ctx context.Context, app string, hash appcompose.ComposeHash) (string, error) {
	o.sending.Lock()
	defer o.sending.Unlock()
	o.note(app, hash, history{allowed: true}) // before: whoever sees it on chain must find it here
	result, err := onchain.AddComposeHash(ctx, onchain.AddComposeHashRequest{
		WriteOptions: o.write(), AppID: common.HexToAddress(app), ComposeHash: common.Hash(hash),
	})
	if err != nil {
		return "", err
	}
	return result.TransactionHash.Hex(), nil
}

// remove takes a hash back.
func (o *owner) remove(ctx context.Context, app string, hash appcompose.ComposeHash) error {
	o.sending.Lock()
	defer o.sending.Unlock()
	o.note(app, hash, history{removed: true})
	_, err := onchain.RemoveComposeHash(ctx, o.write(), common.HexToAddress(app), common.Hash(hash))
	return err
}

func (o *owner) note(app string, hash appcompose.ComposeHash, more history) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.granted[grant{app, hash}]
	o.granted[grant{app, hash}] = history{allowed: h.allowed || more.allowed, removed: h.removed || more.removed}
}

func (o *owner) said(app string, hash appcompose.ComposeHash) history {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.granted[grant{app, hash}]
}
