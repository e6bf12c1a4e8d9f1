package control

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// TestStopCancelsWhateverRuns: wherever an update is, a hard stop ends with a CVM that is stopped, with its
// previous document in place, and a later start runs that.
func TestStopCancelsWhateverRuns(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	for name, at := range moments {
		t.Run(name, func(t *testing.T) {
			cvm := h.create("stopped-"+strings.ReplaceAll(name, " ", "-"), api.KMSEthereum)
			u := at(h, cvm)
			op, err := h.power(cvm, PowerRequest{Kind: column.PowerStop})
			must(t, err)
			if status := h.read(cvm).Row.Status; status != StatusStopping {
				t.Errorf("the CVM is %s, want stopping", status)
			}
			if u.State != column.AwaitingApproval || u.TxHash != "" {
				after := h.settle(u.ID)
				if after.State != column.Cancelled && after.State != column.RolledBack {
					t.Fatalf("update ended %s: %s", after.State, after.Reason)
				}
			}
			if after := h.settlePower(op.ID); after.State != column.PowerSucceeded {
				t.Fatalf("stop ended %s: %s", after.State, after.Reason)
			}
			h.wantStatus(cvm, StatusStopped)
			status, err := h.node.Status(context.Background(), cvm.Row.VMUUID)
			must(t, err)
			if status.State != runtime.StateStopped || status.NextHash != cvm.Document.Hash() {
				t.Errorf("the node has %s %s, want it stopped with %s", status.State, status.NextHash, cvm.Document.Hash())
			}
			h.do(cvm, column.PowerStart)
			h.wantRuns(cvm, cvm.Document.Hash())
		})
	}
}

func TestStopTakesTheTurnOfAnotherPowerOperation(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	for _, kind := range []column.PowerKind{column.PowerStart, column.PowerShutdown, column.PowerRestart} {
		for steps := range 4 {
			cvm := h.create(fmt.Sprintf("%s-%d-steps", kind, steps), api.KMSPhala)
			if kind == column.PowerStart {
				h.do(cvm, column.PowerStop)
			}
			first, err := h.power(cvm, PowerRequest{Kind: kind})
			must(t, err)
			for range steps {
				_, err := h.service.AdvancePower(context.Background(), first.ID)
				must(t, err)
				h.node.tick()
			}
			stop, err := h.power(cvm, PowerRequest{Kind: column.PowerStop})
			must(t, err)
			h.settlePower(first.ID)
			if after := h.settlePower(stop.ID); after.State != column.PowerSucceeded {
				t.Errorf("%s after %d steps: the stop ended %s: %s", kind, steps, after.State, after.Reason)
			}
			h.wantStatus(cvm, StatusStopped)
		}
	}
}

func TestDeleteWhateverRuns(t *testing.T) {
	all := map[string]func(h *harness, cvm *CVM) store.Update{"at rest": nil}
	maps.Copy(all, moments)
	h := newHarness(t)
	defer h.close()
	for name, at := range all {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			called := "deleted-" + strings.ReplaceAll(name, " ", "-")
			cvm := h.create(called, api.KMSEthereum)
			var u store.Update
			if at != nil {
				u = at(h, cvm)
			}
			must(t, h.service.DeleteCVM(ctx, h.alice, cvm.Row.HashID))
			op := h.newestPower(cvm)
			if _, err := h.service.CVM(ctx, h.alice, cvm.Row.HashID); !problem.Is(err, problem.KindNotFound) {
				t.Errorf("it is still there: %v", err)
			}
			if _, err := h.service.Power(ctx, h.alice, cvm.Row.HashID, PowerRequest{Kind: column.PowerStart}); !problem.Is(err, problem.KindNotFound) {
				t.Errorf("it can be started: %v", err)
			}
			if u.ID != "" && !h.get(u.ID).State.Final() {
				h.settle(u.ID)
			}
			if after := h.settlePower(op.ID); after.State != column.PowerSucceeded {
				t.Fatalf("delete ended %s: %s", after.State, after.Reason)
			}
			if h.node.cvms[cvm.Row.VMUUID] != nil {
				t.Error("the node still has it")
			}
			if u.ID != "" {
				if after := h.get(u.ID); !after.State.Final() || after.Reason == "" {
					t.Errorf("its update is %s: %s", after.State, after.Reason)
				}
			}
			row, err := h.store.Read().GetAnyCVM(ctx, cvm.Row.ID)
			must(t, err)
			if row.DeletedAt == nil || row.ActiveUpdateID != "" || row.RevisionID != cvm.Row.RevisionID {
				t.Errorf("its row is %+v", row)
			}
			if again := h.create(called, api.KMSPhala); again.Row.ID == cvm.Row.ID {
				t.Error("the name is not free")
			}
		})
	}
}

