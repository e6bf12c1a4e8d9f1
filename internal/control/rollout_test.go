package control

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// approved takes a CVM to an approved update whose rollout has not begun.
func (h *harness) approved(cvm *CVM, yaml []byte) (store.Update, string) {
	h.t.Helper()
	need := h.propose(cvm, yaml)
	tx := h.chain.add(cvm.Row.AppID, need.Update.ComposeHash)
	out, err := h.update(cvm, ComposeUpdate{YAML: yaml, ComposeHash: need.Update.ComposeHash.String(), TransactionHash: tx})
	must(h.t, err)
	return out.Accepted.Update, tx
}

func (h *harness) step(id string) Step {
	h.t.Helper()
	step, err := h.service.Advance(context.Background(), id)
	must(h.t, err)
	return step
}

func (h *harness) get(id string) store.Update {
	h.t.Helper()
	u, err := h.store.Read().GetUpdate(context.Background(), id)
	must(h.t, err)
	return u
}

func TestApprovalLostBeforeTheStopStopsNothing(t *testing.T) {
	for name, lose := range map[string]func(h *harness, cvm *CVM, u store.Update, tx string){
		"removed": func(h *harness, cvm *CVM, u store.Update, _ string) { h.chain.remove(cvm.Row.AppID, u.ComposeHash) },
		"reorg":   func(h *harness, _ *CVM, _ store.Update, tx string) { h.chain.reorg(tx) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("lost-approval", api.KMSEthereum)
			u, tx := h.approved(cvm, yamlNumber(2))
			lose(h, cvm, u, tx)
			if after := h.settle(u.ID); after.State != column.AwaitingApproval || after.TxHash != "" || after.Reason == "" {
				t.Fatalf("update is %s with %q: %s", after.State, after.TxHash, after.Reason)
			}
			if len(h.node.stops) != 0 {
				t.Errorf("the CVM was stopped")
			}
			h.wantRuns(cvm, cvm.Document.Hash())
			// The owner approves again and the same candidate goes through.
			tx = h.chain.add(cvm.Row.AppID, u.ComposeHash)
			_, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), ComposeHash: u.ComposeHash.String(), TransactionHash: tx})
			must(t, err)
			if after := h.settle(u.ID); after.State != column.Succeeded {
				t.Fatalf("update ended %s: %s", after.State, after.Reason)
			}
			h.wantRuns(cvm, u.ComposeHash)
		})
	}
}

func TestApprovalLostAfterACrashBeforeTheStop(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("crash-before-stop", api.KMSEthereum)
	u, _ := h.approved(cvm, yamlNumber(2))
	h.node.onStop = func(string) { panic("killed") } // dies between the check and the stop
	func() {
		defer func() { _ = recover() }()
		h.step(u.ID)
	}()
	h.node.onStop = nil
	h.node.mu.TryLock() // the dead process held nothing of the node
	h.node.mu.Unlock()
	if state := h.get(u.ID).State; state != column.RollingOut {
		t.Fatalf("state at the crash = %s, want %s", state, column.RollingOut)
	}
	h.restart()
	h.chain.remove(cvm.Row.AppID, u.ComposeHash)
	if after := h.settle(u.ID); after.State != column.RolledBack || after.Error == "" {
		t.Fatalf("update ended %s: %s", after.State, after.Reason)
	}
	if len(h.node.stops) != 0 {
		t.Errorf("the CVM was stopped %d times without an approval", len(h.node.stops))
	}
	h.wantRuns(cvm, cvm.Document.Hash())
}

