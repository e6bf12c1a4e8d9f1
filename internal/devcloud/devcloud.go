// Package devcloud wires the whole cloud into one process: a chain with the contracts, a simulated node, a
// control plane, two workspaces and two CVMs. It is what `lockstep dev` runs and `lockstep demo` plays in.
// It is apart from package app so that a server for production need not carry a chain.
package devcloud

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/examples"
	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/onchain"
	"github.com/lockstep-cvm/lockstep/onchain/devchain"
)

// Config is what `lockstep dev` is told.
type Config struct {
	Listen    string // of the API
	RPCListen string // of the chain's JSON-RPC
	DataDir   string // empty: a temporary folder, removed at the end
	// DatabaseURL is the database of the control plane; default: SQLite in DataDir.
	DatabaseURL string
	ChainID     uint64
	Logger      *slog.Logger
	// Pace is how long a boot stage of a simulated CVM takes; negative means no time.
	Pace time.Duration
	// Faults makes things go wrong on the simulated node.
	Faults *sim.Faults
	// Docker, when given, makes the node a Docker Engine in place of a simulated host.
	Docker *app.DockerConfig
	// Compose is what the first two CVMs run. The default is an example.
	Compose string
	// Timeouts are those of updates. The default suits people who wait at a terminal.
	Timeouts control.Timeouts
}

// Cloud is the whole cloud in one process: a chain with the contracts, a simulated node, a control plane,
// two workspaces and two CVMs.
type Cloud struct {
	Server *app.Server
	Chain  *devchain.Chain
	Ready  Ready

	dir       string
	temporary bool
	settled   atomic.Bool // the first CVMs boot as fast as they can; later ones are watched by people
}

// Ready is what a client needs to use the cloud. It is what --ready-file gets.
type Ready struct {
	APIURL            string `json:"api_url"`
	APIKey            string `json:"api_key"`
	RPCURL            string `json:"rpc_url"`
	ChainID           uint64 `json:"chain_id"`
	KMSContract       string `json:"kms_contract_address"`
	Multicall3        string `json:"multicall3_address"`
	OwnerAddress      string `json:"owner_address"`
	OwnerKey          string `json:"owner_private_key"`
	Workspace         string `json:"workspace"`
	SecondAPIKey      string `json:"second_api_key"`
	CVMs              []CVM  `json:"cvms"`
	SecondWorkspace   string `json:"second_workspace"`
	StartMilliseconds int64  `json:"start_ms"`
}

// CVM is a CVM that the cloud starts with.
type CVM struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	VMUUID  string `json:"vm_uuid"`
	AppID   string `json:"app_id"`
	KMSType string `json:"kms_type"`
}

// Start brings the cloud up. Started again on the same folder it goes on where it was.
func Start(ctx context.Context, config Config) (_ *Cloud, err error) {
	began := time.Now()
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Pace == 0 {
		config.Pace = stagePause
	}
	if config.Compose == "" {
		config.Compose = examples.ComposeV1
		if config.Docker != nil {
			config.Compose = examples.ComposeEngine
		}
	}
	if config.Timeouts == (control.Timeouts{}) {
		config.Timeouts = devTimeouts()
	}
	d := &Cloud{dir: config.DataDir}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close(context.WithoutCancel(ctx)))
		}
	}()
	if d.dir == "" {
		d.temporary = true
		if d.dir, err = os.MkdirTemp("", "lockstep-dev-"); err != nil {
			return nil, err
		}
	}
	if err = os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	if d.Chain, err = devchain.Start(ctx, devchain.Config{
		DataDir: filepath.Join(d.dir, "chain"), ListenAddr: config.RPCListen, ChainID: config.ChainID, Logger: config.Logger,
	}); err != nil {
		return nil, fmt.Errorf("start chain: %w", err)
	}
	state, err := openState(d.dir)
	if err != nil {
		return nil, err
	}
	if err = d.deployKMS(ctx, state); err != nil {
		return nil, err
	}
	d.Server, err = app.Open(ctx, d.serverConfig(config, state), app.Options{
		Logger: config.Logger, Timeouts: config.Timeouts,
		Pace: sim.Config{Faults: config.Faults, StageDelay: func(sim.Stage) time.Duration {
			if !d.settled.Load() || config.Pace < 0 {
				return 0
			}
			return config.Pace
		}},
	})
	if err != nil {
		return nil, err
	}
	if err = d.seed(ctx, state, config.Compose); err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	d.settled.Store(true)
	d.Ready.StartMilliseconds = time.Since(began).Milliseconds()
	return d, nil
}

// devTimeouts are for a chain in the same process, whose receipts are never late, and for people who
// wait at a terminal.
func devTimeouts() control.Timeouts {
	t := control.DefaultTimeouts()
	t.TxLookup, t.TxInterval = time.Second, 100*time.Millisecond
	t.Stop, t.Healthy, t.Rollback = 10*time.Second, time.Minute, time.Minute
	return t
}