func TestDeleteGoesOnUntilTheNodeHasDone(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("unreachable", api.KMSPhala)
	must(t, h.service.DeleteCVM(context.Background(), h.alice, cvm.Row.HashID))
	op := h.newestPower(cvm)
	h.node.unreachable = true
	for range 3 {
		step, err := h.service.AdvancePower(context.Background(), op.ID)
		must(t, err)
		h.clock.advance(step.Wait + 24*time.Hour)
	}
	if op = h.getPower(op.ID); op.State != column.PowerRemoving || !strings.Contains(op.Reason, "waits for node") {
		t.Fatalf("it is %s: %s", op.State, op.Reason)
	}
	h.node.unreachable = false
	if after := h.settlePower(op.ID); after.State != column.PowerSucceeded || len(h.node.cvms) != 0 {
		t.Errorf("delete ended %s: %s", after.State, after.Reason)
	}
}

func TestBatchStop(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	runs, stopped := h.create("it-runs", api.KMSPhala), h.create("it-is-stopped", api.KMSPhala)
	h.do(stopped, column.PowerStop)
	done, err := h.service.BatchStop(context.Background(), h.alice, []string{runs.Row.HashID, stopped.Row.HashID, "cvm_00000000000000000000"})
	must(t, err)
	if done.Total != 3 || done.Stopped != 1 || done.Skipped != 1 || len(done.Errors) != 1 || !problem.Is(done.Errors[0].Err, problem.KindNotFound) {
		t.Errorf("got %+v", done)
	}
	for _, ids := range [][]string{nil, make([]string, 51)} {
		if _, err := h.service.BatchStop(context.Background(), h.alice, ids); !problem.Is(err, problem.KindInvalid) {
			t.Errorf("%d ids: %v", len(ids), err)
		}
	}
}

func TestNodeLostInTheMiddleOfAStop(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("lost-node", api.KMSPhala)
	op, err := h.power(cvm, PowerRequest{Kind: column.PowerShutdown})
	must(t, err)
	_, err = h.service.AdvancePower(context.Background(), op.ID)
	must(t, err)
	h.node.unreachable = true
	h.clock.advance(h.service.timeouts.Progress)
	if after := h.settlePower(op.ID); after.State != column.PowerFailed || !strings.Contains(after.Reason, "not known") {
		t.Errorf("it ended %s: %s", after.State, after.Reason)
	}
	h.wantStatus(cvm, StatusError) // neither said to run nor to be stopped
	h.node.unreachable = false
	if after := h.do(cvm, column.PowerStop); after.State != column.PowerSucceeded {
		t.Errorf("a stop after it ended %s: %s", after.State, after.Reason)
	}
	h.wantStatus(cvm, StatusStopped)
}

func TestStopInLineWaitsUntilItIsKnownWhatWasDone(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("waits-for-node", api.KMSPhala)
	first, err := h.power(cvm, PowerRequest{Kind: column.PowerShutdown})
	must(t, err)
	_, err = h.service.AdvancePower(context.Background(), first.ID)
	must(t, err)
	h.node.tick() // it is down, and nobody knows
	h.node.unreachable = true
	stop, err := h.power(cvm, PowerRequest{Kind: column.PowerStop})
	must(t, err)
	_, err = h.service.AdvancePower(context.Background(), first.ID)
	must(t, err)
	if first = h.getPower(first.ID); first.State != column.PowerStopping || !strings.Contains(first.Reason, "waits for node") {
		t.Errorf("it is %s: %s", first.State, first.Reason)
	}
	h.node.unreachable = false
	h.settlePower(first.ID)
	done, err := h.cancel(cvm) // the stop has its turn and did nothing yet
	must(t, err)
	if stop = h.getPower(stop.ID); !done.Cancelled || stop.State != column.PowerCancelled {
		t.Errorf("got %+v, the stop is %s", done, stop.State)
	}
	h.wantStatus(cvm, StatusStopped)
}

// TestStopInLineGetsItsTurnAfterAnOlderProgram: one that ends an update does not know that something is in line.
func TestStopInLineGetsItsTurnAfterAnOlderProgram(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	cvm := h.create("older-program", api.KMSPhala)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	h.step(out.Accepted.Update.ID)
	stop, err := h.power(cvm, PowerRequest{Kind: column.PowerStop})
	must(t, err)
	if stop.State != column.PowerQueued {
		t.Fatalf("the stop is %s", stop.State)
	}
	_, err = h.store.WriteDB().ExecContext(ctx, `UPDATE updates SET state = 'rolled_back', reason = 'r', finished_at = 1`)
	must(t, err)
	_, err = h.store.WriteDB().ExecContext(ctx, `UPDATE cvms SET active_update_id = '', status = 'running'`)
	must(t, err)
	must(t, h.service.Sweep(ctx))
	for _, id := range h.queue.power {
		_, err := h.service.AdvancePower(ctx, id)
		must(t, err)
	}
	if after := h.settlePower(stop.ID); after.State != column.PowerSucceeded {
		t.Errorf("the stop ended %s: %s", after.State, after.Reason)
	}
	h.wantStatus(cvm, StatusStopped)
}
