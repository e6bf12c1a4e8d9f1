package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// powerTransitions is the state machine of a power operation: from each state, where it may go. The same
// machine is drawn in docs/architecture.md; a test compares the two.
var powerTransitions = map[column.PowerState][]column.PowerState{
	column.PowerQueued: {
		column.PowerPending,   // what had the CVM came to its end
		column.PowerCancelled, // the CVM is deleted, which goes first
	},
	column.PowerPending: {
		column.PowerStopping,  // stop, shutdown, restart
		column.PowerStarting,  // start
		column.PowerRemoving,  // delete
		column.PowerSucceeded, // nothing was left to do
		column.PowerFailed,    // the document may not boot
		column.PowerCancelled,
	},
	column.PowerStopping: {
		column.PowerStarting,  // restart
		column.PowerSucceeded, // it is down
		column.PowerFailed,    // it does not go down, or the document may not boot again
		column.PowerCancelled, // a hard stop or a delete is in line
	},
	column.PowerStarting: {
		column.PowerBooting,
		column.PowerFailed,    // the node refuses, or the document may not boot
		column.PowerCancelled, // a hard stop or a delete is in line
	},
	column.PowerBooting: {
		column.PowerSucceeded, // it runs
		column.PowerFailed,    // it does not boot, or not healthy in time
		column.PowerCancelled, // a hard stop or a delete is in line
	},
	column.PowerRemoving: {column.PowerSucceeded},
}

// CanMovePower reports whether a power operation may go from one state to another.
func CanMovePower(from, to column.PowerState) bool {
	return slices.Contains(powerTransitions[from], to)
}

// powerPrefix begins the ids of power operations. It tells them from updates in cvms.active_update_id.
const powerPrefix = "pow_"

// isPower reports whether the owner of a CVM is a power operation.
func isPower(owner string) bool { return strings.HasPrefix(owner, powerPrefix) }

// statusWhilePower is the status of a CVM while a power operation has it.
func statusWhilePower(kind column.PowerKind) string {
	switch kind {
	case column.PowerStart:
		return StatusStarting
	case column.PowerShutdown:
		return StatusShuttingDown
	case column.PowerRestart:
		return StatusRestarting
	case column.PowerStop, column.PowerDelete:
	}
	return StatusStopping
}

// TargetDeleted is where a delete leads. No CVM that can be read has this status.
const TargetDeleted = "deleted"

func powerTarget(kind column.PowerKind) string {
	switch kind {
	case column.PowerStart, column.PowerRestart:
		return StatusRunning
	case column.PowerDelete:
		return TargetDeleted
	case column.PowerStop, column.PowerShutdown:
	}
	return StatusStopped
}

// powerMove is a change of a power operation's state.
type powerMove struct {
	to     column.PowerState
	reason string // why; shown to people
	actor  string // API key id; empty for the server itself
	err    string // what went wrong
	left   string // the status of the CVM when this ends the operation; empty: the one it was found in
}

// applyPower moves a power operation inside tx: its row, its history and what follows for its CVM. Both are
// changed in place to what was written.
func (s *Service) applyPower(ctx context.Context, tx *store.Tx, op *store.PowerOperation, cvm *store.CVM, m powerMove) error {
	if !CanMovePower(op.State, m.to) {
		return fmt.Errorf("control: power operation %s cannot go from %s to %s", op.ID, op.State, m.to)
	}
	now := column.At(s.clock.Now())
	next := *op
	next.State, next.Reason, next.StateSince = m.to, m.reason, now
	if m.err != "" {
		next.Error = m.err
	}
	if m.to.Final() {
		next.FinishedAt = &now
	}
	if m.to == column.PowerPending {
		next.RestingStatus = cvm.Status
	}
	if err := s.enterPower(ctx, tx, op, cvm, m, now); err != nil {
		return err
	}
	if err := setPower(ctx, tx, op, &next); err != nil {
		return err
	}
	if err := recordPower(ctx, tx, op.ID, op.State, m, now); err != nil {
		return err
	}
	*op = next
	switch {
	case m.to == column.PowerPending:
		cvm.ActiveUpdateID, cvm.Status = op.ID, statusWhilePower(op.Kind)
	case m.to.Final() && cvm.ActiveUpdateID == op.ID:
		cvm.ActiveUpdateID, cvm.Status = "", op.RestingStatus
		if m.left != "" {
			cvm.Status = m.left
		}
		if err := s.handOver(ctx, tx, cvm); err != nil {
			return err
		}
	default:
		return nil
	}
	return setCVM(ctx, tx, cvm, now)
}

// setPower writes a power operation if nobody else did since it was read.
func setPower(ctx context.Context, tx *store.Tx, op, next *store.PowerOperation) error {
	changed, err := tx.SetPowerState(ctx, store.SetPowerStateParams{
		ID: op.ID, Version: op.Version, State: next.State, Reason: next.Reason, Error: next.Error,
		RestingStatus: next.RestingStatus, StateSince: next.StateSince, FinishedAt: next.FinishedAt,
	})
	if err != nil {
		return err
	}
	if changed == 0 {
		return errStale
	}
	next.Version = op.Version + 1
	return nil
}

// recordPower writes a step of a power operation to its history.
func recordPower(ctx context.Context, tx *store.Tx, id string, from column.PowerState, m powerMove, now column.Time) error {
	actor := m.actor
	if actor == "" {
		actor = lockstep
	}
	return tx.InsertPowerEvent(ctx, store.InsertPowerEventParams{
		OperationID: id, FromState: from, ToState: m.to, Reason: m.reason, Actor: actor, CreatedAt: now,
	})
}

// handOver gives a CVM that has just become free to the operation in line for it, if there is one. cvm is
// changed in place; the caller writes it.
func (s *Service) handOver(ctx context.Context, tx *store.Tx, cvm *store.CVM) error {
	op, err := tx.FindQueuedPower(ctx, cvm.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.applyPower(ctx, tx, &op, cvm, powerMove{to: column.PowerPending, reason: "what had the CVM came to its end"}); err != nil {
		return err
	}
	return s.queue.EnqueuePower(ctx, tx, op.ID)
}

// sweepPower gives every power operation that is not final a job.
func (s *Service) sweepPower(ctx context.Context) error {
	open, err := s.store.Read().ListOpenPower(ctx)
	if err != nil {
		return fmt.Errorf("sweep power operations: %w", err)
	}
	for _, op := range open {
		if err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
			return s.queue.EnqueuePower(ctx, tx, op.ID)
		}); err != nil {
			return fmt.Errorf("sweep power operation %s: %w", op.ID, err)
		}
	}
	return nil
}
