package control

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// The stories of what people do with a CVM besides updating it: cancels, power operations and redeploys.
var operationScenarios = []crashScenario{
	{name: "cancel before it begins", kms: api.KMSEthereum, cvms: 1, want: column.Cancelled, story: func(w *crashWorld) {
		w.approved(2)
		w.cancel()
		w.work()
	}},
	{name: "cancel while rolling out", kms: api.KMSEthereum, cvms: 1, want: column.RolledBack, story: func(w *crashWorld) {
		w.approved(2)
		w.until(column.RollingOut)
		w.cancel()
		w.work()
	}},
	{name: "cancel while verifying", kms: api.KMSPhala, cvms: 1, want: column.RolledBack, story: func(w *crashWorld) {
		w.offChain(2)
		w.until(column.Verifying)
		w.cancel()
		w.work()
	}},
	{name: "cancel of a first boot", kms: api.KMSPhala, want: column.Failed, story: func(w *crashWorld) {
		w.deploy()
		w.until(column.Verifying)
		w.cancel()
		w.work()
	}},
	{name: "hard stop during an update", kms: api.KMSEthereum, cvms: 1, want: column.RolledBack, story: func(w *crashWorld) {
		w.approved(2)
		w.until(column.Verifying)
		w.power(column.PowerStop)
		w.work()
	}},
	{name: "hard stop before an update begins", kms: api.KMSPhala, cvms: 1, want: column.Cancelled, story: func(w *crashWorld) {
		w.offChain(2)
		w.power(column.PowerStop)
		w.work()
	}},
	{name: "stop, start, start", kms: api.KMSEthereum, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		for _, kind := range []column.PowerKind{column.PowerStop, column.PowerStart, column.PowerStart} {
			w.power(kind)
			w.work()
		}
	}},
	{name: "restart, shutdown, restart", kms: api.KMSPhala, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		for _, kind := range []column.PowerKind{column.PowerRestart, column.PowerShutdown, column.PowerRestart} {
			w.power(kind)
			w.work()
		}
	}},
	{name: "start that the owner forbids", kms: api.KMSEthereum, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.power(column.PowerStop)
		w.work()
		w.power(column.PowerStart)
		w.chain.remove(w.cvms[0].Row.AppID, w.cvms[0].Document.Hash())
		w.work()
	}},
	{name: "shutdown that the guest refuses", kms: api.KMSPhala, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.harness.node.stubborn = true
		w.power(column.PowerShutdown)
		w.work()
	}},
	{name: "start that the node refuses", kms: api.KMSPhala, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.power(column.PowerStop)
		w.work()
		w.node.refuseStart = errors.New("no memory left")
		w.power(column.PowerStart)
		w.work()
	}},
	{name: "restart that gets not healthy", kms: api.KMSPhala, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.harness.node.sick[w.cvms[0].Document.Hash()] = true
		w.power(column.PowerRestart)
		w.work()
	}},
	{name: "hard stop before a restart begins", kms: api.KMSPhala, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.power(column.PowerRestart)
		w.power(column.PowerStop)
		w.work()
	}},
	{name: "hard stop during a shutdown", kms: api.KMSPhala, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.harness.node.stubborn = true
		w.power(column.PowerShutdown)
		w.untilPower(column.PowerStopping)
		w.power(column.PowerStop)
		w.work()
	}},
	{name: "hard stop while a start is refused", kms: api.KMSPhala, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.power(column.PowerStop)
		w.work()
		w.node.refuseStart = errors.New("no memory left")
		w.power(column.PowerStart)
		w.untilPower(column.PowerStarting)
		w.power(column.PowerStop)
		w.work()
	}},
	{name: "hard stop during a boot", kms: api.KMSPhala, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.power(column.PowerRestart)
		w.untilPower(column.PowerBooting)
		w.harness.node.tick() // the guest boots before the stop, whichever of the two jobs comes first
		w.power(column.PowerStop)
		w.work()
	}},
	{name: "delete", kms: api.KMSEthereum, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.remove()
		w.work()
	}},
	{name: "delete during an update, with a stop in line", kms: api.KMSEthereum, cvms: 1, want: column.Failed, story: func(w *crashWorld) {
		w.approved(2)
		w.until(column.Verifying)
		w.power(column.PowerStop)
		w.remove()
		w.work()
	}},
	{name: "redeploy", kms: api.KMSEthereum, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		first := w.cvms[0].Row.RevisionID
		w.approved(2)
		w.work()
		w.ask(func() error {
			_, err := w.service.Redeploy(context.Background(), w.alice, w.cvms[0].Row.HashID, first, "")
			return err
		})
		w.work()
	}},
	{name: "node that gets ready", kms: api.KMSEthereum, cvms: 1, prepares: true, want: column.Succeeded, story: func(w *crashWorld) {
		w.approved(2)
		w.work()
	}},
	{name: "node that cannot get ready", kms: api.KMSEthereum, cvms: 1, prepares: true, want: column.RolledBack, story: func(w *crashWorld) {
		w.node.refusePrepare = errors.New("pull access denied")
		w.approved(2)
		w.work()
	}},
}

