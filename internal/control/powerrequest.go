package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// PowerRequest asks for a power operation.
type PowerRequest struct {
	Kind column.PowerKind
	// Force cuts the CVM off instead of asking the guest; only for a restart.
	Force bool
	// Shutdown says how the guest is asked; nil leaves it to the server's settings.
	Shutdown *Shutdown
}

// Power begins to start, stop, shut down or restart a CVM and returns it in the state of transition. A hard
// stop cancels whatever runs and goes first; the others are refused while something does.
func (s *Service) Power(ctx context.Context, p Principal, identifier string, request PowerRequest) (*CVM, error) {
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return nil, cmp.Or(p.Require(ScopeUpdate), err)
	}
	shown, err := s.power(ctx, p, row, request)
	return shown, s.refused(ctx, p, attempt{what: string(request.Kind), appID: row.AppID, cvm: row.VMUUID}, err)
}

func (s *Service) power(ctx context.Context, p Principal, row store.CVM, request PowerRequest) (*CVM, error) {
	if err := p.Require(ScopeUpdate); err != nil {
		return nil, err
	}
	if err := request.Shutdown.check(); err != nil {
		return nil, err
	}
	if id, ok := madeBefore(p); ok {
		op, err := s.store.Read().GetPowerOperation(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("power operation %s: %w", id, err)
		}
		return s.powerView(ctx, &op)
	}
	if request.Kind == column.PowerStart || request.Kind == column.PowerRestart {
		if err := s.mayBoot(ctx, row); err != nil {
			return nil, err
		}
	}
	op, err := s.beginPower(ctx, p, row, request)
	if err != nil {
		return nil, err
	}
	return s.powerView(ctx, op)
}

// powerView is the CVM of an operation as the operation began.
func (s *Service) powerView(ctx context.Context, op *store.PowerOperation) (*CVM, error) {
	row, err := s.store.Read().GetAnyCVM(ctx, op.CVMID)
	if err != nil {
		return nil, err
	}
	shown, err := s.view(ctx, row, false)
	if err != nil {
		return nil, err
	}
	// The operation may have come to its end since; the answer is about how it began.
	shown.Active, shown.Power, shown.Row.Status = nil, op, statusWhilePower(op.Kind)
	return shown, nil
}

// mayBoot refuses at once what could not boot. That the chain cannot be read is no refusal: the operation
// asks again right before it acts.
func (s *Service) mayBoot(ctx context.Context, row store.CVM) error {
	if row.RevisionID == "" {
		return problem.New(problem.KindConflict, "", "the CVM never ran, so there is nothing to start").
			With("status", row.Status, "a CVM that has booted once").
			Suggest("Update its Docker Compose file, or delete the CVM.")
	}
	cvm, err := s.target(ctx, row)
	if err != nil || !cvm.kms.OnChain() {
		return err
	}
	_, _, err = s.prove(ctx, cvm, cvm.base.Hash(), "")
	if problem.Is(err, problem.KindHashNotAllowed) {
		return err
	}
	return ctx.Err()
}

// DeleteCVM is DELETE /cvms/{id}. The CVM is gone for its callers and its name is free when this returns;
// the node deletes it after that. What runs is cancelled first. History and documents stay.
func (s *Service) DeleteCVM(ctx context.Context, p Principal, identifier string) error {
	if _, ok := madeBefore(p); ok {
		return p.Require(ScopeAdmin) // nobody finds the CVM any more
	}
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return cmp.Or(p.Require(ScopeAdmin), err)
	}
	err = p.Require(ScopeAdmin)
	if err == nil {
		_, err = s.beginPower(ctx, p, row, PowerRequest{Kind: column.PowerDelete, Force: true})
	}
	return s.refused(ctx, p, attempt{what: string(column.PowerDelete), appID: row.AppID, cvm: row.VMUUID}, err)
}

// Stopped is the outcome of BatchStop.
type Stopped struct {
	Total, Stopped, Skipped int
	Errors                  []StopError
}

// StopError is why a CVM of a batch could not be stopped.
type StopError struct {
	CVM string // as it was asked for
	Err error
}

// MaxBatchStop is how many CVMs one call may stop.
const MaxBatchStop = 50

