package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Where the settings of a node are.
const (
	NodeFromDatabase = "database"
	NodeFromConfig   = "config"
)

// What an operator decided about a node.
const (
	NodeStateActive   = "active"
	NodeStateDraining = "draining"
	NodeStateRemoved  = "removed"
)

// NodeReport is what is known of a node without a server that runs.
type NodeReport struct {
	Row    store.Node // of one in the configuration that nobody decided about: made up, active
	Used   Capacity
	Health *store.NodeHealth // nil before a server has looked
}

// NewNode is a node to add. Settings are kept as they are given.
type NewNode struct {
	ID       int64 // 0: the next that was never used
	Name     string
	Driver   string
	Settings string
}

// AddNode adds a node; running servers take it up within seconds. With the id of a node that was taken out of
// the configuration it takes that one's place, with the CVMs that are on it.
func (s *Service) AddNode(ctx context.Context, n NewNode) (store.Node, error) {
	if n.ID < 0 || n.Name == "" {
		return store.Node{}, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad node").
			With("id", n.ID, "1 or more, or none for the next").With("name", n.Name, "a name")
	}
	if _, err := strconv.ParseInt(n.Name, 10, 64); err == nil {
		return store.Node{}, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad node").
			With("name", n.Name, "a name that cannot be taken for an id")
	}
	now := column.At(s.clock.Now())
	row := store.Node{
		ID: n.ID, Name: n.Name, Origin: NodeFromDatabase, Driver: n.Driver, Settings: n.Settings, State: NodeStateActive,
		CreatedAt: now, UpdatedAt: now,
	}
	err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		rows, err := tx.ListNodes(ctx)
		if err != nil {
			return err
		}
		used, err := tx.UsageByNode(ctx)
		if err != nil {
			return err
		}
		known := s.knownNodes(rows)
		if row.ID, err = s.freeNodeID(known, used, n.ID); err != nil {
			return err
		}
		for _, k := range known {
			switch {
			case s.outdated(k) && (k.ID == row.ID || k.Name == n.Name):
				if err := tx.ForgetConfigNode(ctx, k.ID); err != nil {
					return err
				}
			case k.Name == n.Name && k.State != NodeStateRemoved:
				return problem.New(problem.KindConflict, "", "a node of this name exists already").With("name", n.Name, "").With("id", k.ID, "")
			}
		}
		return tx.InsertNode(ctx, store.InsertNodeParams{
			ID: row.ID, Name: row.Name, Origin: row.Origin, Driver: row.Driver, Settings: row.Settings, State: row.State, CreatedAt: now,
		})
	})
	if err != nil {
		return store.Node{}, fmt.Errorf("add node %s: %w", n.Name, err)
	}
	return row, nil
}

// outdated reports whether a row is about a node that is not in the configuration any more.
func (s *Service) outdated(row store.Node) bool {
	return row.Origin == NodeFromConfig && !s.configured(row.ID)
}

// freeNodeID is the id that was asked for, or the one after the greatest that was ever used: CVMs name
// their node by its id.
func (s *Service) freeNodeID(known []store.Node, used []store.NodeUse, wanted int64) (int64, error) {
	next := int64(1)
	for _, u := range used {
		next = max(next, u.NodeID+1)
	}
	for _, k := range known {
		if k.ID == wanted && !s.outdated(k) {
			return 0, problem.New(problem.KindConflict, "", "the id belongs to node %q, or did", k.Name).
				With("id", wanted, "an id that was never used")
		}
		next = max(next, k.ID+1)
	}
	if wanted != 0 {
		return wanted, nil
	}
	return next, nil
}

// knownNodes are the rows, and a row made up for every node of the configuration that has none.
func (s *Service) knownNodes(rows []store.Node) []store.Node {
	known := slices.Clone(rows)
	for _, n := range s.catalog.Nodes() {
		i := slices.IndexFunc(known, func(k store.Node) bool { return k.ID == n.ID })
		switch {
		case i < 0:
			known = append(known, store.Node{ID: n.ID, Name: n.Name, Origin: NodeFromConfig, Driver: n.Runtime.Info().Driver, State: NodeStateActive})
		case known[i].Origin == NodeFromConfig: // the configuration has the last word on what it is
			known[i].Name, known[i].Driver = n.Name, n.Runtime.Info().Driver
		}
	}
	slices.SortFunc(known, func(a, b store.Node) int { return int(a.ID - b.ID) })
	return known
}

