package control

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lockstep-cvm/lockstep/internal/lease"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// transitions is the state machine of an update: from each state, where it may go. The same machine is
// drawn in docs/architecture.md; a test compares the two.
var transitions = map[column.UpdateState][]column.UpdateState{
	column.Proposed: {
		column.AwaitingApproval, // on-chain KMS: phase 1 answered 465
		column.Approved,         // off-chain KMS: the API key's owner is the owner
		column.Succeeded,        // the document is what runs already
		column.Cancelled,
	},
	column.AwaitingApproval: {
		column.Approved,
		column.Expired,
		column.Superseded,
		column.Cancelled,
	},
	column.Approved: {
		column.RollingOut,
		column.AwaitingApproval, // a reorg or a removal took the approval away; nothing was stopped
		column.Failed,           // the same, or a cancel, for a CVM's first boot, which has nothing to go back to
		column.RollingBack,      // the node cannot get ready for it; nothing was stopped
		column.Cancelled,        // by a person, or because it came no further in time
	},
	column.RollingOut:  {column.Verifying, column.RollingBack}, // a cancel goes back too
	column.Verifying:   {column.Succeeded, column.RollingBack},
	column.RollingBack: {column.RolledBack, column.Failed},
}

// CanMove reports whether an update may go from one state to another.
func CanMove(from, to column.UpdateState) bool { return slices.Contains(transitions[from], to) }

// lockstep is the actor of what the server does by itself.
const lockstep = "lockstep"

// move is a change of an update's state.
type move struct {
	to     column.UpdateState
	reason string // why; shown to people
	actor  string // API key id; empty for the server itself
	tx     string // approval transaction, when it changes
	block  int64
	owner  string // of the app's contract at that moment, with 0x; empty when not known
	err    string // what went wrong with the new revision

	cancelledBy string // API key id of who cancelled it
}

// errStale says that somebody else moved the update since it was read. The caller reads again.
var errStale = fmt.Errorf("control: update was changed by another process")

// apply moves an update inside tx: its row, its history and what follows for its CVM. The update is
// changed in place to what was written.
func (s *Service) apply(ctx context.Context, tx *store.Tx, u *store.Update, cvm *store.CVM, m move) error {
	if !CanMove(u.State, m.to) {
		return fmt.Errorf("control: update %s cannot go from %s to %s", u.ID, u.State, m.to)
	}
	now := column.At(s.clock.Now())
	from := u.State
	next := *u
	next.State, next.Reason, next.StateSince = m.to, m.reason, now
	if m.tx != "" {
		next.TxHash, next.BlockNumber = m.tx, m.block
	}
	if m.to == column.AwaitingApproval {
		next.TxHash, next.BlockNumber = "", 0 // what was proven does not hold any more
	}
	if m.err != "" {
		next.Error = m.err
	}
	if m.cancelledBy != "" {
		next.CancelledBy = m.cancelledBy
	}
	taken(&next, cvm, now)
	if m.to.Final() {
		next.FinishedAt = &now
	}
	entry, err := s.enterStep(ctx, tx, u, cvm, from, m, now)
	if err != nil {
		return err
	}
	changed, err := tx.SetUpdateState(ctx, store.SetUpdateStateParams{
		ID: u.ID, Version: u.Version, State: next.State, Reason: next.Reason, TxHash: next.TxHash,
		BlockNumber: next.BlockNumber, Error: next.Error, StateSince: now, FinishedAt: next.FinishedAt,
		ApprovedAt: next.ApprovedAt, RestingStatus: next.RestingStatus, CancelledBy: next.CancelledBy,
	})
	if err != nil {
		return err
	}
	if changed == 0 {
		return errStale
	}
	next.Version++
	if err := s.record(ctx, tx, u.ID, from, m, now, entry); err != nil {
		return err
	}
	if err := s.follow(ctx, tx, &next, cvm, m.owner, now); err != nil {
		return err
	}
	if err := s.wakeRollout(ctx, tx, &next); err != nil {
		return err
	}
	*u = next
	return nil
}

// record writes a step of an update; entry is the number of what records it in the history of the app.
func (s *Service) record(ctx context.Context, tx *store.Tx, id string, from column.UpdateState, m move, now column.Time, entry int64) error {
	actor := m.actor
	if actor == "" {
		actor = lockstep
	}
	return tx.InsertUpdateEvent(ctx, store.InsertUpdateEventParams{
		UpdateID: id, FromState: from, ToState: m.to, Reason: m.reason, Actor: actor, CreatedAt: now, HistorySeq: entry,
	})
}

