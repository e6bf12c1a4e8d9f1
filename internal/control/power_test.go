package control

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// power begins a power operation and returns it.
func (h *harness) power(cvm *CVM, request PowerRequest) (store.PowerOperation, error) {
	h.t.Helper()
	_, err := h.service.Power(context.Background(), h.alice, cvm.Row.HashID, request)
	if err != nil {
		return store.PowerOperation{}, err
	}
	return h.newestPower(cvm), nil
}

func (h *harness) newestPower(cvm *CVM) store.PowerOperation {
	h.t.Helper()
	h.clock.advance(time.Microsecond) // so that the next one is newer
	ops, err := h.store.Read().OlderPowerOperations(context.Background(), store.OlderPowerOperationsParams{
		CVMID: cvm.Row.ID, Until: farFuture, BeforeAt: farFuture, Kinds: allKinds, Most: 1,
	})
	must(h.t, err)
	if len(ops) == 0 {
		h.t.Fatal("no power operation")
	}
	return ops[0]
}

func (h *harness) getPower(id string) store.PowerOperation {
	h.t.Helper()
	op, err := h.store.Read().GetPowerOperation(context.Background(), id)
	must(h.t, err)
	return op
}

// settlePower runs a power operation to its end, with a node that does what it is told.
func (h *harness) settlePower(id string) store.PowerOperation {
	h.t.Helper()
	for range 2000 {
		step, err := h.service.AdvancePower(context.Background(), id)
		must(h.t, err)
		if op := h.getPower(id); op.State.Final() {
			return op
		} else if step.Done {
			h.t.Fatalf("power operation %s has nothing to do and is %s: %s", id, op.State, op.Reason)
		}
		h.node.tick()
		h.clock.advance(max(step.Wait, time.Second))
	}
	h.t.Fatalf("power operation %s did not end", id)
	return store.PowerOperation{}
}

// do runs a power operation from its request to its end.
func (h *harness) do(cvm *CVM, kind column.PowerKind) store.PowerOperation {
	h.t.Helper()
	op, err := h.power(cvm, PowerRequest{Kind: kind})
	must(h.t, err)
	return h.settlePower(op.ID)
}

func (h *harness) wantStatus(cvm *CVM, want string) {
	h.t.Helper()
	if got := h.read(cvm).Status(); got != want {
		h.t.Errorf("the CVM is %s, want %s", got, want)
	}
}

func TestPowerOperationsAndTheirStatusWords(t *testing.T) {
	for _, kms := range []api.KMSType{api.KMSEthereum, api.KMSPhala} {
		t.Run(string(kms), func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("power-words", kms)
			for _, test := range []struct {
				kind         column.PowerKind
				during, then string
			}{
				{column.PowerStop, "stopping", "stopped"},
				{column.PowerStop, "stopping", "stopped"}, // stopped already
				{column.PowerStart, "starting", "running"},
				{column.PowerStart, "starting", "running"}, // runs already
				{column.PowerShutdown, "shutting_down", "stopped"},
				{column.PowerRestart, "restarting", "running"}, // of one that is down
				{column.PowerRestart, "restarting", "running"},
			} {
				boots, stops := len(h.node.boots), len(h.node.stops)
				op, err := h.power(cvm, PowerRequest{Kind: test.kind})
				must(t, err)
				shown := h.read(cvm)
				if shown.Status() != test.during || !shown.Busy() || shown.CorrelationID() != op.CorrelationID {
					t.Errorf("%s: the CVM is %s, busy %v", test.kind, shown.Status(), shown.Busy())
				}
				if after := h.settlePower(op.ID); after.State != column.PowerSucceeded || after.Reason == "" || after.FinishedAt == nil {
					t.Fatalf("%s ended %s: %s", test.kind, after.State, after.Reason)
				}
				h.wantStatus(cvm, test.then)
				if test.then == "running" {
					h.wantRuns(cvm, cvm.Document.Hash())
				}
				if test.kind == column.PowerRestart && (len(h.node.boots) != boots+1) {
					t.Errorf("a restart booted %d times", len(h.node.boots)-boots)
				}
				if test.kind == column.PowerStart && len(h.node.stops) != stops {
					t.Errorf("a start stopped the CVM")
				}
			}
			if len(h.queue.power) != 7 {
				t.Errorf("%d jobs, want one for each operation", len(h.queue.power))
			}
		})
	}
}

