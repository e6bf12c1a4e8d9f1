package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// boots sees every boot on the host, at the moment at which the guest asks the KMS for its keys, and judges
// each by what the owner has said and what the clients have sent.
type boots struct {
	owner *owner
	total atomic.Int64

	mu   sync.Mutex
	sent map[grant]bool // documents of apps that are not on chain, by what clients sent for them
	bad  []string       // what must never happen
}

// AuthorizeBoot implements kms.Authorizer as the KMS contract does, and as an off-chain KMS that lets boot
// what it is given.
func (b *boots) AuthorizeBoot(ctx context.Context, info kms.BootInfo) (kms.Decision, error) {
	b.total.Add(1)
	app, hash := hex.EncodeToString(info.AppID[:]), appcompose.ComposeHash(info.ComposeHash)
	chain := b.owner.chain.Client()
	known, err := onchain.IsAppRegistered(ctx, chain, b.owner.kms, common.Address(info.AppID))
	if err != nil {
		return kms.Decision{}, err
	}
	if !known {
		b.mu.Lock()
		defer b.mu.Unlock()
		if !b.sent[grant{app, hash}] {
			b.bad = append(b.bad, fmt.Sprintf("app %s booted %s, which nobody had sent", app, hash))
		}
		return kms.Decision{Allowed: true}, nil
	}
	decision, err := onchain.IsAppAllowed(ctx, chain, b.owner.kms, onchain.AppBootInfo{
		AppID: info.AppID, ComposeHash: info.ComposeHash, InstanceID: common.BytesToAddress(info.InstanceID), DeviceID: info.DeviceID,
		MRAggregated: info.MRAggregated, MRSystem: info.MRSystem, OSImageHash: info.OSImageHash, TCBStatus: info.TCBStatus,
	})
	if err != nil {
		return kms.Decision{}, err
	}
	if said := b.owner.said(app, hash); !said.allowed || !decision.Allowed && !said.removed {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.bad = append(b.bad, fmt.Sprintf("app %s tried to boot %s: the owner allowed it: %v, the contract: %v", app, hash, said.allowed, decision.Allowed))
	}
	return kms.Decision{Allowed: decision.Allowed, Reason: decision.Reason}, nil
}

func (b *boots) send(app string, hash appcompose.ComposeHash) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent[grant{app, hash}] = true
}

// front stands before the RPC of the host and loses calls while it is told to: some before they take effect,
// some after.
type front struct {
	behind http.Handler
	lose   atomic.Int64 // 0: nothing; n: one call in n
	calls  atomic.Int64
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, lose := f.calls.Add(1), f.lose.Load()
	if lose > 0 && n%lose == 0 {
		if n%(2*lose) == 0 {
			f.behind.ServeHTTP(nowhere{http.Header{}}, r)
		}
		panic(http.ErrAbortHandler)
	}
	f.behind.ServeHTTP(w, r)
}

// nowhere is an answer that gets lost.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}
