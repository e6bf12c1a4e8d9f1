package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// phase2Updates is how many updates the median is taken of.
const phase2Updates = 40

const dstackConfig = `kms:
  - {slug: on, type: ethereum, url: "https://kms.test", version: "1", keys_dir: %[1]s/kms, chain_id: %[2]d,
     rpc_urls: [%[3]q], contract_address: "%[4]s"}
nodes:
  - {id: 1, name: host-1, driver: dstack, device_id: "%[5]s", dstack: {url: "%[6]s"},
     images: [{name: %[7]s, version: [0, 5, 5], hash: "%[8]s"}], capacity: {cvms: 100000, vcpu: 1000000, memory_mb: 1000000000}}
`

const osImage = "dstack-0.5.5"

// measurePhase2 takes the time from sending phase 2, whose approval is on chain, to the first call about the CVM that
// the server makes to a dstack host. The check of the approval is in it, and so is the wait for a worker.
func measurePhase2(ctx context.Context, env *environment) ([]figure, error) {
	p, err := newPhase2(ctx, env)
	defer p.close()
	if err != nil {
		return nil, err
	}
	var called, answered []time.Duration
	for range phase2Updates {
		c, a, err := p.update(ctx)
		if err != nil {
			return nil, err
		}
		called, answered = append(called, c), append(answered, a)
	}
	limit := map[string]float64{"sqlite": 150, "postgres": 50}[env.database]
	return []figure{{
		name: "phase 2 to the first runtime call, median on " + env.database, ours: median(called).Round(10 * time.Microsecond).String(),
		baseline: "answered after " + median(answered).Round(10*time.Microsecond).String(), value: float64(median(called).Microseconds()) / 1000,
		unit: "ms", limit: limit, atMost: true,
	}}, nil
}

// phase2 is a CVM on a dstack host whose owner approves on chain.
type phase2 struct {
	owner   onchain.WriteOptions
	server  *served
	client  *lockstep.Client
	calls   *listener
	app     string
	closers []func()
}

const phase2CVM = "bench-onchain"

func newPhase2(ctx context.Context, env *environment) (*phase2, error) {
	p := &phase2{}
	dir, err := os.MkdirTemp("", "lockstep-bench-")
	if err != nil {
		return p, err
	}
	p.closers = append(p.closers, func() { _ = os.RemoveAll(dir) })
	chain, err := devchain.Start(ctx, devchain.Config{DataDir: filepath.Join(dir, "chain"), ListenAddr: "127.0.0.1:0", ChainID: devchain.DefaultChainID})
	if err != nil {
		return p, err
	}
	p.closers = append(p.closers, func() { _ = chain.Close() })
	p.owner = onchain.WriteOptions{
		Backend: chain.Client(), ChainID: chain.ChainID().Uint64(), PrivateKey: chain.Accounts()[0].Key, PollInterval: 2 * time.Millisecond,
	}
	deployed, err := onchain.DeployKMS(ctx, onchain.DeployKMSRequest{WriteOptions: p.owner})
	if err != nil {
		return p, err
	}
	device, image := common.Hash{1}, sim.SimulatedImageHash(osImage)
	if _, err := onchain.RegisterOSImage(ctx, p.owner, deployed.KMSContract, image); err != nil {
		return p, err
	}
	if err := p.openHost(dir, device); err != nil {
		return p, err
	}
	door := httptest.NewServer(p.calls)
	p.closers = append(p.closers, func() { door.CloseClientConnections(); door.Close() })
	p.server, err = startServed(ctx, env, dir, fmt.Sprintf(dstackConfig, dir, chain.ChainID(), chain.RPCURL(), deployed.KMSContract.Hex(),
		hex.EncodeToString(device[:]), door.URL, osImage, hex.EncodeToString(image[:])))
	if err != nil {
		return p, err
	}
	p.closers = append(p.closers, p.server.stop)
	if p.client, err = lockstep.NewClient(lockstep.WithAPIKey(p.server.key), lockstep.WithBaseURL(p.server.url), lockstep.WithHTTPClient(p.server.http)); err != nil {
		return p, err
	}
	return p, p.deploy(ctx, deployed.KMSContract, device)
}

