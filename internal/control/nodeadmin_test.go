package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// secondNode adds a node that was added at run time, and on which nothing runs.
func (h *harness) secondNode() *Node {
	h.t.Helper()
	row, err := h.service.AddNode(context.Background(), NewNode{Name: "node-2", Driver: "fake", Settings: "{}"})
	must(h.t, err)
	node := &Node{
		ID: row.ID, Name: row.Name, DeviceID: common.Hash{0xdf}, Images: []Image{{Name: "dstack-0.5.5", Version: [3]int64{0, 5, 5}}},
		Capacity: Capacity{CVMs: 10, VCPU: 10, MemoryMB: 1 << 20}, Runtime: newFakeNode(h.chain, h.clock),
	}
	must(h.t, h.service.catalog.SetNodes(append(h.service.catalog.Nodes(), node)))
	return node
}

func (h *harness) provisionOn(nodeID *int64) (*Provisioned, error) {
	kind := string(api.KMSPhala)
	return h.service.Provision(context.Background(), h.alice, api.ProvisionRequest{
		Name: "new-cvm", KMS: &kind, TeepodID: nodeID, ComposeFile: api.ComposeFile{DockerComposeFile: yamlOne},
	}, nil)
}

func TestNodeThatTakesNoNewCVM(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*Node)
		says  string
	}{
		"draining":    {func(n *Node) { n.SetDraining(true, "new kernel") }, "being drained"},
		"unreachable": {func(n *Node) { n.Observe(runtime.Machine{}, runtime.ErrUnreachable, time.Time{}) }, "does not answer"},
		"broken":      {func(n *Node) { n.Broken = "no token" }, "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			old := h.create("old-cvm", api.KMSPhala)
			second := h.secondNode()
			first := h.service.catalog.Nodes()[0]
			test.spoil(first)
			p, err := h.provisionOn(nil)
			must(t, err)
			if p.Node != second {
				t.Errorf("placed on %s, want %s", p.Node.Name, second.Name)
			}
			for what, err := range map[string]error{
				"provision": func() error { _, err := h.provisionOn(&first.ID); return err }(),
				"replica": func() error {
					_, err := h.service.Replicate(context.Background(), h.alice, old.Row.HashID, api.ReplicateRequest{}, false)
					return err
				}(),
			} {
				if refused := wantKind(t, err, problem.KindInvalid); refused.Code != api.CodeResourceNotAvailable || !strings.Contains(refused.Error(), test.says) {
					t.Errorf("%s: %v, want that it %s", what, err, test.says)
				}
			}
			// What is there stays there, and is updated there.
			out, err := h.update(old, ComposeUpdate{YAML: yamlNumber(2)})
			must(t, err)
			if u := h.settle(out.Accepted.Update.ID); u.State != column.Succeeded || h.read(old).Node != first {
				t.Errorf("update of what is there: %s, on %s", u.State, h.read(old).Node.Name)
			}
			first.SetDraining(false, "")
			first.Observe(runtime.Machine{}, nil, time.Time{})
			first.Broken = ""
			if p, err = h.provisionOn(nil); err != nil || p.Node != first {
				t.Errorf("after it came back: %v, %v", p, err)
			}
		})
	}
}

func TestCommitOnANodeThatWentAwaySinceThePlacement(t *testing.T) {
	ctx := context.Background()
	for name, change := range map[string]func(*harness) error{
		"drained": func(h *harness) error { _, err := h.service.DrainNode(ctx, "node-2", ""); return err },
		"removed": func(h *harness) error { _, _, err := h.service.RemoveNode(ctx, "node-2", false); return err },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			second := h.secondNode()
			p, err := h.provisionOn(&second.ID)
			must(t, err)
			must(t, change(h)) // this process has not noticed yet
			commit := api.CommitRequest{AppID: p.Row.AppID, ComposeHash: p.Row.ComposeHash.String()}
			_, err = h.service.Commit(ctx, h.alice, commit)
			wantKind(t, err, problem.KindInvalid)
			cvms, err := h.store.Read().ListCVMsOfNode(ctx, second.ID, 10)
			must(t, err)
			if len(cvms) != 0 {
				t.Errorf("CVMs on the node: %+v", cvms)
			}
			_, err = h.provisionOn(nil)
			must(t, err)
		})
	}
}

