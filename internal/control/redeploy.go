package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// Redeployed is the update that takes one CVM to a revision, or says that it runs it already.
type Redeployed struct {
	CVM store.CVM
	Accepted
}

// Redeploy is POST /cvms/{id}/revisions/{revision_id}/redeploy: the CVM is updated to exactly the bytes of a
// revision of its app, its own or another CVM's. What its contract still allows needs no new transaction;
// anything else is a 465 that says what the owner has to register. The environment stays what it is.
func (s *Service) Redeploy(ctx context.Context, p Principal, identifier, revisionID, transaction string) (Redeployed, error) {
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return Redeployed{}, cmp.Or(p.Require(ScopeUpdate), err)
	}
	app, err := s.store.Read().GetApp(ctx, row.AppID)
	if err != nil {
		return Redeployed{}, fmt.Errorf("app %s: %w", row.AppID, err)
	}
	done, err := s.redeploy(ctx, p, app, []store.CVM{row}, revisionID, transaction)
	if err != nil {
		return Redeployed{}, s.refused(ctx, p, attempt{what: "redeploy " + clipFact(revisionID), appID: row.AppID, cvm: row.VMUUID, transaction: transaction}, err)
	}
	return done[0], nil
}

// RedeployApp is POST /apps/{app_id}/revisions/{revision_id}/redeploy: the same for the CVMs named, which may
// be left out when the app has one. All begin, or none.
func (s *Service) RedeployApp(ctx context.Context, p Principal, appID, revisionID, transaction string, vmUUIDs []string) ([]Redeployed, error) {
	app, err := s.ownApp(ctx, p, appID)
	if err != nil {
		return nil, cmp.Or(p.Require(ScopeUpdate), err)
	}
	done, err := s.redeployChosen(ctx, p, app, revisionID, transaction, vmUUIDs)
	return done, s.refused(ctx, p, attempt{what: "redeploy " + clipFact(revisionID), appID: app.AppID, transaction: transaction}, err)
}

func (s *Service) redeployChosen(ctx context.Context, p Principal, app store.App, revisionID, transaction string, vmUUIDs []string) ([]Redeployed, error) {
	if err := p.Require(ScopeUpdate); err != nil {
		return nil, err
	}
	rows, err := s.chosenCVMs(ctx, p, app, vmUUIDs)
	if err != nil {
		return nil, err
	}
	if len(vmUUIDs) == 0 && len(rows) > 1 {
		all := make([]string, len(rows))
		for i, row := range rows {
			all[i] = row.VMUUID
		}
		return nil, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "the app has %d CVMs, so vm_uuids has to name those that are meant", len(rows)).
			With("vm_uuids", []string{}, "some of the CVMs of the app").With("cvms", all, "").
			Suggest("To go through all of them in batches, start a rollout with POST /apps/%s/rollouts.", app.AppID)
	}
	return s.redeploy(ctx, p, app, rows, revisionID, transaction)
}

func (s *Service) redeploy(ctx context.Context, p Principal, app store.App, rows []store.CVM, revisionID, transaction string) ([]Redeployed, error) {
	if err := p.Require(ScopeUpdate); err != nil {
		return nil, err
	}
	if ids, ok := madeBefore(p); ok {
		return s.redeployedBefore(ctx, strings.Split(ids, ","))
	}
	revision, err := s.revisionOf(ctx, app.AppID, revisionID)
	if err != nil {
		return nil, err
	}
	if _, err := s.document(ctx, s.store.Read(), revision.ComposeHash); err != nil {
		return nil, err // bytes that are not those of their hash must not be rolled out
	}
	txHash, err := parseTransaction(transaction)
	if err != nil {
		return nil, err
	}
	found, err := s.proveRevision(ctx, app, rows, revision, txHash)
	if err != nil {
		return nil, err
	}
	var done []Redeployed
	err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		done = done[:0]
		var ids []string
		for _, row := range rows {
			one, err := s.redeployOne(ctx, tx, p, row.ID, revision, found)
			if err != nil {
				return err
			}
			done = append(done, one)
			ids = append(ids, one.Update.ID)
		}
		return made(ctx, tx, p, strings.Join(ids, ","))
	})
	if errors.Is(err, store.ErrDuplicate) || errors.Is(err, errStale) {
		return nil, busy().Because(err) // another request for one of the CVMs was first
	}
	if err != nil {
		return nil, fmt.Errorf("redeploy revision %s: %w", revision.ID, err)
	}
	for _, one := range done {
		s.events.Publish(one.CVM.ID)
		tell(ctx, tracedUpdate(&one.Update, &one.CVM)) // of several the last one remains
		s.log.InfoContext(ctx, "revision redeployed", "revision", revision.ID, "cvm", one.CVM.HashID, "update", one.Update.ID,
			"correlation_id", one.Update.CorrelationID, "compose_hash", revision.ComposeHash.String(), "unchanged", one.Unchanged)
	}
	return done, nil
}

