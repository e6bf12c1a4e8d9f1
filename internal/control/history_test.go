package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// chronicle reads the whole history of an app, page by page, and checks it.
func (h *harness) chronicle(appID string, known ...api.HistoryHead) []api.HistoryEntry {
	h.t.Helper()
	var copied strings.Builder
	var entries []api.HistoryEntry
	for after := uint64(0); ; {
		page, err := h.service.History(context.Background(), &h.alice, appID, after, 3)
		must(h.t, err)
		b, err := json.Marshal(page)
		must(h.t, err)
		copied.Write(b)
		entries = append(entries, page.Entries...)
		if page.NextAfter == nil {
			break
		}
		after = *page.NextAfter
	}
	_, err := history.Check(strings.NewReader(copied.String()), known...)
	must(h.t, err)
	return entries
}

// lines are entries in short: kind, states, and what they name.
func lines(entries []api.HistoryEntry) []string {
	var out []string
	for _, e := range entries {
		switch e.Kind {
		case history.KindRefusal:
			out = append(out, fmt.Sprintf("refusal %s %s", e.Facts["request"], e.Facts["refusal"]))
		case history.KindUpdate, history.KindApproval, history.KindRollout:
			out = append(out, fmt.Sprintf("%s %s>%s", e.Kind, e.Facts["from"], e.Facts["to"]))
		default:
			out = append(out, e.Kind)
		}
	}
	return out
}

func wantLines(t *testing.T, entries []api.HistoryEntry, want ...string) {
	t.Helper()
	if got := lines(entries); !slices.Equal(got, want) {
		t.Errorf("history:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestHistoryOfAnUpdateOnChain(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	h.chain.owner = [20]byte{0xab}
	cvm := h.create("my-app", api.KMSEthereum)
	wantLines(t, h.chronicle(cvm.Row.AppID), "cvm", "update >proposed", "approval proposed>approved", "update approved>rolling_out",
		"update rolling_out>verifying", "update verifying>succeeded")
	first := h.chronicle(cvm.Row.AppID)
	head := api.HistoryHead{Seq: 6, Hash: first[5].Hash}

	yaml := yamlNumber(28)
	hash := h.hashOf(cvm, yaml)
	_, err := h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, ComposeUpdate{YAML: yaml})
	must(t, err)
	request := ComposeUpdate{YAML: yaml, ComposeHash: hash.String(), TransactionHash: "0x" + strings.Repeat("77", 32)}
	_, err = h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, request)
	wantKind(t, err, problem.KindTxUnverified)
	request.TransactionHash = api.AlreadyRegistered
	_, err = h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, request)
	wantKind(t, err, problem.KindHashNotAllowed)
	request.TransactionHash = h.chain.add(cvm.Row.AppID, hash)
	out, err := h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, request)
	must(t, err)
	_, err = h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, ComposeUpdate{YAML: yamlNumber(29)})
	wantKind(t, err, problem.KindBusy)
	_, err = h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, ComposeUpdate{YAML: yamlNumber(29)})
	wantKind(t, err, problem.KindBusy) // a client that tries again is not news
	h.settle(out.Accepted.Update.ID)

	entries := h.chronicle(cvm.Row.AppID, head)[6:]
	wantLines(t, entries, "update >proposed", "update proposed>awaiting_approval", "refusal update tx_unverified", "refusal update hash_not_allowed",
		"approval awaiting_approval>approved", "refusal update busy", "update approved>rolling_out", "update rolling_out>verifying", "update verifying>succeeded")
	approval := entries[4]
	u := out.Accepted.Update
	for name, want := range map[string]string{
		"transaction": request.TransactionHash, "block": strconv.FormatInt(u.BlockNumber, 10), "owner": "0xab00000000000000000000000000000000000000",
		"contract": appAddress(cvm.Row.AppID).Hex(), "chain_id": "1337", "compose_hash": hash.String(), "correlation_id": u.CorrelationID,
	} {
		if !strings.EqualFold(approval.Facts[name], want) {
			t.Errorf("approval: %s = %q, want %q", name, approval.Facts[name], want)
		}
	}
	if approval.Actor != h.alice.KeyID || approval.Operation != u.ID || approval.CVM != cvm.Row.VMUUID || entries[8].Actor != "lockstep" {
		t.Errorf("actors and subjects: %+v, %+v", approval, entries[8])
	}
	if seen := entries[2].Facts["transaction"]; seen != "0x"+strings.Repeat("77", 32) {
		t.Errorf("the refusal names transaction %q", seen)
	}
	revision, err := h.store.Read().GetRevision(ctx, RevisionID(u.ID))
	must(t, err)
	if !strings.EqualFold(revision.Owner, approval.Facts["owner"]) {
		t.Errorf("owner of the revision = %q", revision.Owner)
	}
}

