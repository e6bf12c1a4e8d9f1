package app_test

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/examples"
	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

const (
	simNode, dstackNode = 1, 2
	vmmToken            = "a token of the host"
)

var device = [32]byte{0xd5, 0x7a, 0xc4}

// fleet is a server with a simulated node and a dstack node, on a chain with a KMS contract.
type fleet struct {
	t      *testing.T
	chain  *devchain.Chain
	kms    common.Address
	config app.Config
	key    string
	server *app.Server
	user   control.Principal
	client *lockstep.Client
	host   *host
	change func(*app.Config) // before the server is opened; nil for none

	options app.Options // besides the timeouts
}

// host is the dstack host, which may be cut off and restarted.
type host struct {
	t      *testing.T
	config vmmtest.Config
	front  *httptest.Server

	mu   sync.Mutex
	vmm  *vmmtest.VMM
	down bool
}

func newHost(t *testing.T, authorizer kms.Authorizer) *host {
	h := &host{t: t, config: vmmtest.Config{Dir: t.TempDir(), Authorizer: authorizer, DeviceID: device, Tokens: []string{vmmToken}}}
	h.boot()
	h.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		vmm, down := h.vmm, h.down
		h.mu.Unlock()
		if down {
			panic(http.ErrAbortHandler)
		}
		vmm.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(func() { h.front.CloseClientConnections(); h.front.Close(); h.vmm.Close() })
	return h
}

func (h *host) boot() {
	vmm, err := vmmtest.New(h.config)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.vmm = vmm
}

func (h *host) cut(down bool) {
	h.mu.Lock()
	h.down = down
	h.mu.Unlock()
	h.front.CloseClientConnections()
}

// restart ends the VMM with all calls under way, and starts another on the same disk.
func (h *host) restart() {
	h.cut(true)
	if err := h.vmm.Close(); err != nil {
		h.t.Error(err)
	}
	h.boot()
	h.cut(false)
}

func newFleet(t *testing.T, databaseURL string) *fleet {
	f := prepareFleet(t)
	f.open(databaseURL)
	return f
}

// prepareFleet makes all but the server.
func prepareFleet(t *testing.T) *fleet {
	f := &fleet{t: t}
	ctx := t.Context()
	var err error
	if f.chain, err = devchain.Start(ctx, devchain.Config{DataDir: t.TempDir(), ListenAddr: "127.0.0.1:0", ChainID: devchain.DefaultChainID}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.chain.Close() })
	contract, err := onchain.DeployKMS(ctx, onchain.DeployKMSRequest{WriteOptions: f.write()})
	if err != nil {
		t.Fatal(err)
	}
	f.kms = contract.KMSContract
	if _, err := onchain.RegisterOSImage(ctx, f.write(), f.kms, sim.SimulatedImageHash("dstack-0.5.5")); err != nil {
		t.Fatal(err)
	}
	f.host = newHost(t, kms.AuthorizerFunc(f.authorize))
	return f
}

// authorize asks the contract about apps that are on chain, and lets the others boot.
func (f *fleet) authorize(ctx context.Context, info kms.BootInfo) (kms.Decision, error) {
	known, err := onchain.IsAppRegistered(ctx, f.chain.Client(), f.kms, common.Address(info.AppID))
	if err != nil || !known {
		return kms.Decision{Allowed: !known}, err
	}
	d, err := onchain.IsAppAllowed(ctx, f.chain.Client(), f.kms, onchain.AppBootInfo{
		AppID: info.AppID, ComposeHash: info.ComposeHash, InstanceID: common.BytesToAddress(info.InstanceID), DeviceID: info.DeviceID,
		MRAggregated: info.MRAggregated, MRSystem: info.MRSystem, OSImageHash: info.OSImageHash, TCBStatus: info.TCBStatus,
	})
	return kms.Decision{Allowed: d.Allowed, Reason: d.Reason}, err
}

func (f *fleet) write() onchain.WriteOptions {
	return onchain.WriteOptions{
		Backend: f.chain.Client(), ChainID: f.chain.ChainID().Uint64(), PrivateKey: f.chain.Accounts()[0].Key, PollInterval: time.Millisecond,
	}
}

