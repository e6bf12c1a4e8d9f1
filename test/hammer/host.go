package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// doorkeeper is the KMS of every guest. It writes down each boot with what the owner and the clients had said
// until then.
type doorkeeper struct {
	owner *owner
	diary *diary

	mu   sync.Mutex
	sent map[grant]bool // documents of apps that are not on chain, by what clients sent for them
}

// AuthorizeBoot implements kms.Authorizer as the KMS contract does, and as an off-chain KMS that lets boot
// what it is given.
func (k *doorkeeper) AuthorizeBoot(ctx context.Context, info kms.BootInfo) (kms.Decision, error) {
	b := boot{at: time.Now(), app: hex.EncodeToString(info.AppID[:]), hash: appcompose.ComposeHash(info.ComposeHash)}
	chain := k.owner.chain.Client()
	known, err := onchain.IsAppRegistered(ctx, chain, k.owner.kms, common.Address(info.AppID))
	if err != nil {
		return kms.Decision{}, err
	}
	if !known {
		b.offered, b.allowed = k.wasSent(b.app, b.hash), true
		k.diary.bootOf(b)
		return kms.Decision{Allowed: true}, nil
	}
	decision, err := onchain.IsAppAllowed(ctx, chain, k.owner.kms, onchain.AppBootInfo{
		AppID: info.AppID, ComposeHash: info.ComposeHash, InstanceID: common.BytesToAddress(info.InstanceID), DeviceID: info.DeviceID,
		MRAggregated: info.MRAggregated, MRSystem: info.MRSystem, OSImageHash: info.OSImageHash, TCBStatus: info.TCBStatus,
	})
	if err != nil {
		return kms.Decision{}, err
	}
	said := k.owner.said(b.app, b.hash)
	b.offered, b.removed, b.allowed = said.allowed, said.removed, decision.Allowed
	k.diary.bootOf(b)
	return kms.Decision{Allowed: decision.Allowed, Reason: decision.Reason}, nil
}

func (k *doorkeeper) send(app string, hash appcompose.ComposeHash) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sent[grant{app, hash}] = true
}

func (k *doorkeeper) wasSent(app string, hash appcompose.ComposeHash) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sent[grant{app, hash}]
}

// front stands before the RPC of the host. It writes down the calls that change a VM, and loses calls while it is
// told to: some before they take effect, some after.
type front struct {
	behind http.Handler
	diary  *diary
	lose   atomic.Int64 // 0: nothing; n: one call in n
	calls  atomic.Int64
}

// lifeKey is where the context of a connection has the server process that it comes from.
type lifeKey struct{}

// serveFor opens a door of the host for one server. A connection belongs to the process that runs when it is made:
// a call that a killed process has sent may arrive when the next one runs already.
func (f *front) serveFor(s *server) *httptest.Server {
	door := httptest.NewUnstartedServer(f)
	door.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, lifeKey{}, s.life())
	}
	door.Start()
	return door
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the server died while it sent
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if method, vm, changes := changing(r.URL.Path, body); changes {
		life, _ := r.Context().Value(lifeKey{}).(string)
		end := f.diary.begin(call{life: life, method: method, vm: vm})
		defer end()
		defer context.AfterFunc(r.Context(), end)() // nobody waits for it any more
	}
	n, lose := f.calls.Add(1), f.lose.Load()
	if lose > 0 && n%lose == 0 {
		if n%(2*lose) == 0 {
			f.behind.ServeHTTP(nowhere{http.Header{}}, r)
		}
		panic(http.ErrAbortHandler)
	}
	f.behind.ServeHTTP(w, r)
}

// changing reads which VM a call changes, if it changes one.
func changing(path string, body []byte) (method, vm string, changes bool) {
	method, ok := strings.CutPrefix(path, vmmrpc.RPCPath)
	if !ok {
		return "", "", false
	}
	switch method {
	case vmmrpc.CreateVM, vmmrpc.StartVM, vmmrpc.StopVM, vmmrpc.ShutdownVM, vmmrpc.RemoveVM, vmmrpc.UpdateVM, vmmrpc.UpgradeApp, vmmrpc.ResizeVM:
	default:
		return "", "", false
	}
	var about struct{ ID, Name string }
	if json.Unmarshal(body, &about) != nil {
		return "", "", false
	}
	if about.ID == "" {
		return method, about.Name, true
	}
	return method, about.ID, true
}

// nowhere is an answer that gets lost.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n nowhere) WriteHeader(int)             {}
