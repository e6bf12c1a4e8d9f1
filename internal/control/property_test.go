package control

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// TestMain keeps the property test short unless -rapid.checks says otherwise: `make property` runs it long.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", "25"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// world drives a control plane, a chain and a node through random interleavings, and checks after each
// step what must hold whatever happens.
type world struct {
	*harness
	rt    *rapid.T
	cvms  []*CVM
	txs   []string
	known []appcompose.ComposeHash

	deleted map[int64]bool
}

// TestInvariant is the promise of the project: a CVM never boots a document that its owner has not
// approved, byte for byte; nothing is taken down without an approval that holds; nothing gets stuck.
func TestInvariant(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "world")
		must(t, err)
		w := &world{harness: newHarnessIn(t, dir), rt: rt, deleted: map[int64]bool{}}
		defer w.close()
		w.cvms = []*CVM{w.create("first-cvm", api.KMSEthereum), w.create("second-cvm", api.KMSEthereum), w.create("third-cvm", api.KMSPhala)}
		w.node.onStop = w.checkStop
		rt.Repeat(map[string]func(*rapid.T){
			"propose":    w.proposeSome,
			"register":   w.registerSome,
			"phase 2":    w.approveSome,
			"redeploy":   w.redeploySome,
			"step":       w.stepSome,
			"node":       func(*rapid.T) { w.node.tick() },
			"remove":     w.removeSome,
			"reorg":      w.reorgSome,
			"mine":       func(*rapid.T) { w.mineAll() },
			"restart":    func(*rapid.T) { w.restart() },
			"sweep":      func(*rapid.T) { must(t, w.service.Sweep(context.Background())) },
			"time":       w.passTime,
			"chain":      func(rt *rapid.T) { w.chain.setDown(rapid.Bool().Draw(rt, "chain down")) },
			"network":    func(rt *rapid.T) { w.node.unreachable = rapid.Bool().Draw(rt, "node unreachable") },
			"bad health": w.spoilSome,
			"power":      w.powerSome,
			"cancel":     w.cancelSome,
			"delete":     w.deleteSome,
			"stubborn":   func(rt *rapid.T) { w.node.stubborn = rapid.Bool().Draw(rt, "stubborn guests") },
			"":           func(*rapid.T) { w.check() },
		})
		w.heal()
	})
}

func (w *world) someCVM(rt *rapid.T) *CVM { return rapid.SampledFrom(w.cvms).Draw(rt, "cvm") }

// tolerate passes the errors that a client may well get.
func (w *world) tolerate(err error) {
	w.t.Helper()
	if p, ok := errors.AsType[*problem.Error](err); err != nil && (!ok || p.Kind == problem.KindInternal) {
		w.t.Fatalf("unexpected error: %v", err)
	}
}

func (w *world) someYAML(rt *rapid.T) []byte {
	return yamlNumber(rapid.IntRange(1, 4).Draw(rt, "version"))
}

func (w *world) proposeSome(rt *rapid.T) {
	cvm := w.someCVM(rt)
	out, err := w.update(cvm, ComposeUpdate{YAML: w.someYAML(rt)})
	w.tolerate(err)
	if out.Precondition != nil {
		w.known = append(w.known, out.Precondition.Update.ComposeHash)
	}
}

func (w *world) someHash(rt *rapid.T) appcompose.ComposeHash {
	hashes := append([]appcompose.ComposeHash{w.hashOf(w.cvms[0], yamlNumber(1))}, w.known...)
	return rapid.SampledFrom(hashes).Draw(rt, "hash")
}

func (w *world) someOnChain(rt *rapid.T) *CVM { return rapid.SampledFrom(w.cvms[:2]).Draw(rt, "cvm") }

func (w *world) registerSome(rt *rapid.T) {
	depth := rapid.Uint64Range(0, 2).Draw(rt, "depth")
	w.txs = append(w.txs, w.chain.addDeep(w.someOnChain(rt).Row.AppID, w.someHash(rt), depth))
}

func (w *world) someTx(rt *rapid.T) string {
	return rapid.SampledFrom(append([]string{"", api.AlreadyRegistered}, w.txs...)).Draw(rt, "tx")
}

func (w *world) approveSome(rt *rapid.T) {
	cvm := w.someCVM(rt)
	yaml := w.someYAML(rt)
	_, err := w.update(cvm, ComposeUpdate{YAML: yaml, ComposeHash: w.someHash(rt).String(), TransactionHash: w.someTx(rt)})
	w.tolerate(err)
}