func TestLimitIsBoundedByTheMachine(t *testing.T) {
	for _, test := range []struct {
		name             string
		configured, said int64
		want             int64
	}{
		{"machine has less", 100, 60, 60},
		{"configured to give less", 40, 60, 40},
		{"nothing configured", 0, 60, 60},
		{"machine does not say", 100, 0, 100},
		{"nobody says", 0, 0, 0},
	} {
		node := &Node{Capacity: Capacity{CVMs: test.configured, VCPU: test.configured, MemoryMB: test.configured}}
		node.Observe(runtime.Machine{Limits: runtime.Limits{CVMs: test.said, VCPU: test.said, MemoryMB: test.said}}, nil, time.Time{})
		if got, want := node.Limit(), (Capacity{CVMs: test.want, VCPU: test.want, MemoryMB: test.want}); got != want {
			t.Errorf("%s: %+v, want %+v", test.name, got, want)
		}
		node.Observe(runtime.Machine{}, runtime.ErrUnreachable, time.Time{})
		if got := node.Limit().CVMs; got != test.want {
			t.Errorf("%s: %d once it is unreachable, want what it said before, %d", test.name, got, test.want)
		}
	}
}

func TestPlacementFillsWhatTheMachineHas(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	node := h.service.catalog.Nodes()[0]
	node.Observe(runtime.Machine{Limits: runtime.Limits{CVMs: 2, VCPU: 8, MemoryMB: 3000}}, nil, h.clock.Now())
	h.create("only-cvm", api.KMSPhala) // 2048 MB
	_, err := h.provisionOn(nil)
	if p := wantKind(t, err, problem.KindInvalid); p.Code != api.CodeInsufficientMemory {
		t.Errorf("code %s, want %s: the machine has 3000 MB, whatever is configured", p.Code, api.CodeInsufficientMemory)
	}
}

func TestObserve(t *testing.T) {
	node := &Node{}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	down := errors.New("connection refused")
	for i, step := range []struct {
		err     error
		changed bool
		word    string
		since   int // minutes after the first look
	}{
		{nil, true, NodeOnline, 0}, {nil, false, NodeOnline, 0}, {down, true, NodeUnreachable, 2}, {down, false, NodeUnreachable, 2}, {nil, true, NodeOnline, 4},
	} {
		now := at.Add(time.Duration(i) * time.Minute)
		changed := node.Observe(runtime.Machine{Version: "1"}, step.err, now)
		c := node.Condition()
		if changed != step.changed || c.Word() != step.word || !c.Since.Equal(at.Add(time.Duration(step.since)*time.Minute)) || !c.LookedAt.Equal(now) {
			t.Errorf("look %d: changed %v, %s since %s", i, changed, c.Word(), c.Since)
		}
		if (c.Error == "") != (step.err == nil) || c.Machine.Version != "1" {
			t.Errorf("look %d: %+v", i, c)
		}
	}
	node.SetDraining(true, "why")
	if got := node.Condition().Word(); got != NodeDraining {
		t.Errorf("word %s", got)
	}
}

