package control

import (
	"context"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// beginUpdate opens an approved update of a CVM to a document that is known. A proposal that waits for its
// owner is taken up when it is for the same document, and superseded otherwise.
func (s *Service) beginUpdate(ctx context.Context, tx *store.Tx, row *store.CVM, hash appcompose.ComposeHash, createdBy string, m move) (*store.Update, error) {
	candidate, err := openCandidate(ctx, tx, row.ID)
	if err != nil {
		return nil, err
	}
	if candidate != nil && candidate.ComposeHash == hash && candidate.FromRevisionID == row.RevisionID {
		if err := s.apply(ctx, tx, candidate, row, m); err != nil {
			return nil, err
		}
		return candidate, s.queue.EnqueueAdvance(ctx, tx, candidate.ID)
	}
	u, err := s.newUpdate(row, hash, createdBy)
	if err != nil {
		return nil, err
	}
	if candidate != nil {
		if err := s.apply(ctx, tx, candidate, row, move{to: column.Superseded, actor: m.actor, reason: "superseded by " + u.ID}); err != nil {
			return nil, err
		}
	}
	return u, s.open(ctx, tx, u, row, m)
}

// newUpdate is an update of a CVM that has not been written yet.
func (s *Service) newUpdate(row *store.CVM, hash appcompose.ComposeHash, createdBy string) (*store.Update, error) {
	id, err := s.newID("upd_")
	if err != nil {
		return nil, err
	}
	correlation, err := s.newUUID()
	if err != nil {
		return nil, err
	}
	now := column.At(s.clock.Now())
	return &store.Update{
		ID: id, CVMID: row.ID, Kind: column.KindUpdate, State: column.Proposed, CorrelationID: correlation, ComposeHash: hash,
		FromRevisionID: row.RevisionID, CreatedBy: createdBy, CreatedAt: now,
		ExpiresAt: column.At(now.Add(s.timeouts.Candidate)), StateSince: now, Version: 1, AllowForceStop: true,
	}, nil
}
