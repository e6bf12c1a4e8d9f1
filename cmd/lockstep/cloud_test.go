package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/devcloud"
	"github.com/lockstep-cvm/lockstep/onchain"
)

type cloudKey struct{}

// testCloud is the cloud of one script, behind a gate that can hold a request back.
type testCloud struct {
	dev   *devcloud.Cloud
	gate  *gate
	url   string // of the gate
	cache string // XDG_CACHE_HOME of the script
	nonce uint64 // of the owner, when it was last asked for

	databaseURL string // empty: SQLite in the folder of the cloud
}

// onCloud makes a script command of a method.
func onCloud(method func(*testCloud, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("! has no meaning here")
		}
		method(ts.Value(cloudKey{}).(*testCloud), ts, args)
	}
}

// start: cloud. Sets the variables that the program and the scripts read.
func (c *testCloud) start(ts *testscript.TestScript, _ []string) {
	ctx := context.Background()
	var err error
	c.dev, err = devcloud.Start(ctx, devcloud.Config{Listen: "127.0.0.1:0", RPCListen: "127.0.0.1:0", DatabaseURL: c.databaseURL, Pace: -1})
	ts.Check(err)
	ts.Defer(func() { ts.Check(c.dev.Close(context.Background())) })
	target, err := url.Parse(strings.TrimSuffix(c.dev.Ready.APIURL, "/api/v1"))
	ts.Check(err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	c.gate = &gate{next: proxy}
	front := httptest.NewServer(c.gate)
	ts.Defer(front.Close)
	c.url = front.URL + "/api/v1"
	ts.Setenv("PHALA_CLOUD_API_PREFIX", c.url)
	ts.Setenv("PHALA_CLOUD_API_KEY", c.dev.Ready.APIKey)
	ts.Setenv("ETH_RPC_URL", c.dev.Ready.RPCURL)
	ts.Setenv("OWNER_KEY", c.dev.Ready.OwnerKey)
	c.nonce = c.ownerNonce(ts)
}

// keystore: keystore FILE PASSWORD. Writes the owner's key as go-ethereum does.
func (c *testCloud) keystore(ts *testscript.TestScript, args []string) {
	account := c.dev.Chain.Accounts()[0]
	sealed, err := keystore.EncryptKey(&keystore.Key{Id: uuid.New(), Address: account.Address, PrivateKey: account.Key},
		args[1], keystore.LightScryptN, keystore.LightScryptP)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append(sealed, '\n'), 0o600))
}

// remember: remember CVM FILE COMPOSE_HASH|proposed TX. Writes the checkpoint of an update that was
// interrupted before phase 2.
func (c *testCloud) remember(ts *testscript.TestScript, args []string) {
	cvm, compose, hash, tx := args[0], ts.ReadFile(args[1]), args[2], args[3]
	if hash == "proposed" {
		hash = c.propose(ts, cvm, compose)
	}
	path := filepath.Join(c.cache, "lockstep", "updates", checkpointName(c.url, cvm))
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
	ts.Check(lockstep.NewFileCheckpoint(path).Save(&lockstep.CheckpointRecord{
		API: c.url, CVM: api.PathID(cvm), ComposeSHA256: appcompose.Hash([]byte(compose)).String(), ComposeHash: hash, Asked: true, TransactionHash: tx,
	}))
}

func (c *testCloud) propose(ts *testscript.TestScript, cvm, compose string) string {
	client, err := lockstep.NewClient(lockstep.WithBaseURL(c.url), lockstep.WithAPIKey(c.dev.Ready.APIKey))
	ts.Check(err)
	result, err := client.UpdateDockerCompose(context.Background(), cvm, compose)
	ts.Check(err)
	need, ok := result.(*lockstep.Precondition)
	if !ok {
		ts.Fatalf("the proposal is %T, want a precondition", result)
	}
	return need.ComposeHash
}

// hold: the next request of phase 2 waits at the gate.
func (c *testCloud) hold(*testscript.TestScript, []string) { c.gate.close() }

// awaitHold: await-hold. Returns when a request waits at the gate.
func (c *testCloud) awaitHold(ts *testscript.TestScript, _ []string) {
	select {
	case <-c.gate.current().reached:
	case <-time.After(time.Minute):
		ts.Fatalf("no request of phase 2 came")
	}
}

// release: lets it through.
func (c *testCloud) release(*testscript.TestScript, []string) { close(c.gate.current().released) }

// disallow: disallow. Takes the hash that waits at the gate off the app's contract.
func (c *testCloud) disallow(ts *testscript.TestScript, _ []string) {
	hash, err := onchain.ParseComposeHash(c.gate.current().hash)
	ts.Check(err)
	for _, cvm := range c.dev.Ready.CVMs {
		if cvm.Name != devcloud.OnChainCVM {
			continue
		}
		contract, err := onchain.ParseAppID(cvm.AppID)
		ts.Check(err)
		_, err = onchain.RemoveComposeHash(context.Background(), onchain.WriteOptions{
			Backend: c.dev.Chain.Client(), PrivateKey: c.dev.Chain.Accounts()[0].Key,
		}, contract, hash)
		ts.Check(err)
		c.nonce++
	}
}

// ownerSent: owner-sent N. The owner has sent so many transactions since the last look.
func (c *testCloud) ownerSent(ts *testscript.TestScript, args []string) {
	now := c.ownerNonce(ts)
	if got := strconv.FormatUint(now-c.nonce, 10); got != args[0] {
		ts.Fatalf("the owner sent %s transactions, want %s", got, args[0])
	}
	c.nonce = now
}

func (c *testCloud) ownerNonce(ts *testscript.TestScript) uint64 {
	nonce, err := c.dev.Chain.Client().PendingNonceAt(context.Background(), common.HexToAddress(c.dev.Ready.OwnerAddress))
	ts.Check(err)
	return nonce
}

// gate passes requests on, except for one of phase 2 that it was told to hold.
type gate struct {
	next http.Handler

	mu    sync.Mutex
	armed bool
	held  *held
}

// held is a request at the gate.
type held struct {
	hash     string // X-Compose-Hash; written before reached is closed
	reached  chan struct{}
	released chan struct{}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed, g.held = true, &held{reached: make(chan struct{}), released: make(chan struct{})}
}

func (g *gate) current() *held {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// take returns what a request has to wait for, or nil.
func (g *gate) take(r *http.Request) *held {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.armed || r.Header.Get(api.HeaderTransactionHash) == "" {
		return nil
	}
	g.armed = false
	g.held.hash = r.Header.Get(api.HeaderComposeHash)
	close(g.held.reached)
	return g.held
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // before it is read, the server does not notice that a client leaves
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if h := g.take(r); h != nil {
		select {
		case <-h.released:
		case <-r.Context().Done(): // the client is gone
			return
		}
	}
	g.next.ServeHTTP(w, r)
}
