package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// leftAlone reports whether the CVM of a target was moved elsewhere since the rollout left it.
func leftAlone(t *store.RolloutTarget, row *store.CVM) bool {
	if t.Moved {
		return row.RevisionID != RevisionID(t.UpdateID)
	}
	return row.RevisionID != t.FromRevisionID
}

// start begins the update of a CVM, in the transaction that says so in the rollout. One that has the document
// needs none, unless it went down.
func (f *fleetStep) start(ctx context.Context, tx *store.Tx, t *store.RolloutTarget, owner string, exited bool) error {
	row, err := tx.GetCVM(ctx, t.CVMID)
	if errors.Is(err, store.ErrNotFound) || (err == nil && row.ActiveUpdateID != "") {
		return errStale // since it was looked at
	}
	if err != nil {
		return err
	}
	t.FromRevisionID = row.RevisionID
	if row.RevisionID != "" && row.Status != StatusError && !exited {
		revision, err := tx.GetRevision(ctx, row.RevisionID)
		if err != nil {
			return fmt.Errorf("revision %s: %w", row.RevisionID, err)
		}
		if revision.ComposeHash == f.row.ComposeHash {
			t.State, t.Reason = column.TargetDone, "runs the document already"
			return nil
		}
	}
	m := move{to: column.Approved, actor: f.row.CreatedBy, tx: f.row.TxHash, block: f.block, owner: owner, reason: "approved; part of rollout " + f.row.ID}
	u, err := f.begin(ctx, tx, &row, f.row.ComposeHash, m)
	if err != nil {
		return err
	}
	t.State, t.UpdateID, t.Reason = column.TargetUpdating, u.ID, "its update is under way"
	return nil
}

// revert begins the way back of a CVM.
func (f *fleetStep) revert(ctx context.Context, tx *store.Tx, t *store.RolloutTarget, owner string) error {
	row, err := tx.GetCVM(ctx, t.CVMID)
	if errors.Is(err, store.ErrNotFound) || (err == nil && (row.ActiveUpdateID != "" || leftAlone(t, &row))) {
		return errStale
	}
	if err != nil {
		return err
	}
	previous, err := tx.GetRevision(ctx, t.FromRevisionID)
	if err != nil {
		return fmt.Errorf("revision %s: %w", t.FromRevisionID, err)
	}
	m := move{to: column.Approved, actor: f.row.CreatedBy, owner: owner, reason: "goes back; rollout " + f.row.ID + " was undone"}
	u, err := f.begin(ctx, tx, &row, previous.ComposeHash, m)
	if err != nil {
		return err
	}
	t.State, t.RevertID, t.Reason = column.TargetReverting, u.ID, "goes back to what it ran before"
	return nil
}

// begin opens an approved update of a CVM in the name of who started the rollout.
func (f *fleetStep) begin(ctx context.Context, tx *store.Tx, row *store.CVM, hash appcompose.ComposeHash, m move) (*store.Update, error) {
	return f.beginUpdate(ctx, tx, row, hash, f.row.CreatedBy, m)
}

// giveUp cancels an update that has not touched its CVM, if it still is where it was when it was looked at:
// it may have gone on since, or its owner approved it again.
func (f *fleetStep) giveUp(ctx context.Context, tx *store.Tx, looked store.Update) error {
	u, err := tx.GetUpdate(ctx, looked.ID)
	if err != nil {
		return err
	}
	if u.State != looked.State {
		return errStale
	}
	row, err := tx.GetAnyCVM(ctx, u.CVMID)
	if err != nil {
		return err
	}
	return f.apply(ctx, tx, &u, &row, move{to: column.Cancelled, reason: "given up by rollout " + f.row.ID})
}