func TestHistoryKeepsWhatTheGuestSaidToItself(t *testing.T) {
	h := newHarness(t)
	cvm := h.create("my-app", api.KMSPhala)
	h.node.refuseApply = errors.New("disk full: password=hunter2")
	out, err := h.service.UpdateCompose(t.Context(), h.alice, cvm.Row.HashID, ComposeUpdate{YAML: yamlNumber(28)})
	must(t, err)
	for range 50 {
		step, err := h.service.Advance(t.Context(), out.Accepted.Update.ID)
		must(t, err)
		h.node.tick()
		h.clock.advance(step.Wait)
		if u, err := h.store.Read().GetUpdate(t.Context(), out.Accepted.Update.ID); err != nil || u.State == column.RollingBack {
			must(t, err)
			break
		}
		h.clock.advance(h.service.timeouts.Healthy)
	}
	h.node.refuseApply = nil
	if u := h.settle(out.Accepted.Update.ID); u.State != column.RolledBack || !strings.Contains(u.Error, "hunter2") {
		t.Fatalf("update is %s with error %q", u.State, u.Error)
	}
	entries := h.chronicle(cvm.Row.AppID)
	text, _ := json.Marshal(entries)
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("a history that may be public has the words of the node: %s", text)
	}
	i := slices.IndexFunc(entries, func(e api.HistoryEntry) bool { return e.Facts["to"] == "rolling_back" })
	if i < 0 || len(entries[i].Facts["error_sha256"]) != 64 {
		t.Errorf("no hash of the error in %s", text)
	}
}

func TestWhoMaySeeAHistory(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvm := h.create("my-app", api.KMSPhala)
	app := cvm.Row.AppID
	reader, writer := h.alice, h.alice
	reader.Scopes, writer.Scopes = []Scope{ScopeRead}, []Scope{ScopeUpdate}
	yes, no := true, false
	see := func(p *Principal) error { _, err := h.service.History(ctx, p, app, 0, 10); return err }

	wantKind(t, see(nil), problem.KindUnauthenticated)
	wantKind(t, see(&h.bob), problem.KindNotFound)
	must(t, see(&reader))
	_, err := h.service.History(ctx, nil, strings.Repeat("0", 40), 0, 10)
	wantKind(t, err, problem.KindUnauthenticated) // the same as for one that is there
	_, err = h.service.SetHistory(ctx, h.bob, app, api.HistorySettings{Public: &yes})
	wantKind(t, err, problem.KindNotFound)
	_, err = h.service.SetHistory(ctx, writer, app, api.HistorySettings{Public: &yes})
	wantKind(t, err, problem.KindForbidden)
	_, err = h.service.SetHistory(ctx, h.alice, app, api.HistorySettings{})
	wantKind(t, err, problem.KindInvalid)
	for range 2 {
		shown, err := h.service.SetHistory(ctx, h.alice, app, api.HistorySettings{Public: &yes})
		must(t, err)
		if !shown.Public || len(shown.Entries) != 0 {
			t.Errorf("after setting: %+v", shown)
		}
	}
	must(t, see(nil))
	must(t, see(&h.bob))
	_, err = h.service.SetHistory(ctx, h.alice, app, api.HistorySettings{Public: &no})
	must(t, err)
	wantKind(t, see(nil), problem.KindUnauthenticated)
	wantLines(t, h.chronicle(app)[6:], "refusal setting forbidden", "setting", "setting")
}

func TestRefusalsOfKeysThatMayNot(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvm := h.create("my-app", api.KMSPhala)
	reader := h.alice
	reader.Scopes = []Scope{ScopeRead}
	_, err := h.service.UpdateCompose(ctx, reader, cvm.Row.HashID, ComposeUpdate{YAML: yamlNumber(28)})
	wantKind(t, err, problem.KindForbidden)
	_, err = h.service.StartRollout(ctx, reader, cvm.Row.AppID, api.RolloutRequest{RevisionID: cvm.Row.RevisionID})
	wantKind(t, err, problem.KindForbidden)
	_, err = h.service.Replicate(ctx, reader, cvm.Row.HashID, api.ReplicateRequest{}, false)
	wantKind(t, err, problem.KindForbidden)
	_, err = h.service.UpdateCompose(ctx, reader, "nobody", ComposeUpdate{YAML: yamlNumber(28)})
	wantKind(t, err, problem.KindForbidden)
	_, err = h.service.UpdateCompose(ctx, h.bob, cvm.Row.HashID, ComposeUpdate{YAML: yamlNumber(28)})
	wantKind(t, err, problem.KindNotFound) // a stranger leaves no trace
	wantLines(t, h.chronicle(cvm.Row.AppID)[6:], "refusal update forbidden", "refusal rollout forbidden", "refusal replica forbidden")
}

