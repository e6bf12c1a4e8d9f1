package control

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

func (h *harness) cancel(cvm *CVM) (Cancelled, error) {
	h.t.Helper()
	return h.service.CancelOperation(context.Background(), h.alice, cvm.Row.HashID)
}

// TestCancelAtEveryStep: wherever an update is, a cancel ends with the previous revision running, also when
// the process dies right after it answered. What goes back already cannot be cancelled.
func TestCancelAtEveryStep(t *testing.T) {
	for name, at := range moments {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer func() { h.close() }()
			cvm := h.create("cancelled", api.KMSEthereum)
			u := at(h, cvm)
			jobs := len(h.queue.ids)
			done, err := h.cancel(cvm)
			if name == "rolling back" {
				if p := wantKind(t, err, problem.KindConflict); !strings.Contains(p.Message, "going back") {
					t.Errorf("message = %q", p.Message)
				}
				h.settle(u.ID)
				return
			}
			must(t, err)
			if !done.Cancelled || done.CorrelationID != u.CorrelationID {
				t.Fatalf("got %+v, want %s cancelled", done, u.CorrelationID)
			}
			h.restart()
			after := h.get(u.ID)
			if after.CancelledBy != h.alice.KeyID || !strings.Contains(after.Reason, "cancelled by") {
				t.Errorf("right after it is %s by %q: %s", after.State, after.CancelledBy, after.Reason)
			}
			if !after.State.Final() {
				if len(h.queue.ids) == jobs {
					t.Error("nobody is told to go on")
				}
				after = h.settle(u.ID)
			}
			want := column.Cancelled
			if u.State.Rolling() && u.State != column.Approved {
				want = column.RolledBack
			}
			if after.State != want || !strings.Contains(after.Reason, "cancelled by") {
				t.Errorf("update ended %s: %s, want %s", after.State, after.Reason, want)
			}
			h.wantRuns(cvm, cvm.Document.Hash())
			if row := h.read(cvm).Row; row.ActiveUpdateID != "" || row.Status != StatusRunning {
				t.Errorf("the CVM is %s, owned by %q", row.Status, row.ActiveUpdateID)
			}
			// Asked again there is nothing to cancel.
			if again, err := h.cancel(cvm); err != nil || again.Cancelled || again.CorrelationID != "" {
				t.Errorf("again: %+v, %v", again, err)
			}
		})
	}
}

// firstBoot takes a CVM to its first boot, which has not begun.
func (h *harness) firstBoot(name string) *CVM {
	h.t.Helper()
	ctx := context.Background()
	provisioned, err := h.service.Provision(ctx, h.alice, api.ProvisionRequest{
		Name: name, ComposeFile: api.ComposeFile{DockerComposeFile: yamlOne},
	}, nil)
	must(h.t, err)
	cvm, err := h.service.Commit(ctx, h.alice, api.CommitRequest{AppID: provisioned.Row.AppID, ComposeHash: provisioned.Row.ComposeHash.String()})
	must(h.t, err)
	return cvm
}

// TestCancelOfAFirstBoot: there is nothing to go back to, so the CVM ends down, with a reason, and can be
// updated or deleted.
func TestCancelOfAFirstBoot(t *testing.T) {
	for steps := range 4 {
		h := newHarness(t)
		cvm := h.firstBoot("first-boot")
		id := cvm.Row.ActiveUpdateID
		for range steps {
			h.step(id)
			h.node.tick()
		}
		done, err := h.cancel(cvm)
		must(t, err)
		if h.get(id).State == column.Succeeded {
			if done.Cancelled {
				t.Errorf("after %d steps it ran and was cancelled", steps)
			}
			h.close()
			continue
		}
		after := h.get(id)
		if !after.State.Final() {
			after = h.settle(id)
		}
		if after.State != column.Failed || !strings.Contains(after.Reason, "cancelled by") || !strings.Contains(after.Reason, "first boot") {
			t.Errorf("after %d steps it ended %s: %s", steps, after.State, after.Reason)
		}
		if on := h.node.cvms[cvm.Row.VMUUID]; on != nil && on.state != runtime.StateStopped {
			t.Errorf("after %d steps its node has it %s", steps, on.state)
		}
		h.wantStatus(cvm, StatusError)
		if _, err := h.power(cvm, PowerRequest{Kind: column.PowerStart}); !problem.Is(err, problem.KindConflict) {
			t.Errorf("a CVM that never ran is started: %v", err)
		}
		out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
		must(t, err)
		if u := h.settle(out.Accepted.Update.ID); u.State != column.Succeeded {
			t.Errorf("after the cancel an update ended %s: %s", u.State, u.Reason)
		}
		h.wantStatus(cvm, StatusRunning)
		h.close()
	}
}

