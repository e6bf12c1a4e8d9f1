package onchain

import (
	"context"
	"crypto/ecdsa"
	"math/big"

	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// Signer signs transactions of one account, wherever its key lives.
type Signer interface {
	Address() common.Address
	// SignTx returns a signed copy for the chain. It may ask a person, so it
	// gets the caller's context.
	SignTx(ctx context.Context, tx *types.Transaction, chainID *big.Int) (*types.Transaction, error)
}

// KeySigner signs with a key in memory.
func KeySigner(key *ecdsa.PrivateKey) Signer {
	return keySigner{key: key, address: crypto.PubkeyToAddress(key.PublicKey)}
}

type keySigner struct {
	key     *ecdsa.PrivateKey
	address common.Address
}

func (s keySigner) Address() common.Address { return s.address }

func (s keySigner) SignTx(_ context.Context, tx *types.Transaction, chainID *big.Int) (*types.Transaction, error) {
	return types.SignTx(tx, types.LatestSignerForChainID(chainID), s.key)
}

// TransactorSigner takes sender and signature from go-ethereum's transaction
// options, as its keystore, Clef and hardware wallets make them. Their other
// fields are not used. The options are bound to a chain by whoever made them.
func TransactorSigner(opts *bind.TransactOpts) Signer { return transactorSigner{opts} }

type transactorSigner struct{ opts *bind.TransactOpts }

func (s transactorSigner) Address() common.Address { return s.opts.From }

func (s transactorSigner) SignTx(_ context.Context, tx *types.Transaction, _ *big.Int) (*types.Transaction, error) {
	return s.opts.Signer(s.opts.From, tx)
}
