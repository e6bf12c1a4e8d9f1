package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// platform is what a catalog was built from and has to be closed with it.
type platform struct {
	catalog *control.Catalog
	static  []*control.Node // those of the configuration
	closers []func() error
}

func (p *platform) close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	return errors.Join(errs...)
}

// builder turns configuration into the parts that a server runs on.
type builder struct {
	config Config
	db     *store.Store
	log    *slog.Logger
	pace   sim.Config // how the simulator behaves: StageDelay and Faults are taken over

	platform platform
	router   *kmsRouter
	opener   map[string]*kms.Dev
}

func newBuilder(config Config, db *store.Store, log *slog.Logger, pace sim.Config) *builder {
	return &builder{
		config: config, db: db, log: log, pace: pace,
		router: &kmsRouter{store: db, byID: map[string]kms.Authorizer{}}, opener: map[string]*kms.Dev{},
	}
}

// apart is a builder that stands on the same services, and whose drivers are closed on their own.
func (b *builder) apart() *builder {
	other := *b
	other.platform = platform{}
	return &other
}

func (b *builder) build(ctx context.Context) error {
	services := make([]*control.KMS, 0, len(b.config.KMS))
	for i, c := range b.config.KMS {
		service, err := b.kms(ctx, c)
		if err != nil {
			return fmt.Errorf("config: kms[%d] %q: %w", i, c.Slug, err)
		}
		services = append(services, service)
	}
	nodes := make([]*control.Node, 0, len(b.config.Nodes))
	for i, c := range b.config.Nodes {
		node, err := b.node(c)
		if err != nil {
			return fmt.Errorf("config: nodes[%d] %q: %w", i, c.Name, err)
		}
		nodes = append(nodes, node)
	}
	var err error
	b.platform.static = nodes
	b.platform.catalog, err = control.NewCatalog(nodes, services)
	return err
}

func (b *builder) kms(ctx context.Context, c KMSConfig) (*control.KMS, error) {
	kind, ok := api.ParseKMSType(c.Type)
	if !ok || kind == api.KMSLegacy {
		return nil, fmt.Errorf("type is %q, want phala, ethereum or base", c.Type)
	}
	service := &control.KMS{
		ID: c.ID, Slug: c.Slug, Type: kind, URL: c.URL, Version: c.Version, GatewayAppID: c.GatewayAppID,
	}
	if service.ID == "" {
		service.ID = control.StableID("kms_", c.Slug)
	}
	if kind.OnChain() {
		if err := b.chain(ctx, c, service); err != nil {
			return nil, err
		}
	} else {
		b.router.byID[service.ID] = offChain(b.db)
	}
	if c.KeysDir == "" {
		return service, b.remoteKMS(c, service)
	}
	keys, err := kms.OpenDev(c.KeysDir, rand.Reader)
	if err != nil {
		return nil, err
	}
	service.Keys, b.opener[service.ID] = keys, keys
	return service, nil
}

// chain connects an on-chain KMS. The chain need not answer now: a server must start without it.
func (b *builder) chain(ctx context.Context, c KMSConfig, service *control.KMS) error {
	if len(c.RPCURLs) == 0 || c.ChainID <= 0 {
		return errors.New("chain_id and rpc_urls are needed for an on-chain KMS")
	}
	if !common.IsHexAddress(c.ContractAddress) {
		return fmt.Errorf("contract_address is %q, want 0x and 40 hex digits", c.ContractAddress)
	}
	finality, err := onchain.ParseFinality(b.config.Finality)
	if err != nil {
		return err
	}
	client, err := onchain.Dial(ctx, onchain.ChainConfig{ChainID: uint64(c.ChainID), RPCURLs: c.RPCURLs})
	if err != nil {
		return err
	}
	b.platform.closers = append(b.platform.closers, func() error { client.Close(); return nil })
	b.connect(c, service, client, finality)
	return nil
}

func (b *builder) connect(c KMSConfig, service *control.KMS, client *ethclient.Client, finality onchain.Finality) {
	service.Contract = common.HexToAddress(c.ContractAddress)
	reader := chainReader{caller: client, contract: service.Contract}
	service.Chain, service.Registry, service.Contracts = chainOf(c), onchain.NewVerifier(client, finality), reader
	b.router.byID[service.ID] = kms.OnChainAuthorizer{Contract: reader}
}

// chainOf describes the chain to clients in the form that viem reads.
func chainOf(c KMSConfig) *api.Chain {
	url := c.PublicRPCURL
	if url == "" {
		url = c.RPCURLs[0]
	}
	chain := &api.Chain{
		ID: c.ChainID, Name: c.ChainName,
		NativeCurrency: api.ChainCurrency{Name: "Ether", Symbol: "ETH", Decimals: 18},
		RPCURLs:        map[string]api.ChainRPCURLs{"default": {HTTP: api.List[string]{url}}},
		Contracts:      &api.ChainContracts{Multicall3: &api.ChainContract{Address: onchain.Multicall3Address.Hex()}},
	}
	if chain.Name == "" {
		chain.Name = fmt.Sprintf("chain %d", c.ChainID)
	}
	if c.ExplorerURL != "" {
		chain.BlockExplorers = map[string]api.ChainExplorer{"default": {Name: "Explorer", URL: c.ExplorerURL}}
	}
	return chain
}