// NodeReports lists the nodes, with what servers saw of them. Removed ones are left out.
func (s *Service) NodeReports(ctx context.Context) ([]NodeReport, error) {
	rows, err := s.store.Read().ListNodes(ctx)
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	used, err := s.store.Read().UsageByNode(ctx)
	if err != nil {
		return nil, fmt.Errorf("usage of nodes: %w", err)
	}
	health, err := s.store.Read().ListNodeHealth(ctx)
	if err != nil {
		return nil, fmt.Errorf("health of nodes: %w", err)
	}
	var reports []NodeReport
	for _, row := range s.knownNodes(rows) {
		if row.State == NodeStateRemoved || s.outdated(row) {
			continue
		}
		report := NodeReport{Row: row}
		for _, u := range used {
			if u.NodeID == row.ID {
				report.Used = Capacity{CVMs: u.Cvms, VCPU: u.VCPU, MemoryMB: u.MemoryMB}
			}
		}
		for i := range health {
			if health[i].NodeID == row.ID {
				report.Health = &health[i]
			}
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// configured reports whether the configuration, and not the database, has a node.
func (s *Service) configured(id int64) bool {
	return slices.ContainsFunc(s.catalog.Nodes(), func(n *Node) bool { return n.ID == id })
}

// findNode finds a node by id or name among those that are not removed.
func (s *Service) findNode(ctx context.Context, q *store.Queries, ref string) (store.Node, error) {
	rows, err := q.ListNodes(ctx)
	if err != nil {
		return store.Node{}, fmt.Errorf("list nodes: %w", err)
	}
	var names []string
	for _, k := range s.knownNodes(rows) {
		if k.State == NodeStateRemoved || s.outdated(k) {
			continue
		}
		if k.Name == ref || strconv.FormatInt(k.ID, 10) == ref {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return store.Node{}, problem.New(problem.KindNotFound, api.CodeNodeNotFound, "node not found").With("node", ref, "an id or a name").
		Suggest("Known here: %s.", strings.Join(names, ", "))
}

// DrainNode lets no new CVM onto a node. Those that are there stay, and their updates go on.
func (s *Service) DrainNode(ctx context.Context, ref, why string) (store.Node, error) {
	return s.setNodeState(ctx, ref, NodeStateDraining, why)
}

// UndrainNode lets new CVMs onto a node again.
func (s *Service) UndrainNode(ctx context.Context, ref string) (store.Node, error) {
	return s.setNodeState(ctx, ref, NodeStateActive, "")
}

func (s *Service) setNodeState(ctx context.Context, ref, state, why string) (store.Node, error) {
	var row store.Node
	now := column.At(s.clock.Now())
	err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		if row, err = s.findNode(ctx, tx.Queries, ref); err != nil {
			return err
		}
		if row.State == state && row.Reason == why {
			return nil
		}
		row.State, row.Reason, row.UpdatedAt = state, why, now
		changed, err := tx.SetNodeState(ctx, store.SetNodeStateParams{ID: row.ID, State: state, Reason: why, UpdatedAt: now})
		if err != nil || changed > 0 {
			return err
		}
		// One of the configuration: only what was decided about it is kept.
		return tx.InsertNode(ctx, store.InsertNodeParams{
			ID: row.ID, Name: row.Name, Origin: NodeFromConfig, State: state, Reason: why, CreatedAt: now,
		})
	})
	if err != nil {
		return store.Node{}, fmt.Errorf("set node %s %s: %w", ref, state, err)
	}
	return row, nil
}

// ChangeNode replaces the settings of a node that was added at run time. Running servers connect to it anew
// within seconds; its CVMs stay.
func (s *Service) ChangeNode(ctx context.Context, n NewNode) (store.Node, error) {
	var row store.Node
	now := column.At(s.clock.Now())
	err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		if row, err = s.findNode(ctx, tx.Queries, n.Name); err != nil {
			return err
		}
		switch {
		case row.Origin != NodeFromDatabase:
			return inConfiguration(row)
		case n.ID != 0 && n.ID != row.ID:
			return problem.New(problem.KindConflict, "", "a node keeps its id").With("id", n.ID, strconv.FormatInt(row.ID, 10))
		case n.Driver != row.Driver:
			return problem.New(problem.KindConflict, "", "a node keeps its driver").With("driver", n.Driver, row.Driver)
		}
		row.Settings, row.UpdatedAt = n.Settings, now
		_, err = tx.SetNodeSettings(ctx, row.ID, n.Settings, now)
		return err
	})
	if err != nil {
		return store.Node{}, fmt.Errorf("change node %s: %w", n.Name, err)
	}
	return row, nil
}

func inConfiguration(row store.Node) *problem.Error {
	return problem.New(problem.KindConflict, "", "node %s is in the configuration of the servers", row.Name).
		Suggest("Change it there, and start the servers again.")
}

// maxNamed is how many CVMs a refusal names.
const maxNamed = 20

// RemoveNode forgets a node that was added at run time, when no CVM is on it. With force it also forgets one
// that has CVMs, if it is drained and the last look at it failed: a host that is lost for good. What was on
// it is lost with it; its CVMs stay listed until they are deleted.
func (s *Service) RemoveNode(ctx context.Context, ref string, force bool) (row store.Node, left []store.CVM, err error) {
	now := column.At(s.clock.Now())
	err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if row, err = s.findNode(ctx, tx.Queries, ref); err != nil {
			return err
		}
		if row.Origin != NodeFromDatabase {
			return inConfiguration(row)
		}
		// First the row, then the look: a CVM that is being created holds the row.
		if _, err := tx.SetNodeState(ctx, store.SetNodeStateParams{ID: row.ID, State: NodeStateRemoved, Reason: row.Reason, UpdatedAt: now}); err != nil {
			return err
		}
		if left, err = tx.ListCVMsOfNode(ctx, row.ID, maxNamed+1); err != nil {
			return err
		}
		if len(left) > 0 {
			if err := mayLose(ctx, tx, row, left, force); err != nil {
				return err
			}
		}
		return tx.DeleteNodeHealth(ctx, row.ID)
	})
	if err != nil {
		return store.Node{}, nil, fmt.Errorf("remove node %s: %w", ref, err)
	}
	return row, left, nil
}