func TestOneOperationAtATime(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("one-at-a-time", api.KMSEthereum)
	refused := func(while string) {
		t.Helper()
		for _, kind := range []column.PowerKind{column.PowerStart, column.PowerShutdown, column.PowerRestart} {
			if _, err := h.power(cvm, PowerRequest{Kind: kind}); !problem.Is(err, problem.KindBusy) {
				t.Errorf("%s while %s: %v, want busy", kind, while, err)
			}
		}
		if _, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(7)}); !problem.Is(err, problem.KindBusy) {
			t.Errorf("an update while %s: %v, want busy", while, err)
		}
	}
	u, _ := h.approved(cvm, yamlNumber(2))
	refused("an update runs")
	if after := h.settle(u.ID); after.State != column.Succeeded {
		t.Fatalf("update ended %s: %s", after.State, after.Reason)
	}
	op, err := h.power(cvm, PowerRequest{Kind: column.PowerRestart})
	must(t, err)
	refused("a restart runs")
	h.settlePower(op.ID)
	op, err = h.power(cvm, PowerRequest{Kind: column.PowerStop})
	must(t, err)
	refused("a stop runs")
	again, err := h.power(cvm, PowerRequest{Kind: column.PowerStop})
	must(t, err)
	if again.ID != op.ID {
		t.Errorf("a second stop is another operation")
	}
}

func TestNothingStartsThatMayNotBoot(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("not-allowed", api.KMSEthereum)
	hash := cvm.Document.Hash()

	// A restart that was accepted finds the approval gone before it stops anything.
	op, err := h.power(cvm, PowerRequest{Kind: column.PowerRestart})
	must(t, err)
	h.chain.remove(cvm.Row.AppID, hash)
	if after := h.settlePower(op.ID); after.State != column.PowerFailed || !strings.Contains(after.Reason, "may not boot") {
		t.Fatalf("restart ended %s: %s", after.State, after.Reason)
	}
	if len(h.node.stops) != 0 {
		t.Error("it was stopped")
	}
	h.wantStatus(cvm, StatusRunning)

	// Asked for when it is gone, it is refused.
	for _, kind := range []column.PowerKind{column.PowerRestart, column.PowerStart} {
		if _, err := h.power(cvm, PowerRequest{Kind: kind}); !problem.Is(err, problem.KindHashNotAllowed) {
			t.Errorf("%s: %v, want that the hash is not allowed", kind, err)
		}
	}

	// A start waits for a chain that cannot be read, and then learns that it may not.
	h.do(cvm, column.PowerStop)
	boots := len(h.node.boots)
	h.chain.add(cvm.Row.AppID, hash)
	op, err = h.power(cvm, PowerRequest{Kind: column.PowerStart})
	must(t, err)
	h.chain.setDown(true)
	step, err := h.service.AdvancePower(context.Background(), op.ID)
	must(t, err)
	if op = h.getPower(op.ID); step.Wait == 0 || op.State != column.PowerPending || !strings.Contains(op.Reason, "waits for the chain") {
		t.Errorf("without a chain it is %s: %s", op.State, op.Reason)
	}
	h.chain.setDown(false)
	h.chain.remove(cvm.Row.AppID, hash)
	if after := h.settlePower(op.ID); after.State != column.PowerFailed || len(h.node.boots) != boots {
		t.Fatalf("start ended %s: %s", after.State, after.Reason)
	}
	h.wantStatus(cvm, StatusStopped)
}

func TestGuestsThatDoNotShutDown(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	n := 0
	for name, test := range map[string]struct {
		shutdown *Shutdown
		kind     column.PowerKind
		want     column.PowerState
		after    time.Duration // the least time it takes
	}{
		"the server's settings cut it off":   {nil, column.PowerShutdown, column.PowerSucceeded, DefaultTimeouts().Stop},
		"a timeout of its own":               {&Shutdown{Timeout: 10 * time.Second, AllowForceStop: true}, column.PowerShutdown, column.PowerSucceeded, 10 * time.Second},
		"a restart goes on after it":         {&Shutdown{Timeout: 10 * time.Second, AllowForceStop: true}, column.PowerRestart, column.PowerSucceeded, 10 * time.Second},
		"without force it fails":             {&Shutdown{Timeout: 20 * time.Second}, column.PowerShutdown, column.PowerFailed, 20 * time.Second},
		"without a timeout there is an end":  {&Shutdown{Timeout: NoTimeout, AllowForceStop: true}, column.PowerShutdown, column.PowerFailed, DefaultTimeouts().Progress},
		"a hard stop does not ask the guest": {nil, column.PowerStop, column.PowerSucceeded, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n++
			h.node.stubborn = false
			cvm := h.create(fmt.Sprint("stubborn-", n), api.KMSPhala)
			h.node.stubborn = true
			began := h.clock.Now()
			op, err := h.power(cvm, PowerRequest{Kind: test.kind, Shutdown: test.shutdown})
			must(t, err)
			after := h.settlePower(op.ID)
			if after.State != test.want {
				t.Fatalf("ended %s: %s, want %s", after.State, after.Reason, test.want)
			}
			took := h.clock.Now().Sub(began)
			if took < test.after || took > test.after+10*time.Second {
				t.Errorf("it took %s, want %s", took, test.after)
			}
		})
	}
}