func TestBadRevisionGivesWayToThePreviousOne(t *testing.T) {
	for name, spoil := range map[string]func(h *harness, cvm *CVM, u store.Update){
		"boot denied": func(h *harness, cvm *CVM, u store.Update) {
			h.node.onStop = func(string) { h.chain.remove(cvm.Row.AppID, u.ComposeHash) }
		},
		"unhealthy": func(h *harness, _ *CVM, u store.Update) { h.node.sick[u.ComposeHash] = true },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("bad-revision", api.KMSEthereum)
			u, _ := h.approved(cvm, yamlNumber(2))
			spoil(h, cvm, u)
			after := h.settle(u.ID)
			if after.State != column.RolledBack || after.Error == "" {
				t.Fatalf("update ended %s: %s / %s", after.State, after.Reason, after.Error)
			}
			if name == "boot denied" && !strings.Contains(after.Error, "Compose hash not allowed") {
				t.Errorf("error = %q, want the guest's own words", after.Error)
			}
			h.wantRuns(cvm, cvm.Document.Hash())
			h.wantHistory(u.ID, column.Proposed, column.AwaitingApproval, column.Approved, column.RollingOut,
				column.Verifying, column.RollingBack, column.RolledBack)
		})
	}
}

func TestPreviousRevisionThatIsForbiddenStaysDown(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("no-way-back", api.KMSEthereum)
	u, _ := h.approved(cvm, yamlNumber(2))
	h.node.sick[u.ComposeHash] = true
	h.chain.remove(cvm.Row.AppID, cvm.Document.Hash())
	after := h.settle(u.ID)
	if after.State != column.Failed || !strings.Contains(after.Reason, "may not run any more") {
		t.Fatalf("update ended %s: %s", after.State, after.Reason)
	}
	if status := h.read(cvm).Status(); status != StatusError {
		t.Errorf("CVM is %s, want %s", status, StatusError)
	}
}

func TestUnreachableNodeIsWaitedForWithAReason(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("unreachable", api.KMSPhala)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	h.node.unreachable = true
	for range 5 {
		if step := h.step(out.Accepted.Update.ID); step.Done || step.Wait == 0 {
			t.Fatalf("step = %+v, want a wait", step)
		}
	}
	if u := h.get(out.Accepted.Update.ID); u.State.Final() || !strings.Contains(u.Reason, "node-1") {
		t.Fatalf("update is %s: %q, want a reason that names the node", u.State, u.Reason)
	}
	h.node.unreachable = false
	if u := h.settle(out.Accepted.Update.ID); u.State != column.Succeeded {
		t.Fatalf("update ended %s: %s", u.State, u.Reason)
	}
}

func TestChainThatIsDownChangesNothing(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("chain-down", api.KMSEthereum)
	u, _ := h.approved(cvm, yamlNumber(2))
	h.chain.setDown(true)
	for range 5 {
		if step := h.step(u.ID); step.Done || step.Wait == 0 {
			t.Fatalf("step = %+v, want a wait", step)
		}
	}
	if len(h.node.stops) != 0 {
		t.Fatal("the CVM was stopped without a look at the chain")
	}
	h.chain.setDown(false)
	if u := h.settle(u.ID); u.State != column.Succeeded {
		t.Fatalf("update ended %s: %s", u.State, u.Reason)
	}
}

func TestApprovalThatIsNotDeepEnough(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("shallow", api.KMSEthereum)
	need := h.propose(cvm, yamlNumber(2))
	tx := h.chain.addDeep(cvm.Row.AppID, need.Update.ComposeHash, 2)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), ComposeHash: need.Update.ComposeHash.String(), TransactionHash: tx})
	must(t, err)
	if out.Accepted == nil || h.read(cvm).Status() != StatusUpdating {
		t.Fatalf("outcome = %+v, CVM %s: want it taken, and to wait", out, h.read(cvm).Status())
	}
	id := need.Update.ID
	if step := h.step(id); step.Done || h.get(id).State != column.AwaitingApproval {
		t.Fatalf("went on without the depth: %+v %s", step, h.get(id).State)
	}
	_, err = h.update(cvm, ComposeUpdate{YAML: yamlNumber(3)})
	wantKind(t, err, "busy")
	h.chain.mine(tx)
	h.chain.mine(tx)
	if u := h.settle(id); u.State != column.Succeeded {
		t.Fatalf("update ended %s: %s", u.State, u.Reason)
	}
	h.wantRuns(cvm, need.Update.ComposeHash)
}

