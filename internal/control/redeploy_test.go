package control

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// updateTo takes a CVM to another Compose file, with the owner's approval where one is needed.
func (h *harness) updateTo(cvm *CVM, yaml []byte) *CVM {
	h.t.Helper()
	ctx := context.Background()
	request := ComposeUpdate{YAML: yaml}
	out, err := h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, request)
	must(h.t, err)
	if out.Precondition != nil {
		request.ComposeHash = out.Precondition.Update.ComposeHash.String()
		request.TransactionHash = h.chain.add(cvm.Row.AppID, out.Precondition.Update.ComposeHash)
		out, err = h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, request)
		must(h.t, err)
	}
	h.settle(out.Accepted.Update.ID)
	return h.read(cvm)
}

func TestRedeployRunsTheBytesOfTheRevision(t *testing.T) {
	for _, kind := range []api.KMSType{api.KMSPhala, api.KMSEthereum} {
		t.Run(string(kind), func(t *testing.T) {
			h := newHarness(t)
			ctx := t.Context()
			cvm := h.create("my-app", kind)
			first, bytesOfFirst := cvm.Row.RevisionID, cvm.Document.Bytes()
			cvm = h.updateTo(cvm, yamlNumber(28))
			if cvm.Row.RevisionID == first {
				t.Fatal("nothing was updated")
			}
			done, err := h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, first, "")
			must(t, err)
			again, err := h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, first, "")
			must(t, err)
			if again.Update.ID != done.Update.ID || done.Unchanged {
				t.Errorf("asked twice: %+v, %+v; want one update", done.Update, again.Update)
			}
			_, err = h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, cvm.Row.RevisionID, "")
			wantKind(t, err, problem.KindBusy)
			if u := h.settle(done.Update.ID); u.State != column.Succeeded {
				t.Fatalf("the redeploy is %s: %s", u.State, u.Error)
			}
			cvm = h.read(cvm)
			if !bytes.Equal(cvm.Document.Bytes(), bytesOfFirst) {
				t.Error("other bytes run than those of the revision")
			}
			if cvm.Row.RevisionID != RevisionID(done.Update.ID) {
				t.Errorf("it runs revision %s, want one of its own", cvm.Row.RevisionID)
			}
			needless, err := h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, first, "")
			must(t, err)
			if !needless.Unchanged || needless.Update.State != column.Succeeded || h.read(cvm).Active != nil {
				t.Errorf("redeploy of what runs: %+v, want nothing to happen", needless)
			}
		})
	}
}

func TestRedeployOfWhatIsNotAllowedAnyMore(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvm := h.create("my-app", api.KMSEthereum)
	first, hash := cvm.Row.RevisionID, cvm.Document.Hash()
	cvm = h.updateTo(cvm, yamlNumber(28))
	h.chain.remove(cvm.Row.AppID, hash)

	_, err := h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, first, "")
	p := wantKind(t, err, problem.KindHashRequired)
	text := p.Message + strings.Join(p.Suggestions, " ")
	for _, want := range []string{"does not allow revision " + first, "addComposeHash(0x" + hash.String() + ")", "repeat this request"} {
		if !strings.Contains(text, want) {
			t.Errorf("the refusal says %q, want %q in it", text, want)
		}
	}
	if stops := len(h.node.stops); h.read(cvm).Active != nil || h.read(cvm).Document.Hash() == hash {
		t.Errorf("something was begun (%d stops)", stops)
	}
	_, err = h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, first, "0x"+strings.Repeat("99", 32))
	wantKind(t, err, problem.KindTxUnverified)
	_, err = h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, first, "not a hash")
	wantKind(t, err, problem.KindTxUnverified)

	tx := h.chain.addDeep(cvm.Row.AppID, hash, 1)
	_, err = h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, first, tx)
	wantKind(t, err, problem.KindBusy) // not deep enough yet
	h.chain.mine(tx)
	done, err := h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, first, tx)
	must(t, err)
	h.settle(done.Update.ID)
	revision, err := h.service.Revision(ctx, h.alice, cvm.Row.AppID, RevisionID(done.Update.ID))
	must(t, err)
	if revision.Row.TxHash != tx || revision.Row.BlockNumber == 0 {
		t.Errorf("approval of the new revision: %+v", revision.Row)
	}
}

func TestRedeployTakesTheProposalOver(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvm := h.create("my-app", api.KMSEthereum)
	first := cvm.Row.RevisionID
	cvm = h.updateTo(cvm, yamlNumber(28))
	out, err := h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, ComposeUpdate{YAML: yamlNumber(29)})
	must(t, err)
	done, err := h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, first, "")
	must(t, err)
	u, err := h.store.Read().GetUpdate(ctx, out.Precondition.Update.ID)
	must(t, err)
	if u.State != column.Superseded || !strings.Contains(u.Reason, done.Update.ID) {
		t.Errorf("the proposal is %s: %s; want superseded by the redeploy", u.State, u.Reason)
	}
}

