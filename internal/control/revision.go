package control

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// RevisionID is the id of the revision that an update makes: one update, one revision.
func RevisionID(updateID string) string { return "rev_" + strings.TrimPrefix(updateID, "upd_") }

// insertRevision keeps what an accepted update is about. An update that was put back and approved again
// has its revision already.
func (s *Service) insertRevision(ctx context.Context, tx *store.Tx, u *store.Update, cvm *store.CVM, owner string, now column.Time) error {
	return tx.InsertRevision(ctx, store.InsertRevisionParams{
		ID: RevisionID(u.ID), AppID: cvm.AppID, CVMID: cvm.ID, UpdateID: u.ID, ComposeHash: u.ComposeHash,
		OperationType: string(u.Kind), CreatedBy: u.CreatedBy, TxHash: transactionOf(u), BlockNumber: u.BlockNumber, CreatedAt: now, Owner: owner,
	})
}

// IsAccepted reports whether the platform accepted this document for the app. It is what an off-chain
// KMS asks before it lets a CVM boot.
func IsAccepted(ctx context.Context, db *store.Store, appID [20]byte, hash [32]byte) (bool, error) {
	accepted, err := db.Read().IsHashAccepted(ctx, hex.EncodeToString(appID[:]), appcompose.ComposeHash(hash))
	if err != nil {
		return false, fmt.Errorf("look up document %x: %w", hash, err)
	}
	return accepted, nil
}

// hashHex is a hash in the form of the API: 64 hex digits without 0x.
func hashHex(h common.Hash) string { return hex.EncodeToString(h[:]) }
