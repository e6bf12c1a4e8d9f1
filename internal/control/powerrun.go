package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/lease"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// RunPower moves a power operation on until nothing is left to do. Any number of calls for one operation
// may happen, at once or after a crash; only one of this process works, and the others wake it.
func (s *Service) RunPower(ctx context.Context, operationID string) error {
	return s.runAlone(ctx, operationID, s.AdvancePower)
}

// powerStep is one look at a power operation.
type powerStep struct {
	*Service
	op  *store.PowerOperation
	cvm *target // base is not set: documents are known by hash
}

// AdvancePower takes one step of a power operation: it reads where the operation is and what is there, and
// does the next thing. Repeated after a crash at any point it does what is left. The error is one of the
// database or of ctx; what goes wrong with the operation itself is written to it.
func (s *Service) AdvancePower(ctx context.Context, operationID string) (Step, error) {
	op, err := s.store.Read().GetPowerOperation(ctx, operationID)
	if errors.Is(err, store.ErrNotFound) {
		return Step{}, fmt.Errorf("control: power operation %s does not exist", operationID)
	}
	if err != nil {
		return Step{}, fmt.Errorf("read power operation: %w", err)
	}
	if op.State.Final() {
		return Step{Done: true}, nil
	}
	row, err := s.store.Read().GetAnyCVM(ctx, op.CVMID)
	if err != nil {
		return Step{}, fmt.Errorf("read CVM of power operation %s: %w", operationID, err)
	}
	if op.State == column.PowerQueued {
		return Step{Done: true}, s.takeTurn(ctx, &row)
	}
	node := s.catalog.hostOf(row.NodeID)
	service, err := s.catalog.kmsOf(row.KMSID)
	if err != nil {
		return Step{}, err
	}
	p := &powerStep{Service: s, op: &op, cvm: &target{row: row, kms: service, node: node}}
	ctx, done := look(ctx, tracedPower(&op, &row))
	defer func() { done(string(op.State), op.Reason) }()
	step, err := p.step(ctx)
	switch {
	case errors.Is(err, errStale):
		return Step{}, nil // somebody else moved it; look again
	case err != nil && ctx.Err() != nil:
		return Step{}, ctx.Err()
	case errors.Is(err, runtime.ErrUnreachable):
		step, err = p.unreachable(ctx, err)
		if errors.Is(err, errStale) {
			return Step{}, nil
		}
	}
	step.watcher, _ = node.Runtime.(runtime.Watcher)
	step.cvm = row.VMUUID
	return step, err
}

// takeTurn gives an operation in line its CVM when nothing has it any more. The end of what had the CVM does
// that by itself, unless an older program ended it.
func (s *Service) takeTurn(ctx context.Context, row *store.CVM) error {
	err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		cvm, err := tx.GetAnyCVM(ctx, row.ID)
		if err != nil || cvm.ActiveUpdateID != "" {
			return err
		}
		return s.handOver(ctx, tx, &cvm)
	})
	return passStale(err)
}

func (p *powerStep) step(ctx context.Context) (Step, error) {
	if next, err := p.inLine(ctx, p.op.CVMID); err != nil {
		return Step{}, err
	} else if next != nil && p.op.State != column.PowerRemoving {
		left, err := p.leftBehind(ctx)
		if err != nil {
			return Step{}, err
		}
		return p.move(ctx, powerMove{to: column.PowerCancelled, reason: fmt.Sprintf("cancelled by API key %s: %s is to be done", next.CreatedBy, next.Kind), left: left})
	}
	switch p.op.State {
	case column.PowerPending:
		return p.begin(ctx)
	case column.PowerStopping:
		return p.takeDown(ctx)
	case column.PowerStarting:
		return p.bringUp(ctx)
	case column.PowerBooting:
		return p.watch(ctx)
	case column.PowerRemoving:
		return p.remove(ctx)
	default:
		return Step{}, fmt.Errorf("control: power operation %s is %s, which has no next step", p.op.ID, p.op.State)
	}
}

// inLine is the operation that waits until the CVM is free, or nil.
func (s *Service) inLine(ctx context.Context, cvmID int64) (*store.PowerOperation, error) {
	op, err := s.store.Read().FindQueuedPower(ctx, cvmID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // most of the time nothing is in line
	}
	if err != nil {
		return nil, fmt.Errorf("operation in line: %w", err)
	}
	return &op, nil
}

