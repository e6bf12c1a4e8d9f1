package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// Nodes manages the nodes of a server through its database, whether or not the server runs.
type Nodes struct {
	config  Config
	db      *store.Store
	service *control.Service
}

// OpenNodes opens the database of a configuration.
func OpenNodes(ctx context.Context, config Config) (_ *Nodes, err error) {
	db, err := store.Open(ctx, config.DatabaseURL)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	// The nodes of the configuration are known by name only: nothing is asked of them here.
	static := make([]*control.Node, len(config.Nodes))
	for i, c := range config.Nodes {
		static[i] = &control.Node{ID: c.ID, Name: c.Name, Broken: notConnected, Runtime: runtime.Unusable{Driver: c.Driver, Reason: notConnected}}
	}
	catalog, err := control.NewCatalog(static, nil)
	if err != nil {
		return nil, err
	}
	service, err := control.New(control.Config{Store: db, Queue: noQueue{}, Catalog: catalog, Clock: wallClock{}})
	if err != nil {
		return nil, err
	}
	return &Nodes{config: config, db: db, service: service}, nil
}

const notConnected = "this process does not connect to nodes"

// Close closes the database.
func (n *Nodes) Close() error { return n.db.Close() }

// Add adds a node, given as an entry of nodes in the configuration file, in YAML or JSON. Its settings are
// tried as far as that goes without the machine.
func (n *Nodes) Add(ctx context.Context, settings []byte) (store.Node, error) {
	node, err := n.checked(settings)
	if err != nil {
		return store.Node{}, err
	}
	return n.service.AddNode(ctx, node)
}

// Replace gives a node that was added at run time other settings.
func (n *Nodes) Replace(ctx context.Context, settings []byte) (store.Node, error) {
	node, err := n.checked(settings)
	if err != nil {
		return store.Node{}, err
	}
	return n.service.ChangeNode(ctx, node)
}

// Drain lets no new CVM onto a node, found by id or name.
func (n *Nodes) Drain(ctx context.Context, ref, why string) (store.Node, error) {
	return n.service.DrainNode(ctx, ref, why)
}

// Undrain takes that back.
func (n *Nodes) Undrain(ctx context.Context, ref string) (store.Node, error) {
	return n.service.UndrainNode(ctx, ref)
}

// Remove forgets a node; see control.Service.RemoveNode. It returns the CVMs that were left on it.
func (n *Nodes) Remove(ctx context.Context, ref string, force bool) (store.Node, []store.CVM, error) {
	return n.service.RemoveNode(ctx, ref, force)
}

// NodeReport is what is known of a node.
type NodeReport struct {
	control.NodeReport
	Limit control.Capacity // what it has: what is configured, bounded by what it said
}

// List lists the nodes with what servers saw of them.
func (n *Nodes) List(ctx context.Context) ([]NodeReport, error) {
	known, err := n.service.NodeReports(ctx)
	if err != nil {
		return nil, err
	}
	reports := make([]NodeReport, len(known))
	for i, k := range known {
		node := &control.Node{}
		if k.Row.Origin == control.NodeFromDatabase {
			node = shapeOf(k.Row)
		}
		for _, c := range n.config.Nodes {
			if k.Row.Origin == control.NodeFromConfig && c.ID == k.Row.ID {
				node.Capacity = c.capacity()
			}
		}
		if h := k.Health; h != nil {
			node.Observe(runtime.Machine{Limits: runtime.Limits{CVMs: h.MaxCVMs, VCPU: h.MaxVCPU, MemoryMB: h.MaxMemoryMB}}, nil, h.UpdatedAt.Time)
		}
		reports[i] = NodeReport{NodeReport: k, Limit: node.Limit()}
	}
	return reports, nil
}

// checked reads settings and makes sure that a node can be made from them. The simulator owns its folder,
// which a server may be using, so it is only looked at.
func (n *Nodes) checked(settings []byte) (control.NewNode, error) {
	c, node, err := parseNode(settings)
	if err != nil {
		return control.NewNode{}, err
	}
	if c.Driver == "sim" {
		_, err = describe(c)
		if err == nil && c.Dir == "" {
			err = errors.New("dir is empty, want the folder of the simulated host")
		}
	} else {
		b := newBuilder(n.config, n.db, slog.New(slog.DiscardHandler), sim.Config{})
		_, err = b.node(c)
		err = errors.Join(err, b.platform.close())
	}
	if err != nil {
		return control.NewNode{}, fmt.Errorf("node %q: %w", c.Name, err)
	}
	return node, nil
}
