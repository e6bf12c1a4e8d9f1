package control

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// Registry reads from a chain what the owner of an app has allowed. *onchain.Verifier is one.
type Registry interface {
	// Registration proves that a transaction registered the hash with the app's own contract.
	Registration(ctx context.Context, app common.Address, hash, tx common.Hash) (onchain.Registration, error)
	// State tells whether the contract allows the hash and the device now.
	State(ctx context.Context, app common.Address, device, hash common.Hash) (onchain.AppState, error)
}

// AppContracts reads how an app's contract was made, when a CVM is created for it.
type AppContracts interface {
	// IsAppRegistered reports whether the KMS contract knows the app's contract.
	IsAppRegistered(ctx context.Context, kmsContract, app common.Address) (bool, error)
}

// KMS is a key management service that CVMs of this server take their keys from.
type KMS struct {
	ID           string // kms_…
	Slug         string
	Type         api.KMSType
	URL          string
	Version      string
	GatewayAppID string
	Keys         kms.EnvKeys

	// The rest is set for an on-chain KMS only.
	Chain     *api.Chain // what clients need to reach the chain
	Contract  common.Address
	Registry  Registry
	Contracts AppContracts
}

// OnChain reports whether owners approve documents of this KMS on a chain.
func (k *KMS) OnChain() bool { return k.Chain != nil }

// Info is the KMS as the API shows it.
func (k *KMS) Info() api.KMSInfo {
	info := api.KMSInfo{ID: k.ID, Slug: optional(k.Slug), URL: k.URL, Version: k.Version, GatewayAppID: optional(k.GatewayAppID)}
	if k.OnChain() {
		contract := k.Contract.Hex()
		info.ChainID, info.KMSContractAddress, info.Chain = &k.Chain.ID, &contract, k.Chain
	}
	return info
}

// Image is an OS image that a node can boot.
type Image struct {
	Name    string // dstack-0.5.5
	Version [3]int64
	Dev     bool
	Hash    string // 64 hex
}

// Node is a host that runs CVMs.
type Node struct {
	ID            int64
	Name          string
	Region        string
	Version       string
	DeviceID      common.Hash // SHA-256 of the host's PPID; what addDevice takes
	GatewayDomain string      // <app_id>-<port>.<domain> reaches a CVM
	Images        []Image
	Capacity      Capacity // as configured; Limit is what counts
	Runtime       runtime.Runtime
	// Gateway is asked for the endpoints that documents name before an update counts as succeeded. nil:
	// nobody is asked.
	Gateway Gateway

	Broken  string // why no driver could be made for it; its CVMs wait
	Removed bool   // an operator removed it; it is kept for the CVMs that were on it, and shown to nobody

	condition atomic.Pointer[Condition]
}

// Catalog is what a server runs on: its nodes and key management services. Nodes may come and go while
// the server runs; it is safe for concurrent use.
type Catalog struct {
	nodes atomic.Pointer[[]*Node]
	kms   []*KMS
}

// unambiguous refuses a value that is empty or was seen before.
type unambiguous map[string]bool

func (seen unambiguous) add(what, value string) error {
	if value == "" || seen[what+value] {
		return fmt.Errorf("control: %s %q is empty or used twice", what, value)
	}
	seen[what+value] = true
	return nil
}

// NewCatalog checks that ids, slugs and names are there and unambiguous.
func NewCatalog(nodes []*Node, services []*KMS) (*Catalog, error) {
	seen := unambiguous{}
	for _, k := range services {
		if kind, ok := api.ParseKMSType(string(k.Type)); !ok || kind != k.Type {
			return nil, fmt.Errorf("control: KMS %q is of type %q, want phala, ethereum or base", k.Slug, k.Type)
		}
		if k.Keys == nil || (k.OnChain() && (k.Registry == nil || k.Contracts == nil)) || k.Type.OnChain() != k.OnChain() {
			return nil, fmt.Errorf("control: KMS %q of type %q lacks keys, or a chain that fits its type", k.Slug, k.Type)
		}
		if err := seen.add("KMS id", k.ID); err != nil {
			return nil, err
		}
		if err := seen.add("KMS slug", k.Slug); err != nil {
			return nil, err
		}
	}
	c := &Catalog{kms: services}
	return c, c.SetNodes(nodes)
}

// SetNodes replaces the nodes, after checking that ids and names are there and unambiguous. Work that is
// under way goes on with the node it has.
func (c *Catalog) SetNodes(nodes []*Node) error {
	seen := unambiguous{}
	for _, n := range nodes {
		if n.Runtime == nil || (len(n.Images) == 0 && n.Broken == "" && !n.Removed) {
			return fmt.Errorf("control: node %q needs a runtime and an OS image", n.Name)
		}
		if err := seen.add("node id", strconv.FormatInt(n.ID, 10)); err != nil {
			return err
		}
		if n.Removed {
			continue // its name may belong to another one by now
		}
		if err := seen.add("node name", n.Name); err != nil {
			return err
		}
	}
	nodes = slices.Clone(nodes)
	c.nodes.Store(&nodes)
	return nil
}

// all are the nodes, those included that were removed while CVMs were on them.
func (c *Catalog) all() []*Node { return *c.nodes.Load() }

// Nodes lists the nodes, those included that take no new CVM.
func (c *Catalog) Nodes() []*Node {
	return slices.DeleteFunc(slices.Clone(c.all()), func(n *Node) bool { return n.Removed })
}

// KMSs lists the key management services.
func (c *Catalog) KMSs() []*KMS { return c.kms }

// FindKMS finds a KMS by id, by slug, or by type in any case (the first of that type).
func (c *Catalog) FindKMS(ref string) (*KMS, error) {
	for _, k := range c.kms {
		if k.ID == ref || strings.EqualFold(k.Slug, ref) {
			return k, nil
		}
	}
	if kind, ok := api.ParseKMSType(ref); ok {
		for _, k := range c.kms {
			if k.Type == kind {
				return k, nil
			}
		}
	}
	known := make([]string, len(c.kms))
	for i, k := range c.kms {
		known[i] = k.Slug
	}
	return nil, problem.New(problem.KindNotFound, api.CodeKMSNotFound, "KMS not found").
		With("kms", ref, "an id, a slug or a type").
		Suggest("Known here: %s.", strings.Join(known, ", "))
}

// kmsOf returns the KMS of a CVM. One that is not configured any more is a fault of the server.
func (c *Catalog) kmsOf(id string) (*KMS, error) {
	for _, k := range c.kms {
		if k.ID == id {
			return k, nil
		}
	}
	return nil, problem.New(problem.KindInternal, "", "KMS %s is not configured on this server", id)
}

// node returns a node by id.
func (c *Catalog) node(id int64) (*Node, error) {
	for _, n := range c.all() {
		if n.ID == id {
			return n, nil
		}
	}
	return nil, problem.New(problem.KindInternal, "", "node %d is not configured on this server", id)
}

// hostOf is the node that a CVM is on. One that this server does not know, or not yet, is replaced by one that
// nothing can be done on: work on its CVMs waits and says why.
func (c *Catalog) hostOf(id int64) *Node {
	if n, err := c.node(id); err == nil {
		return n
	}
	return &Node{
		ID: id, Name: fmt.Sprintf("node-%d", id), Removed: true, Runtime: runtime.Unusable{Reason: "it is not configured on this server"},
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