// redeploySome asks for a revision of the app, with any transaction.
func (w *world) redeploySome(rt *rapid.T) {
	cvm := w.someCVM(rt)
	revisions, _, err := w.service.Revisions(context.Background(), w.alice, cvm.Row.AppID, 1, 10)
	must(w.t, err)
	revision := rapid.SampledFrom(revisions).Draw(rt, "revision")
	_, err = w.service.Redeploy(context.Background(), w.alice, cvm.Row.HashID, revision.Row.ID, w.someTx(rt))
	w.tolerate(err)
}

// checkHistories makes sure that the history of every app is a chain with an entry for each step.
func (w *world) checkHistories() {
	for _, cvm := range w.cvms {
		steps := 0
		for _, e := range w.chronicle(cvm.Row.AppID) {
			if e.Kind == history.KindUpdate || e.Kind == history.KindApproval {
				steps++
			}
		}
		updates, err := w.store.Read().ListUpdates(context.Background(), cvm.Row.ID, 1000)
		must(w.t, err)
		for _, u := range updates {
			events, err := w.store.Read().ListUpdateEvents(context.Background(), u.ID)
			must(w.t, err)
			steps -= len(events)
		}
		if steps != 0 {
			w.rt.Fatalf("the history of %s has %+d entries of steps more than there are steps", cvm.Row.AppID, steps)
		}
	}
}

func (w *world) open() []store.Update {
	w.t.Helper()
	open, err := w.store.Read().ListOpenUpdates(context.Background())
	must(w.t, err)
	return open
}

func (w *world) stepSome(rt *rapid.T) {
	var open []string
	for _, u := range w.open() {
		open = append(open, u.ID)
	}
	for _, op := range w.openPower() {
		open = append(open, op.ID)
	}
	if len(open) == 0 {
		return
	}
	id := rapid.SampledFrom(open).Draw(rt, "operation")
	advance := w.service.Advance
	if isPower(id) {
		advance = w.service.AdvancePower
	}
	_, err := advance(context.Background(), id)
	must(w.t, err)
}

func (w *world) openPower() []store.PowerOperation {
	w.t.Helper()
	open, err := w.store.Read().ListOpenPower(context.Background())
	must(w.t, err)
	return open
}

func (w *world) powerSome(rt *rapid.T) {
	request := PowerRequest{
		Kind:  rapid.SampledFrom([]column.PowerKind{column.PowerStart, column.PowerStop, column.PowerShutdown, column.PowerRestart}).Draw(rt, "kind"),
		Force: rapid.Bool().Draw(rt, "force"),
		Shutdown: rapid.SampledFrom([]*Shutdown{
			nil, {Timeout: 10 * time.Second}, {Timeout: 20 * time.Second, AllowForceStop: true}, {Timeout: NoTimeout},
		}).Draw(rt, "shutdown"),
	}
	_, err := w.service.Power(context.Background(), w.alice, w.someCVM(rt).Row.HashID, request)
	w.tolerate(err)
}

// cancelSome cancels what runs on a CVM. What can be cancelled ends, now or when it has gone back.
func (w *world) cancelSome(rt *rapid.T) {
	cvm := w.someCVM(rt)
	before, cancellable, err := w.service.OperationStatus(context.Background(), w.alice, cvm.Row.HashID)
	w.tolerate(err)
	done, err := w.service.CancelOperation(context.Background(), w.alice, cvm.Row.HashID)
	w.tolerate(err)
	if before != nil && done.Cancelled != cancellable {
		w.rt.Fatalf("%s in %s: cancelled %v, but it was said to be cancellable %v", before.Type, before.State, done.Cancelled, cancellable)
	}
}

// deleteSome deletes a CVM now and then, and there is always one left.
func (w *world) deleteSome(rt *rapid.T) {
	if rapid.IntRange(0, 9).Draw(rt, "really") > 0 {
		return
	}
	cvm := w.someCVM(rt)
	w.tolerate(w.service.DeleteCVM(context.Background(), w.alice, cvm.Row.HashID))
	w.deleted[cvm.Row.ID] = true
}

func (w *world) removeSome(rt *rapid.T) {
	w.chain.remove(w.someOnChain(rt).Row.AppID, w.someHash(rt))
}

func (w *world) reorgSome(rt *rapid.T) { w.chain.reorg(w.someTx(rt)) }

func (w *world) mineAll() {
	for _, tx := range w.txs {
		w.chain.mine(tx)
	}
}

func (w *world) passTime(rt *rapid.T) {
	w.clock.advance(rapid.SampledFrom([]time.Duration{time.Second, 2 * time.Minute, 11 * time.Minute, 15 * 24 * time.Hour}).Draw(rt, "time"))
}

func (w *world) spoilSome(rt *rapid.T) {
	hash := w.someHash(rt)
	w.node.sick[hash] = !w.node.sick[hash]
}

