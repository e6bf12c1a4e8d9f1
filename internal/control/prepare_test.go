package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// preparingNode is a node that gets ready beforehand.
type preparingNode struct {
	*fakeNode
	err      error
	prepared []appcompose.ComposeHash
	during   func()
}

func (n *preparingNode) Prepare(_ context.Context, id string, config runtime.Config) error {
	if n.fakeNode.cvms[id].state != runtime.StateRunning {
		return errors.New("asked to prepare for a CVM that is down")
	}
	n.prepared = append(n.prepared, appcompose.Hash(config.Document))
	if n.during != nil {
		n.during()
	}
	return n.err
}

// preparing is a harness with a running CVM whose node gets ready beforehand.
func preparing(t *testing.T) (*harness, *preparingNode, *CVM) {
	t.Helper()
	h := newHarness(t)
	cvm := h.create("preparing", api.KMSPhala)
	node, err := h.service.catalog.node(cvm.Row.NodeID)
	must(t, err)
	p := &preparingNode{fakeNode: h.node}
	node.Runtime = p
	return h, p, cvm
}

func (h *harness) accept(cvm *CVM, yaml []byte) store.Update {
	h.t.Helper()
	out, err := h.update(cvm, ComposeUpdate{YAML: yaml})
	must(h.t, err)
	return out.Accepted.Update
}

func TestNodeGetsReadyBeforeTheStop(t *testing.T) {
	h, node, cvm := preparing(t)
	defer h.close()
	u := h.accept(cvm, yamlNumber(2))
	node.during = func() {
		if len(h.node.stops) != 0 {
			t.Error("the CVM was stopped before its node was ready")
		}
	}
	if after := h.settle(u.ID); after.State != column.Succeeded {
		t.Fatalf("update ended %s: %s", after.State, after.Reason)
	}
	if len(node.prepared) != 1 || node.prepared[0] != u.ComposeHash {
		t.Errorf("prepared %v, want only %s", node.prepared, u.ComposeHash)
	}
	h.wantRuns(cvm, u.ComposeHash)
}

func TestNodeThatCannotGetReadyLeavesTheOldVersionRunning(t *testing.T) {
	h, node, cvm := preparing(t)
	defer h.close()
	node.err = errors.New("pull access denied")
	u := h.accept(cvm, yamlNumber(2))
	h.step(u.ID)
	if waiting := h.get(u.ID); waiting.State != column.Approved || !strings.Contains(waiting.Reason, "pull access denied") {
		t.Fatalf("update is %s: %s", waiting.State, waiting.Reason)
	}
	after := h.settleSlowly(u.ID)
	if after.State != column.RolledBack || !strings.Contains(after.Error, "pull access denied") {
		t.Fatalf("update ended %s: %s / %s", after.State, after.Reason, after.Error)
	}
	if len(h.node.stops) != 0 {
		t.Error("the CVM was stopped")
	}
	h.wantRuns(cvm, cvm.Document.Hash())
}

func TestNodeThatGetsReadyAtLast(t *testing.T) {
	h, node, cvm := preparing(t)
	defer h.close()
	node.err = errors.New("registry is down")
	u := h.accept(cvm, yamlNumber(2))
	h.step(u.ID)
	node.err = fmt.Errorf("%w: engine", runtime.ErrUnreachable)
	h.step(u.ID)
	if waiting := h.get(u.ID); waiting.State != column.Approved || !strings.Contains(waiting.Reason, "waits for node") {
		t.Fatalf("update is %s: %s", waiting.State, waiting.Reason)
	}
	node.err = nil
	if after := h.settle(u.ID); after.State != column.Succeeded {
		t.Fatalf("update ended %s: %s", after.State, after.Reason)
	}
}

// TestApprovalLostWhileTheNodeGetsReady: the approval is looked at after the node is ready, which may take long.
func TestApprovalLostWhileTheNodeGetsReady(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("preparing", api.KMSEthereum)
	node, err := h.service.catalog.node(cvm.Row.NodeID)
	must(t, err)
	u, _ := h.approved(cvm, yamlNumber(2))
	node.Runtime = &preparingNode{fakeNode: h.node, during: func() { h.chain.remove(cvm.Row.AppID, u.ComposeHash) }}
	if after := h.settle(u.ID); after.State != column.AwaitingApproval {
		t.Fatalf("update is %s: %s", after.State, after.Reason)
	}
	if len(h.node.stops) != 0 {
		t.Error("the CVM was stopped")
	}
}