// untoldPower are the transitions of power operations that no scenario goes along, and why.
var untoldPower = map[[2]column.PowerState]string{}

// mortalPreparer is a mortalNode that gets ready before an update.
type mortalPreparer struct{ *mortalNode }

// Prepare implements runtime.Preparer.
func (n mortalPreparer) Prepare(context.Context, string, runtime.Config) error {
	return n.call("prepare", func() error { return n.refusePrepare })
}

// ask does what a client asks for. A client whose answer was lost with the process asks again, and may be told
// that it is too late: what it asked for is under way, or done.
func (w *crashWorld) ask(f func() error) {
	w.t.Helper()
	again := false
	w.request(func() {
		late := again
		again = true
		err := f()
		if late && (problem.Is(err, problem.KindBusy) || problem.Is(err, problem.KindConflict) || problem.Is(err, problem.KindNotFound)) {
			return
		}
		must(w.t, err)
	})
}

func (w *crashWorld) cancel() {
	w.t.Helper()
	w.ask(func() error {
		_, err := w.service.CancelOperation(context.Background(), w.alice, w.cvms[0].Row.HashID)
		return err
	})
}

func (w *crashWorld) power(kind column.PowerKind) {
	w.t.Helper()
	w.clock.advance(time.Second) // one operation after the other: fsck asks for the newest
	// Guests that are asked are not cut off, so that a story can tell of one that does not listen.
	request := PowerRequest{Kind: kind, Shutdown: &Shutdown{AllowForceStop: false}}
	w.ask(func() error {
		_, err := w.service.Power(context.Background(), w.alice, w.cvms[0].Row.HashID, request)
		return err
	})
}

func (w *crashWorld) remove() {
	w.t.Helper()
	w.ask(func() error { return w.service.DeleteCVM(context.Background(), w.alice, w.cvms[0].Row.HashID) })
}

// until lets the update that has the first CVM go on to a state, and no further.
func (w *crashWorld) until(state column.UpdateState) {
	w.t.Helper()
	w.goOnUntil(func(owner string) bool { return w.get(owner).State == state })
}

// untilPower does the same with a power operation.
func (w *crashWorld) untilPower(state column.PowerState) {
	w.t.Helper()
	w.goOnUntil(func(owner string) bool { return w.getPower(owner).State == state })
}

// goOnUntil takes steps of the operation that has the first CVM. The node takes none once the operation is where it
// is to be: a process that died on the last step looks once more, and must not find more than one that did not.
func (w *crashWorld) goOnUntil(there func(owner string) bool) {
	w.t.Helper()
	row, err := w.store.Read().GetAnyCVM(context.Background(), w.cvms[0].Row.ID)
	must(w.t, err)
	owner := row.ActiveUpdateID
	for range 100 {
		if there(owner) {
			return
		}
		var step Step
		w.request(func() {
			advance := w.service.Advance
			if isPower(owner) {
				advance = w.service.AdvancePower
			}
			var err error
			step, err = advance(context.Background(), owner)
			must(w.t, err)
		})
		if step.Wait > 0 && !there(owner) {
			w.harness.node.tick()
			w.clock.advance(step.Wait)
		}
	}
	w.t.Fatal("the operation does not get there")
}

// powerOperations are those of a CVM, newest first.
func (w *crashWorld) powerOperations(cvmID int64) []store.PowerOperation {
	w.t.Helper()
	ops, err := w.store.Read().OlderPowerOperations(context.Background(), store.OlderPowerOperationsParams{
		CVMID: cvmID, Until: farFuture, BeforeAt: farFuture, Kinds: allKinds, Most: 1000,
	})
	must(w.t, err)
	return ops
}

// walkPower is the history of a power operation, each step one of the state machine.
func (w *crashWorld) walkPower(op store.PowerOperation) string {
	w.t.Helper()
	events, err := w.store.Read().ListPowerEvents(context.Background(), op.ID)
	must(w.t, err)
	var at column.PowerState
	steps := make([]string, 0, len(events))
	for i, e := range events {
		if e.FromState != at || (i > 0 && !CanMovePower(e.FromState, e.ToState)) {
			w.t.Fatalf("%s %s: step %d goes from %s to %s, but was in %s", op.Kind, op.ID, i, e.FromState, e.ToState, at)
		}
		at = e.ToState
		steps = append(steps, string(at))
	}
	if at != op.State || op.Reason == "" {
		w.t.Fatalf("%s %s is %s (%q), its history ends in %s", op.Kind, op.ID, op.State, op.Reason, at)
	}
	return strings.Join(steps, " ")
}

// powerTransitionsSeen are the edges of the state machine that the power operations of a story went along.
func (w *crashWorld) powerTransitionsSeen() map[[2]column.PowerState]bool {
	w.t.Helper()
	ctx := context.Background()
	seen := map[[2]column.PowerState]bool{}
	ops, err := w.store.Read().PagePowerOperations(ctx, "", 100000)
	must(w.t, err)
	for _, op := range ops {
		events, err := w.store.Read().ListPowerEvents(ctx, op.ID)
		must(w.t, err)
		for _, e := range events {
			seen[[2]column.PowerState{e.FromState, e.ToState}] = true
		}
	}
	return seen
}