// mayLose tells why a node with CVMs may not be removed, or nil.
func mayLose(ctx context.Context, tx *store.Tx, row store.Node, left []store.CVM, force bool) error {
	if !force {
		return problem.New(problem.KindConflict, "", "CVMs are on node %s", row.Name).With("cvms", names(left), "none").
			Suggest("Drain the node, and delete them or wait until their owners have.")
	}
	health, err := tx.ListNodeHealth(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(health, func(h store.NodeHealth) bool { return h.NodeID == row.ID })
	switch {
	case row.State != NodeStateDraining:
		return problem.New(problem.KindConflict, "", "node %s is not drained", row.Name).With("state", row.State, NodeStateDraining).
			Suggest("Drain it first: new CVMs must not come meanwhile.")
	case i < 0 || health[i].Reachable:
		return problem.New(problem.KindConflict, "", "node %s is not known to be lost", row.Name).With("cvms", names(left), "none").
			Suggest("A node that answers is not removed with its CVMs, nor one that no server has looked at: delete them.")
	}
	return nil
}

// names are the names of CVMs for a message.
func names(cvms []store.CVM) string {
	list := make([]string, 0, maxNamed)
	for i, c := range cvms {
		if i == maxNamed {
			list = append(list, "…")
			break
		}
		list = append(list, c.Name+" ("+c.HashID+")")
	}
	return strings.Join(list, ", ")
}

// ReadNodes gives the rows of nodes and how much CVMs use of each, for who builds a catalog from them.
func (s *Service) ReadNodes(ctx context.Context) ([]store.Node, []store.NodeUse, error) {
	rows, err := s.store.Read().ListNodes(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("list nodes: %w", err)
	}
	used, err := s.store.Read().UsageByNode(ctx)
	if err != nil {
		return nil, nil, errors.Join(errors.New("usage of nodes"), err)
	}
	return rows, used, nil
}