// BatchStop is POST /cvms/batch-stop: a hard stop of several CVMs. Those that are stopped are skipped; one
// that cannot be stopped does not keep the others from it.
func (s *Service) BatchStop(ctx context.Context, p Principal, identifiers []string) (Stopped, error) {
	done := Stopped{Total: len(identifiers)}
	if err := p.Require(ScopeUpdate); err != nil {
		return done, err
	}
	if len(identifiers) == 0 || len(identifiers) > MaxBatchStop {
		return done, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad number of CVMs").
			With("cvm_ids", len(identifiers), fmt.Sprintf("1 to %d ids", MaxBatchStop))
	}
	p.Claim = nil // it notes one thing that was made; and what is stopped, or about to be, is not stopped again
	for _, id := range identifiers {
		row, err := s.find(ctx, p, id)
		if err == nil && row.Status == StatusStopped && row.ActiveUpdateID == "" {
			done.Skipped++
			continue
		}
		if err == nil {
			_, err = s.beginPower(ctx, p, row, PowerRequest{Kind: column.PowerStop, Force: true})
			err = s.refused(ctx, p, attempt{what: string(column.PowerStop), appID: row.AppID, cvm: row.VMUUID}, err)
		}
		switch {
		case ctx.Err() != nil:
			return done, ctx.Err()
		case err != nil:
			done.Errors = append(done.Errors, StopError{CVM: id, Err: err})
		default:
			done.Stopped++
		}
	}
	return done, nil
}

// powerRequest is one request on its way into the database.
type powerRequest struct {
	*Service
	p       Principal
	request PowerRequest
	op      store.PowerOperation // as it will be written
	wakes   []string             // what has to look at once
}

// maxTries bounds how often a request is tried again because another process changed what it was about.
const maxTries = 10

// beginPower writes a power operation. It has the CVM at once, or is in line for it.
func (s *Service) beginPower(ctx context.Context, p Principal, row store.CVM, request PowerRequest) (*store.PowerOperation, error) {
	r := &powerRequest{Service: s, p: p, request: request}
	id, err := s.newID(powerPrefix)
	if err != nil {
		return nil, err
	}
	correlation, err := s.newUUID()
	if err != nil {
		return nil, err
	}
	now := column.At(s.clock.Now())
	fresh := store.PowerOperation{
		ID: id, CVMID: row.ID, Kind: request.Kind, CorrelationID: correlation, CreatedBy: p.KeyID, CreatedAt: now, StateSince: now,
		Force: request.Force || request.Kind == column.PowerStop || request.Kind == column.PowerDelete, Version: 1,
	}
	fresh.ShutdownTimeout, fresh.AllowForceStop = request.Shutdown.columns()
	err = errStale
	for try := 0; errors.Is(err, errStale) && try < maxTries; try++ {
		err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			r.op, r.wakes = fresh, nil // the transaction may be tried again
			return r.write(ctx, tx)
		})
		if errors.Is(err, store.ErrDuplicate) {
			err = errStale // another request was first
		}
	}
	if errors.Is(err, errStale) {
		return nil, busy().Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", request.Kind, row.HashID, err)
	}
	for _, id := range r.wakes {
		s.running.wake(id)
	}
	tell(ctx, tracedPower(&r.op, &row))
	s.log.InfoContext(ctx, "power operation accepted", "operation", r.op.ID, "kind", r.op.Kind, "cvm", row.HashID,
		"correlation_id", r.op.CorrelationID, "state", r.op.State, "key", p.KeyID)
	s.events.Publish(row.ID)
	return &r.op, nil
}

func (r *powerRequest) write(ctx context.Context, tx *store.Tx) error {
	row, err := tx.GetCVM(ctx, r.op.CVMID)
	if errors.Is(err, store.ErrNotFound) {
		return cvmNotFound(strconv.FormatInt(r.op.CVMID, 10))
	}
	if err != nil {
		return err
	}
	hard := r.request.Kind == column.PowerStop || r.request.Kind == column.PowerDelete
	if row.ActiveUpdateID != "" && !hard {
		return r.refuse(ctx, tx, &row)
	}
	if r.request.Kind == column.PowerStop {
		if same, err := r.sameStop(ctx, tx, &row); err != nil {
			return err
		} else if same {
			return made(ctx, tx, r.p, r.op.ID)
		}
	}
	if err := made(ctx, tx, r.p, r.op.ID); err != nil {
		return err
	}
	free, err := r.clear(ctx, tx, &row)
	if err != nil {
		return err
	}
	first := powerMove{to: column.PowerPending, reason: "accepted", actor: r.p.KeyID}
	if !free {
		first.to, first.reason = column.PowerQueued, "waits until the operation under way has come to its end"
	}
	if err := r.enterPower(ctx, tx, &r.op, &row, first, r.op.CreatedAt); err != nil {
		return err
	}
	r.op.State, r.op.Reason, r.op.RestingStatus = first.to, first.reason, row.Status
	if err := tx.InsertPowerOperation(ctx, store.InsertPowerOperationParams{
		ID: r.op.ID, CVMID: r.op.CVMID, Kind: r.op.Kind, State: r.op.State, Reason: r.op.Reason, CorrelationID: r.op.CorrelationID,
		Force: r.op.Force, ShutdownTimeout: r.op.ShutdownTimeout, AllowForceStop: r.op.AllowForceStop, RestingStatus: r.op.RestingStatus,
		CreatedBy: r.op.CreatedBy, CreatedAt: r.op.CreatedAt,
	}); err != nil {
		return err
	}
	if err := recordPower(ctx, tx, r.op.ID, "", first, r.op.CreatedAt); err != nil {
		return err
	}
	if free {
		row.ActiveUpdateID = r.op.ID
		if err := r.queue.EnqueuePower(ctx, tx, r.op.ID); err != nil {
			return err
		}
	}
	row.Status = statusWhilePower(r.op.Kind)
	if err := setCVM(ctx, tx, &row, r.op.CreatedAt); err != nil {
		return err
	}
	if r.request.Kind == column.PowerDelete {
		return tx.DeleteCVM(ctx, row.ID, &r.op.CreatedAt, r.op.CreatedAt)
	}
	return nil
}

