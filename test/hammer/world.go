package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

const osImage = "dstack-0.5.5"

// world is everything of a run.
type world struct {
	options options
	dir     string
	owner   *owner
	rpc     *proxy
	boots   *boots
	vmm     *vmmtest.VMM
	front   *front
	host    *httptest.Server
	server  *server
	client  *lockstep.Client
	cvms    []*cvm
	tally   tally
	closers []func() error
}

// cvm is one CVM that is updated.
type cvm struct {
	name    string
	appID   string
	onChain bool
	base    *appcompose.Document
}

// tally counts what happened.
type tally struct {
	mu       sync.Mutex
	accepted map[string]string // CVM by correlation id: each must come to an end
	answers  map[string]int
	kills    int
	outages  map[string]int
}

func (t *tally) answer(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers[what]++
}

func (w *world) say(format string, args ...any) { fmt.Printf("hammer: "+format+"\n", args...) }

// newWorld builds everything. It returns what it has built also with an error, to be closed.
func newWorld(ctx context.Context, o options) (*world, error) {
	w := &world{options: o, tally: tally{accepted: map[string]string{}, answers: map[string]int{}, outages: map[string]int{}}}
	var err error
	if w.dir, err = os.MkdirTemp("", "lockstep-hammer-"); err != nil {
		return w, err
	}
	for _, step := range []func(context.Context) error{w.buildChain, w.buildHost, w.buildServer, w.buildCVMs} {
		if err := step(ctx); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (w *world) close(failed bool) error {
	var errs []error
	for i := len(w.closers) - 1; i >= 0; i-- {
		errs = append(errs, w.closers[i]())
	}
	if failed || w.options.keep {
		w.say("kept %s", w.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

func (w *world) buildChain(ctx context.Context) error {
	chain, err := devchain.Start(ctx, devchain.Config{DataDir: filepath.Join(w.dir, "chain"), ListenAddr: "127.0.0.1:0", ChainID: devchain.DefaultChainID})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, chain.Close)
	w.owner = &owner{chain: chain, key: chain.Accounts()[0].Key, granted: map[grant]history{}}
	deployed, err := onchain.DeployKMS(ctx, onchain.DeployKMSRequest{WriteOptions: w.owner.write()})
	if err != nil {
		return err
	}
	w.owner.kms = deployed.KMSContract
	if _, err := onchain.RegisterOSImage(ctx, w.owner.write(), w.owner.kms, sim.SimulatedImageHash(osImage)); err != nil {
		return err
	}
	rpc, err := url.Parse(chain.RPCURL())
	if err != nil {
		return err
	}
	if w.rpc, err = newProxy(ctx, dialTCP(rpc.Host)); err != nil {
		return err
	}
	w.closers = append(w.closers, w.rpc.close)
	return nil
}

var device = sha256.Sum256([]byte("the host of the hammer"))

func (w *world) buildHost(context.Context) error {
	w.boots = &boots{owner: w.owner, sent: map[grant]bool{}}
	var err error
	w.vmm, err = vmmtest.New(vmmtest.Config{Dir: filepath.Join(w.dir, "host"), Authorizer: w.boots, DeviceID: device})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, w.vmm.Close)
	w.front = &front{behind: w.vmm.Handler()}
	w.host = httptest.NewServer(w.front)
	w.closers = append(w.closers, func() error { w.host.CloseClientConnections(); w.host.Close(); return nil })
	return nil
}

const serverConfig = `database_url: sqlite:%[1]s/lockstep.db
listen: %[2]s
log: {level: warn}
timeouts: {stop: 5s, healthy: 20s, rollback: 30s, retry: 200ms, tx_lookup: 1s}
kms:
  - {slug: off, type: phala, url: "https://kms.test", version: "1", keys_dir: %[1]s/kms}
  - {slug: on, type: ethereum, url: "https://kms.test", version: "1", keys_dir: %[1]s/kms, chain_id: %[3]d,
     rpc_urls: ["http://%[4]s"], contract_address: "%[5]s"}
nodes:
  - {id: 1, name: host-1, driver: dstack, device_id: %[6]s, dstack: {url: "%[7]s"},
     images: [{name: %[8]s, version: [0, 5, 5], hash: %[9]s}], capacity: {cvms: 100000, vcpu: 1000000, memory_mb: 1000000000}}
`

func (w *world) buildServer(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		return err
	}
	image := sim.SimulatedImageHash(osImage)
	config := filepath.Join(w.dir, "lockstep.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, serverConfig, w.dir, address, w.owner.chain.ChainID(), w.rpc.address(),
		w.owner.kms.Hex(), hex.EncodeToString(device[:]), w.host.URL, osImage, hex.EncodeToString(image[:])), 0o600); err != nil {
		return err
	}
	var stderr bytes.Buffer
	create := exec.CommandContext(ctx, w.options.lockstep, "keys", "create", "--config", config, "--workspace", "hammer", "--scope", "admin", "--json")
	create.Stderr = &stderr
	created, err := create.Output()
	if err != nil {
		return fmt.Errorf("create key: %w: %s", err, stderr.String())
	}
	var key struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(created, &key); err != nil {
		return fmt.Errorf("create key: %w", err)
	}
	if w.server, err = newServer(w.dir, w.options.lockstep, address, config); err != nil {
		return err
	}
	w.closers = append(w.closers, w.server.close)
	// No retries: what a client sees of a death is part of what is looked at.
	w.client, err = lockstep.NewClient(lockstep.WithAPIKey(key.Key), lockstep.WithBaseURL("http://"+address+"/api/v1"),
		lockstep.WithRetries(0), lockstep.WithHTTPClient(&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: w.options.clients}}),
		lockstep.WithTimeout(20*time.Second))
	if err != nil {
		return err
	}
	return w.server.start(ctx)
}

