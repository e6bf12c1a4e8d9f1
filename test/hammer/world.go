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
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

const osImage = "dstack-0.5.5"

// world is everything of a run.
type world struct {
	options  options
	dir      string
	database database
	owner    *owner
	rpc      *proxy
	diary    *diary
	keeper   *doorkeeper
	host     host
	servers  []*server
	key      string // of the API
	http     *http.Client
	offered  map[operation]bool
	cvms     []*cvm
	tally    tally
	closers  []func() error

	paused, killed atomic.Bool // whether all pauses are over, and all kills
}

// cvm is one CVM that is updated.
type cvm struct {
	name    string
	appID   string
	onChain bool
	base    *appcompose.Document

	mu        sync.Mutex
	revisions []string // ids of some
}

// tally counts what clients and wreckers did.
type tally struct {
	mu         sync.Mutex
	accepted   map[string]string // CVM by correlation id: each must come to an end
	cancelled  map[string]string // CVM by correlation id of what a client was told is cancelled
	badHashes  map[appcompose.ComposeHash]bool
	answers    map[string]int
	operations map[operation]int
	harm       map[string]int
}

func newTally() tally {
	return tally{
		accepted: map[string]string{}, cancelled: map[string]string{}, badHashes: map[appcompose.ComposeHash]bool{},
		answers: map[string]int{}, operations: map[operation]int{}, harm: map[string]int{},
	}
}

func (t *tally) answer(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers[what]++
}

// tookAll reports whether a server took each of the operations at least once.
func (t *tally) tookAll(offered map[operation]bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for o, is := range offered {
		if is && t.operations[o] == 0 {
			return false
		}
	}
	return true
}

// count counts something that was done to a server, or to what it stands on.
func (t *tally) count(harm string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.harm[harm]++
}

// bad notes a document whose guest does not boot.
func (t *tally) bad(hash appcompose.ComposeHash) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.badHashes[hash] = true
}

func (w *world) say(format string, args ...any) { fmt.Printf("hammer: "+format+"\n", args...) }

