package control

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

func (h *harness) update(cvm *CVM, request ComposeUpdate) (Outcome, error) {
	return h.service.UpdateCompose(context.Background(), h.alice, cvm.Row.HashID, request)
}

func (h *harness) propose(cvm *CVM, yaml []byte) *Precondition {
	h.t.Helper()
	out, err := h.update(cvm, ComposeUpdate{YAML: yaml})
	must(h.t, err)
	if out.Precondition == nil {
		h.t.Fatalf("phase 1 = %+v, want a precondition", out)
	}
	return out.Precondition
}

func wantKind(t *testing.T, err error, kind problem.Kind) *problem.Error {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind != kind {
		t.Fatalf("error = %v (%s), want kind %s", err, problem.KindOf(err), kind)
	}
	return p
}

func (h *harness) wantRuns(cvm *CVM, hash appcompose.ComposeHash) {
	h.t.Helper()
	status, err := h.node.Status(context.Background(), cvm.Row.VMUUID)
	must(h.t, err)
	if status.State != runtime.StateRunning || status.RunningHash != hash {
		h.t.Fatalf("node runs %s %s, want running %s", status.State, status.RunningHash, hash)
	}
	if now := h.read(cvm); now.Status() != StatusRunning || now.Document.Hash() != hash {
		h.t.Fatalf("control says %s %s, want running %s", now.Status(), now.Document.Hash(), hash)
	}
}

func TestOffChainUpdateIsAcceptedAtOnce(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("off-chain", api.KMSPhala)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	if out.Accepted == nil || out.Accepted.Unchanged || out.Accepted.Update.State != column.Approved {
		t.Fatalf("outcome = %+v, want accepted", out)
	}
	if status := h.read(cvm).Status(); status != StatusUpdating {
		t.Fatalf("status before the rollout = %s, want %s: the official CLI takes running for done", status, StatusUpdating)
	}
	if u := h.settle(out.Accepted.Update.ID); u.State != column.Succeeded {
		t.Fatalf("update ended %s: %s %s", u.State, u.Reason, u.Error)
	}
	h.wantRuns(cvm, h.hashOf(cvm, yamlNumber(2)))
}

func TestOnChainUpdateTakesTwoPhases(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("on-chain", api.KMSEthereum)
	before := cvm.Document.Hash()
	need := h.propose(cvm, yamlNumber(2))
	if want := h.hashOf(cvm, yamlNumber(2)); need.Update.ComposeHash != want {
		t.Fatalf("compose hash = %s, want %s", need.Update.ComposeHash, want)
	}
	h.wantRuns(cvm, before) // phase 1 touches nothing
	tx := h.chain.add(cvm.Row.AppID, need.Update.ComposeHash)
	for name, hash := range map[string]string{
		"as answered": need.Update.ComposeHash.String(), "with 0x": need.Update.ComposeHash.Hex0x(),
		"upper case": strings.ToUpper(need.Update.ComposeHash.String()),
	} {
		out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), ComposeHash: hash, TransactionHash: tx})
		must(t, err)
		if out.Accepted == nil || out.Accepted.Update.ID != need.Update.ID {
			t.Fatalf("%s: outcome = %+v, want update %s accepted; repeating it must not start another", name, out, need.Update.ID)
		}
	}
	if u := h.settle(need.Update.ID); u.State != column.Succeeded || u.TxHash != tx {
		t.Fatalf("update ended %s with %q: %s %s", u.State, u.TxHash, u.Reason, u.Error)
	}
	h.wantRuns(cvm, need.Update.ComposeHash)
	// After the end a repeated phase 2 finds that it runs already.
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), ComposeHash: need.Update.ComposeHash.String(), TransactionHash: tx})
	must(t, err)
	if out.Accepted == nil || !out.Accepted.Unchanged {
		t.Fatalf("repeated phase 2 = %+v, want unchanged", out)
	}
	h.wantHistory(need.Update.ID, column.Proposed, column.AwaitingApproval, column.Approved, column.RollingOut, column.Verifying, column.Succeeded)
}

func (h *harness) wantHistory(updateID string, states ...column.UpdateState) {
	h.t.Helper()
	events, err := h.store.Read().ListUpdateEvents(context.Background(), updateID)
	must(h.t, err)
	var got, want []string
	for i, e := range events {
		if e.Seq != int64(i+1) || e.Reason == "" || e.Actor == "" {
			h.t.Errorf("event %d = %+v, want it numbered, with a reason and an actor", i, e)
		}
		got = append(got, string(e.ToState))
	}
	for _, s := range states {
		want = append(want, string(s))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		h.t.Errorf("history = %v, want %v", got, want)
	}
}