// follow writes what a new state of an update means for its CVM, and the job that goes on from there.
func (s *Service) follow(ctx context.Context, tx *store.Tx, u *store.Update, cvm *store.CVM, owner string, now column.Time) error {
	before := *cvm
	switch u.State {
	case column.Approved:
		cvm.ActiveUpdateID, cvm.Status = u.ID, statusWhileRolling(u.Kind)
		if err := s.insertRevision(ctx, tx, u, cvm, owner, now); err != nil {
			return err
		}
	case column.Succeeded:
		if cvm.ActiveUpdateID == u.ID { // else the document ran already and nothing was done
			cvm.ActiveUpdateID, cvm.Status, cvm.RevisionID = "", StatusRunning, RevisionID(u.ID)
		}
	case column.RolledBack:
		cvm.ActiveUpdateID, cvm.Status = "", StatusRunning
	case column.Failed:
		cvm.ActiveUpdateID, cvm.Status = "", StatusError
	case column.AwaitingApproval, column.Cancelled, column.Expired, column.Superseded:
		if cvm.ActiveUpdateID == u.ID { // it had been accepted; the CVM was never touched
			status, err := restingStatus(ctx, tx, u)
			if err != nil {
				return err
			}
			cvm.ActiveUpdateID, cvm.Status = "", status
		}
	case column.Proposed, column.RollingOut, column.Verifying, column.RollingBack:
	}
	if cvm.ActiveUpdateID == "" && before.ActiveUpdateID == u.ID {
		if err := s.handOver(ctx, tx, cvm); err != nil {
			return err
		}
	}
	if cvm.ActiveUpdateID == before.ActiveUpdateID && cvm.Status == before.Status &&
		cvm.RevisionID == before.RevisionID && cvm.InstanceID == before.InstanceID {
		return nil
	}
	return setCVM(ctx, tx, cvm, now)
}

// setCVM writes what an operation changes of its CVM.
func setCVM(ctx context.Context, tx *store.Tx, cvm *store.CVM, now column.Time) error {
	cvm.UpdatedAt = now
	return tx.SetCVMState(ctx, store.SetCVMStateParams{
		ID: cvm.ID, Status: cvm.Status, ActiveUpdateID: cvm.ActiveUpdateID, RevisionID: cvm.RevisionID,
		InstanceID: cvm.InstanceID, UpdatedAt: now,
	})
}

// taken notes in an update that is approved since when, and what it found when it takes the CVM.
func taken(u *store.Update, cvm *store.CVM, now column.Time) {
	if u.State != column.Approved {
		return
	}
	u.ApprovedAt = now
	if cvm.ActiveUpdateID != u.ID {
		u.RestingStatus = cvm.Status
	}
}

// restingStatus is the status of a CVM when an update lets it go untouched: that in which it was found. One
// that an older program began has not noted it; then the last rollout tells.
func restingStatus(ctx context.Context, tx *store.Tx, u *store.Update) (string, error) {
	if u.RestingStatus != "" {
		return u.RestingStatus, nil
	}
	outcome, err := tx.LastOutcome(ctx, u.CVMID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	if outcome == column.Failed {
		return StatusError, nil
	}
	return StatusRunning, nil
}

// transition moves an update in a transaction of its own and tells who watches the CVM. It enqueues
// nothing: the job that calls it goes on until the update is final.
func (s *Service) transition(ctx context.Context, u *store.Update, cvm *store.CVM, m move) error {
	if err := lease.Check(ctx); err != nil {
		return err // what was seen may be old
	}
	var moved store.Update
	var row store.CVM
	err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		moved, row = *u, *cvm // the write may be carried out again
		return s.apply(ctx, tx, &moved, &row, m)
	})
	if err != nil {
		return err
	}
	*u, *cvm = moved, row
	s.log.InfoContext(ctx, "update moved", "update", u.ID, "cvm", cvm.HashID, "correlation_id", u.CorrelationID,
		"state", u.State, "reason", u.Reason, "compose_hash", u.ComposeHash.String())
	s.events.Publish(cvm.ID)
	s.observe(ctx, u)
	return nil
}

// note writes what an update waits for, so that no wait is without a reason a person can read.
func (s *Service) note(ctx context.Context, u *store.Update, cvm *store.CVM, reason string) error {
	if u.Reason == reason {
		return nil
	}
	if err := lease.Check(ctx); err != nil {
		return err
	}
	next := *u
	next.Reason = reason
	err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		changed, err := tx.SetUpdateNote(ctx, store.SetUpdateNoteParams{
			ID: u.ID, Version: u.Version, Reason: reason, TxHash: u.TxHash, ExpiresAt: u.ExpiresAt,
		})
		if err == nil && changed == 0 {
			return errStale
		}
		return err
	})
	if err != nil {
		return err
	}
	next.Version++
	*u = next
	s.events.Publish(cvm.ID)
	return nil
}