// newWorld builds everything. It returns what it has built also with an error, to be closed.
func newWorld(ctx context.Context, o options) (*world, error) {
	w := &world{options: o, tally: newTally(), diary: &diary{}}
	var err error
	if w.dir, err = os.MkdirTemp("", "lockstep-hammer-"); err != nil {
		return w, err
	}
	for _, step := range []func(context.Context) error{
		w.buildDatabase, w.buildChain, w.buildHost, w.buildServers, w.openDatabase, w.askWhatIsOffered, w.buildCVMs,
	} {
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

func (w *world) buildHost(ctx context.Context) (err error) {
	w.keeper = &doorkeeper{owner: w.owner, diary: w.diary, sent: map[grant]bool{}}
	if w.options.runtime == onDocker {
		w.host, err = w.newDockerHost(ctx)
	} else {
		w.host, err = w.newDstackHost()
	}
	return err
}

const serverConfig = `database_url: %[10]q
listen: %[2]s
log: {level: warn}
timeouts: {stop: 5s, healthy: 20s, rollback: 30s, retry: 200ms, tx_lookup: 1s}
kms:
  - {slug: off, type: phala, url: "https://kms.test", version: "1", keys_dir: %[1]s/kms}
  - {slug: on, type: ethereum, url: "https://kms.test", version: "1", keys_dir: %[1]s/kms, chain_id: %[3]d,
     rpc_urls: ["http://%[4]s"], contract_address: "%[5]s"}
nodes:
  - {id: 1, name: host-1, device_id: %[6]s, %[7]s,
     images: [{name: %[8]s, version: [0, 5, 5], hash: %[9]s}], capacity: {cvms: 100000, vcpu: 1000000, memory_mb: 1000000000}}
%[11]s
`

// buildServers starts the servers one after the other: the first makes the tables and the keys.
func (w *world) buildServers(ctx context.Context) error {
	w.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: w.options.clients}, Timeout: 20 * time.Second}
	for i := range w.options.servers {
		s, err := w.buildServer(ctx, fmt.Sprintf("server-%d", i+1))
		if err != nil {
			return err
		}
		if err := s.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) buildServer(ctx context.Context, name string) (*server, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	s, err := newServer(w.dir, w.options.lockstep, name, address, w.diary)
	if err != nil {
		return nil, err
	}
	w.servers = append(w.servers, s)
	node, leave := w.host.node(s)
	w.closers = append(w.closers, leave, s.close)
	databaseURL, err := w.urlFor(ctx, s)
	if err != nil {
		return nil, err
	}
	image := sim.SimulatedImageHash(osImage)
	if err := os.WriteFile(s.config, fmt.Appendf(nil, serverConfig, w.dir, address, w.owner.chain.ChainID(), w.rpc.address(),
		w.owner.kms.Hex(), hex.EncodeToString(device[:]), node, osImage, hex.EncodeToString(image[:]), databaseURL, w.options.settings), 0o600); err != nil {
		return nil, err
	}
	if w.key == "" {
		if w.key, err = w.createKey(ctx, s); err != nil {
			return nil, err
		}
	}
	// No retries: what a client sees of a death is part of what is looked at.
	s.client, err = lockstep.NewClient(lockstep.WithAPIKey(w.key), lockstep.WithBaseURL("http://"+address+"/api/v1"),
		lockstep.WithRetries(0), lockstep.WithHTTPClient(w.http), lockstep.WithTimeout(20*time.Second))
	return s, err
}

// meansTo writes down that a client is about to send a document for a CVM.
func (w *world) meansTo(c *cvm, hash appcompose.ComposeHash, version int64) {
	if !c.onChain {
		w.keeper.send(c.appID, hash)
	}
	w.host.expect(version, grant{c.appID, hash})
}

func (w *world) createKey(ctx context.Context, s *server) (string, error) {
	var stderr bytes.Buffer
	create := exec.CommandContext(ctx, w.options.lockstep, "keys", "create", "--config", s.config, "--workspace", "hammer", "--scope", "admin", "--json")
	create.Stderr = &stderr
	created, err := create.Output()
	if err != nil {
		return "", fmt.Errorf("create key: %w: %s", err, stderr.String())
	}
	var key struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(created, &key); err != nil {
		return "", fmt.Errorf("create key: %w", err)
	}
	return key.Key, nil
}

// buildCVMs creates the CVMs, every second one on chain, and waits until all run.
func (w *world) buildCVMs(ctx context.Context) error {
	random := rand.New(rand.NewPCG(w.options.seed, 0))
	for i := range w.options.cvms {
		c, err := w.create(ctx, fmt.Sprintf("hammer-%03d", i), i%2 == 1, random.Int64())
		if err != nil {
			return fmt.Errorf("create CVM %d: %w", i, err)
		}
		w.cvms = append(w.cvms, c)
	}
	return w.settle(ctx)
}

func (w *world) create(ctx context.Context, name string, onChain bool, version int64) (*cvm, error) {
	kind, yaml := string(api.KMSPhala), w.host.good(version)
	if onChain {
		kind = string(api.KMSEthereum)
	}
	provisioned, err := w.servers[0].client.ProvisionCVM(ctx, &api.ProvisionRequest{Name: name, KMS: &kind, ComposeFile: api.ComposeFile{DockerComposeFile: yaml}})
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
	}
	w.meansTo(c, hash, version)
	if _, err := w.servers[0].client.CommitCVMProvision(ctx, &api.CommitRequest{AppID: c.appID, ComposeHash: provisioned.ComposeHash}); err != nil {
		return nil, err
	}
	file, err := w.servers[0].client.GetCVMComposeFile(ctx, name)
	if err != nil {
		return nil, err
	}
	c.base, err = appcompose.Parse(file.Bytes())
	return c, err
}
