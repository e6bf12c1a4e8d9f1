// Package devchain runs an EVM chain inside the process: go-ethereum driven by
// a simulated beacon, with JSON-RPC over HTTP, so that the on-chain half of
// Lockstep can be developed and tested without any other program.
//
// It is for development only. The keys of its accounts are public and anyone
// who reaches its port can spend from them.
package devchain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/catalyst"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/eth/tracers"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/rpc"
)

// DefaultChainID is the chain id when Config names none. The official clients
// know 1, 8453 and 31337 by heart and then ignore what a server tells them
// about the chain; 1337 makes them believe the server.
const DefaultChainID = 1337

// Config says how a chain runs. The zero value is a chain in memory on a free
// port that makes a block for every transaction at once.
type Config struct {
	// DataDir keeps the chain on disk; it survives a crash of the process.
	// Empty: in memory only.
	DataDir string
	// ListenAddr is the host:port of the JSON-RPC server; port 0 picks one.
	// Default "127.0.0.1:0".
	ListenAddr string
	// ChainID defaults to DefaultChainID. A chain on disk keeps the id it was
	// created with; another one here is an error.
	ChainID uint64
	// Period additionally makes a block each time it passes, with or without
	// transactions, which lets confirmations grow by themselves. 0: never.
	Period time.Duration
	// Manual makes blocks only when Mine or a Period asks for them, so that a
	// test can hold transactions back.
	Manual bool
	// Logger receives what go-ethereum says at level warn and above. Its log
	// is one for the whole process, so the newest chain's logger gets it.
	// Nil: nothing is logged.
	Logger *slog.Logger
}

// Chain is a running chain. Its methods are safe for concurrent use.
type Chain struct {
	chainID  uint64
	manual   bool
	stack    *node.Node
	backend  *eth.Ethereum
	client   *ethclient.Client
	accounts []Account

	onDisk bool

	mu     sync.Mutex // guards beacon, which is not safe for concurrent use
	beacon *catalyst.SimulatedBeacon
	closed bool // no block may be made any more

	stop      chan struct{}
	miners    sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
}

// Start runs a chain until Close. Ctx covers the start only.
func Start(ctx context.Context, cfg Config) (*Chain, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if cfg.ChainID == 0 {
		cfg.ChainID = DefaultChainID
	}
	if cfg.ListenAddr == "" {
		cfg.ListenAddr = "127.0.0.1:0"
	}
	if cfg.Period < 0 {
		return nil, fmt.Errorf("devchain: period is %s, want zero or more", cfg.Period)
	}
	host, port, err := splitAddr(cfg.ListenAddr)
	if err != nil {
		return nil, err
	}
	routeLogs(cfg.Logger)
	genesis, err := loadGenesis(cfg.DataDir, cfg.ChainID)
	if err != nil {
		return nil, err
	}
	stack, err := node.New(nodeConfig(cfg, host, port))
	if err != nil {
		return nil, fmt.Errorf("devchain: data directory %q: %w", cfg.DataDir, err)
	}
	c := &Chain{chainID: cfg.ChainID, manual: cfg.Manual, onDisk: cfg.DataDir != "", stack: stack, accounts: DevAccounts(), stop: make(chan struct{})}
	if err := c.start(genesis); err != nil {
		return nil, errors.Join(fmt.Errorf("devchain: listening on %s: %w", cfg.ListenAddr, err), stack.Close())
	}
	if err := c.indexFirstBlock(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("devchain: first block: %w", err), c.Close())
	}
	c.mine(cfg)
	return c, nil
}

func (c *Chain) start(genesis *core.Genesis) error {
	backend, err := eth.New(c.stack, ethConfig(genesis))
	if err != nil {
		return err
	}
	c.backend = backend
	logs := filters.NewFilterSystem(backend.APIBackend, filters.Config{})
	c.stack.RegisterAPIs([]rpc.API{{Namespace: "eth", Service: filters.NewFilterAPI(logs)}})
	c.stack.RegisterAPIs([]rpc.API{{Namespace: "eth", Service: submission{c}}})
	c.stack.RegisterAPIs(tracers.APIs(backend.APIBackend))
	// The beacon comes first: a transaction may arrive as soon as the node has
	// opened its port.
	c.beacon, err = catalyst.NewSimulatedBeacon(0, common.Address{}, backend)
	if err != nil {
		return err
	}
	if err := c.stack.Start(); err != nil {
		return err
	}
	c.client = ethclient.NewClient(c.stack.Attach())
	return nil
}

