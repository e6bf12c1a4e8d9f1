package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// fleetOf makes an app with n running CVMs and proposes a document for it, which the owner approves.
func (h *harness) fleetOf(n int, kmsType api.KMSType) ([]*CVM, appcompose.ComposeHash) {
	h.t.Helper()
	cvms := []*CVM{h.create("first-cvm", kmsType)}
	for len(cvms) < n {
		replica, err := h.service.Replicate(context.Background(), h.alice, cvms[0].Row.HashID, api.ReplicateRequest{}, false)
		must(h.t, err)
		h.settle(replica.Row.ActiveUpdateID)
		cvms = append(cvms, h.read(replica))
	}
	if !kmsType.OnChain() {
		return cvms, appcompose.ComposeHash{}
	}
	return cvms, h.approvedDocument(cvms[0], 2)
}

// approvedDocument proposes another document for a CVM and registers it.
func (h *harness) approvedDocument(cvm *CVM, n int) appcompose.ComposeHash {
	h.t.Helper()
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(n)})
	must(h.t, err)
	hash := out.Precondition.Update.ComposeHash
	h.chain.add(cvm.Row.AppID, hash)
	return hash
}

func (h *harness) roll(cvm *CVM, request api.RolloutRequest) *FleetRollout {
	h.t.Helper()
	rollout, err := h.service.StartRollout(context.Background(), h.alice, cvm.Row.AppID, request)
	must(h.t, err)
	return rollout
}

// goOn lets the rollout and its updates run until the rollout rests: it is final, or a person has to act.
func (h *harness) goOn(rollout *FleetRollout) *FleetRollout {
	h.t.Helper()
	ctx := context.Background()
	for range 2000 {
		step, err := h.service.AdvanceRollout(ctx, rollout.Row.ID)
		must(h.t, err)
		busy := h.stepUpdates()
		h.node.tick()
		h.clock.advance(max(step.Wait, time.Second))
		view, err := h.service.Rollout(ctx, h.alice, rollout.Row.AppID, rollout.Row.ID)
		must(h.t, err)
		if !busy && (view.Row.State.Final() || view.Row.State == column.RolloutPaused) && step.Done {
			return view
		}
	}
	h.t.Fatalf("rollout %s does not rest", rollout.Row.ID)
	return nil
}

// stepUpdates lets every update that is under way take a step.
func (h *harness) stepUpdates() (busy bool) {
	h.t.Helper()
	open, err := h.store.Read().ListOpenUpdates(context.Background())
	must(h.t, err)
	for _, u := range open {
		if u.State.Rolling() {
			busy = true
			_, err := h.service.Advance(context.Background(), u.ID)
			must(h.t, err)
		}
	}
	return busy
}

func (h *harness) running(cvm *CVM) appcompose.ComposeHash {
	h.node.mu.Lock()
	defer h.node.mu.Unlock()
	return h.node.cvms[cvm.Row.VMUUID].running
}

func states(rollout *FleetRollout) string {
	names := make([]string, len(rollout.Targets))
	for i, t := range rollout.Targets {
		names[i] = string(t.State)
	}
	return strings.Join(names, " ")
}

func request(hash appcompose.ComposeHash) api.RolloutRequest {
	return api.RolloutRequest{ComposeHash: hash.String()}
}

