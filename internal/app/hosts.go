package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// How often a server looks.
const (
	hostsReread  = 2 * time.Second  // at the table of nodes
	hostLook     = 10 * time.Second // at each machine
	hostSave     = time.Minute      // after which a look is written down though it found nothing new
	probeTimeout = 15 * time.Second // how long a machine may take to say what it is
)

// hosts keeps a server's catalog in step with the nodes of the database, which any process may change, and
// looks at the machines of all nodes again and again.
type hosts struct {
	builder *builder
	service *control.Service
	catalog *control.Catalog
	static  []*control.Node
	log     *slog.Logger
	now     func() time.Time

	mu     sync.Mutex // guards what follows; one reread at a time
	built  map[int64]*host
	saved  map[int64]time.Time
	asking map[int64]bool
	told   string // the last trouble with rereading that was logged

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// host is a node of the database that this server has made a driver for, or could not.
type host struct {
	row   store.Node
	node  *control.Node
	close func() error
}

// openHosts takes up the nodes of the database and goes on doing so until close. The error is one of the
// database, or tells that a node of the database and one of the configuration cannot be told apart.
func openHosts(ctx context.Context, b *builder, service *control.Service) (*hosts, error) {
	h := newHosts(b, service, wallClock{}.Now)
	if err := h.reread(ctx); err != nil {
		return nil, errors.Join(err, h.close())
	}
	ctx, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
	h.running.Go(func() { h.run(ctx) })
	return h, nil
}

func newHosts(b *builder, service *control.Service, now func() time.Time) *hosts {
	return &hosts{
		builder: b, service: service, catalog: b.platform.catalog, static: b.platform.static, log: b.log, now: now,
		built: map[int64]*host{}, saved: map[int64]time.Time{}, asking: map[int64]bool{}, cancel: func() {},
	}
}

// close ends the looks and closes the drivers that were made.
func (h *hosts) close() error {
	h.cancel()
	h.running.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, one := range h.built {
		errs = append(errs, one.close())
	}
	return errors.Join(errs...)
}

func (h *hosts) run(ctx context.Context) {
	ticks := time.NewTicker(hostsReread)
	defer ticks.Stop()
	for {
		for _, node := range h.due() {
			h.running.Go(func() { h.lookAt(ctx, node) })
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if err := h.reread(ctx); ctx.Err() == nil {
			h.complain(ctx, err)
		}
	}
}

// complain logs what is wrong with the nodes of the database, once.
func (h *hosts) complain(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != h.told {
		h.log.ErrorContext(ctx, "nodes of the database are not taken up", "error", err)
	}
	h.told = text
}

// due are the nodes that it is time to look at. The caller looks at them with lookAt.
func (h *hosts) due() []*control.Node {
	h.mu.Lock()
	defer h.mu.Unlock()
	var due []*control.Node
	for _, node := range h.catalog.Nodes() {
		c := node.Condition()
		if !h.asking[node.ID] && (!c.Known || h.now().Sub(c.LookedAt) >= hostLook) {
			h.asking[node.ID] = true
			due = append(due, node)
		}
	}
	return due
}

func (h *hosts) lookAt(ctx context.Context, node *control.Node) {
	asked, cancel := context.WithTimeout(ctx, probeTimeout)
	changed := false
	if !h.ended(ctx) {
		changed = look(asked, node, h.now, h.log)
	}
	cancel()
	h.mu.Lock()
	delete(h.asking, node.ID)
	save := changed || h.now().Sub(h.saved[node.ID]) >= hostSave
	if save {
		h.saved[node.ID] = h.now()
	}
	h.mu.Unlock()
	if !save || h.ended(ctx) {
		return
	}
	if err := h.service.SaveNodeHealth(ctx, node); err != nil && !h.ended(ctx) {
		h.log.WarnContext(ctx, "what was seen of a node is not written down", "node", node.Name, "error", err)
	}
}

func (h *hosts) ended(ctx context.Context) bool { return ctx.Err() != nil }

// reread brings the catalog in step with the table of nodes.
func (h *hosts) reread(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	rows, used, err := h.service.ReadNodes(ctx)
	if err != nil {
		return err
	}
	nodes := slices.Clone(h.static)
	for _, node := range h.static {
		i := slices.IndexFunc(rows, func(r store.Node) bool { return r.ID == node.ID && r.Origin == control.NodeFromConfig })
		node.SetDraining(i >= 0 && rows[i].State == control.NodeStateDraining, reasonOf(rows, i))
	}
	var clashes []error
	present := map[int64]bool{}
	for _, row := range rows {
		if row.Origin != control.NodeFromDatabase || row.State == control.NodeStateRemoved {
			continue
		}
		if err := h.clash(row); err != nil {
			clashes = append(clashes, err)
			continue
		}
		present[row.ID] = true
		one := h.take(ctx, row)
		one.node.SetDraining(row.State == control.NodeStateDraining, row.Reason)
		nodes = append(nodes, one.node)
	}
	for id, one := range h.built {
		if !present[id] {
			h.drop(ctx, one)
		}
	}
	nodes = append(nodes, lost(nodes, rows, used)...)
	return errors.Join(append(clashes, h.catalog.SetNodes(nodes))...)
}

func reasonOf(rows []store.Node, i int) string {
	if i < 0 {
		return ""
	}
	return rows[i].Reason
}

// clash tells that a node of the database cannot be told from one of the configuration.
func (h *hosts) clash(row store.Node) error {
	for _, node := range h.static {
		if node.ID == row.ID || node.Name == row.Name {
			return fmt.Errorf("config: node %d %q and node %d %q of the database have the same id or name; give the one in the configuration another, or take it out",
				node.ID, node.Name, row.ID, row.Name)
		}
	}
	return nil
}

// take gives the host of a row: the one that is there while its settings are the same, or a new one. One that
// could not be made is tried again.
func (h *hosts) take(ctx context.Context, row store.Node) *host {
	old := h.built[row.ID]
	if old != nil {
		same := old.row.Settings == row.Settings && old.row.Driver == row.Driver && old.row.Name == row.Name
		if same && old.node.Broken == "" {
			return old
		}
		h.drop(ctx, old) // first: a driver may own something that the next one needs
	}
	one, err := h.make(row)
	if err != nil {
		one = brokenHost(row, err)
		if old != nil && old.node.Broken == one.node.Broken {
			one.node = old.node // with what is known of it, such as since when
		} else {
			h.log.ErrorContext(ctx, "a node of the database cannot be used; its CVMs wait", "node", row.Name, "error", err)
		}
	}
	h.built[row.ID] = one
	return one
}

func (h *hosts) make(row store.Node) (*host, error) {
	c, err := nodeOfRow(row)
	if err != nil {
		return nil, err
	}
	b := h.builder.apart()
	node, err := b.node(c)
	if err != nil {
		return nil, errors.Join(err, b.platform.close())
	}
	return &host{row: row, node: node, close: b.platform.close}, nil
}

func (h *hosts) drop(ctx context.Context, one *host) {
	if err := one.close(); err != nil {
		h.log.WarnContext(ctx, "a node was not closed in order", "node", one.row.Name, "error", err)
	}
	delete(h.built, one.row.ID)
	delete(h.saved, one.row.ID)
}

// brokenHost stands for a node that no driver could be made for.
func brokenHost(row store.Node, err error) *host {
	node := shapeOf(row)
	node.Broken = "it cannot be used: " + err.Error()
	node.Runtime = runtime.Unusable{Driver: row.Driver, Reason: node.Broken}
	return &host{row: row, node: node, close: func() error { return nil }}
}

// shapeOf is what the settings of a row say of a node, as far as they can be read.
func shapeOf(row store.Node) *control.Node {
	if c, err := nodeOfRow(row); err == nil {
		if node, err := describe(c); err == nil {
			return node
		}
	}
	return &control.Node{ID: row.ID, Name: row.Name}
}

// lost are nodes that CVMs are on and nobody knows any more: they were removed by force, or taken out of the
// configuration. With them CVMs can be listed and, where the machine is gone for good, deleted.
func lost(known []*control.Node, rows []store.Node, used []store.NodeUse) []*control.Node {
	var nodes []*control.Node
	for _, u := range used {
		if slices.ContainsFunc(known, func(n *control.Node) bool { return n.ID == u.NodeID }) {
			continue
		}
		row := store.Node{ID: u.NodeID, Name: fmt.Sprintf("node-%d", u.NodeID)}
		gone, reason := false, "it is not configured on this server"
		i := slices.IndexFunc(rows, func(r store.Node) bool { return r.ID == u.NodeID })
		if i >= 0 {
			row = rows[i]
		}
		if i >= 0 && row.Origin == control.NodeFromDatabase && row.State == control.NodeStateRemoved {
			gone, reason = true, "it was removed"
		}
		node := shapeOf(row)
		node.Removed, node.Runtime = true, runtime.Unusable{Driver: row.Driver, Reason: reason, Gone: gone}
		nodes = append(nodes, node)
	}
	return nodes
}