// redeployedBefore is what an earlier attempt at the same request began.
func (s *Service) redeployedBefore(ctx context.Context, updateIDs []string) ([]Redeployed, error) {
	var done []Redeployed
	for _, id := range updateIDs {
		u, err := s.store.Read().GetUpdate(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("update %s: %w", id, err)
		}
		row, err := s.store.Read().GetCVM(ctx, u.CVMID)
		if err != nil {
			return nil, fmt.Errorf("CVM of update %s: %w", id, err)
		}
		done = append(done, Redeployed{row, Accepted{Update: u}})
	}
	return done, nil
}

// proveRevision makes sure that the owner allows the document of a revision now, where it is to run.
func (s *Service) proveRevision(ctx context.Context, app store.App, rows []store.CVM, revision store.Revision, tx string) (proof, error) {
	cvm, err := s.target(ctx, rows[0])
	if err != nil {
		return proof{}, err
	}
	if !cvm.kms.OnChain() {
		return proof{reason: "accepted; this KMS asks no chain"}, nil
	}
	var found proof
	if tx == "" {
		found, _, err = s.prove(ctx, cvm, revision.ComposeHash, tx)
	} else {
		found, err = s.lookUp(ctx, cvm, revision.ComposeHash, tx)
	}
	switch {
	case errors.Is(err, onchain.ErrNotFinal):
		return found, problem.New(problem.KindBusy, "", "the approval is on chain but not as deep as configured yet; try again in a moment")
	case err != nil && !problem.Is(err, problem.KindHashNotAllowed):
		return found, err
	}
	// The other CVMs may be on devices of their own; and what is missing is told all at once.
	err2 := s.checkFleet(ctx, app, rows, revision.ComposeHash, "")
	if missing, ok := errors.AsType[*problem.Error](err2); ok && missing.Kind == problem.KindHashRequired {
		missing.Message = fmt.Sprintf("the app's contract does not allow revision %s now; %s", revision.ID, missing.Message)
	}
	return found, cmp.Or(err2, err)
}

// redeployOne begins the update of one CVM.
func (s *Service) redeployOne(ctx context.Context, tx *store.Tx, p Principal, cvmID int64, revision store.Revision, found proof) (Redeployed, error) {
	row, err := tx.GetCVM(ctx, cvmID)
	if err != nil {
		return Redeployed{}, err
	}
	if isPower(row.ActiveUpdateID) {
		op, err := tx.GetPowerOperation(ctx, row.ActiveUpdateID)
		if err != nil {
			return Redeployed{}, err
		}
		return Redeployed{}, busyWith(op.CorrelationID)
	}
	if row.ActiveUpdateID != "" {
		active, err := tx.GetUpdate(ctx, row.ActiveUpdateID)
		if err != nil {
			return Redeployed{}, err
		}
		if active.ComposeHash == revision.ComposeHash && active.State != column.RollingBack {
			return Redeployed{row, Accepted{Update: active}}, nil // asked again
		}
		return Redeployed{}, busyWith(active.CorrelationID)
	}
	if row.RevisionID != "" && !down(row.Status) { // one that is down is brought up
		current, err := tx.GetRevision(ctx, row.RevisionID)
		if err != nil {
			return Redeployed{}, err
		}
		if current.ComposeHash == revision.ComposeHash {
			u, err := s.newUpdate(&row, revision.ComposeHash, p.KeyID)
			if err != nil {
				return Redeployed{}, err
			}
			err = s.open(ctx, tx, u, &row, move{to: column.Succeeded, actor: p.KeyID, reason: "the document is what runs already"})
			return Redeployed{row, Accepted{Update: *u, Unchanged: true}}, err
		}
	}
	m := move{
		to: column.Approved, actor: p.KeyID, tx: found.tx, block: found.block, owner: found.owner,
		reason: "redeploys revision " + revision.ID + "; " + found.reason,
	}
	u, err := s.beginUpdate(ctx, tx, &row, revision.ComposeHash, p.KeyID, m)
	if err != nil {
		return Redeployed{}, err
	}
	return Redeployed{row, Accepted{Update: *u}}, nil
}