func TestAddNode(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	second, err := h.service.AddNode(ctx, NewNode{Name: "second", Driver: "sim", Settings: "{}"})
	must(t, err)
	if second.ID != 2 {
		t.Errorf("id %d, want the next after the configuration's", second.ID)
	}
	_, err = h.service.AddNode(ctx, NewNode{ID: 9, Name: "ninth", Driver: "sim", Settings: "{}"})
	must(t, err)
	for name, test := range map[string]struct {
		node NewNode
		want problem.Kind
	}{
		"name of the configuration": {NewNode{Name: "node-1"}, problem.KindConflict},
		"name of the database":      {NewNode{Name: "second"}, problem.KindConflict},
		"id of the configuration":   {NewNode{ID: 1, Name: "other"}, problem.KindConflict},
		"id of the database":        {NewNode{ID: 9, Name: "other"}, problem.KindConflict},
		"no name":                   {NewNode{}, problem.KindInvalid},
		"name like an id":           {NewNode{Name: "7"}, problem.KindInvalid},
		"negative id":               {NewNode{ID: -1, Name: "other"}, problem.KindInvalid},
	} {
		if _, err := h.service.AddNode(ctx, test.node); !problem.Is(err, test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	// An id is never used again, a name may be.
	_, _, err = h.service.RemoveNode(ctx, "ninth", false)
	must(t, err)
	again, err := h.service.AddNode(ctx, NewNode{Name: "ninth", Settings: "{}"})
	must(t, err)
	if again.ID != 10 {
		t.Errorf("id %d, want 10", again.ID)
	}
}

// A node moves from the configuration to the database under its id, and keeps its CVMs.
func TestAddNodeThatWasInTheConfiguration(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	cvm := h.create("stays-there", api.KMSPhala)
	_, err := h.service.DrainNode(ctx, "node-1", "is moved")
	must(t, err)
	must(t, h.service.catalog.SetNodes(nil)) // it is taken out of the configuration
	reports, err := h.service.NodeReports(ctx)
	must(t, err)
	if len(reports) != 0 {
		t.Errorf("listed: %+v", reports)
	}
	other, err := h.service.AddNode(ctx, NewNode{Name: "other", Settings: "{}"})
	must(t, err)
	if other.ID == cvm.Row.NodeID {
		t.Fatalf("another node got id %d, which a CVM names", other.ID)
	}
	moved, err := h.service.AddNode(ctx, NewNode{ID: 1, Name: "node-1", Driver: "fake", Settings: "{}"})
	must(t, err)
	row, err := h.store.Read().GetNode(ctx, moved.ID)
	must(t, err)
	if row.Origin != NodeFromDatabase || row.State != NodeStateActive {
		t.Errorf("the node is %+v", row)
	}
	_, _, err = h.service.RemoveNode(ctx, "node-1", false)
	wantKind(t, err, problem.KindConflict)
}

func TestDrainANodeOfTheConfiguration(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	for _, test := range []struct {
		do    func() (store.Node, error)
		state string
		why   string
	}{
		{func() (store.Node, error) { return h.service.DrainNode(ctx, "node-1", "new kernel") }, NodeStateDraining, "new kernel"},
		{func() (store.Node, error) { return h.service.DrainNode(ctx, "1", "new disk") }, NodeStateDraining, "new disk"},
		{func() (store.Node, error) { return h.service.UndrainNode(ctx, "1") }, NodeStateActive, ""},
		{func() (store.Node, error) { return h.service.UndrainNode(ctx, "1") }, NodeStateActive, ""},
	} {
		_, err := test.do()
		must(t, err)
		reports, err := h.service.NodeReports(ctx)
		must(t, err)
		if row := reports[0].Row; len(reports) != 1 || row.State != test.state || row.Reason != test.why || row.Name != "node-1" || row.Driver != "fake" {
			t.Errorf("node %+v, want %s (%s)", row, test.state, test.why)
		}
	}
	_, err := h.service.DrainNode(ctx, "nobody", "")
	wantKind(t, err, problem.KindNotFound)
	_, _, err = h.service.RemoveNode(ctx, "node-1", true)
	wantKind(t, err, problem.KindConflict)
	_, err = h.service.ChangeNode(ctx, NewNode{Name: "node-1"})
	wantKind(t, err, problem.KindConflict)
}

func TestChangeNodeKeepsWhatItIs(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	row, err := h.service.AddNode(ctx, NewNode{Name: "second", Driver: "dstack", Settings: `{"a":1}`})
	must(t, err)
	changed, err := h.service.ChangeNode(ctx, NewNode{Name: "second", Driver: "dstack", Settings: `{"a":2}`})
	must(t, err)
	if changed.ID != row.ID || changed.Settings != `{"a":2}` {
		t.Errorf("changed to %+v", changed)
	}
	for name, node := range map[string]NewNode{
		"other driver": {Name: "second", Driver: "sim"}, "other id": {ID: 77, Name: "second", Driver: "dstack"},
	} {
		if _, err := h.service.ChangeNode(ctx, node); !problem.Is(err, problem.KindConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRemoveNode(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	second := h.secondNode()
	p, err := h.provisionOn(&second.ID)
	must(t, err)
	cvm, err := h.service.Commit(ctx, h.alice, api.CommitRequest{AppID: p.Row.AppID, ComposeHash: p.Row.ComposeHash.String()})
	must(t, err)
	refused := func(force bool, says string) {
		t.Helper()
		_, _, err := h.service.RemoveNode(ctx, second.Name, force)
		if p := wantKind(t, err, problem.KindConflict); !strings.Contains(fmt.Sprint(p, p.Details), says) {
			t.Errorf("refused with %v %v, want %q", p, p.Details, says)
		}
		if row, err := h.store.Read().GetNode(ctx, second.ID); err != nil || row.State == NodeStateRemoved {
			t.Fatalf("it is %s, %v", row.State, err)
		}
	}
	refused(false, cvm.Row.HashID) // it names who is there
	refused(true, "not drained")
	_, err = h.service.DrainNode(ctx, second.Name, "burnt down")
	must(t, err)
	refused(true, "not known to be lost")
	second.Observe(runtime.Machine{}, nil, h.clock.Now())
	must(t, h.service.SaveNodeHealth(ctx, second))
	refused(true, "not known to be lost")
	second.Observe(runtime.Machine{}, runtime.ErrUnreachable, h.clock.Now())
	must(t, h.service.SaveNodeHealth(ctx, second))
	refused(false, cvm.Row.HashID)
	_, left, err := h.service.RemoveNode(ctx, second.Name, true)
	must(t, err)
	if len(left) != 1 || left[0].ID != cvm.Row.ID {
		t.Errorf("left behind: %+v", left)
	}
	reports, err := h.service.NodeReports(ctx)
	must(t, err)
	if len(reports) != 1 {
		t.Errorf("still listed: %+v", reports)
	}
}

// A CVM on a node that was removed is listed, its update waits with the reason, and nothing new goes there.
func TestCVMOnARemovedNode(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("left-behind", api.KMSPhala)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	gone := &Node{ID: 1, Name: "node-1", Removed: true, Runtime: runtime.Unusable{Reason: "it was removed", Gone: true}}
	must(t, h.service.catalog.SetNodes([]*Node{gone}))
	if len(h.service.catalog.Nodes()) != 0 {
		t.Error("a removed node is shown")
	}
	if step := h.step(out.Accepted.Update.ID); step.Done || step.Wait == 0 {
		t.Errorf("step = %+v, want a wait", step)
	}
	if u := h.get(out.Accepted.Update.ID); u.State.Final() || !strings.Contains(u.Reason, "it was removed") {
		t.Errorf("update is %s: %s", u.State, u.Reason)
	}
	if got := h.read(cvm); got.Status() != StatusUpdating {
		t.Errorf("CVM is %s", got.Status())
	}
	id := int64(1)
	_, err = h.provisionOn(&id)
	wantKind(t, err, problem.KindNotFound)
}

// TestApprovalOnANodeThatIsNotKnown: the device of such a node is not known either, which must not look as if the
// owner did not allow it. The update waits for the node, and goes on when it is there.
func TestApprovalOnANodeThatIsNotKnown(t *testing.T) {
	for name, depth := range map[string]uint64{"approved": 0, "not deep enough": 1} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("elsewhere", api.KMSEthereum)
			out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
			must(t, err)
			u := out.Precondition.Update
			tx := h.chain.addDeep(cvm.Row.AppID, u.ComposeHash, depth)
			_, err = h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), ComposeHash: u.ComposeHash.String(), TransactionHash: tx})
			must(t, err)
			before := h.get(u.ID).State
			h.exec(`UPDATE cvms SET node_id = 99 WHERE id = ?`, cvm.Row.ID)
			for range 3 {
				if step := h.step(u.ID); step.Done || step.Wait == 0 {
					t.Fatalf("step = %+v, want a wait", step)
				}
			}
			if now := h.get(u.ID); now.State != before || !strings.Contains(now.Reason, "node-99") || !strings.Contains(now.Reason, "not configured") {
				t.Errorf("the update is %s: %s", now.State, now.Reason)
			}
			if got := h.read(cvm); got.Status() != StatusUpdating {
				t.Errorf("the CVM is %s", got.Status())
			}
			h.exec(`UPDATE cvms SET node_id = 1 WHERE id = ?`, cvm.Row.ID)
			h.chain.mine(tx)
			if after := h.settle(u.ID); after.State != column.Succeeded {
				t.Errorf("it ended %s: %s", after.State, after.Reason)
			}
		})
	}
}