func TestShutdownTimeoutsHaveBounds(t *testing.T) {
	for timeout, ok := range map[time.Duration]bool{
		0: true, NoTimeout: true, 10 * time.Second: true, 1200 * time.Second: true,
		9 * time.Second: false, 1201 * time.Second: false, 1500 * time.Millisecond: false, -2: false,
	} {
		err := (&Shutdown{Timeout: timeout}).check()
		if (err == nil) != ok {
			t.Errorf("%s: %v", timeout, err)
		}
		if err != nil && !problem.Is(err, problem.KindUnprocessable) {
			t.Errorf("%s: %v is no problem of the request", timeout, err)
		}
	}
}

// TestUpdatesShutDownAsTheyWereTold takes the same rules through an update.
func TestUpdatesShutDownAsTheyWereTold(t *testing.T) {
	for name, test := range map[string]struct {
		shutdown *Shutdown
		want     column.UpdateState
	}{
		"cut off":       {&Shutdown{Timeout: 10 * time.Second, AllowForceStop: true}, column.Succeeded},
		"never cut off": {&Shutdown{Timeout: 10 * time.Second}, column.Failed}, // the guest never goes down, so nothing can be started
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("stubborn", api.KMSPhala)
			h.node.stubborn = true
			out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), Shutdown: test.shutdown})
			must(t, err)
			after := h.settleSlowly(out.Accepted.Update.ID)
			if after.State != test.want {
				t.Fatalf("update ended %s: %s / %s", after.State, after.Reason, after.Error)
			}
			if test.want != column.Succeeded && h.node.forced {
				t.Error("it was cut off")
			}
		})
	}
}

func TestUpdateOfAStoppedCVMStartsIt(t *testing.T) {
	for name, yaml := range map[string][]byte{"another document": yamlNumber(2), "the document it has": []byte(yamlOne)} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("stopped", api.KMSPhala)
			h.do(cvm, column.PowerStop)
			out, err := h.update(cvm, ComposeUpdate{YAML: yaml})
			must(t, err)
			if out.Accepted.Unchanged {
				t.Fatal("nothing was done for a CVM that does not run")
			}
			if after := h.settle(out.Accepted.Update.ID); after.State != column.Succeeded {
				t.Fatalf("update ended %s: %s", after.State, after.Reason)
			}
			h.wantStatus(cvm, StatusRunning)
			h.wantRuns(cvm, h.hashOf(cvm, yaml))
		})
	}
}

func TestUpdateThatLosesItsApprovalLeavesAStoppedCVMStopped(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("still-stopped", api.KMSEthereum)
	h.do(cvm, column.PowerStop)
	u, tx := h.approved(cvm, yamlNumber(2))
	h.chain.reorg(tx)
	if after := h.settle(u.ID); after.State != column.AwaitingApproval {
		t.Fatalf("update is %s: %s", after.State, after.Reason)
	}
	h.wantStatus(cvm, StatusStopped)
}