// checkStop is called by the node before it stops a CVM: the revision that runs may only be taken down
// for one whose approval holds at this moment. It runs inside the node's lock.
func (w *world) checkStop(id string) {
	for _, cvm := range w.cvms {
		if cvm.Row.VMUUID != id || !cvm.KMS.OnChain() {
			continue
		}
		row, err := w.store.Read().GetAnyCVM(context.Background(), cvm.Row.ID)
		must(w.t, err)
		if isPower(row.ActiveUpdateID) {
			w.checkPowerStop(row)
			continue
		}
		if next, err := w.service.inLine(context.Background(), row.ID); err != nil || next != nil {
			must(w.t, err)
			continue // somebody asked for a hard stop
		}
		u, err := w.store.Read().GetUpdate(context.Background(), row.ActiveUpdateID)
		must(w.t, err)
		from, err := w.store.Read().GetRevision(context.Background(), u.FromRevisionID)
		must(w.t, err)
		if w.node.cvms[id].running == from.ComposeHash && w.node.cvms[id].state == runtime.StateRunning &&
			!w.chain.isAllowed(row.AppID, u.ComposeHash) {
			w.rt.Fatalf("update %s takes down a running revision without an approval", u.ID)
		}
	}
}

// checkPowerStop: only a stop that somebody asked for takes down what may not boot again.
func (w *world) checkPowerStop(row store.CVM) {
	op, err := w.store.Read().GetPowerOperation(context.Background(), row.ActiveUpdateID)
	must(w.t, err)
	revision, err := w.store.Read().GetRevision(context.Background(), row.RevisionID)
	must(w.t, err)
	on := w.node.cvms[row.VMUUID]
	if op.Kind == column.PowerRestart && on.state == runtime.StateRunning && on.running == revision.ComposeHash &&
		!w.chain.isAllowed(row.AppID, revision.ComposeHash) {
		w.rt.Fatalf("restart %s takes down what may not boot again", op.ID)
	}
}

func (w *world) check() {
	ctx := context.Background()
	for _, b := range w.node.boots {
		if !w.chain.wasAllowed(b.app, b.hash) {
			w.rt.Fatalf("app %s booted %s, which its owner never approved", b.app, b.hash)
		}
	}
	for _, cvm := range w.cvms {
		row, err := w.store.Read().GetAnyCVM(ctx, cvm.Row.ID)
		must(w.t, err)
		updates, err := w.store.Read().ListUpdates(ctx, cvm.Row.ID, 1000)
		must(w.t, err)
		var owners []string
		for _, u := range updates {
			w.checkUpdate(u)
			if u.State.Rolling() || (u.State == column.AwaitingApproval && u.TxHash != "") {
				owners = append(owners, u.ID)
			}
		}
		owners = append(owners, w.checkPower(row.ID)...)
		want := []string{}
		if row.ActiveUpdateID != "" {
			want = append(want, row.ActiveUpdateID)
		}
		if !slices.Equal(owners, want) {
			w.rt.Fatalf("CVM %s is owned by %v, its updates say %v", row.Name, want, owners)
		}
		resting := row.Status == StatusRunning || row.Status == StatusStopped || row.Status == StatusError
		if resting != (row.ActiveUpdateID == "") {
			w.rt.Fatalf("CVM %s is %s with active operation %q", row.Name, row.Status, row.ActiveUpdateID)
		}
		if w.deleted[row.ID] != (row.DeletedAt != nil) {
			w.rt.Fatalf("CVM %s: deleted at %v", row.Name, row.DeletedAt)
		}
		w.checkRest(row)
	}
}

// checkRest makes sure that a CVM which no update owns, and which is said to run, does run its revision.
func (w *world) checkRest(row store.CVM) {
	if row.ActiveUpdateID != "" || row.DeletedAt != nil {
		return
	}
	on := w.node.cvms[row.VMUUID]
	if row.Status == StatusStopped && on.state != runtime.StateStopped {
		w.rt.Fatalf("CVM %s is said to be stopped, its node has %s", row.Name, on.state)
	}
	if row.Status != StatusRunning || on.state != runtime.StateRunning && w.unwilling(row.ID) {
		return
	}
	revision, err := w.store.Read().GetRevision(context.Background(), row.RevisionID)
	must(w.t, err)
	if on.state != runtime.StateRunning || on.running != revision.ComposeHash {
		w.rt.Fatalf("CVM %s is said to run %s, its node has %s %s", row.Name, revision.ComposeHash, on.state, on.running)
	}
}

// unwilling reports whether a guest may have been asked to shut down, did not, and was left alone: it may still
// do so.
func (w *world) unwilling(cvmID int64) bool {
	ops, err := w.store.Read().OlderPowerOperations(context.Background(), store.OlderPowerOperationsParams{
		CVMID: cvmID, Until: farFuture, BeforeAt: farFuture, Kinds: allKinds, Most: 1000,
	})
	must(w.t, err)
	return slices.ContainsFunc(ops, func(op store.PowerOperation) bool { return op.State == column.PowerFailed })
}