func TestCancelOfPowerOperations(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("power-cancel", api.KMSPhala)
	op, err := h.power(cvm, PowerRequest{Kind: column.PowerRestart})
	must(t, err)
	done, err := h.cancel(cvm)
	must(t, err)
	if op = h.getPower(op.ID); !done.Cancelled || done.CorrelationID != op.CorrelationID || op.State != column.PowerCancelled {
		t.Errorf("got %+v, the restart is %s", done, op.State)
	}
	h.wantRuns(cvm, cvm.Document.Hash())
	if len(h.node.stops) != 0 {
		t.Error("it was stopped")
	}
	op, err = h.power(cvm, PowerRequest{Kind: column.PowerRestart})
	must(t, err)
	_, err = h.service.AdvancePower(context.Background(), op.ID)
	must(t, err)
	_, err = h.cancel(cvm)
	wantKind(t, err, problem.KindConflict)
	if after := h.settlePower(op.ID); after.State != column.PowerSucceeded {
		t.Errorf("restart ended %s: %s", after.State, after.Reason)
	}
}

// TestCancelWakesWhoWorks: the worker of this process sleeps until its node tells something; a cancel does
// not wait for that.
func TestCancelWakesWhoWorks(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("asleep", api.KMSPhala)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	id := out.Accepted.Update.ID
	clock := &sleepingClock{manualClock: h.clock, asleep: make(chan struct{}, 100)}
	h.service.clock = clock
	ended := make(chan error)
	go func() { ended <- h.service.Run(context.Background(), id) }()
	<-clock.asleep // it waits for the CVM to stop, and nothing but the cancel wakes it
	_, err = h.cancel(cvm)
	must(t, err)
	for h.get(id).State != column.RollingBack {
		<-clock.asleep
	}
	for !h.get(id).State.Final() {
		h.node.tick()
		must(t, h.service.Run(context.Background(), id)) // a second call wakes the first
		select {
		case <-clock.asleep:
		case err := <-ended:
			must(t, err)
			ended = nil
		}
	}
	if after := h.get(id); after.State != column.RolledBack {
		t.Errorf("update ended %s: %s", after.State, after.Reason)
	}
	if ended != nil {
		must(t, <-ended)
	}
	h.wantRuns(cvm, cvm.Document.Hash())
}