func TestRedeployOfAnApp(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvm := h.create("my-app", api.KMSPhala)
	app, first := cvm.Row.AppID, cvm.Row.RevisionID
	replica, err := h.service.Replicate(ctx, h.alice, cvm.Row.HashID, api.ReplicateRequest{}, false)
	must(t, err)
	h.settle(replica.Row.ActiveUpdateID)
	both := []string{cvm.Row.VMUUID, replica.Row.VMUUID}
	h.updateTo(replica, yamlNumber(28))

	_, err = h.service.RedeployApp(ctx, h.alice, app, first, "", nil)
	wantKind(t, err, problem.KindInvalid)
	_, err = h.service.RedeployApp(ctx, h.alice, app, first, "", []string{cvm.Row.VMUUID, "00000000-0000-4000-8000-000000000000"})
	wantKind(t, err, problem.KindNotFound)
	done, err := h.service.RedeployApp(ctx, h.alice, app, first, "", both)
	must(t, err)
	if len(done) != 2 || !done[0].Unchanged || done[1].Unchanged {
		t.Fatalf("redeployed %+v; want the first as it was and the replica updated", done)
	}
	h.settle(done[1].Update.ID) // the revision of one CVM on another
	if h.read(replica).Document.Hash() != cvm.Document.Hash() {
		t.Error("the replica does not run the document of the other CVM")
	}

	out, err := h.service.UpdateCompose(ctx, h.alice, replica.Row.HashID, ComposeUpdate{YAML: yamlNumber(29)})
	must(t, err)
	cvm = h.updateTo(cvm, yamlNumber(30))
	_, err = h.service.RedeployApp(ctx, h.alice, app, first, "", both)
	wantKind(t, err, problem.KindBusy)
	if h.read(cvm).Active != nil {
		t.Error("one began although the other could not")
	}
	h.settle(out.Accepted.Update.ID)
}

func TestRedeployRefusals(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvm, other := h.create("my-app", api.KMSPhala), h.create("other-app", api.KMSPhala)
	reader := h.alice
	reader.Scopes = []Scope{ScopeRead}
	for name, test := range map[string]struct {
		p    Principal
		cvm  string
		rev  string
		want problem.Kind
	}{
		"read scope":              {reader, cvm.Row.HashID, cvm.Row.RevisionID, problem.KindForbidden},
		"another workspace":       {h.bob, cvm.Row.HashID, cvm.Row.RevisionID, problem.KindNotFound},
		"unknown CVM":             {h.alice, "nobody", cvm.Row.RevisionID, problem.KindNotFound},
		"unknown revision":        {h.alice, cvm.Row.HashID, "rev_none", problem.KindNotFound},
		"revision of another app": {h.alice, cvm.Row.HashID, other.Row.RevisionID, problem.KindNotFound},
	} {
		_, err := h.service.Redeploy(ctx, test.p, test.cvm, test.rev, "")
		if !problem.Is(err, test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

func TestRevisionsTellWhereTheyComeFrom(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvm := h.create("my-app", api.KMSEthereum)
	h.clock.advance(time.Second)
	for n := range 4 {
		cvm = h.updateTo(cvm, yamlNumber(30+n))
		h.clock.advance(time.Second)
	}
	var seen []string
	for page := 1; page <= 3; page++ {
		rows, total, err := h.service.Revisions(ctx, h.alice, cvm.Row.AppID, page, 2)
		must(t, err)
		if total != 5 {
			t.Errorf("total = %d, want 5", total)
		}
		for _, r := range rows {
			seen = append(seen, r.Row.OperationType)
			if r.Creator != "test" || r.CVM.VMUUID != cvm.Row.VMUUID || r.Update.State != column.Succeeded {
				t.Errorf("revision %+v", r)
			}
		}
	}
	if got := strings.Join(seen, " "); got != "update update update update deploy" {
		t.Errorf("operations, newest first: %s", got)
	}
	newest, err := h.service.Revision(ctx, h.alice, cvm.Row.AppID, cvm.Row.RevisionID)
	must(t, err)
	if appcompose.Hash(newest.Document) != newest.Row.ComposeHash || newest.Row.TxHash == "" {
		t.Errorf("the newest revision: %+v", newest.Row)
	}
	_, _, err = h.service.Revisions(ctx, h.bob, cvm.Row.AppID, 1, 10)
	wantKind(t, err, problem.KindNotFound)
	_, err = h.service.Revision(ctx, h.alice, cvm.Row.AppID, "rev_none")
	wantKind(t, err, problem.KindNotFound)
}

// TestRedeployAndPower: a power operation that has the CVM is waited for, and a CVM that is down is brought up
// with the revision that it has.
func TestRedeployAndPower(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("stopped", api.KMSEthereum)
	_, err := h.power(cvm, PowerRequest{Kind: column.PowerStop})
	must(t, err)
	_, err = h.service.Redeploy(t.Context(), h.alice, cvm.Row.HashID, cvm.Row.RevisionID, "")
	wantKind(t, err, problem.KindBusy)
	h.settleAllPower()
	h.wantStatus(cvm, StatusStopped)
	done, err := h.service.Redeploy(t.Context(), h.alice, cvm.Row.HashID, cvm.Row.RevisionID, "")
	must(t, err)
	if done.Unchanged {
		t.Fatal("it says that a stopped CVM runs the revision already")
	}
	if u := h.settle(done.Update.ID); u.State != column.Succeeded {
		t.Errorf("it ended %s: %s", u.State, u.Reason)
	}
	h.wantRuns(cvm, cvm.Document.Hash())
}