// refuse answers what has to wait for the operation that owns the CVM.
func (r *powerRequest) refuse(ctx context.Context, tx *store.Tx, row *store.CVM) error {
	if isPower(row.ActiveUpdateID) {
		op, err := tx.GetPowerOperation(ctx, row.ActiveUpdateID)
		if err != nil {
			return err
		}
		return busyWith(op.CorrelationID)
	}
	u, err := tx.GetUpdate(ctx, row.ActiveUpdateID)
	if err != nil {
		return err
	}
	return busyWith(u.CorrelationID)
}

// sameStop finds the hard stop that is under way or in line already: asking again changes nothing.
func (r *powerRequest) sameStop(ctx context.Context, tx *store.Tx, row *store.CVM) (bool, error) {
	op, err := tx.FindQueuedPower(ctx, row.ID)
	if errors.Is(err, store.ErrNotFound) && isPower(row.ActiveUpdateID) {
		op, err = tx.GetPowerOperation(ctx, row.ActiveUpdateID)
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && op.Kind != column.PowerStop {
		return false, nil
	}
	if err == nil {
		r.op = op
	}
	return err == nil, err
}

// clear makes way for a hard stop or a delete: what did nothing to the CVM yet ends at once, and the rest is
// told to come to its end. It reports whether the CVM is free now.
func (r *powerRequest) clear(ctx context.Context, tx *store.Tx, row *store.CVM) (free bool, err error) {
	by := cancelledBy(r.p)
	if r.request.Kind == column.PowerDelete {
		if err := r.clearForDelete(ctx, tx, row, by); err != nil {
			return false, err
		}
	}
	switch {
	case row.ActiveUpdateID == "":
		return true, nil
	case isPower(row.ActiveUpdateID):
		op, err := tx.GetPowerOperation(ctx, row.ActiveUpdateID)
		if err != nil {
			return false, err
		}
		if op.State == column.PowerPending {
			m := powerMove{to: column.PowerCancelled, reason: fmt.Sprintf("%s: %s is to be done", by, r.request.Kind), actor: r.p.KeyID}
			return true, r.applyPower(ctx, tx, &op, row, m)
		}
		r.wakes = append(r.wakes, op.ID)
		return false, r.queue.EnqueuePower(ctx, tx, op.ID) // its steps look who is in line
	}
	u, err := tx.GetUpdate(ctx, row.ActiveUpdateID)
	if err != nil {
		return false, err
	}
	if _, err := r.cancelUpdate(ctx, tx, &u, row, r.p, fmt.Sprintf("%s: %s is to be done", by, r.request.Kind)); err != nil {
		return false, err
	}
	if row.ActiveUpdateID == "" {
		return true, nil
	}
	r.wakes = append(r.wakes, u.ID)
	return false, r.queue.EnqueueAdvance(ctx, tx, u.ID)
}

// clearForDelete ends what waits for something about a CVM that will not be there any more.
func (r *powerRequest) clearForDelete(ctx context.Context, tx *store.Tx, row *store.CVM, by string) error {
	queued, err := tx.FindQueuedPower(ctx, row.ID)
	if err == nil {
		err = r.applyPower(ctx, tx, &queued, row, powerMove{to: column.PowerCancelled, reason: by + ": the CVM is deleted", actor: r.p.KeyID})
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	candidate, err := openCandidate(ctx, tx, row.ID)
	if err != nil || candidate == nil || candidate.ID == row.ActiveUpdateID {
		return err
	}
	return r.apply(ctx, tx, candidate, row, move{to: column.Cancelled, reason: by + ": the CVM is deleted", actor: r.p.KeyID, cancelledBy: r.p.KeyID})
}
