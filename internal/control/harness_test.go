package control

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// manualClock stands still until it is told to move. Sleep moves it: nobody waits in a test.
type manualClock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *manualClock {
	return &manualClock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func (c *manualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) Sleep(ctx context.Context, d time.Duration) error {
	c.advance(d)
	return ctx.Err()
}

func (c *manualClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// listQueue notes which updates got a job. Tests run them when they want.
type listQueue struct {
	mu  sync.Mutex
	ids []string

	rollouts []string
	power    []string
}

// EnqueuePower notes a power operation, each at most once until a test takes it: writes are rehearsed.
func (q *listQueue) EnqueuePower(_ context.Context, _ *store.Tx, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !slices.Contains(q.power, id) {
		q.power = append(q.power, id)
	}
	return nil
}

// EnqueueRollout notes a fleet rollout, each at most once until a test takes it.
func (q *listQueue) EnqueueRollout(_ context.Context, _ *store.Tx, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !slices.Contains(q.rollouts, id) {
		q.rollouts = append(q.rollouts, id)
	}
	return nil
}

func (q *listQueue) EnqueueAdvance(_ context.Context, _ *store.Tx, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ids = append(q.ids, id)
	return nil
}

// harness is a control plane on a real database, with a chain and a node that do what the test says.
type harness struct {
	t       testing.TB
	dir     string
	clock   *manualClock
	queue   *listQueue
	chain   *fakeChain
	node    *fakeNode
	store   *store.Store
	service *Service
	alice   Principal
	bob     Principal

	dress func(*Config, *Node) // puts something around the parts of a service before it is made
	once  bool                 // writes are not rehearsed
}

const yamlOne = "services:\n  web:\n    image: nginx:1.27\n"

func yamlNumber(n int) []byte {
	return fmt.Appendf(nil, "services:\n  web:\n    image: nginx:1.%d\n", n)
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	return newHarnessIn(t, t.TempDir())
}

// emptyDatabase is a migrated database, made once: migrating is most of the time of opening one.
var emptyDatabase = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "lockstep-control-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "lockstep.db")
	db, err := store.Open(context.Background(), "sqlite:"+path)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil { // the last connection folds the log into the file
		return nil, err
	}
	return os.ReadFile(path)
})

func newHarnessIn(t testing.TB, dir string) *harness {
	t.Helper()
	empty, err := emptyDatabase()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "lockstep.db"), empty, 0o600))
	h := &harness{t: t, dir: dir, clock: newClock(), queue: &listQueue{}, chain: newFakeChain()}
	h.node = newFakeNode(h.chain, h.clock)
	h.start()
	ctx := context.Background()
	for _, who := range []struct {
		slug string
		into *Principal
	}{{"alice", &h.alice}, {"bob", &h.bob}} {
		_, err := h.service.EnsureWorkspace(ctx, who.slug, who.slug)
		must(t, err)
		key, err := h.service.CreateKey(ctx, who.slug, "test", []Scope{ScopeAdmin}, 0)
		must(t, err)
		*who.into, err = h.service.Authenticate(ctx, key.Key)
		must(t, err)
	}
	return h
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start opens the database and makes a service; again after close it is a restart.
func (h *harness) start() {
	h.t.Helper()
	var err error
	h.store, err = store.Open(context.Background(), "sqlite:"+filepath.Join(h.dir, "lockstep.db"))
	must(h.t, err)
	if !h.once {
		h.store.Rehearse() // writes may be carried out more than once
	}
	h.serve()
}

// serve makes a service on the open database.
func (h *harness) serve() {
	h.t.Helper()
	dev, err := kms.OpenDev(filepath.Join(h.dir, "kms"), rand.Reader)
	must(h.t, err)
	node := &Node{
		ID: 1, Name: "node-1", Region: "local", DeviceID: common.Hash{0xde}, GatewayDomain: "example.test",
		Images:   []Image{{Name: "dstack-0.5.5", Version: [3]int64{0, 5, 5}}},
		Capacity: Capacity{CVMs: 1000, VCPU: 1000, MemoryMB: 1 << 30}, Runtime: h.node,
	}
	config := Config{Store: h.store, Queue: h.queue, Clock: h.clock}
	if h.dress != nil {
		h.dress(&config, node)
	}
	config.Catalog, err = NewCatalog(
		[]*Node{node},
		[]*KMS{
			{ID: "kms_off", Slug: "off", Type: api.KMSPhala, URL: "https://kms.test", Version: "1", Keys: dev},
			{
				ID: "kms_on", Slug: "on", Type: api.KMSEthereum, URL: "https://kms.test", Version: "1", Keys: dev,
				Chain: &api.Chain{ID: 1337, Name: "test"}, Contract: common.Address{0xcc}, Registry: h.chain, Contracts: h.chain,
			},
		})
	must(h.t, err)
	h.service, err = New(config)
	must(h.t, err)
}

func (h *harness) close() { must(h.t, h.store.Close()) }

// restart is what happens to the control plane when its process dies; chain and node live on.
func (h *harness) restart() {
	h.close()
	h.start()
}

// create makes a running CVM.
func (h *harness) create(name string, kmsType api.KMSType) *CVM {
	h.t.Helper()
	ctx := context.Background()
	kind := string(kmsType)
	provisioned, err := h.service.Provision(ctx, h.alice, api.ProvisionRequest{
		Name: name, KMS: &kind, ComposeFile: api.ComposeFile{DockerComposeFile: yamlOne},
	}, nil)
	must(h.t, err)
	appID := provisioned.Row.AppID
	if kmsType.OnChain() {
		appID = h.chain.deploy(provisioned.Row.ComposeHash, provisioned.Node.DeviceID)
	}
	cvm, err := h.service.Commit(ctx, h.alice, api.CommitRequest{AppID: appID, ComposeHash: provisioned.Row.ComposeHash.String()})
	must(h.t, err)
	h.settle(cvm.Row.ActiveUpdateID)
	return h.read(cvm)
}

func (h *harness) read(cvm *CVM) *CVM {
	h.t.Helper()
	cvm, err := h.service.CVM(context.Background(), h.alice, cvm.Row.HashID)
	must(h.t, err)
	return cvm
}

// settle runs an update to its end, with a node that does what it is told.
func (h *harness) settle(updateID string) store.Update {
	h.t.Helper()
	ctx := context.Background()
	for range 200 {
		step, err := h.service.Advance(ctx, updateID)
		must(h.t, err)
		if step.Done {
			u, err := h.store.Read().GetUpdate(ctx, updateID)
			must(h.t, err)
			return u
		}
		h.node.tick()
		h.clock.advance(step.Wait)
	}
	h.t.Fatalf("update %s did not end", updateID)
	return store.Update{}
}

func (h *harness) hashOf(cvm *CVM, yaml []byte) appcompose.ComposeHash {
	h.t.Helper()
	document, err := cvm.Document.Edit(appcompose.SetDockerComposeFile(string(yaml)))
	must(h.t, err)
	return document.Hash()
}
