package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// enter appends an entry to the history of an app, in the transaction of what it records. It comes before
// the other writes of a transaction: writers of one app take turns at its head, and whoever held other rows
// by then could wait for somebody who waits for him.
func (s *Service) enter(ctx context.Context, tx *store.Tx, appID string, at time.Time, e api.HistoryEntry) (seq int64, err error) {
	head, err := tx.NextHistorySeq(ctx, appID, history.NoHash)
	if err != nil {
		return 0, fmt.Errorf("head of the history of %s: %w", appID, err)
	}
	e.Time = history.Time(at)
	if e.Actor == "" {
		e.Actor = lockstep
	}
	for name, value := range e.Facts {
		if value == "" {
			delete(e.Facts, name)
			continue
		}
		e.Facts[name] = strings.ToValidUTF8(value, "\uFFFD") // what a node says may be anything
	}
	_, b, err := history.Append(appID, api.HistoryHead{Seq: uint64(head.Seq) - 1, Hash: head.Hash}, &e)
	if err != nil {
		return 0, err
	}
	if err := tx.InsertHistoryEntry(ctx, store.InsertHistoryEntryParams{AppID: appID, Seq: head.Seq, Hash: e.Hash, Bytes: b}); err != nil {
		return 0, fmt.Errorf("entry %d in the history of %s: %w", head.Seq, appID, err)
	}
	return head.Seq, tx.SetHistoryHead(ctx, appID, e.Hash)
}

// enterStep records that an update changed its state.
func (s *Service) enterStep(ctx context.Context, tx *store.Tx, u *store.Update, cvm *store.CVM, from column.UpdateState, m move, now column.Time) (int64, error) {
	return s.enter(ctx, tx, cvm.AppID, now.Time, s.stepEntry(u, cvm, from, m))
}

// stepEntry is the entry of a step. What went wrong with a revision may have log lines of the app in it, and a
// history may be public, so only its hash is there: who has the text can prove that it is the one.
func (s *Service) stepEntry(u *store.Update, cvm *store.CVM, from column.UpdateState, m move) api.HistoryEntry {
	e := api.HistoryEntry{Kind: history.KindUpdate, Actor: m.actor, CVM: cvm.VMUUID, Operation: u.ID, Facts: map[string]string{
		"kind": string(u.Kind), "from": string(from), "to": string(m.to), "reason": m.reason,
		"compose_hash": u.ComposeHash.String(), "correlation_id": u.CorrelationID,
	}}
	if m.err != "" {
		e.Facts["error_sha256"] = hashText(m.err)
	}
	if m.to == column.Approved {
		e.Kind = history.KindApproval
		s.addApproval(e.Facts, cvm, m.tx, m.block, m.owner)
	}
	return e
}

// addApproval adds what is known of an approval on chain.
func (s *Service) addApproval(facts map[string]string, cvm *store.CVM, tx string, block int64, owner string) {
	service, err := s.catalog.kmsOf(cvm.KMSID)
	if err != nil || !service.OnChain() {
		return // a KMS that is not configured any more cannot say which chain it was
	}
	facts["chain_id"] = strconv.FormatInt(service.Chain.ID, 10)
	facts["contract"] = appAddress(cvm.AppID).Hex()
	facts["owner"] = owner
	if !api.NoReceipt(tx) {
		facts["transaction"] = tx
	}
	if block > 0 {
		facts["block"] = strconv.FormatInt(block, 10)
	}
}

// enterDepth records that an approval was seen, or lost again, without a change of state.
func (s *Service) enterDepth(ctx context.Context, tx *store.Tx, kind string, u *store.Update, cvm *store.CVM, actor, transaction, reason string) error {
	facts := map[string]string{"compose_hash": u.ComposeHash.String(), "correlation_id": u.CorrelationID, "reason": reason}
	s.addApproval(facts, cvm, transaction, 0, "")
	_, err := s.enter(ctx, tx, cvm.AppID, s.clock.Now(), api.HistoryEntry{Kind: kind, Actor: actor, CVM: cvm.VMUUID, Operation: u.ID, Facts: facts})
	return err
}

// enterRollout records that a fleet rollout began or changed its state.
func (s *Service) enterRollout(ctx context.Context, tx *store.Tx, row *store.Rollout, from column.RolloutState, to column.RolloutState, reason, actor string, now column.Time) error {
	_, err := s.enter(ctx, tx, row.AppID, now.Time, api.HistoryEntry{Kind: history.KindRollout, Actor: actor, Operation: row.ID, Facts: map[string]string{
		"from": string(from), "to": string(to), "reason": reason, "compose_hash": row.ComposeHash.String(),
		"strategy": string(row.Strategy), "transaction": row.TxHash,
	}})
	return err
}

// enterPower records that a power operation began or changed its state.
func (s *Service) enterPower(ctx context.Context, tx *store.Tx, op *store.PowerOperation, cvm *store.CVM, m powerMove, now column.Time) error {
	facts := map[string]string{
		"kind": string(op.Kind), "from": string(op.State), "to": string(m.to), "reason": m.reason, "correlation_id": op.CorrelationID,
	}
	if m.err != "" {
		delete(facts, "reason") // it may have log lines of the app in it
		facts["error_sha256"] = hashText(m.err)
	}
	_, err := s.enter(ctx, tx, cvm.AppID, now.Time, api.HistoryEntry{Kind: history.KindPower, Actor: m.actor, CVM: cvm.VMUUID, Operation: op.ID, Facts: facts})
	return err
}