// Close ends the cloud, and removes its folder when it was temporary.
func (d *Cloud) Close(ctx context.Context) error {
	var errs []error
	if d.temporary && d.Server != nil {
		errs = append(errs, d.removeContainers(ctx))
	}
	if d.Server != nil {
		errs = append(errs, d.Server.Close(ctx))
	}
	if d.Chain != nil {
		errs = append(errs, d.Chain.Close())
	}
	if d.temporary {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

// removeContainers takes down what a cloud that is not kept has running outside of this process.
func (d *Cloud) removeContainers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, removalPatience)
	defer cancel()
	var errs []error
	for _, node := range d.Server.Control.Catalog().Nodes() {
		if node.Runtime.Info().Driver != dockerDriver {
			continue
		}
		entries, err := os.ReadDir(d.dockerDir())
		errs = append(errs, err)
		for _, e := range entries {
			errs = append(errs, node.Runtime.Remove(ctx, e.Name()))
		}
	}
	return errors.Join(errs...)
}

const (
	dockerDriver    = "docker"
	removalPatience = 30 * time.Second
)

// dockerDir has a folder for each CVM on the engine, named as its id.
func (d *Cloud) dockerDir() string { return filepath.Join(d.dir, "docker") }

// stagePause is how long each boot stage of a simulated CVM takes: long enough to watch, short enough not
// to wait.
const stagePause = 60 * time.Millisecond

const (
	devNode        = "local-1"
	devImage       = "dstack-0.5.5"
	devOffChainKMS = "local-phala"
	devGatewayID   = "any" // the KMS contract's word for "not pinned"
)

func (d *Cloud) serverConfig(config Config, state *state) app.Config {
	c := app.DefaultConfig()
	c.DatabaseURL = cmp.Or(config.DatabaseURL, "sqlite:"+filepath.Join(d.dir, "lockstep.db"))
	c.Listen = config.Listen
	keys := filepath.Join(d.dir, "kms")
	c.KMS = []app.KMSConfig{{Slug: devOffChainKMS, Type: "phala", URL: "https://kms.local-phala.test", Version: "dev", KeysDir: keys}}
	// The clients know two on-chain kinds of KMS; both lead to the one chain that is here.
	for _, kind := range []string{"ethereum", "base"} {
		c.KMS = append(c.KMS, app.KMSConfig{
			Slug: "local-" + kind, Type: kind, URL: "https://kms.local-" + kind + ".test", Version: "dev", GatewayAppID: devGatewayID, KeysDir: keys,
			ChainID: d.Chain.ChainID().Int64(), ChainName: "Lockstep dev", RPCURLs: []string{d.Chain.RPCURL()},
			ContractAddress: state.KMSContract,
		})
	}
	c.Nodes = []app.NodeConfig{{
		ID: 1, Name: devNode, Region: "local", GatewayDomain: "gateway.local.test", Driver: "sim", Dir: filepath.Join(d.dir, "node"),
		Images:   []app.ImageConfig{{Name: devImage, Version: []int64{0, 5, 5}}, {Name: "dstack-dev-0.5.5", Version: []int64{0, 5, 5}, Dev: true}},
		Capacity: app.CapacityConfig{CVMs: 1 << 20, VCPU: 1 << 24, MemoryMB: 1 << 34},
	}}
	if config.Docker != nil {
		node := &c.Nodes[0]
		node.Driver, node.Dir, node.Docker = dockerDriver, d.dockerDir(), *config.Docker
	}
	return c
}

// deployKMS puts the KMS contracts on a new chain. They belong to the first account, which also owns
// the apps.
func (d *Cloud) deployKMS(ctx context.Context, state *state) error {
	owner := d.Chain.Accounts()[0]
	d.Ready.OwnerAddress, d.Ready.OwnerKey = owner.Address.Hex(), owner.KeyHex()
	if state.KMSContract == "" {
		options := d.write()
		kms, err := onchain.DeployKMS(ctx, onchain.DeployKMSRequest{WriteOptions: options})
		if err != nil {
			return fmt.Errorf("deploy KMS contract: %w", err)
		}
		for _, image := range []string{devImage, "dstack-dev-0.5.5"} {
			if _, err := onchain.RegisterOSImage(ctx, options, kms.KMSContract, sim.SimulatedImageHash(image)); err != nil {
				return fmt.Errorf("register OS image: %w", err)
			}
		}
		state.KMSContract = kms.KMSContract.Hex()
		if err := state.save(); err != nil {
			return err
		}
	}
	// A folder whose chain was deleted by hand would fail in ways that are hard to read.
	if _, err := onchain.AppImplementation(ctx, d.Chain.Client(), common.HexToAddress(state.KMSContract)); err != nil {
		return fmt.Errorf("the KMS contract %s is not on the chain in %s; use another --data folder: %w", state.KMSContract, d.dir, err)
	}
	return nil
}

// write are the options for the owner's transactions.
func (d *Cloud) write() onchain.WriteOptions {
	return onchain.WriteOptions{
		Backend: d.Chain.Client(), ChainID: d.Chain.ChainID().Uint64(), PrivateKey: d.Chain.Accounts()[0].Key,
		PollInterval: 5 * time.Millisecond,
	}
}