func (f *fleet) open(databaseURL string) {
	dir, ctx := f.t.TempDir(), f.t.Context()
	config := app.DefaultConfig()
	config.DatabaseURL, config.Listen = databaseURL, "127.0.0.1:0"
	keys := filepath.Join(dir, "keys")
	config.KMS = []app.KMSConfig{
		{Slug: "off", Type: "phala", URL: "https://kms.test", Version: "dev", KeysDir: keys},
		{Slug: "on", Type: "ethereum", URL: "https://kms.test", Version: "dev", KeysDir: keys, ChainID: f.chain.ChainID().Int64(),
			RPCURLs: []string{f.chain.RPCURL()}, ContractAddress: f.kms.Hex()},
	}
	images := []app.ImageConfig{{Name: "dstack-0.5.5", Version: []int64{0, 5, 5}}}
	capacity := app.CapacityConfig{CVMs: 10, VCPU: 100, MemoryMB: 1 << 20}
	config.Nodes = []app.NodeConfig{
		{ID: simNode, Name: "local-1", Driver: "sim", Dir: filepath.Join(dir, "node"), DeviceID: hex.EncodeToString(device[:]), Images: images, Capacity: capacity},
		{ID: dstackNode, Name: "tdx-1", Driver: "dstack", DeviceID: hex.EncodeToString(device[:]), Images: images, Capacity: capacity,
			Dstack: app.DstackConfig{URL: f.host.front.URL, Token: vmmToken}},
	}
	if f.change != nil {
		f.change(&config)
	}
	f.config = config
	f.serve()
	f.t.Cleanup(f.close)
	if _, err := f.server.Control.EnsureWorkspace(ctx, "dev", "dev"); err != nil {
		f.t.Fatal(err)
	}
	key, err := f.server.Control.CreateKey(ctx, "dev", "dev", []control.Scope{control.ScopeAdmin}, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	f.key = key.Key
	if f.user, err = f.server.Control.Authenticate(ctx, key.Key); err != nil {
		f.t.Fatal(err)
	}
	f.connect()
}

// serve starts the server; again after close it is another process on the same database.
func (f *fleet) serve() {
	f.t.Helper()
	timeouts := control.DefaultTimeouts()
	timeouts.Poll, timeouts.Retry = 5*time.Millisecond, 10*time.Millisecond
	options := f.options
	options.Timeouts = timeouts
	var err error
	if f.server, err = app.Open(f.t.Context(), f.config, options); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fleet) close() {
	if err := f.server.Close(context.Background()); err != nil {
		f.t.Error(err)
	}
}

func (f *fleet) connect() {
	f.t.Helper()
	var err error
	if f.client, err = lockstep.NewClient(lockstep.WithBaseURL(f.server.APIURL()), lockstep.WithAPIKey(f.key)); err != nil {
		f.t.Fatal(err)
	}
}

// create makes a CVM on a node and waits until it runs.
func (f *fleet) create(name string, node int64, kind api.KMSType) {
	f.t.Helper()
	ctx, wire := f.t.Context(), string(kind)
	provisioned, err := f.server.Control.Provision(ctx, f.user, api.ProvisionRequest{
		Name: name, KMS: &wire, TeepodID: &node, ComposeFile: api.ComposeFile{DockerComposeFile: examples.ComposeV1},
	}, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	request := api.CommitRequest{AppID: provisioned.Row.AppID, ComposeHash: provisioned.Row.ComposeHash.String()}
	if kind.OnChain() {
		deployed, err := onchain.DeployAppAuth(ctx, onchain.DeployAppAuthRequest{
			WriteOptions: f.write(), KMSContract: f.kms, DeviceID: provisioned.Node.DeviceID, ComposeHash: common.Hash(provisioned.Row.ComposeHash),
		})
		if err != nil {
			f.t.Fatal(err)
		}
		owner := f.chain.Accounts()[0].Address.Hex()
		request.AppID, request.DeployerAddress = deployed.AppID, &owner
	}
	if _, err := f.server.Control.Commit(ctx, f.user, request); err != nil {
		f.t.Fatal(err)
	}
	f.until(name, func(now *control.CVM) bool { return now.Active == nil })
	if now := f.cvm(name); now.Row.Status != control.StatusRunning || now.Row.NodeID != node {
		f.t.Fatalf("%s is %s on node %d, want running on %d", name, now.Row.Status, now.Row.NodeID, node)
	}
}

func (f *fleet) cvm(name string) *control.CVM {
	f.t.Helper()
	cvm, err := f.server.Control.CVM(f.t.Context(), f.user, name)
	if err != nil {
		f.t.Fatal(err)
	}
	return cvm
}

// until waits for a state of a CVM.
func (f *fleet) until(name string, done func(*control.CVM) bool) {
	f.t.Helper()
	changed, stop := f.server.Control.Watch(f.cvm(name).Row.ID)
	defer stop()
	deadline := time.After(30 * time.Second)
	for {
		now := f.cvm(name)
		if done(now) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			f.t.Fatalf("%s did not come there: status %s, active %+v", name, now.Row.Status, now.Active)
		}
	}
}

// update carries out an update with the SDK, to its end.
func (f *fleet) update(ctx context.Context, name, compose string) error {
	_, err := f.client.Apply(ctx, lockstep.ApplyRequest{
		CVM: name, Compose: compose, Wait: true, PollInterval: 10 * time.Millisecond,
		Approver: lockstep.ApproverFunc(func(ctx context.Context, a lockstep.Approval) (string, error) {
			result, err := onchain.AddComposeHash(ctx, onchain.AddComposeHashRequest{
				WriteOptions: f.write(), KMSContract: f.kms, AppID: common.HexToAddress(a.AppID), ComposeHash: common.HexToHash(a.ComposeHash),
			})
			if err != nil {
				return "", err
			}
			return result.TransactionHash.Hex(), nil
		}),
	})
	return err
}

// check makes sure that a CVM runs a compose file, on its node.
func (f *fleet) check(name, compose string, node int64) {
	f.t.Helper()
	cvm := f.cvm(name)
	running, err := f.client.GetDockerCompose(f.t.Context(), name)
	if err != nil || running != compose {
		f.t.Errorf("%s: compose file is %q, %v; want %q", name, running, err, compose)
	}
	file, err := f.client.GetCVMComposeFile(f.t.Context(), name)
	if err != nil {
		f.t.Fatal(err)
	}
	status, err := cvm.Node.Runtime.Status(f.t.Context(), cvm.Row.VMUUID)
	if err != nil || status.State != runtime.StateRunning || status.Health != runtime.HealthHealthy {
		f.t.Errorf("%s: status is %+v, %v; want running and healthy", name, status, err)
	}
	if status.RunningHash.String() != file.Hash() || status.NextHash.String() != file.Hash() || cvm.Row.NodeID != node {
		f.t.Errorf("%s on node %d: runs %s, next %s; want %s on node %d", name, cvm.Row.NodeID, status.RunningHash, status.NextHash, file.Hash(), node)
	}
}

func version(n string) string {
	return strings.ReplaceAll(examples.ComposeV2, "v2", "v"+n) + "\n# " + n + "\n"
}

// TestMixedFleet updates CVMs on a dstack node beside one on a simulated node: off chain and on chain, with the
// node away, and with its VMM restarted in the middle.
func TestMixedFleet(t *testing.T) { storetest.Each(t, updateAMixedFleet) }

func updateAMixedFleet(t *testing.T, databaseURL string) {
	f := newFleet(t, databaseURL)
	ctx := t.Context()
	f.create("sim-off", simNode, api.KMSPhala)
	f.create("tdx-off", dstackNode, api.KMSPhala)
	f.create("tdx-on", dstackNode, api.KMSEthereum)

	for name, node := range map[string]int64{"sim-off": simNode, "tdx-off": dstackNode, "tdx-on": dstackNode} {
		if err := f.update(ctx, name, version("2")); err != nil {
			t.Fatalf("update of %s: %v", name, err)
		}
		f.check(name, version("2"), node)
	}

	t.Run("node away", func(t *testing.T) {
		f.host.cut(true)
		done := make(chan error, 1)
		go func() { done <- f.update(ctx, "tdx-on", version("3")) }()
		f.until("tdx-on", func(now *control.CVM) bool {
			return now.Active != nil && strings.Contains(now.Active.Reason, "waits for node tdx-1")
		})
		f.host.cut(false)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		f.check("tdx-on", version("3"), dstackNode)
	})
	t.Run("vmm restarted", func(t *testing.T) {
		for _, method := range []string{vmmrpc.ShutdownVM, vmmrpc.UpdateVM, vmmrpc.StartVM} {
			for _, after := range []bool{false, true} {
				struck := f.host.vmm.Faults().Add(vmmtest.Fault{Method: method, After: after, Hold: true}).Struck()
				compose := version("4 " + method + map[bool]string{true: " after"}[after])
				done := make(chan error, 1)
				go func() { done <- f.update(ctx, "tdx-off", compose) }()
				select {
				case <-struck:
				case err := <-done:
					t.Fatalf("the update ended without %s: %v", method, err)
				}
				f.host.restart()
				if err := <-done; err != nil {
					t.Fatalf("restart in %s: %v", method, err)
				}
				f.check("tdx-off", compose, dstackNode)
			}
		}
	})
	t.Run("bad version", func(t *testing.T) {
		bad := strings.Replace(version("5"), "services:", "services:\n  broken:\n    image: broken\n    labels: {lockstep.sim.exit: \"7\"}", 1)
		err := f.update(ctx, "tdx-on", bad)
		if failed := new(lockstep.RolloutError); !errors.As(err, &failed) {
			t.Errorf("update to a broken version: %v, want a RolloutError", err)
		}
		f.until("tdx-on", func(now *control.CVM) bool { return now.Active == nil })
		f.check("tdx-on", version("3"), dstackNode)
	})
	t.Run("cancelled", func(t *testing.T) {
		struck := f.host.vmm.Faults().Add(vmmtest.Fault{Method: vmmrpc.StartVM, Hold: true}).Struck()
		done := make(chan error, 1)
		go func() { done <- f.update(ctx, "tdx-on", version("6")) }()
		<-struck
		if result, err := f.client.CancelOperation(ctx, "tdx-on"); err != nil || !result.Cancelled {
			t.Fatalf("cancel: %+v, %v", result, err)
		}
		f.host.restart()
		if failed := new(lockstep.RolloutError); !errors.As(<-done, &failed) {
			t.Error("the update that was cancelled came to run")
		}
		f.until("tdx-on", func(now *control.CVM) bool { return !now.Busy() })
		f.check("tdx-on", version("3"), dstackNode)
	})
	t.Run("power", func(t *testing.T) {
		shutdown := func(ctx context.Context, cvm string) (*api.VM, error) {
			return f.client.ShutdownCVM(ctx, cvm, api.ShutdownOptions{})
		}
		restart := func(ctx context.Context, cvm string) (*api.VM, error) {
			return f.client.RestartCVM(ctx, cvm, api.RestartRequest{})
		}
		for _, step := range []struct {
			call func(context.Context, string) (*api.VM, error)
			want string
		}{
			{f.client.StopCVM, control.StatusStopped}, {f.client.StartCVM, control.StatusRunning}, {shutdown, control.StatusStopped},
			{restart, control.StatusRunning}, {restart, control.StatusRunning},
		} {
			for _, name := range []string{"tdx-on", "sim-off"} {
				vm, err := step.call(ctx, name)
				if err != nil {
					t.Fatal(err)
				}
				f.until(name, func(now *control.CVM) bool { return !now.Busy() })
				if now := f.cvm(name); now.Status() != step.want {
					t.Fatalf("%s was %s and is %s, want %s", name, vm.Status, now.Status(), step.want)
				}
			}
		}
		f.check("tdx-on", version("3"), dstackNode)
		f.check("sim-off", version("2"), simNode)
	})
	t.Run("deleted", func(t *testing.T) {
		for _, name := range []string{"tdx-on", "sim-off"} {
			cvm := f.cvm(name)
			if err := f.client.DeleteCVM(ctx, name); err != nil {
				t.Fatal(err)
			}
			_, err := runtime.Await(ctx, cvm.Node.Runtime, cvm.Row.VMUUID, 5*time.Millisecond, func(runtime.Status) bool { return false })
			if !errors.Is(err, runtime.ErrNotFound) {
				t.Errorf("%s: %v, want that its node does not know it any more", name, err)
			}
		}
	})
}