// leftBehind is the status of a CVM whose operation gives way to the next one: that in which it was found,
// unless it has been taken down since.
func (p *powerStep) leftBehind(ctx context.Context) (string, error) {
	status, err := statusOf(ctx, p.cvm)
	if err != nil {
		return "", err
	}
	if status == nil || status.State != runtime.StateRunning {
		return StatusStopped, nil
	}
	return "", nil
}

func (p *powerStep) move(ctx context.Context, m powerMove) (Step, error) {
	if err := lease.Check(ctx); err != nil {
		return Step{}, err // what was seen may be old
	}
	op, row := *p.op, p.cvm.row
	err := p.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		op, row = *p.op, p.cvm.row // the transaction may be tried again
		return p.applyPower(ctx, tx, &op, &row, m)
	})
	if err != nil {
		return Step{}, err
	}
	*p.op, p.cvm.row = op, row
	p.log.InfoContext(ctx, "power operation moved", "operation", op.ID, "kind", op.Kind, "cvm", row.HashID,
		"correlation_id", op.CorrelationID, "state", op.State, "reason", op.Reason)
	p.events.Publish(row.ID)
	return Step{Done: op.State.Final()}, nil
}

// wait writes what the operation waits for.
func (p *powerStep) wait(ctx context.Context, d time.Duration, format string, args ...any) (Step, error) {
	reason := fmt.Sprintf(format, args...)
	if p.op.Reason == reason {
		return Step{Wait: d}, nil
	}
	if err := lease.Check(ctx); err != nil {
		return Step{}, err
	}
	next := *p.op
	err := p.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		next = *p.op // the transaction may be tried again
		next.Reason = reason
		return setPower(ctx, tx, p.op, &next)
	})
	if err != nil {
		return Step{}, err
	}
	*p.op = next
	p.events.Publish(p.cvm.row.ID)
	return Step{Wait: d}, nil
}

func (p *powerStep) overdue(limit time.Duration) bool {
	return !p.clock.Now().Before(p.op.StateSince.Add(limit))
}

// fail ends the operation with what went wrong.
func (p *powerStep) fail(ctx context.Context, left, format string, args ...any) (Step, error) {
	text := fmt.Sprintf(format, args...)
	return p.move(ctx, powerMove{to: column.PowerFailed, reason: text, err: text, left: left})
}

// unreachable waits for a node that does not answer: nothing is known and nothing is marked done. Only when
// the time of the operation is over it ends; a delete goes on trying, because its CVM is gone for everybody.
func (p *powerStep) unreachable(ctx context.Context, cause error) (Step, error) {
	if p.op.State != column.PowerRemoving && p.overdue(p.timeouts.Progress) {
		left := StatusError
		if p.op.State == column.PowerPending {
			left = "" // nothing was done
		}
		return p.fail(ctx, left, "node %s could not be reached for %s; what runs there is not known", p.cvm.node.Name, p.timeouts.Progress)
	}
	return p.wait(ctx, p.timeouts.Retry, "waits for node %s: %v", p.cvm.node.Name, cause)
}

// refused handles a call that the node answered with an error. It may be a passing one, so the step is tried
// again until the time of the operation is over.
func (p *powerStep) refused(ctx context.Context, call string, err error) (Step, error) {
	if errors.Is(err, runtime.ErrUnreachable) || errors.Is(err, lease.ErrOver) || ctx.Err() != nil {
		return Step{}, err
	}
	if p.op.State != column.PowerRemoving && p.overdue(p.timeouts.Progress) {
		return p.fail(ctx, p.downUnlessFound(), "node %s: %s: %v", p.cvm.node.Name, call, err)
	}
	return p.wait(ctx, p.timeouts.Retry, "tries again: node %s: %s: %v", p.cvm.node.Name, call, err)
}

// downUnlessFound is the status that a failure leaves: an error once a restart has taken the CVM down or a
// boot has begun, and before that the one in which it was found.
func (p *powerStep) downUnlessFound() string {
	if p.op.State == column.PowerBooting || p.op.State == column.PowerStarting && p.op.Kind == column.PowerRestart {
		return StatusError
	}
	return ""
}