// TestDeleteOnANodeThatIsNotThere: what is gone for good counts as deleted; what may come back is waited for.
func TestDeleteOnANodeThatIsNotThere(t *testing.T) {
	for name, gone := range map[string]bool{"gone for good": true, "not configured": false} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("left-behind", api.KMSPhala)
			must(t, h.service.catalog.SetNodes([]*Node{{
				ID: 1, Name: "node-1", Removed: true, Runtime: runtime.Unusable{Reason: "it was removed", Gone: gone},
			}}))
			must(t, h.service.DeleteCVM(t.Context(), h.alice, cvm.Row.HashID))
			open, err := h.store.Read().ListOpenPower(t.Context())
			must(t, err)
			for range 3 {
				_, err = h.service.AdvancePower(t.Context(), open[0].ID)
				must(t, err)
			}
			op, err := h.store.Read().GetPowerOperation(t.Context(), open[0].ID)
			must(t, err)
			if ended := op.State == column.PowerSucceeded; ended != gone {
				t.Errorf("the delete is %s: %s", op.State, op.Reason)
			}
		})
	}
}

func TestCatalogChangesUnderReaders(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	first := h.service.catalog.Nodes()[0]
	second := h.secondNode()
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 200 {
				for _, n := range h.service.catalog.Nodes() {
					_, _ = n.Accepts(), n.Limit()
				}
				if _, err := h.service.catalog.node(first.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 200 {
		must(t, h.service.catalog.SetNodes([]*Node{first, second}[:1+i%2]))
		second.SetDraining(i%3 == 0, "")
		second.Observe(runtime.Machine{}, nil, h.clock.Now())
	}
	readers.Wait()
	if err := h.service.catalog.SetNodes([]*Node{first, first}); err == nil {
		t.Error("the same node twice is taken")
	}
}