func TestRolloutMovesEveryReplica(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(5, api.KMSEthereum)
	r := request(hash)
	r.MaxUnavailable = "40%"
	most := 0
	h.node.onStop = func(string) {
		down := 1
		for _, cvm := range h.node.cvms {
			if cvm.state != runtime.StateRunning {
				down++
			}
		}
		most = max(most, down)
	}
	got := h.goOn(h.roll(cvms[0], r))
	if got.Row.State != column.RolloutSucceeded || states(got) != "done done done done done" {
		t.Fatalf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
	for _, cvm := range cvms {
		if h.running(cvm) != hash || h.read(cvm).Document.Hash() != hash {
			t.Errorf("%s runs %s, want %s", cvm.Row.Name, h.running(cvm), hash)
		}
	}
	if most != 2 {
		t.Errorf("at most %d CVMs were down at once, want 2 of 5 at 40%%", most)
	}
	if len(h.node.stops) != 5 {
		t.Errorf("%d stops, want each CVM once", len(h.node.stops))
	}
}

func TestRolloutKeepsWhatRunsAlreadyAndWhatIsStopped(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(3, api.KMSEthereum)
	_, err := h.update(cvms[0], ComposeUpdate{YAML: yamlNumber(2), ComposeHash: hash.String()})
	must(t, err)
	h.settle(h.read(cvms[0]).Row.ActiveUpdateID)
	h.node.cvms[cvms[1].Row.VMUUID].state = runtime.StateStopped
	stops := len(h.node.stops)
	got := h.goOn(h.roll(cvms[0], request(hash)))
	if got.Row.State != column.RolloutSucceeded || states(got) != "done skipped done" {
		t.Fatalf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
	if n := len(h.node.stops) - stops; n != 1 {
		t.Errorf("%d CVMs were stopped, want 1", n)
	}
	if state := h.node.cvms[cvms[1].Row.VMUUID].state; state != runtime.StateStopped {
		t.Errorf("the stopped CVM is %s", state)
	}
}

func TestRolloutCanaryWaitsForAPerson(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(4, api.KMSEthereum)
	r := request(hash)
	r.Strategy = api.RolloutCanary
	paused := h.goOn(h.roll(cvms[0], r))
	if paused.Row.State != column.RolloutPaused || states(paused) != "done pending pending pending" {
		t.Fatalf("%s (%s): %s", paused.Row.State, paused.Row.Reason, states(paused))
	}
	resumed, err := h.service.ResumeRollout(context.Background(), h.alice, paused.Row.AppID, paused.Row.ID)
	must(t, err)
	if got := h.goOn(resumed); got.Row.State != column.RolloutSucceeded {
		t.Fatalf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
}

// A pause in the middle of the canary and a resume do not promote what has shown nothing yet.
func TestRolloutResumedInItsCanaryPausesAfterIt(t *testing.T) {
	h := newHarness(t)
	ctx := context.Background()
	cvms, hash := h.fleetOf(3, api.KMSEthereum)
	r := request(hash)
	r.Strategy = api.RolloutCanary
	rollout := h.roll(cvms[0], r)
	_, err := h.service.AdvanceRollout(ctx, rollout.Row.ID)
	must(t, err)
	_, err = h.service.PauseRollout(ctx, h.alice, rollout.Row.AppID, rollout.Row.ID)
	must(t, err)
	_, err = h.service.ResumeRollout(ctx, h.alice, rollout.Row.AppID, rollout.Row.ID)
	must(t, err)
	if got := h.goOn(rollout); got.Row.State != column.RolloutPaused || states(got) != "done pending pending" {
		t.Fatalf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
}

func TestRolloutGoesBackWhenTooManyFail(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(4, api.KMSEthereum)
	before := cvms[0].Document.Hash()
	rollout := h.roll(cvms[0], request(hash))
	h.spoilAfter(hash, 2)
	got := h.goOn(rollout)
	if got.Row.State != column.RolloutRolledBack || states(got) != "reverted reverted failed skipped" {
		t.Fatalf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
	for _, cvm := range cvms {
		if h.running(cvm) != before {
			t.Errorf("%s runs %s, want %s", cvm.Row.Name, h.running(cvm), before)
		}
	}
	if !strings.Contains(got.Row.Reason, "max_failures") {
		t.Errorf("reason %q does not say why", got.Row.Reason)
	}
}

// spoilAfter makes a document unhealthy after it booted n more times.
func (h *harness) spoilAfter(hash appcompose.ComposeHash, n int) {
	h.node.onBoot = func(booted appcompose.ComposeHash) {
		if booted == hash {
			n--
		}
		h.node.sick[hash] = n < 0
	}
}

func TestRolloutWatchesHealthForMinReady(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(2, api.KMSEthereum)
	before := cvms[0].Document.Hash()
	rollout := h.roll(cvms[0], request(hash))
	ctx := context.Background()
	for range 100 {
		_, err := h.service.AdvanceRollout(ctx, rollout.Row.ID)
		must(t, err)
		h.stepUpdates()
		h.node.tick()
		view, err := h.service.Rollout(ctx, h.alice, rollout.Row.AppID, rollout.Row.ID)
		must(t, err)
		if view.Targets[0].State == column.TargetSettling {
			break
		}
	}
	h.node.cvms[cvms[0].Row.VMUUID].health = runtime.HealthUnhealthy
	got := h.goOn(rollout)
	if got.Row.State != column.RolloutRolledBack || states(got) != "reverted skipped" {
		t.Fatalf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
	if h.running(cvms[0]) != before {
		t.Errorf("it runs %s, want %s", h.running(cvms[0]), before)
	}
}

func TestRolloutAbortBringsBackWhatWasMoved(t *testing.T) {
	h := newHarness(t)
	ctx := context.Background()
	cvms, hash := h.fleetOf(4, api.KMSEthereum)
	before := cvms[0].Document.Hash()
	r := request(hash)
	r.Strategy, r.Canary, r.MaxUnavailable = api.RolloutCanary, api.Count(2), api.Count(2)
	paused := h.goOn(h.roll(cvms[0], r))
	// One of them is moved elsewhere by an update of its own: that is left alone.
	other := h.approvedDocument(cvms[1], 3)
	_, err := h.update(cvms[1], ComposeUpdate{YAML: yamlNumber(3), ComposeHash: other.String()})
	must(t, err)
	h.settle(h.read(cvms[1]).Row.ActiveUpdateID)
	aborted, err := h.service.AbortRollout(ctx, h.alice, paused.Row.AppID, paused.Row.ID)
	must(t, err)
	got := h.goOn(aborted)
	if got.Row.State != column.RolloutRolledBack || states(got) != "reverted skipped skipped skipped" {
		t.Fatalf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
	for i, want := range []appcompose.ComposeHash{before, other, before, before} {
		if h.running(cvms[i]) != want {
			t.Errorf("%s runs %s, want %s", cvms[i].Row.Name, h.running(cvms[i]), want)
		}
	}
	if _, err := h.service.ResumeRollout(ctx, h.alice, got.Row.AppID, got.Row.ID); !problem.Is(err, problem.KindConflict) {
		t.Errorf("resuming what is final: %v", err)
	}
}

func TestRolloutThatMayNotGoBackSaysSo(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(2, api.KMSEthereum)
	r := request(hash)
	r.Strategy = api.RolloutCanary
	paused := h.goOn(h.roll(cvms[0], r))
	h.chain.remove(cvms[0].Row.AppID, cvms[0].Document.Hash())
	_, err := h.service.AbortRollout(context.Background(), h.alice, paused.Row.AppID, paused.Row.ID)
	must(t, err)
	got := h.goOn(paused)
	if got.Row.State != column.RolloutFailed || states(got) != "stuck skipped" || !strings.Contains(got.Targets[0].Reason, "may not run any more") {
		t.Fatalf("%s (%s): %s: %s", got.Row.State, got.Row.Reason, states(got), got.Targets[0].Reason)
	}
	if h.running(cvms[0]) != hash {
		t.Errorf("it runs %s; it was to keep running what is allowed", h.running(cvms[0]))
	}
}

func TestRolloutEndsWhenTheApprovalIsLost(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(3, api.KMSEthereum)
	rollout := h.roll(cvms[0], request(hash))
	h.chain.remove(cvms[0].Row.AppID, hash)
	got := h.goOn(rollout)
	if got.Row.State != column.RolloutRolledBack || len(h.node.stops) != 0 {
		t.Fatalf("%s (%s): %s, %d stops", got.Row.State, got.Row.Reason, states(got), len(h.node.stops))
	}
	open, err := h.store.Read().ListOpenUpdates(context.Background())
	must(t, err)
	if len(open) != 0 {
		t.Errorf("updates are left open: %+v", open)
	}
}

func TestRolloutIsOneAtATime(t *testing.T) {
	h := newHarness(t)
	ctx := context.Background()
	cvms, hash := h.fleetOf(2, api.KMSEthereum)
	first := h.roll(cvms[0], request(hash))
	if again := h.roll(cvms[0], request(hash)); again.Row.ID != first.Row.ID {
		t.Errorf("asked again: rollout %s, want %s", again.Row.ID, first.Row.ID)
	}
	_, err := h.service.StartRollout(ctx, h.alice, cvms[0].Row.AppID, request(cvms[0].Document.Hash()))
	if !problem.Is(err, problem.KindConflict) {
		t.Errorf("another document: %v, want a conflict", err)
	}
	h.goOn(first)
	// After its end the app is free again; the way back needs no new transaction.
	if got := h.goOn(h.roll(cvms[0], request(cvms[0].Document.Hash()))); got.Row.State != column.RolloutSucceeded || states(got) != "done done" {
		t.Errorf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
}

func TestRolloutOfRevisionToSome(t *testing.T) {
	h := newHarness(t)
	cvms, _ := h.fleetOf(3, api.KMSPhala)
	out, err := h.update(cvms[0], ComposeUpdate{YAML: yamlNumber(2)}) // an off-chain KMS needs no approval
	must(t, err)
	h.settle(out.Accepted.Update.ID)
	seconds := 0
	got := h.goOn(h.roll(cvms[0], api.RolloutRequest{
		RevisionID: h.read(cvms[0]).Row.RevisionID, VMUUIDs: []string{strings.ReplaceAll(cvms[2].Row.VMUUID, "-", "")}, Strategy: api.RolloutAllAtOnce, MinReady: &seconds,
	}))
	if got.Row.State != column.RolloutSucceeded || len(got.Targets) != 1 || h.running(cvms[2]) != out.Accepted.Update.ComposeHash || h.running(cvms[1]) != cvms[1].Document.Hash() {
		t.Errorf("%s (%s): %s", got.Row.State, got.Row.Reason, states(got))
	}
}

func TestRolloutListsEverythingThatIsMissing(t *testing.T) {
	h := newHarness(t)
	ctx := context.Background()
	cvms, _ := h.fleetOf(2, api.KMSEthereum)
	out, err := h.update(cvms[0], ComposeUpdate{YAML: yamlNumber(5)})
	must(t, err)
	h.chain.forbidDevice(cvms[0].Row.AppID, cvms[0].Node.DeviceID)
	_, err = h.service.StartRollout(ctx, h.alice, cvms[0].Row.AppID, request(out.Precondition.Update.ComposeHash))
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind != problem.KindHashRequired {
		t.Fatalf("got %v, want a 465", err)
	}
	i := slices.IndexFunc(p.Details, func(d problem.Detail) bool { return d.Field == api.DetailMissing })
	missing, _ := p.Details[i].Value.(api.List[api.MissingApproval])
	if len(missing) != 2 || missing[0].Kind != "compose_hash" || missing[1].Kind != "device" || len(missing[1].VMUUIDs) != 2 {
		t.Errorf("missing: %+v", missing)
	}
	if _, err := h.store.Read().FindActiveRollout(ctx, cvms[0].Row.AppID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a rollout was made: %v", err)
	}
}

func TestRolloutRefusals(t *testing.T) {
	h := newHarness(t)
	cvms, hash := h.fleetOf(2, api.KMSEthereum)
	app, minus, late := cvms[0].Row.AppID, -1, 3601
	reverted := h.chain.revert(app, hash)
	for _, test := range []struct {
		name   string
		who    Principal
		app    string
		change func(*api.RolloutRequest)
		want   problem.Kind
	}{
		{"another workspace", h.bob, app, func(*api.RolloutRequest) {}, problem.KindNotFound},
		{"no such app", h.alice, strings.Repeat("9", 40), func(*api.RolloutRequest) {}, problem.KindNotFound},
		{"not an app id", h.alice, "first-cvm", func(*api.RolloutRequest) {}, problem.KindNotFound},
		{"no document", h.alice, app, func(r *api.RolloutRequest) { r.ComposeHash = "" }, problem.KindInvalid},
		{"two documents", h.alice, app, func(r *api.RolloutRequest) { r.RevisionID = "rev_1" }, problem.KindInvalid},
		{"unknown revision", h.alice, app, func(r *api.RolloutRequest) { r.ComposeHash, r.RevisionID = "", "rev_1" }, problem.KindNotFound},
		{"unknown document", h.alice, app, func(r *api.RolloutRequest) { r.ComposeHash = strings.Repeat("1", 64) }, problem.KindHashInvalid},
		{"not a hash", h.alice, app, func(r *api.RolloutRequest) { r.ComposeHash = "zz" }, problem.KindHashInvalid},
		{"reverted transaction", h.alice, app, func(r *api.RolloutRequest) { r.TransactionHash = reverted }, problem.KindTxUnverified},
		{"not a transaction", h.alice, app, func(r *api.RolloutRequest) { r.TransactionHash = "zz" }, problem.KindTxUnverified},
		{"strategy", h.alice, app, func(r *api.RolloutRequest) { r.Strategy = "yolo" }, problem.KindInvalid},
		{"none at once", h.alice, app, func(r *api.RolloutRequest) { r.MaxUnavailable = "0" }, problem.KindInvalid},
		{"amount", h.alice, app, func(r *api.RolloutRequest) { r.MaxUnavailable = "many" }, problem.KindInvalid},
		{"amount without use", h.alice, app, func(r *api.RolloutRequest) { r.Strategy, r.MaxUnavailable = "all_at_once", "1" }, problem.KindInvalid},
		{"canary without use", h.alice, app, func(r *api.RolloutRequest) { r.Canary = "1" }, problem.KindInvalid},
		{"min_ready", h.alice, app, func(r *api.RolloutRequest) { r.MinReady = &minus }, problem.KindInvalid},
		{"min_ready too long", h.alice, app, func(r *api.RolloutRequest) { r.MinReady = &late }, problem.KindInvalid},
		{"max_failures", h.alice, app, func(r *api.RolloutRequest) { r.MaxFailures = -1 }, problem.KindInvalid},
		{"unknown CVM", h.alice, app, func(r *api.RolloutRequest) { r.VMUUIDs = []string{cvms[0].Row.VMUUID, "x"} }, problem.KindNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := request(hash)
			test.change(&r)
			if _, err := h.service.StartRollout(context.Background(), test.who, test.app, r); !problem.Is(err, test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	reader := h.alice
	reader.Scopes = []Scope{ScopeRead}
	if _, err := h.service.StartRollout(context.Background(), reader, app, request(hash)); !problem.Is(err, problem.KindForbidden) {
		t.Errorf("with a read key: %v", err)
	}
}

// The end of an update and the act of a person leave a job behind, in the transaction that says so.
func TestRolloutIsWoken(t *testing.T) {
	h := newHarness(t)
	ctx := context.Background()
	cvms, hash := h.fleetOf(2, api.KMSEthereum)
	rollout := h.roll(cvms[0], request(hash))
	h.wantWoken(rollout, true)
	_, err := h.service.AdvanceRollout(ctx, rollout.Row.ID)
	must(t, err)
	h.wantWoken(rollout, false)
	row, err := h.store.Read().GetCVM(ctx, cvms[0].Row.ID)
	must(t, err)
	h.settle(row.ActiveUpdateID)
	h.wantWoken(rollout, true)
	_, err = h.service.AbortRollout(ctx, h.alice, rollout.Row.AppID, rollout.Row.ID)
	must(t, err)
	h.wantWoken(rollout, true)
	must(t, h.service.Sweep(ctx))
	h.wantWoken(rollout, true)
	h.goOn(rollout)
	h.wantWoken(rollout, true)
	must(t, h.service.Sweep(ctx))
	h.wantWoken(rollout, false)
}

func (h *harness) wantWoken(rollout *FleetRollout, want bool) {
	h.t.Helper()
	h.queue.mu.Lock()
	defer h.queue.mu.Unlock()
	if got := slices.Contains(h.queue.rollouts, rollout.Row.ID); got != want {
		h.t.Errorf("the rollout has a job: %v, want %v", got, want)
	}
	h.queue.rollouts = nil
}

// forbidDevice takes a device off an app's contract.
func (c *fakeChain) forbidDevice(app string, device common.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.apps[common.HexToAddress(app)].devices, device)
}

// TestApprovalOfARollout: the history and the revisions of a rollout's updates name block and owner.
func TestApprovalOfARollout(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	h.chain.owner = common.Address{0x0e}
	cvm := h.create("owned", api.KMSEthereum)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	hash := out.Precondition.Update.ComposeHash
	r := request(hash)
	r.TransactionHash = h.chain.add(cvm.Row.AppID, hash)
	h.spoilAfter(hash, 0)
	view := h.goOn(h.roll(cvm, r))
	if view.Row.State != column.RolloutRolledBack {
		t.Fatalf("the rollout is %s: %s", view.Row.State, view.Row.Reason)
	}
	revision, err := h.store.Read().GetRevision(t.Context(), RevisionID(view.Targets[0].UpdateID))
	must(t, err)
	if revision.TxHash != r.TransactionHash || revision.BlockNumber == 0 || revision.Owner != h.chain.owner.Hex() {
		t.Errorf("the revision names transaction %q, block %d and owner %q", revision.TxHash, revision.BlockNumber, revision.Owner)
	}
	for _, e := range h.chronicle(cvm.Row.AppID) {
		if e.Kind != history.KindApproval || e.Operation != view.Targets[0].UpdateID {
			continue
		}
		if e.Facts["transaction"] != r.TransactionHash || e.Facts["block"] == "" || e.Facts["owner"] != h.chain.owner.Hex() {
			t.Errorf("the entry of the approval: %v", e.Facts)
		}
	}
}