// nodeConfig is a node without peers: only the database and the RPC server.
func nodeConfig(cfg Config, host string, port int) *node.Config {
	// The RPC server refuses foreign host names, against DNS rebinding. Whoever
	// listens beyond loopback did so on purpose, say for another container.
	virtualHosts := []string{"localhost"}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		virtualHosts = []string{"*"}
	}
	return &node.Config{
		Name:                 "devchain",
		DataDir:              cfg.DataDir,
		P2P:                  p2p.Config{NoDiscovery: true},
		HTTPHost:             host,
		HTTPPort:             port,
		HTTPCors:             []string{"*"},
		HTTPVirtualHosts:     virtualHosts,
		HTTPModules:          []string{"eth", "net", "web3", "txpool", "debug"},
		HTTPTimeouts:         rpc.DefaultHTTPTimeouts,
		BatchRequestLimit:    node.DefaultConfig.BatchRequestLimit,
		BatchResponseMaxSize: node.DefaultConfig.BatchResponseMaxSize,
		Logger:               processLog(),
	}
}

// ethConfig keeps every state of every block (NoPruning with the hash scheme):
// the chain then needs no orderly shutdown, and any block can be returned to.
// The caches are what go-ethereum works with at the least; a development chain
// is small.
func ethConfig(genesis *core.Genesis) *ethconfig.Config {
	cfg := ethconfig.Defaults
	cfg.Genesis = genesis
	cfg.NetworkId = genesis.Config.ChainID.Uint64()
	cfg.SyncMode = ethconfig.FullSync
	cfg.NoPruning = true
	cfg.NoPrefetch = true
	cfg.StateScheme = "hash"
	cfg.DatabaseCache = 16
	cfg.TrieCleanCache = 0
	cfg.TrieDirtyCache = 0
	cfg.SnapshotCache = 0
	cfg.TransactionHistory = 0 // index every transaction, for receipts of any age
	cfg.LogNoHistory = true    // search logs without an index
	cfg.Miner.GasPrice = big.NewInt(1)
	cfg.TxPool.NoLocals = true
	cfg.TxPool.Journal = ""
	cfg.BlobPool.Datadir = ""
	return &cfg
}

func splitAddr(addr string) (string, int, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("devchain: listen address %q, want host:port: %w", addr, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("devchain: port of listen address %q, want 0 to 65535", addr)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	return host, int(port), nil
}

// RPCURL is where the JSON-RPC server answers: eth, net, web3, txpool, debug.
// When it listens on all addresses, this is the one on loopback.
func (c *Chain) RPCURL() string {
	endpoint := c.stack.HTTPEndpoint()
	host, port, err := net.SplitHostPort(strings.TrimPrefix(endpoint, "http://"))
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	return endpoint
}

// Client talks to the chain within the process. It is closed with the chain.
func (c *Chain) Client() *ethclient.Client { return c.client }

// ChainID is the chain's EIP-155 id.
func (c *Chain) ChainID() *big.Int { return new(big.Int).SetUint64(c.chainID) }

// Accounts lists the funded accounts, the same ones on every chain.
func (c *Chain) Accounts() []Account { return c.accounts }

// Close stops the servers and closes the database. It may be called again.
func (c *Chain) Close() error {
	c.closeOnce.Do(func() {
		close(c.stop)
		c.miners.Wait()
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		// Not under the lock: the node waits for requests in flight, and those
		// may wait for the lock.
		c.client.Close()
		c.closeErr = errors.Join(c.beacon.Stop(), c.stack.Close())
	})
	return c.closeErr
}
