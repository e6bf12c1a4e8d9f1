package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Condition is what is known of a node now, besides what it is configured to be.
type Condition struct {
	Draining bool   // an operator wants no new CVM there
	Why      string // the operator's words

	Known     bool // it was looked at
	Reachable bool
	Error     string    // of the last look, when it failed
	Since     time.Time // reachable or not since then
	LookedAt  time.Time
	Machine   runtime.Machine // what it said of itself when it last answered
}

// Words for the condition of a node, as people and clients see it.
const (
	NodeOnline      = "online"
	NodeUnknown     = "unknown" // nobody has looked yet
	NodeDraining    = "draining"
	NodeUnreachable = "unreachable"
)

// Word sums a condition up.
func (c Condition) Word() string {
	switch {
	case c.Known && !c.Reachable:
		return NodeUnreachable
	case c.Draining:
		return NodeDraining
	case !c.Known:
		return NodeUnknown
	default:
		return NodeOnline
	}
}

// Condition tells what is known of the node now.
func (n *Node) Condition() Condition {
	if c := n.condition.Load(); c != nil {
		return *c
	}
	return Condition{}
}

func (n *Node) change(f func(*Condition)) (before, after Condition) {
	for {
		old := n.condition.Load()
		next := Condition{}
		if old != nil {
			next = *old
		}
		before = next
		f(&next)
		if n.condition.CompareAndSwap(old, &next) {
			return before, next
		}
	}
}

// SetDraining notes whether an operator wants no new CVM on the node, and why.
func (n *Node) SetDraining(draining bool, why string) {
	n.change(func(c *Condition) { c.Draining, c.Why = draining, why })
}

// Observe notes what a look at the machine found: what it says of itself, or the error. It reports whether
// the node was not reachable before and is now, or the other way round, or was not looked at before.
func (n *Node) Observe(m runtime.Machine, err error, now time.Time) (changed bool) {
	before, after := n.change(func(c *Condition) {
		reachable := err == nil
		if !c.Known || c.Reachable != reachable {
			c.Since = now
		}
		c.Known, c.Reachable, c.LookedAt, c.Error = true, reachable, now, ""
		if reachable {
			c.Machine = m
		} else {
			c.Error = err.Error()
		}
	})
	return !before.Known || before.Reachable != after.Reachable
}

// Limit is what the node has for CVMs: what it is configured to have, bounded by what the machine says it
// gives. Where nothing is configured it is what the machine says.
func (n *Node) Limit() Capacity {
	said := n.Condition().Machine.Limits
	bound := func(configured, said int64) int64 {
		switch {
		case said <= 0:
			return configured
		case configured <= 0:
			return said
		default:
			return min(configured, said)
		}
	}
	return Capacity{
		CVMs:     bound(n.Capacity.CVMs, said.CVMs),
		VCPU:     bound(n.Capacity.VCPU, said.VCPU),
		MemoryMB: bound(n.Capacity.MemoryMB, said.MemoryMB),
	}
}

// Accepts tells why no new CVM is placed on the node now, whatever room it has, or nil. CVMs that are there
// stay, and their updates go on.
func (n *Node) Accepts() error {
	c := n.Condition()
	refused := func(format string, args ...any) *problem.Error {
		return problem.New(problem.KindInvalid, api.CodeResourceNotAvailable, format, args...).
			With("node_id", n.ID, "a node that is online").Suggest("List the nodes with GET /teepods/available.")
	}
	switch {
	case n.Removed:
		return refused("node %s was removed", n.Name)
	case n.Broken != "":
		return refused("node %s cannot be used by this server", n.Name)
	case c.Draining:
		return refused("node %s is being drained and takes no new CVM", n.Name)
	case c.Known && !c.Reachable:
		return refused("node %s does not answer", n.Name)
	default:
		return nil
	}
}

// noLongerThere answers the commit of a CVM whose node went away since it was provisioned.
func noLongerThere(id int64) *problem.Error {
	return problem.New(problem.KindInvalid, api.CodeResourceNotAvailable, "the node that was chosen takes no new CVM any more").
		With("node_id", id, "").Suggest("Call POST /cvms/provision again.")
}

// holdNode makes sure that the node takes a new CVM, and that it is not drained or removed before the
// transaction ends. A node without a row is one that no operator decided anything about.
func holdNode(ctx context.Context, tx *store.Tx, id int64) error {
	if _, err := tx.GetNode(ctx, id); errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	held, err := tx.HoldNode(ctx, id)
	if err == nil && held == 0 {
		return noLongerThere(id)
	}
	return err
}

// SaveNodeHealth writes down what is known of a node, for those who ask without a server.
func (s *Service) SaveNodeHealth(ctx context.Context, node *Node) error {
	c := node.Condition()
	if !c.Known {
		return nil
	}
	limits := c.Machine.Limits
	err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutNodeHealth(ctx, store.PutNodeHealthParams{
			NodeID: node.ID, Reachable: c.Reachable, Error: c.Error, Version: c.Machine.Version,
			MaxCVMs: limits.CVMs, MaxVCPU: limits.VCPU, MaxMemoryMB: limits.MemoryMB,
			StateSince: column.At(c.Since), UpdatedAt: column.At(c.LookedAt),
		})
	})
	if err != nil {
		return fmt.Errorf("save health of node %s: %w", node.Name, err)
	}
	return nil
}