// begin takes the first step, right after a look at whether it may be taken.
func (p *powerStep) begin(ctx context.Context) (Step, error) {
	switch p.op.Kind {
	case column.PowerDelete:
		return p.move(ctx, powerMove{to: column.PowerRemoving, reason: "waits until the node has deleted it"})
	case column.PowerStop, column.PowerShutdown:
		if _, err := p.move(ctx, powerMove{to: column.PowerStopping, reason: "waits until the CVM has stopped"}); err != nil {
			return Step{}, err
		}
		return p.takeDown(ctx)
	case column.PowerStart, column.PowerRestart:
	}
	hash, err := p.hash(ctx)
	if err != nil {
		return Step{}, err
	}
	status, err := statusOf(ctx, p.cvm)
	if err != nil {
		return Step{}, err
	}
	if p.op.Kind == column.PowerStart && runs(status, hash) {
		return p.move(ctx, powerMove{to: column.PowerSucceeded, reason: "it runs already", left: StatusRunning})
	}
	if step, err := p.gate(ctx, hash); step != nil || err != nil {
		return whole(step, err)
	}
	if p.op.Kind == column.PowerStart {
		if _, err := p.move(ctx, powerMove{to: column.PowerStarting, reason: "allowed to boot; starting"}); err != nil {
			return Step{}, err
		}
		return p.bringUp(ctx)
	}
	if _, err := p.move(ctx, powerMove{to: column.PowerStopping, reason: "allowed to boot again; waits until the CVM has stopped"}); err != nil {
		return Step{}, err
	}
	return p.takeDown(ctx)
}

func whole(step *Step, err error) (Step, error) {
	if step == nil {
		return Step{}, err
	}
	return *step, err
}

// hash is the document that the CVM is to boot: what it ran last.
func (p *powerStep) hash(ctx context.Context) (appcompose.ComposeHash, error) {
	revision, err := p.store.Read().GetRevision(ctx, p.cvm.row.RevisionID)
	if err != nil {
		return appcompose.ComposeHash{}, fmt.Errorf("revision of CVM %s: %w", p.cvm.row.HashID, err)
	}
	return revision.ComposeHash, nil
}

// gate asks the contract whether the document may boot now. It returns nil when it may, and otherwise the
// step that came of it.
func (p *powerStep) gate(ctx context.Context, hash appcompose.ComposeHash) (*Step, error) {
	if !p.cvm.kms.OnChain() {
		return nil, nil //nolint:nilnil // documented: nothing stands in the way
	}
	_, _, err := p.prove(ctx, p.cvm, hash, "")
	var step Step
	switch {
	case err == nil:
		return nil, nil //nolint:nilnil // documented: nothing stands in the way
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !problem.Is(err, problem.KindUnavailable) && !errors.Is(err, onchain.ErrNotFinal):
		step, err = p.fail(ctx, p.downUnlessFound(), "the document may not boot: %v", err)
	case p.overdue(p.timeouts.Progress):
		step, err = p.fail(ctx, p.downUnlessFound(), "the approval could not be checked within %s: %v", p.timeouts.Progress, err)
	default:
		step, err = p.wait(ctx, p.timeouts.Retry, "waits for the chain: %v", err)
	}
	return &step, err
}

// takeDown waits until the CVM is down: the guest is asked first unless the operation is a hard one.
func (p *powerStep) takeDown(ctx context.Context) (Step, error) {
	status, err := statusOf(ctx, p.cvm)
	if err != nil {
		return Step{}, err
	}
	if status == nil || status.State == runtime.StateStopped {
		if p.op.Kind != column.PowerRestart {
			return p.move(ctx, powerMove{to: column.PowerSucceeded, reason: "stopped", left: StatusStopped})
		}
		if _, err := p.move(ctx, powerMove{to: column.PowerStarting, reason: "stopped; starting again"}); err != nil {
			return Step{}, err
		}
		return p.bringUp(ctx)
	}
	if p.op.Kind == column.PowerRestart && status.State == runtime.StateRunning {
		// Still untouched, perhaps for long: nothing is taken down that may not boot again.
		hash, err := p.hash(ctx)
		if err != nil {
			return Step{}, err
		}
		if step, err := p.gate(ctx, hash); step != nil || err != nil {
			return whole(step, err)
		}
	}
	limit, bounded := p.stopLimit(p.op.ShutdownTimeout)
	over := bounded && p.overdue(limit)
	force := p.op.Force || over && p.op.AllowForceStop
	switch {
	case over && !force:
		return p.fail(ctx, "", "the guest did not shut down within %s, and allow_force_stop is off", limit)
	case p.overdue(limit + p.timeouts.Progress), !bounded && p.overdue(p.timeouts.Progress):
		return p.fail(ctx, "", "the CVM did not go down within the time of the operation")
	case status.State != runtime.StateStopping || force:
		if err := p.cvm.changing().Stop(ctx, p.cvm.row.VMUUID, runtime.StopOptions{Force: force}); err != nil {
			return p.refused(ctx, "stop", err)
		}
	}
	return p.wait(ctx, p.timeouts.Poll, "waits until the CVM has stopped")
}