// TestManyWritersOfOneHistory lets requests for many CVMs of one app at once write its history.
func TestManyWritersOfOneHistory(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvms := []*CVM{h.create("my-app", api.KMSPhala)}
	for range 7 {
		replica, err := h.service.Replicate(ctx, h.alice, cvms[0].Row.HashID, api.ReplicateRequest{}, false)
		must(t, err)
		h.settle(replica.Row.ActiveUpdateID)
		cvms = append(cvms, replica)
	}
	before := len(h.chronicle(cvms[0].Row.AppID))
	var all sync.WaitGroup
	for i, cvm := range cvms {
		for n := range 4 {
			all.Go(func() {
				_, err := h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, ComposeUpdate{YAML: yamlNumber(30 + n)})
				if err != nil && !problem.Is(err, problem.KindBusy) {
					t.Errorf("CVM %d: %v", i, err)
				}
			})
		}
	}
	all.Wait()
	entries := h.chronicle(cvms[0].Row.AppID)[before:]
	approved := 0
	for _, e := range entries {
		if e.Kind == history.KindApproval {
			approved++
		}
	}
	if approved != len(cvms) {
		t.Errorf("%d approvals in the history of %d updates at once", approved, len(cvms))
	}
}

// TestStepsOfAnOlderProgramAreRecordedLate takes the entries of steps away, as if a program had written them
// that knew of no history.
func TestStepsOfAnOlderProgramAreRecordedLate(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvm := h.create("my-app", api.KMSPhala)
	other := h.create("other-app", api.KMSPhala)
	for _, statement := range []string{
		`UPDATE update_events SET history_seq = 0`, `DELETE FROM history_entries`, `DELETE FROM histories`,
	} {
		_, err := h.store.WriteDB().ExecContext(ctx, statement)
		must(t, err)
	}
	for range 2 {
		must(t, h.service.Sweep(ctx))
	}
	for _, app := range []string{cvm.Row.AppID, other.Row.AppID} {
		entries := h.chronicle(app)
		wantLines(t, entries, "update >proposed", "approval proposed>approved", "update approved>rolling_out", "update rolling_out>verifying", "update verifying>succeeded")
		if entries[0].Facts["recorded_late"] == "" {
			t.Errorf("the entry does not say that it is late: %+v", entries[0])
		}
	}
}

func TestHistoryOfARollout(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvm := h.create("my-app", api.KMSPhala)
	ready := 0
	rollout, err := h.service.StartRollout(ctx, h.alice, cvm.Row.AppID, api.RolloutRequest{RevisionID: cvm.Row.RevisionID, MinReady: &ready})
	must(t, err)
	for range 20 {
		step, err := h.service.AdvanceRollout(ctx, rollout.Row.ID)
		must(t, err)
		if step.Done {
			break
		}
	}
	entries := h.chronicle(cvm.Row.AppID)[6:]
	wantLines(t, entries, "rollout >running", "rollout running>succeeded")
	if entries[0].Operation != rollout.Row.ID || entries[0].Actor != h.alice.KeyID {
		t.Errorf("the entry of a rollout: %+v", entries[0])
	}
}

// BenchmarkEnter compares a transaction that writes one row with one that also writes an entry: what an entry
// costs is the difference, since both wait for the disk.
func BenchmarkEnter(b *testing.B) {
	h := newHarness(b)
	cvm := h.create("my-app", api.KMSPhala)
	e := h.service.stepEntry(&store.Update{ID: "upd_1", Kind: column.KindUpdate}, &cvm.Row, column.Proposed, move{to: column.Approved, reason: "accepted"})
	ctx := b.Context()
	for _, entries := range []int{0, 1} {
		b.Run(fmt.Sprintf("%d entries", entries), func(b *testing.B) {
			nonce := int64(0)
			for b.Loop() {
				nonce++
				must(b, h.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
					for range entries {
						if _, err := h.service.enter(ctx, tx, cvm.Row.AppID, h.clock.Now(), e); err != nil {
							return err
						}
					}
					return tx.SetWorkspaceNonce(ctx, h.alice.Workspace.ID, nonce)
				}))
			}
		})
	}
}