// buildCVMs creates the CVMs, every second one on chain, and waits until all run.
func (w *world) buildCVMs(ctx context.Context) error {
	random := rand.New(rand.NewPCG(w.options.seed, 0))
	for i := range w.options.cvms {
		c, err := w.create(ctx, fmt.Sprintf("hammer-%03d", i), i%2 == 1, goodVersion(random.Int64()))
		if err != nil {
			return fmt.Errorf("create CVM %d: %w", i, err)
		}
		w.cvms = append(w.cvms, c)
	}
	return w.settle(ctx)
}

func (w *world) create(ctx context.Context, name string, onChain bool, yaml string) (*cvm, error) {
	kind := string(api.KMSPhala)
	if onChain {
		kind = string(api.KMSEthereum)
	}
	provisioned, err := w.client.ProvisionCVM(ctx, &api.ProvisionRequest{Name: name, KMS: &kind, ComposeFile: api.ComposeFile{DockerComposeFile: yaml}})
	if err != nil {
		return nil, err
	}
	hash, err := appcompose.ParseComposeHash(provisioned.ComposeHash)
	if err != nil {
		return nil, err
	}
	c := &cvm{name: name, onChain: onChain}
	if onChain {
		app, err := onchain.DeployAppAuth(ctx, onchain.DeployAppAuthRequest{
			WriteOptions: w.owner.write(), KMSContract: w.owner.kms, DeviceID: device, ComposeHash: common.Hash(hash),
		})
		if err != nil {
			return nil, err
		}
		c.appID = app.AppID
		w.owner.note(c.appID, hash, history{allowed: true})
	} else {
		c.appID = *provisioned.AppID
		w.boots.send(c.appID, hash)
	}
	if _, err := w.client.CommitCVMProvision(ctx, &api.CommitRequest{AppID: c.appID, ComposeHash: provisioned.ComposeHash}); err != nil {
		return nil, err
	}
	file, err := w.client.GetCVMComposeFile(ctx, name)
	if err != nil {
		return nil, err
	}
	c.base, err = appcompose.Parse(file.Bytes())
	return c, err
}