func TestShallowApprovalLostInAReorgGivesTheCVMBack(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("shallow-reorg", api.KMSEthereum)
	need := h.propose(cvm, yamlNumber(2))
	tx := h.chain.addDeep(cvm.Row.AppID, need.Update.ComposeHash, 2)
	_, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), ComposeHash: need.Update.ComposeHash.String(), TransactionHash: tx})
	must(t, err)
	h.chain.reorg(tx)
	if u := h.settle(need.Update.ID); u.State != column.AwaitingApproval || u.TxHash != "" {
		t.Fatalf("update is %s with %q", u.State, u.TxHash)
	}
	h.wantRuns(cvm, cvm.Document.Hash())
}

func TestNodeThatRefusesIsGivenUp(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("refusing-node", api.KMSPhala)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	h.node.refuseApply = errors.New("disk full")
	u := h.settleSlowly(out.Accepted.Update.ID)
	if u.State != column.Failed && u.State != column.RolledBack || !strings.Contains(u.Error, "disk full") {
		t.Fatalf("update ended %s: %s / %s", u.State, u.Reason, u.Error)
	}
	h.wantRuns(cvm, cvm.Document.Hash())
}

// settleSlowly is settle for updates that wait for a deadline.
func (h *harness) settleSlowly(id string) store.Update {
	h.t.Helper()
	for range 20 {
		for range 50 {
			if h.step(id).Done {
				return h.get(id)
			}
			h.node.tick()
			h.clock.advance(h.service.timeouts.Retry)
		}
	}
	h.t.Fatalf("update %s did not end", id)
	return store.Update{}
}

func TestForeignBytesNeverSucceed(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("foreign-bytes", api.KMSPhala)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	id := out.Accepted.Update.ID
	for h.get(id).State != column.Verifying {
		h.step(id)
		h.node.tick()
	}
	h.node.cvms[cvm.Row.VMUUID].running = appcompose.Hash([]byte("something else")) // a guest that measured other bytes
	h.node.cvms[cvm.Row.VMUUID].state = runtime.StateRunning
	if u := h.settle(id); u.State == column.Succeeded || !strings.Contains(u.Error, "measured") {
		t.Fatalf("update ended %s: %s", u.State, u.Error)
	}
}

func TestFailureIsToldAfterTheRollback(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("told-later", api.KMSPhala)
	h.clock.advance(time.Second)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	h.node.sick[out.Accepted.Update.ComposeHash] = true
	if u := h.settle(out.Accepted.Update.ID); u.State != column.RolledBack {
		t.Fatalf("update ended %s", u.State)
	}
	if told := h.read(cvm).LastError; !strings.Contains(told, "unhealthy") {
		t.Errorf("the CVM tells %q, want why the update did not come to run", told)
	}
	h.clock.advance(time.Second)
	out, err = h.update(cvm, ComposeUpdate{YAML: yamlNumber(3)})
	must(t, err)
	h.settle(out.Accepted.Update.ID)
	if told := h.read(cvm).LastError; told != "" {
		t.Errorf("after a good update the CVM still tells %q", told)
	}
}

func TestCVMThatIsDownComesBackWithTheSameDocument(t *testing.T) {
	for _, kind := range []api.KMSType{api.KMSPhala, api.KMSEthereum} {
		t.Run(string(kind), func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("down-for-now", kind)
			old := cvm.Document.Hash()
			h.clock.advance(time.Second)
			id := h.begin(cvm, yamlNumber(2))
			h.node.sick[h.get(id).ComposeHash], h.node.sick[old] = true, true
			if u := h.settleSlowly(id); u.State != column.Failed {
				t.Fatalf("update ended %s: %s", u.State, u.Reason)
			}
			h.node.sick[old] = false
			h.clock.advance(time.Second)
			if u := h.settle(h.begin(cvm, []byte(yamlOne))); u.State != column.Succeeded {
				t.Fatalf("update ended %s: %s %s", u.State, u.Reason, u.Error)
			}
			h.wantRuns(cvm, old)
		})
	}
}