// openHost makes a dstack host whose guests boot what they are given: the approval is the server's business here.
func (p *phase2) openHost(dir string, device common.Hash) error {
	anything := kms.AllowlistAuthorizer{Allowed: func(context.Context, [20]byte, [32]byte) (bool, error) { return true, nil }}
	host, err := vmmtest.New(vmmtest.Config{Dir: filepath.Join(dir, "host"), Authorizer: anything, DeviceID: device})
	if err != nil {
		return err
	}
	p.closers = append(p.closers, func() { _ = host.Close() })
	p.calls = &listener{behind: host.Handler()}
	return nil
}

func (p *phase2) deploy(ctx context.Context, kmsContract common.Address, device common.Hash) error {
	kind := string(api.KMSEthereum)
	provisioned, err := p.client.ProvisionCVM(ctx, &api.ProvisionRequest{Name: phase2CVM, KMS: &kind, ComposeFile: api.ComposeFile{DockerComposeFile: nextYAML()}})
	if err != nil {
		return err
	}
	hash, err := appcompose.ParseComposeHash(provisioned.ComposeHash)
	if err != nil {
		return err
	}
	deployed, err := onchain.DeployAppAuth(ctx, onchain.DeployAppAuthRequest{
		WriteOptions: p.owner, KMSContract: kmsContract, DeviceID: device, ComposeHash: common.Hash(hash),
	})
	if err != nil {
		return err
	}
	p.app = deployed.AppID
	if _, err := p.client.CommitCVMProvision(ctx, &api.CommitRequest{AppID: p.app, ComposeHash: provisioned.ComposeHash}); err != nil {
		return err
	}
	return p.server.settled(ctx)
}

// update takes the CVM through one update, and tells how long after sending phase 2 the host was called about it, and
// the client answered.
func (p *phase2) update(ctx context.Context) (called, answered time.Duration, err error) {
	yaml := nextYAML()
	result, err := p.client.UpdateDockerCompose(ctx, phase2CVM, yaml)
	if err != nil {
		return 0, 0, err
	}
	needed, ok := result.(*lockstep.Precondition)
	if !ok {
		return 0, 0, fmt.Errorf("phase 1 was answered with %T", result)
	}
	tx, err := onchain.AddComposeHash(ctx, onchain.AddComposeHashRequest{
		WriteOptions: p.owner, AppID: common.HexToAddress(p.app), ComposeHash: common.HexToHash(needed.ComposeHash),
	})
	if err != nil {
		return 0, 0, err
	}
	first := p.calls.next()
	began := time.Now()
	_, err = p.client.UpdateDockerCompose(ctx, phase2CVM, yaml, lockstep.WithComposeHash(needed.ComposeHash), lockstep.WithTransactionHash(tx.TransactionHash.Hex()))
	if err != nil {
		return 0, 0, err
	}
	answered = time.Since(began)
	select {
	case at := <-first:
		called = at.Sub(began)
	case <-time.After(time.Minute):
		return 0, 0, fmt.Errorf("the host was not called in a minute")
	}
	return called, answered, p.server.settled(ctx)
}

func (p *phase2) close() {
	for i := len(p.closers) - 1; i >= 0; i-- {
		p.closers[i]()
	}
}

// listener stands before the RPC of a host and tells when the next call about a VM comes.
type listener struct {
	behind http.Handler

	mu    sync.Mutex
	first chan time.Time
}

// next gives the time of the next call about a VM.
func (l *listener) next() <-chan time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first = make(chan time.Time, 1)
	return l.first
}

// ServeHTTP implements http.Handler.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var about struct {
		ID, Keyword string
		IDs         []string
	}
	if json.Unmarshal(body, &about) == nil && (about.ID != "" || about.Keyword != "" || len(about.IDs) > 0) {
		l.mu.Lock()
		if l.first != nil {
			l.first <- at
			l.first = nil
		}
		l.mu.Unlock()
	}
	l.behind.ServeHTTP(w, r)
}
