package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Cancelled is the answer to CancelOperation.
type Cancelled struct {
	Cancelled     bool
	CorrelationID string // of what was cancelled; empty when there was nothing
}

// cancelledBy names who cancels, for people.
func cancelledBy(p Principal) string { return "cancelled by API key " + p.KeyName }

// CancelOperation is POST /cvms/{id}/operations/cancel. An update that did nothing to the CVM yet ends at
// once; one that did gives its place back to the previous revision. What cannot be undone is a conflict.
//
// The cancel is a change of state in the database like any other: it is not lost when the process dies, and
// whoever works on the update, in whatever process, is woken by a job.
func (s *Service) CancelOperation(ctx context.Context, p Principal, identifier string) (Cancelled, error) {
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return Cancelled{}, cmp.Or(p.Require(ScopeUpdate), err)
	}
	done, err := s.cancelOperation(ctx, p, row)
	return done, s.refused(ctx, p, attempt{what: "cancel", appID: row.AppID, cvm: row.VMUUID}, err)
}

func (s *Service) cancelOperation(ctx context.Context, p Principal, row store.CVM) (Cancelled, error) {
	if err := p.Require(ScopeUpdate); err != nil {
		return Cancelled{}, err
	}
	if correlationID, ok := madeBefore(p); ok {
		return Cancelled{Cancelled: true, CorrelationID: correlationID}, nil
	}
	var done Cancelled
	var owner string
	err := errStale
	for try := 0; errors.Is(err, errStale) && try < maxTries; try++ {
		err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			var err error
			if done, owner, err = s.cancelOnce(ctx, tx, p, row.ID); err != nil || !done.Cancelled {
				return err
			}
			return made(ctx, tx, p, done.CorrelationID)
		})
	}
	if errors.Is(err, errStale) {
		return Cancelled{}, busy().Because(err)
	}
	if err != nil {
		return Cancelled{}, fmt.Errorf("cancel operation of %s: %w", row.HashID, err)
	}
	if done.Cancelled {
		s.running.wake(owner)
		s.log.InfoContext(ctx, "operation cancelled", "operation", owner, "cvm", row.HashID, "correlation_id", done.CorrelationID, "key", p.KeyID)
		s.events.Publish(row.ID)
	}
	return done, nil
}

func (s *Service) cancelOnce(ctx context.Context, tx *store.Tx, p Principal, cvmID int64) (done Cancelled, owner string, err error) {
	row, err := tx.GetCVM(ctx, cvmID)
	if errors.Is(err, store.ErrNotFound) {
		return done, "", cvmNotFound(strconv.FormatInt(cvmID, 10))
	}
	if err != nil {
		return done, "", err
	}
	var u *store.Update
	switch {
	case isPower(row.ActiveUpdateID):
		return s.cancelPower(ctx, tx, p, &row)
	case row.ActiveUpdateID == "": // what waits for its owner has nothing of the CVM
		if u, err = openCandidate(ctx, tx, row.ID); err != nil || u == nil {
			return done, "", err
		}
	default:
		active, err := tx.GetUpdate(ctx, row.ActiveUpdateID)
		if err != nil {
			return done, "", err
		}
		u = &active
	}
	done.CorrelationID = u.CorrelationID
	done.Cancelled, err = s.cancelUpdate(ctx, tx, u, &row, p, cancelledBy(p))
	if err != nil {
		return done, "", err
	}
	if !done.Cancelled {
		return done, "", notCancellable(u.CorrelationID, fmt.Sprintf("the update is going back to the previous revision already: %s", u.Reason))
	}
	if u.State.Final() {
		return done, u.ID, nil
	}
	return done, u.ID, s.queue.EnqueueAdvance(ctx, tx, u.ID)
}

// cancelUpdate cancels an update: at once when it did nothing to its CVM yet, by going back otherwise. It
// reports whether it could.
func (s *Service) cancelUpdate(ctx context.Context, tx *store.Tx, u *store.Update, row *store.CVM, p Principal, why string) (bool, error) {
	m := move{reason: why, actor: p.KeyID, err: why, cancelledBy: p.KeyID}
	switch u.State {
	case column.AwaitingApproval:
		m.to = column.Cancelled
	case column.Approved:
		m.to = column.Cancelled
		if u.Kind == column.KindDeploy { // a CVM that was never there is no CVM that rests
			m.to, m.reason = column.Failed, why+"; the first boot had not begun and nothing was started"
		}
	case column.RollingOut, column.Verifying:
		m.to = column.RollingBack
	default:
		return false, nil
	}
	return true, s.apply(ctx, tx, u, row, m)
}

// cancelPower cancels a power operation that did nothing to its CVM yet.
func (s *Service) cancelPower(ctx context.Context, tx *store.Tx, p Principal, row *store.CVM) (done Cancelled, owner string, err error) {
	op, err := tx.GetPowerOperation(ctx, row.ActiveUpdateID)
	if err != nil {
		return done, "", err
	}
	if op.State != column.PowerPending {
		return done, "", notCancellable(op.CorrelationID, fmt.Sprintf("a %s that has begun is not undone", op.Kind)).
			Suggest("A hard stop (POST /cvms/{id}/stop) ends it.")
	}
	m := powerMove{to: column.PowerCancelled, reason: cancelledBy(p) + "; nothing was done", actor: p.KeyID}
	return Cancelled{Cancelled: true, CorrelationID: op.CorrelationID}, op.ID, s.applyPower(ctx, tx, &op, row, m)
}

func notCancellable(correlationID, why string) *problem.Error {
	return problem.New(problem.KindConflict, "", "the operation cannot be cancelled: %s", why).
		With("correlation_id", correlationID, "the operation that runs")
}