func TestPhaseTwoRefusals(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("refusals", api.KMSEthereum)
	other := h.create("other-app", api.KMSEthereum)
	yaml := yamlNumber(2)
	need := h.propose(cvm, yaml)
	hash := need.Update.ComposeHash
	stranger := appcompose.Hash([]byte("unknown"))
	h.chain.apps[appAddress(cvm.Row.AppID)].ever[[32]byte(hash)] = false

	for _, test := range []struct {
		name    string
		request func() ComposeUpdate
		kind    problem.Kind
		code    api.ErrorCode
	}{
		{"unknown hash", func() ComposeUpdate { return ComposeUpdate{yaml, stranger.String(), "", nil} }, problem.KindHashInvalid, api.CodeHashInvalidOrExpired},
		{"hash that is none", func() ComposeUpdate { return ComposeUpdate{yaml, "0x12", "", nil} }, problem.KindHashInvalid, api.CodeHashInvalidOrExpired},
		{"YAML changed", func() ComposeUpdate { return ComposeUpdate{yamlNumber(3), hash.String(), "already-registered", nil} }, problem.KindHashInvalid, api.CodeHashInvalidOrExpired},
		{"one blank more", func() ComposeUpdate {
			return ComposeUpdate{append(yaml[:len(yaml):len(yaml)], ' '), hash.String(), "", nil}
		}, problem.KindHashInvalid, api.CodeHashInvalidOrExpired},
		{"unknown transaction", func() ComposeUpdate { return ComposeUpdate{yaml, hash.String(), "0x" + strings.Repeat("ab", 32), nil} }, problem.KindTxUnverified, api.CodeTxVerificationFailed},
		{"transaction that is none", func() ComposeUpdate { return ComposeUpdate{yaml, hash.String(), "0xzz", nil} }, problem.KindTxUnverified, api.CodeTxVerificationFailed},
		{"reverted transaction", func() ComposeUpdate {
			return ComposeUpdate{yaml, hash.String(), h.chain.revert(cvm.Row.AppID, hash), nil}
		}, problem.KindTxUnverified, api.CodeTxVerificationFailed},
		{"transaction of another app", func() ComposeUpdate {
			return ComposeUpdate{yaml, hash.String(), h.chain.add(other.Row.AppID, hash), nil}
		}, problem.KindTxUnverified, api.CodeTxVerificationFailed},
		{"transaction of another hash", func() ComposeUpdate {
			return ComposeUpdate{yaml, hash.String(), h.chain.add(cvm.Row.AppID, stranger), nil}
		}, problem.KindTxUnverified, api.CodeTxVerificationFailed},
		{"not registered, said to be", func() ComposeUpdate { return ComposeUpdate{yaml, hash.String(), "already-registered", nil} }, problem.KindHashNotAllowed, api.CodeHashNotAllowed},
		{"not registered, no transaction", func() ComposeUpdate { return ComposeUpdate{yaml, hash.String(), "", nil} }, problem.KindHashNotAllowed, api.CodeHashNotAllowed},
		{"registered and removed again", func() ComposeUpdate {
			tx := h.chain.add(cvm.Row.AppID, hash)
			h.chain.remove(cvm.Row.AppID, hash)
			return ComposeUpdate{yaml, hash.String(), tx, nil}
		}, problem.KindHashNotAllowed, api.CodeHashNotAllowed},
		{"device not allowed", func() ComposeUpdate {
			h.chain.apps[appAddress(cvm.Row.AppID)].devices = nil
			return ComposeUpdate{yaml, hash.String(), h.chain.add(cvm.Row.AppID, hash), nil}
		}, problem.KindHashNotAllowed, api.CodeHashNotAllowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := h.update(cvm, test.request())
			p := wantKind(t, err, test.kind)
			if p.Code != test.code || len(p.Suggestions)+len(p.Details) == 0 {
				t.Errorf("error = %+v, want code %s and something to go on", p, test.code)
			}
			h.wantRuns(cvm, cvm.Document.Hash())
		})
	}
	if len(h.node.stops) != 0 {
		t.Errorf("the CVM was stopped %d times", len(h.node.stops))
	}
}

func TestLateReceiptIsWaitedFor(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("late-receipt", api.KMSEthereum)
	need := h.propose(cvm, yamlNumber(2))
	// The client saw its receipt at another node; ours learns of it while phase 2 looks.
	began := h.clock.Now()
	tx := h.chain.add(cvm.Row.AppID, need.Update.ComposeHash)
	late := &lateRegistry{Registry: h.chain, until: began.Add(2 * time.Second), clock: h.clock}
	service, err := h.service.catalog.FindKMS("on")
	must(t, err)
	service.Registry = late
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), ComposeHash: need.Update.ComposeHash.String(), TransactionHash: tx})
	must(t, err)
	if out.Accepted == nil || late.misses == 0 {
		t.Fatalf("outcome = %+v after %d misses, want it accepted after some", out, late.misses)
	}
}