// TestCancelFromAnotherServer: the cancel comes to one server while another works on the update. Whichever of
// them gets the job, the update goes back, once.
func TestCancelFromAnotherServer(t *testing.T) {
	for _, jobGoesTo := range []string{"the one that works", "the other"} {
		t.Run(jobGoesTo, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			ctx := context.Background()
			cvm := h.create("two-servers", api.KMSPhala)
			out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
			must(t, err)
			id := out.Accepted.Update.ID
			worker, err := New(Config{Store: h.store, Queue: h.queue, Catalog: h.service.catalog, Clock: &sleepingClock{
				manualClock: h.clock, asleep: make(chan struct{}, 1000),
			}})
			must(t, err)
			asleep := worker.clock.(*sleepingClock).asleep
			ended := make(chan error, 1)
			go func() { ended <- worker.Run(ctx, id) }()
			<-asleep
			h.queue.mu.Lock()
			h.queue.ids = nil
			h.queue.mu.Unlock()
			_, err = h.cancel(cvm) // at a server that does not work on it
			must(t, err)
			h.queue.mu.Lock()
			jobs := slices.Clone(h.queue.ids)
			h.queue.mu.Unlock()
			if !slices.Contains(jobs, id) {
				t.Fatalf("jobs %v, want one for %s", jobs, id)
			}
			if jobGoesTo == "the other" {
				h.settle(id)
				must(t, worker.Run(ctx, id)) // what its sweeper does
				must(t, <-ended)
			}
			for h.get(id).State != column.RolledBack {
				h.node.tick()
				must(t, worker.Run(ctx, id))
				select {
				case <-asleep:
				case err := <-ended:
					must(t, err)
					ended <- nil
				}
			}
			if jobGoesTo == "the one that works" {
				must(t, <-ended)
			}
			h.wantRuns(cvm, cvm.Document.Hash())
			var backs int
			events, err := h.store.Read().ListUpdateEvents(ctx, id)
			must(t, err)
			for _, e := range events {
				if e.ToState == column.RollingBack {
					backs++
				}
			}
			if backs != 1 {
				t.Errorf("it went back %d times", backs)
			}
		})
	}
}

// sleepingClock never wakes a sleeper by itself.
type sleepingClock struct {
	*manualClock
	asleep chan struct{}
}

func (c *sleepingClock) Sleep(ctx context.Context, _ time.Duration) error {
	c.asleep <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// TestProgressDeadline: whatever an update waits for, it ends.
func TestProgressDeadline(t *testing.T) {
	for name, test := range map[string]struct {
		block func(h *harness)
		want  column.UpdateState
	}{
		"a chain that cannot be read":  {func(h *harness) { h.chain.setDown(true) }, column.Cancelled},
		"a node that does not answer":  {func(h *harness) { h.node.unreachable = true }, column.Failed},
		"a guest that does not stop":   {func(h *harness) { h.node.stubborn = true }, column.RolledBack},
		"a node that refuses the rest": {func(h *harness) { h.node.refuseApply = context.DeadlineExceeded }, column.RolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			h.service.timeouts.Healthy, h.service.timeouts.Stop = 24*time.Hour, 24*time.Hour // only the whole has a bound
			cvm := h.create("no-progress", api.KMSEthereum)
			u, _ := h.approved(cvm, yamlNumber(2))
			test.block(h)
			h.step(u.ID)
			h.step(u.ID)
			if state := h.get(u.ID).State; state.Final() {
				t.Fatalf("it is %s at once", state)
			}
			h.clock.advance(h.service.timeouts.Progress)
			h.step(u.ID)
			after := h.get(u.ID)
			if name == "a chain that cannot be read" {
				if after.State != column.Cancelled || len(h.node.stops) != 0 {
					t.Errorf("it is %s: %s", after.State, after.Reason)
				}
				h.wantRuns(cvm, cvm.Document.Hash())
				return
			}
			if after.State != column.RollingBack || !strings.Contains(after.Reason, "within") {
				t.Fatalf("it is %s: %s", after.State, after.Reason)
			}
			h.node.stubborn = false
			h.service.timeouts.Stop = time.Minute
			h.node.tick()
			for range 40 {
				if h.step(u.ID).Done {
					break
				}
				h.node.tick()
				h.clock.advance(time.Minute)
			}
			if after := h.get(u.ID); after.State != test.want {
				t.Errorf("it ended %s: %s, want %s", after.State, after.Reason, test.want)
			}
		})
	}
}

func TestOlderRowsHaveADeadlineToo(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("older-row", api.KMSPhala)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	id := out.Accepted.Update.ID
	_, err = h.store.WriteDB().ExecContext(context.Background(), `UPDATE updates SET approved_at = 0, resting_status = '' WHERE id = ?`, id)
	must(t, err)
	h.node.unreachable = true
	h.step(id)
	h.clock.advance(h.service.timeouts.Progress)
	h.step(id)
	if u := h.get(id); u.State != column.RollingBack {
		t.Errorf("it is %s: %s", u.State, u.Reason)
	}
}