// moments take an update of a fresh CVM to a point of its life.
var moments = map[string]func(h *harness, cvm *CVM) store.Update{
	"awaiting approval": func(h *harness, cvm *CVM) store.Update { return h.propose(cvm, yamlNumber(2)).Update },
	"waits for depth": func(h *harness, cvm *CVM) store.Update {
		need := h.propose(cvm, yamlNumber(2))
		tx := h.chain.addDeep(cvm.Row.AppID, need.Update.ComposeHash, 3)
		out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), ComposeHash: need.Update.ComposeHash.String(), TransactionHash: tx})
		must(h.t, err)
		return out.Accepted.Update
	},
	"approved": func(h *harness, cvm *CVM) store.Update { u, _ := h.approved(cvm, yamlNumber(2)); return u },
	"stopping": func(h *harness, cvm *CVM) store.Update {
		u, _ := h.approved(cvm, yamlNumber(2))
		h.step(u.ID)
		return h.get(u.ID)
	},
	"verifying": func(h *harness, cvm *CVM) store.Update {
		u, _ := h.approved(cvm, yamlNumber(2))
		h.step(u.ID)
		h.node.tick()
		h.step(u.ID)
		return h.get(u.ID)
	},
	"booted": func(h *harness, cvm *CVM) store.Update {
		u, _ := h.approved(cvm, yamlNumber(2))
		h.node.sick[u.ComposeHash] = true
		h.step(u.ID)
		h.node.tick()
		h.step(u.ID)
		h.node.tick()
		return h.get(u.ID)
	},
	"rolling back": func(h *harness, cvm *CVM) store.Update {
		u, _ := h.approved(cvm, yamlNumber(2))
		h.node.sick[u.ComposeHash] = true
		h.step(u.ID)
		h.node.tick()
		h.step(u.ID)
		h.node.tick()
		h.step(u.ID)
		return h.get(u.ID)
	},
}

func TestBootsThatFail(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("sick-one", api.KMSPhala)
	h.node.sick[cvm.Document.Hash()] = true
	if after := h.do(cvm, column.PowerRestart); after.State != column.PowerFailed || !strings.Contains(after.Error, "unhealthy") {
		t.Errorf("restart ended %s: %s", after.State, after.Reason)
	}
	h.wantStatus(cvm, StatusRunning) // it runs, if badly; there is nothing better to start
	h.node.sick[cvm.Document.Hash()] = false

	op, err := h.power(cvm, PowerRequest{Kind: column.PowerRestart})
	must(t, err)
	h.node.bootError = "no space left"
	if after := h.settlePower(op.ID); after.State != column.PowerFailed || !strings.Contains(after.Error, "no space left") {
		t.Errorf("restart ended %s: %s", after.State, after.Error)
	}
	h.wantStatus(cvm, StatusError)
	if shown := h.read(cvm); !strings.Contains(shown.LastError, "no space left") {
		t.Errorf("the last error is %q", shown.LastError)
	}
	h.node.bootError = ""
	if after := h.do(cvm, column.PowerStart); after.State != column.PowerSucceeded {
		t.Errorf("start ended %s: %s", after.State, after.Reason)
	}
	h.wantStatus(cvm, StatusRunning)
}

func TestRights(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	cvm := h.create("not-yours", api.KMSPhala)
	reader, updater := h.alice, h.alice
	reader.Scopes, updater.Scopes = []Scope{ScopeRead}, []Scope{ScopeUpdate}
	if _, err := h.service.Power(ctx, reader, cvm.Row.HashID, PowerRequest{Kind: column.PowerStop}); !problem.Is(err, problem.KindForbidden) {
		t.Errorf("a reader stops: %v", err)
	}
	if _, err := h.service.CancelOperation(ctx, reader, cvm.Row.HashID); !problem.Is(err, problem.KindForbidden) {
		t.Errorf("a reader cancels: %v", err)
	}
	if err := h.service.DeleteCVM(ctx, updater, cvm.Row.HashID); !problem.Is(err, problem.KindForbidden) {
		t.Errorf("a key for updates deletes: %v", err)
	}
	if err := h.service.DeleteCVM(ctx, h.bob, cvm.Row.HashID); !problem.Is(err, problem.KindNotFound) {
		t.Errorf("another workspace deletes: %v", err)
	}
	if _, err := h.service.Power(ctx, h.bob, cvm.Row.HashID, PowerRequest{Kind: column.PowerStop}); !problem.Is(err, problem.KindNotFound) {
		t.Errorf("another workspace stops: %v", err)
	}
}

func TestSweeperFindsPowerOperations(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	cvm := h.create("swept", api.KMSPhala)
	op, err := h.power(cvm, PowerRequest{Kind: column.PowerStop})
	must(t, err)
	h.queue.power = nil // its job is lost
	must(t, h.service.Sweep(ctx))
	if len(h.queue.power) != 1 || h.queue.power[0] != op.ID {
		t.Fatalf("jobs: %v, want one for %s", h.queue.power, op.ID)
	}
	h.settlePower(op.ID)
	h.queue.power = nil
	must(t, h.service.Sweep(ctx))
	if len(h.queue.power) != 0 {
		t.Errorf("jobs after its end: %v", h.queue.power)
	}
}