// bringUp puts the document in place and starts it.
func (p *powerStep) bringUp(ctx context.Context) (Step, error) {
	rt, id := p.cvm.changing(), p.cvm.row.VMUUID
	hash, err := p.hash(ctx)
	if err != nil {
		return Step{}, err
	}
	status, err := statusOf(ctx, p.cvm)
	if err != nil {
		return Step{}, err
	}
	if status != nil && (status.State == runtime.StateStarting || status.State == runtime.StateRunning) && status.NextHash == hash {
		return p.move(ctx, powerMove{to: column.PowerBooting, reason: "started; waits until it runs"})
	}
	if status != nil && status.State != runtime.StateStopped && status.State != runtime.StateExited {
		// It is still going down, or something else was started on the node.
		if status.State != runtime.StateStopping || p.overdue(p.timeouts.Stop) {
			if err := rt.Stop(ctx, id, runtime.StopOptions{Force: true}); err != nil {
				return p.refused(ctx, "stop", err)
			}
		}
		return p.wait(ctx, p.timeouts.Poll, "waits until the CVM has stopped")
	}
	if step, err := p.gate(ctx, hash); step != nil || err != nil {
		return whole(step, err)
	}
	if call, err := p.install(ctx, p.cvm, status, hash); err != nil {
		return p.refused(ctx, call, err)
	}
	if err := rt.Start(ctx, id); err != nil {
		return p.refused(ctx, "start", err)
	}
	return p.move(ctx, powerMove{to: column.PowerBooting, reason: "started; waits until it runs"})
}

// watch waits until the CVM runs, and makes sure that what booted is what was meant to.
func (p *powerStep) watch(ctx context.Context) (Step, error) {
	hash, err := p.hash(ctx)
	if err != nil {
		return Step{}, err
	}
	status, err := statusOf(ctx, p.cvm)
	if err != nil {
		return Step{}, err
	}
	say := func(what string) string { return p.explain(ctx, p.cvm, status, what) }
	switch {
	case status == nil:
		return p.fail(ctx, StatusError, "the node does not know the CVM any more")
	case !status.RunningHash.IsZero() && status.RunningHash != hash:
		if err := p.cvm.changing().Stop(ctx, p.cvm.row.VMUUID, runtime.StopOptions{Force: true}); err != nil {
			return p.refused(ctx, "stop", err)
		}
		return p.fail(ctx, StatusError, "the guest measured %s, expected is %s; it was stopped", status.RunningHash, hash)
	case status.State == runtime.StateExited:
		return p.fail(ctx, StatusError, "%s", say("it did not boot"))
	case status.State == runtime.StateStopped:
		return p.fail(ctx, StatusStopped, "it was stopped on its node while it booted")
	case runs(status, hash) && (status.Health == runtime.HealthHealthy || status.Health == runtime.HealthUnknown):
		p.cvm.row.InstanceID = status.InstanceID
		return p.move(ctx, powerMove{to: column.PowerSucceeded, reason: "it runs", left: StatusRunning})
	case runs(status, hash) && status.Health == runtime.HealthUnhealthy:
		return p.fail(ctx, StatusRunning, "%s", say("it runs and is unhealthy"))
	case p.overdue(p.timeouts.Healthy) && runs(status, hash):
		return p.fail(ctx, StatusRunning, "%s", say(fmt.Sprintf("it runs and was not healthy after %s", p.timeouts.Healthy)))
	case p.overdue(p.timeouts.Healthy):
		return p.fail(ctx, StatusError, "%s", say(fmt.Sprintf("it had not booted after %s", p.timeouts.Healthy)))
	}
	return p.wait(ctx, p.timeouts.Poll, "%s", progress(status))
}

// remove waits until the node has deleted the CVM. It does not give up: for everybody else it is gone.
func (p *powerStep) remove(ctx context.Context) (Step, error) {
	status, err := statusOf(ctx, p.cvm)
	if p.cvm.node.Removed && errors.Is(err, runtime.ErrUnreachable) && p.cvm.changing().Remove(ctx, p.cvm.row.VMUUID) == nil {
		return p.move(ctx, powerMove{to: column.PowerSucceeded, reason: "deleted: its node does not exist any more", left: StatusStopped})
	}
	if err != nil {
		return Step{}, err
	}
	if status == nil {
		return p.move(ctx, powerMove{to: column.PowerSucceeded, reason: "deleted", left: StatusStopped})
	}
	if err := p.cvm.changing().Remove(ctx, p.cvm.row.VMUUID); err != nil {
		return p.refused(ctx, "remove", err)
	}
	return p.wait(ctx, p.timeouts.Poll, "waits until the node has deleted it")
}