// checkPower checks the power operations of a CVM and returns those that own it.
func (w *world) checkPower(cvmID int64) []string {
	ctx := context.Background()
	ops, err := w.store.Read().OlderPowerOperations(ctx, store.OlderPowerOperationsParams{
		CVMID: cvmID, Until: farFuture, BeforeAt: farFuture, Kinds: allKinds, Most: 1000,
	})
	must(w.t, err)
	var owners []string
	for _, op := range ops {
		if op.Reason == "" || op.State.Final() != (op.FinishedAt != nil) {
			w.rt.Fatalf("%s %s is %s (%s), finished at %v", op.Kind, op.ID, op.State, op.Reason, op.FinishedAt)
		}
		events, err := w.store.Read().ListPowerEvents(ctx, op.ID)
		must(w.t, err)
		var at column.PowerState
		for i, e := range events {
			if e.FromState != at || (i > 0 && !CanMovePower(e.FromState, e.ToState)) {
				w.rt.Fatalf("%s %s: step %d goes from %s to %s, but was in %s", op.Kind, op.ID, i, e.FromState, e.ToState, at)
			}
			at = e.ToState
		}
		if at != op.State {
			w.rt.Fatalf("%s %s is %s, its history ends in %s", op.Kind, op.ID, op.State, at)
		}
		if op.State.Owns() {
			owners = append(owners, op.ID)
		}
	}
	return owners
}

func (w *world) checkUpdate(u store.Update) {
	ctx := context.Background()
	if u.Reason == "" {
		w.rt.Fatalf("update %s is %s without a reason", u.ID, u.State)
	}
	if u.State.Final() != (u.FinishedAt != nil) {
		w.rt.Fatalf("update %s is %s, finished at %v", u.ID, u.State, u.FinishedAt)
	}
	if _, err := w.service.document(ctx, w.store.Read(), u.ComposeHash); err != nil {
		w.rt.Fatalf("update %s: %v", u.ID, err)
	}
	events, err := w.store.Read().ListUpdateEvents(ctx, u.ID)
	must(w.t, err)
	var at column.UpdateState
	for i, e := range events {
		if e.FromState != at || (i > 0 && !CanMove(e.FromState, e.ToState)) {
			w.rt.Fatalf("update %s: step %d goes from %s to %s, but was in %s", u.ID, i, e.FromState, e.ToState, at)
		}
		at = e.ToState
	}
	if at != u.State {
		w.rt.Fatalf("update %s is %s, its history ends in %s", u.ID, u.State, at)
	}
}

// heal ends every trouble and lets all updates run: each must end, and what runs must be what the
// control plane says runs.
func (w *world) heal() {
	ctx := context.Background()
	w.chain.setDown(false)
	w.node.unreachable, w.node.stubborn = false, false
	w.restart()
	for range 3 {
		w.mineAll()
	}
	for _, u := range w.open() {
		w.settleSlowly(u.ID)
	}
	w.settleAllPower()
	w.node.tick() // guests that were asked to shut down and left alone do so now
	if open := w.openPower(); len(open) > 0 {
		w.rt.Fatalf("%s %s is stuck in %s: %s", open[0].Kind, open[0].ID, open[0].State, open[0].Reason)
	}
	w.check()
	w.checkHistories()
	for _, u := range w.open() {
		if u.State != column.AwaitingApproval || u.TxHash != "" {
			w.rt.Fatalf("update %s is stuck in %s: %s", u.ID, u.State, u.Reason)
		}
	}
	for _, cvm := range w.cvms {
		row, err := w.store.Read().GetAnyCVM(ctx, cvm.Row.ID)
		must(w.t, err)
		if row.DeletedAt != nil {
			if w.node.cvms[row.VMUUID] != nil {
				w.rt.Fatalf("CVM %s is deleted and its node still has it", row.Name)
			}
			continue
		}
		if row.Status != StatusRunning || w.unwilling(row.ID) {
			continue // it is stopped, or failed, which is a final result with a reason
		}
		revision, err := w.store.Read().GetRevision(ctx, row.RevisionID)
		must(w.t, err)
		status, err := w.node.Status(ctx, row.VMUUID)
		must(w.t, err)
		if status.State != runtime.StateRunning || status.RunningHash != revision.ComposeHash {
			w.rt.Fatalf("CVM %s is said to run %s, its node has %s %s", row.Name, revision.ComposeHash, status.State, fmt.Sprint(status.RunningHash))
		}
	}
}