// begin takes an update to where its rollout begins, approval included.
func (h *harness) begin(cvm *CVM, yaml []byte) string {
	h.t.Helper()
	out, err := h.update(cvm, ComposeUpdate{YAML: yaml})
	must(h.t, err)
	if out.Accepted != nil {
		if out.Accepted.Unchanged {
			h.t.Fatal("nothing is done for a CVM that is down")
		}
		return out.Accepted.Update.ID
	}
	u := out.Precondition.Update
	h.chain.add(cvm.Row.AppID, u.ComposeHash)
	_, err = h.update(cvm, ComposeUpdate{YAML: yaml, ComposeHash: u.ComposeHash.String(), TransactionHash: api.AlreadyRegistered})
	must(h.t, err)
	return u.ID
}

func TestContractThatIsGoneApprovesNothing(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("no-contract", api.KMSEthereum)
	u, _ := h.approved(cvm, yamlNumber(2))
	gone := h.chain.apps[appAddress(cvm.Row.AppID)]
	delete(h.chain.apps, appAddress(cvm.Row.AppID))
	if after := h.settle(u.ID); after.State != column.AwaitingApproval || !strings.Contains(after.Reason, "no contract") {
		t.Fatalf("update is %s: %s", after.State, after.Reason)
	}
	h.chain.apps[appAddress(cvm.Row.AppID)] = gone
	h.wantRuns(cvm, cvm.Document.Hash())
}

func TestRollbackDoesNotWaitForTheChain(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("chain-outage", api.KMSEthereum)
	u, _ := h.approved(cvm, yamlNumber(2))
	h.node.sick[u.ComposeHash] = true
	for h.get(u.ID).State != column.RollingBack {
		h.step(u.ID)
		h.node.tick()
	}
	h.chain.setDown(true)
	if after := h.settle(u.ID); after.State != column.RolledBack {
		t.Fatalf("update is %s: %s", after.State, after.Reason)
	}
	h.wantRuns(cvm, cvm.Document.Hash())
}

// A CVM that is down and loses an approval is still down: if it were shown as running, sending its
// document once more would change nothing.
func TestLostApprovalDoesNotHideThatACVMIsDown(t *testing.T) {
	for name, depth := range map[string]uint64{"before the rollout": 0, "before it was deep enough": 2} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("down-and-out", api.KMSEthereum)
			old := cvm.Document.Hash()
			h.clock.advance(time.Second)
			id := h.begin(cvm, yamlNumber(2))
			h.node.sick[h.get(id).ComposeHash], h.node.sick[old] = true, true
			if u := h.settleSlowly(id); u.State != column.Failed {
				t.Fatalf("update ended %s: %s", u.State, u.Reason)
			}
			h.node.sick[old] = false
			h.clock.advance(time.Second)
			need := h.propose(cvm, []byte(yamlOne))
			tx := h.chain.addDeep(cvm.Row.AppID, old, depth)
			_, err := h.update(cvm, ComposeUpdate{YAML: []byte(yamlOne), ComposeHash: old.String(), TransactionHash: tx})
			must(t, err)
			h.chain.reorg(tx)
			if u := h.settle(need.Update.ID); u.State != column.AwaitingApproval {
				t.Fatalf("update is %s: %s", u.State, u.Reason)
			}
			if status := h.read(cvm).Status(); status != StatusError {
				t.Fatalf("CVM is %s, want %s", status, StatusError)
			}
			tx = h.chain.add(cvm.Row.AppID, old)
			_, err = h.update(cvm, ComposeUpdate{YAML: []byte(yamlOne), ComposeHash: old.String(), TransactionHash: tx})
			must(t, err)
			if u := h.settle(need.Update.ID); u.State != column.Succeeded {
				t.Fatalf("update ended %s: %s", u.State, u.Reason)
			}
			h.wantRuns(cvm, old)
		})
	}
}