// node makes a node from its settings, wherever they are from.
func (b *builder) node(c NodeConfig) (*control.Node, error) {
	node, err := describe(c)
	if err != nil {
		return nil, err
	}
	if node.Gateway, err = gatewayOf(c); err != nil {
		return nil, err
	}
	driver, err := b.driver(c, node.DeviceID)
	if err != nil {
		return nil, err
	}
	kind := driver.Info().Driver
	if !driver.Info().TEE {
		kind += ", no TEE" // in every answer about a CVM of this node
	}
	node.Runtime, node.Version = driver, Version()+" ("+kind+")"
	return node, nil
}

// describe is a node as its settings describe it, without a driver.
func describe(c NodeConfig) (*control.Node, error) {
	device := common.Hash(sha256.Sum256([]byte("lockstep simulated device: " + c.Name)))
	if c.DeviceID != "" {
		var err error
		if device, err = onchain.ParseDeviceID(c.DeviceID); err != nil {
			return nil, err
		}
	}
	node := &control.Node{
		ID: c.ID, Name: c.Name, Region: c.Region, DeviceID: device, GatewayDomain: c.GatewayDomain,
		Capacity: c.capacity(),
	}
	for _, i := range c.Images {
		image, err := imageOf(i, c.Driver != "dstack")
		if err != nil {
			return nil, err
		}
		node.Images = append(node.Images, image)
	}
	if len(node.Images) == 0 {
		return nil, errors.New("images is empty, want at least one OS image")
	}
	return node, nil
}

func (c NodeConfig) capacity() control.Capacity {
	return control.Capacity{CVMs: c.Capacity.CVMs, VCPU: c.Capacity.VCPU, MemoryMB: c.Capacity.MemoryMB}
}

func (b *builder) driver(c NodeConfig, device common.Hash) (runtime.Runtime, error) {
	switch c.Driver {
	case "dstack":
		return b.dstackDriver(c)
	case "docker":
		return b.dockerDriver(c, device)
	case "sim":
	default:
		return nil, fmt.Errorf("driver is %q, want sim, docker or dstack", c.Driver)
	}
	if c.Dir == "" {
		return nil, errors.New("dir is empty, want the folder of the simulated host")
	}
	config := b.pace
	config.Dir, config.DeviceID, config.Authorizer = filepath.Clean(c.Dir), device, b.router
	config.EnvDecrypter = envRouter{store: b.db, byID: b.opener}
	config.Logger = b.log.With("node", c.Name)
	node, err := sim.New(config)
	if err != nil {
		return nil, err
	}
	b.platform.closers = append(b.platform.closers, node.Close)
	return node, nil
}

func imageOf(c ImageConfig, simulated bool) (control.Image, error) {
	if c.Name == "" || len(c.Version) != 3 {
		return control.Image{}, fmt.Errorf("image %q: want a name and a version of three numbers", c.Name)
	}
	image := control.Image{Name: c.Name, Version: [3]int64(c.Version), Dev: c.Dev}
	hash := common.Hash(sim.SimulatedImageHash(c.Name))
	switch {
	case c.Hash == "" && !simulated:
		return image, nil // only the host could tell, and its VMM does not
	case c.Hash != "":
		given, err := hex.DecodeString(c.Hash)
		if err != nil || len(given) != len(hash) {
			return control.Image{}, fmt.Errorf("image %q: hash is %q, want 64 hex digits", c.Name, c.Hash)
		}
		hash = common.Hash(given)
	}
	image.Hash = hex.EncodeToString(hash[:])
	return image, nil
}

// envRouter opens encrypted environments with the key of the KMS that the app belongs to.
type envRouter struct {
	store *store.Store
	byID  map[string]*kms.Dev
}

// DecryptEnv implements kms.EnvDecrypter.
func (r envRouter) DecryptEnv(ctx context.Context, appID [20]byte, ciphertext []byte) ([]kms.EnvVar, error) {
	app, err := r.store.Read().GetApp(ctx, hex.EncodeToString(appID[:]))
	if err != nil {
		return nil, fmt.Errorf("app of encrypted environment: %w", err)
	}
	keys := r.byID[app.KMSID]
	if keys == nil {
		return nil, fmt.Errorf("KMS %s of app %s is not configured", app.KMSID, app.AppID)
	}
	return keys.DecryptEnv(ctx, appID, ciphertext)
}