// hashText stands in a history for a text that is not for everybody: who has it can prove that it is the one.
func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// enterCVM records that a CVM was created.
func (s *Service) enterCVM(ctx context.Context, tx *store.Tx, cvm *store.InsertCVMParams, hash string) error {
	facts := map[string]string{"cvm_id": cvm.HashID, "compose_hash": hash, "image": cvm.Image, "instance_type": cvm.InstanceType}
	if node, err := s.catalog.node(cvm.NodeID); err == nil {
		facts["device_id"] = hashHex(node.DeviceID)
	}
	_, err := s.enter(ctx, tx, cvm.AppID, cvm.CreatedAt.Time, api.HistoryEntry{Kind: history.KindCVM, Actor: cvm.CreatedBy, CVM: cvm.VMUUID, Facts: facts})
	return err
}

// attempt is a request to change something, for the record of its refusal.
type attempt struct {
	what        string // update, redeploy, rollout, replica, create, setting
	appID       string
	cvm         string // vm_uuid, when it is about one
	composeHash string // as far as they are known
	transaction string
}

// refused records why a request to change something was turned down, and returns err as it is. Only what was
// sent to an app of the caller's workspace comes here: a stranger cannot write into a history.
func (s *Service) refused(ctx context.Context, p Principal, a attempt, err error) error {
	refusal, ok := errors.AsType[*problem.Error](err)
	if !ok || !recorded(refusal.Kind) || s.repeated(p, a, refusal) {
		return err
	}
	facts := map[string]string{
		"request": a.what, "refusal": string(refusal.Kind), "code": string(refusal.Code), "reason": refusal.Message,
		"compose_hash": clipFact(a.composeHash), "transaction": clipFact(a.transaction),
	}
	// The answer is given also to a client that has gone: what it tried is what counts.
	werr := s.store.Write(context.WithoutCancel(ctx), func(ctx context.Context, tx *store.Tx) error {
		_, err := s.enter(ctx, tx, a.appID, s.clock.Now(), api.HistoryEntry{Kind: history.KindRefusal, Actor: p.KeyID, CVM: a.cvm, Facts: facts})
		return err
	})
	if werr != nil {
		s.log.ErrorContext(ctx, "a refusal was not recorded", "app", a.appID, "request", a.what, "refusal", refusal.Kind, "error", werr)
	}
	return err
}

// recorded tells which refusals belong into a history: those that protect what runs, not mistakes in the form
// of a request and not outages.
func recorded(kind problem.Kind) bool {
	switch kind {
	case problem.KindForbidden, problem.KindBusy, problem.KindConflict, problem.KindHashInvalid, problem.KindTxUnverified, problem.KindHashNotAllowed:
		return true
	default:
		return false
	}
}

// refusalInterval is how long the same refusal of the same key is one entry: clients repeat a request by
// themselves while the CVM is busy, and a history must not grow with their patience.
const refusalInterval = time.Minute

func (s *Service) repeated(p Principal, a attempt, refusal *problem.Error) bool {
	key := strings.Join([]string{p.KeyID, a.what, a.appID, a.cvm, a.composeHash, a.transaction, string(refusal.Kind), refusal.Message}, "\x00")
	now := s.clock.Now()
	if last, ok := s.refusals.Get(key); ok && now.Before(last.Add(refusalInterval)) {
		return true
	}
	s.refusals.Add(key, now)
	return false
}

// clipFact bounds what a history repeats of a request.
func clipFact(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most]
	}
	return s
}

// recordLate makes entries for steps that an older program wrote, which knew of no history. They say so, and
// when the step was.
func (s *Service) recordLate(ctx context.Context) error {
	const most = 500
	for {
		late, err := s.store.Read().ListUnrecordedEvents(ctx, most)
		if err != nil {
			return fmt.Errorf("steps without an entry: %w", err)
		}
		for _, row := range late {
			if err := s.recordOne(ctx, &row); err != nil && !errors.Is(err, errStale) {
				return fmt.Errorf("record step %d of update %s: %w", row.UpdateEvent.Seq, row.UpdateEvent.UpdateID, err)
			}
		}
		if len(late) < most {
			return nil
		}
	}
}

func (s *Service) recordOne(ctx context.Context, row *store.UnrecordedEvent) error {
	step := &row.UpdateEvent
	m := move{to: step.ToState, reason: step.Reason, actor: step.Actor}
	if m.to == column.Approved {
		m.tx, m.block = row.Update.TxHash, row.Update.BlockNumber
	}
	e := s.stepEntry(&row.Update, &row.CVM, step.FromState, m)
	e.Facts["recorded_late"] = history.Time(s.clock.Now())
	return s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		seq, err := s.enter(ctx, tx, row.CVM.AppID, step.CreatedAt.Time, e)
		if err != nil {
			return err
		}
		changed, err := tx.SetEventRecorded(ctx, step.UpdateID, step.Seq, seq)
		if err == nil && changed == 0 {
			return errStale // another process was first
		}
		return err
	})
}