func TestProposalsSupersedeAndExpire(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("proposals", api.KMSEthereum)
	first := h.propose(cvm, yamlNumber(2))
	if again := h.propose(cvm, yamlNumber(2)); again.Update.ID != first.Update.ID {
		t.Fatalf("the same proposal made another update: %s, then %s", first.Update.ID, again.Update.ID)
	}
	second := h.propose(cvm, yamlNumber(3))
	h.wantHistory(first.Update.ID, column.Proposed, column.AwaitingApproval, column.Superseded)

	tx := h.chain.add(cvm.Row.AppID, first.Update.ComposeHash)
	_, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2), ComposeHash: first.Update.ComposeHash.String(), TransactionHash: tx})
	wantKind(t, err, problem.KindHashInvalid)

	h.clock.advance(h.service.timeouts.Candidate)
	tx = h.chain.add(cvm.Row.AppID, second.Update.ComposeHash)
	_, err = h.update(cvm, ComposeUpdate{YAML: yamlNumber(3), ComposeHash: second.Update.ComposeHash.String(), TransactionHash: tx})
	if p := wantKind(t, err, problem.KindHashInvalid); !strings.Contains(p.Message, "expired") {
		t.Errorf("message = %q, want the word expired: the official CLI looks for it", p.Message)
	}
	must(t, h.service.Sweep(context.Background()))
	h.wantHistory(second.Update.ID, column.Proposed, column.AwaitingApproval, column.Expired)
}

func TestOneRolloutAtATime(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("one-rollout", api.KMSPhala)
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	again, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	if again.Accepted == nil || again.Accepted.Update.CorrelationID != out.Accepted.Update.CorrelationID {
		t.Errorf("the same update again = %+v, want the one that runs", again)
	}
	_, err = h.update(cvm, ComposeUpdate{YAML: yamlNumber(3)})
	if p := wantKind(t, err, problem.KindBusy); p.Code != "" {
		t.Errorf("code = %s, want none: clients retry a bare 409 only", p.Code)
	}
}

func TestUnchangedDocumentRestartsNothing(t *testing.T) {
	for _, kind := range []api.KMSType{api.KMSPhala, api.KMSEthereum} {
		t.Run(string(kind), func(t *testing.T) {
			h := newHarness(t)
			defer h.close()
			cvm := h.create("unchanged", kind)
			out, err := h.update(cvm, ComposeUpdate{YAML: []byte(yamlOne)})
			must(t, err)
			if out.Accepted == nil || !out.Accepted.Unchanged || out.Accepted.Update.CorrelationID == "" {
				t.Fatalf("outcome = %+v, want unchanged with a correlation id", out)
			}
			h.wantRuns(cvm, cvm.Document.Hash())
			if len(h.node.stops) != 0 || len(h.node.boots) != 1 {
				t.Errorf("node saw %d stops and %d boots, want 0 and 1", len(h.node.stops), len(h.node.boots))
			}
		})
	}
}

func TestBadInput(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("bad-input", api.KMSPhala)
	limit := appcompose.MaxComposeSize
	exact := append([]byte(yamlOne), []byte("#"+strings.Repeat("x", limit-len(yamlOne)-1))...)
	for _, test := range []struct {
		name string
		yaml string
		kind problem.Kind
		code api.ErrorCode
	}{
		{"empty", "", problem.KindInvalid, api.CodeComposeFileRequired},
		{"blank", " \n\t\n", problem.KindInvalid, api.CodeComposeFileRequired},
		{"broken", "services:\n  web:\n   image: [nginx\n", problem.KindUnprocessable, api.CodeInvalidComposeFile},
		{"no services", "volumes: {}\n", problem.KindUnprocessable, api.CodeInvalidComposeFile},
		{"unknown reference", "services:\n  web:\n    image: nginx\n    depends_on: [db]\n", problem.KindUnprocessable, api.CodeInvalidComposeFile},
		{"NUL", "services:\n  web:\n    image: \"a\x00b\"\n", problem.KindUnprocessable, api.CodeInvalidComposeFile},
		{"one byte too large", string(exact) + "x", problem.KindTooLarge, api.CodeInvalidComposeFile},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := h.update(cvm, ComposeUpdate{YAML: []byte(test.yaml)})
			if p := wantKind(t, err, test.kind); p.Code != test.code {
				t.Errorf("code = %s, want %s", p.Code, test.code)
			}
		})
	}
	if _, err := h.update(cvm, ComposeUpdate{YAML: exact}); err != nil {
		t.Errorf("exactly %d bytes: %v", len(exact), err)
	}
}

func TestForeignWorkspaceSeesNothing(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("private-one", api.KMSPhala)
	for _, id := range []string{cvm.Row.HashID, cvm.Row.VMUUID, cvm.Row.AppID, "app_" + cvm.Row.AppID, cvm.Row.Name, "1", cvm.Row.InstanceID} {
		if _, err := h.service.CVM(context.Background(), h.alice, id); err != nil {
			t.Errorf("owner: CVM(%q) = %v", id, err)
		}
		_, err := h.service.UpdateCompose(context.Background(), h.bob, id, ComposeUpdate{YAML: yamlNumber(2)})
		if p := wantKind(t, err, problem.KindNotFound); p.Code != api.CodeCVMNotFound {
			t.Errorf("stranger: UpdateCompose(%q) = %+v", id, p)
		}
	}
}
