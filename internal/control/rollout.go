package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/lease"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// rollout is one look at an update that owns its CVM.
type rollout struct {
	*Service
	u   *store.Update
	cvm *target // base is not set: a rollout knows documents by hash
}

func (r *rollout) step(ctx context.Context) (Step, error) {
	if m := r.outOfTime(); m != nil {
		return r.move(ctx, *m)
	}
	if node := r.cvm.node; node.Removed || node.Broken != "" {
		// Its device may not be known, and then it seems as if the owner did not allow it: before the chain is
		// asked about that, the node says whether it is there at all.
		if _, err := r.status(ctx); err != nil && r.u.State != column.RollingBack {
			return Step{}, err
		}
	}
	switch r.u.State {
	case column.AwaitingApproval:
		return r.confirm(ctx)
	case column.Approved:
		return r.begin(ctx)
	case column.RollingOut:
		return r.bringUp(ctx)
	case column.Verifying:
		return r.verify(ctx)
	case column.RollingBack:
		return r.rollBack(ctx)
	default:
		return Step{}, fmt.Errorf("control: update %s is %s, which has no next step", r.u.ID, r.u.State)
	}
}

func (r *rollout) move(ctx context.Context, m move) (Step, error) {
	if err := r.transition(ctx, r.u, &r.cvm.row, m); err != nil {
		return Step{}, err
	}
	return Step{Done: r.u.State.Final() || r.u.State == column.AwaitingApproval}, nil
}

func (r *rollout) wait(ctx context.Context, d time.Duration, format string, args ...any) (Step, error) {
	if err := r.note(ctx, r.u, &r.cvm.row, fmt.Sprintf(format, args...)); err != nil {
		return Step{}, err
	}
	return Step{Wait: d}, nil
}

func (r *rollout) overdue(limit time.Duration) bool {
	return !r.clock.Now().Before(r.u.StateSince.Add(limit))
}

// outOfTime is where an update goes that has come no further since it was approved, or nil. The way back has
// a limit of its own.
func (r *rollout) outOfTime() *move {
	since := r.u.ApprovedAt
	if since.IsZero() { // begun by an older program
		since = r.u.StateSince
	}
	if r.clock.Now().Before(since.Add(r.timeouts.Progress)) {
		return nil
	}
	why := fmt.Sprintf("it did not come to its end within %s", r.timeouts.Progress)
	switch r.u.State {
	case column.Approved:
		if r.u.Kind == column.KindDeploy {
			return &move{to: column.Failed, reason: why + "; nothing was started", err: why + ": " + r.u.Reason}
		}
		return &move{to: column.Cancelled, reason: why + "; nothing was stopped", err: why + ": " + r.u.Reason}
	case column.RollingOut, column.Verifying:
		return &move{to: column.RollingBack, reason: why, err: why + ": " + r.u.Reason}
	default:
		return nil
	}
}

// confirm waits until the approval of a taken update is as deep as configured.
func (r *rollout) confirm(ctx context.Context) (Step, error) {
	found, _, err := r.prove(ctx, r.cvm, r.u.ComposeHash, transactionOf(r.u))
	if pending, ok := errors.AsType[*onchain.NotFinalError](err); ok {
		return r.wait(ctx, recheckInterval, "%s", waitsForDepth(pending))
	}
	if problem.Is(err, problem.KindUnavailable) {
		return r.wait(ctx, r.timeouts.Retry, "waits for the chain: %v", err)
	}
	if err != nil {
		return Step{Done: true}, r.letGo(ctx, "the approval was lost before it was deep enough: "+err.Error())
	}
	return r.move(ctx, move{to: column.Approved, reason: found.reason, tx: found.tx, block: found.block, owner: found.owner})
}

// letGo gives the CVM back while the update goes on waiting for its owner.
func (r *rollout) letGo(ctx context.Context, reason string) error {
	row := r.cvm.row
	err := r.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		status, err := restingStatus(ctx, tx, r.u)
		if err != nil {
			return err
		}
		if err := r.enterDepth(ctx, tx, history.KindLost, r.u, &row, "", transactionOf(r.u), reason); err != nil {
			return err
		}
		changed, err := tx.SetUpdateNote(ctx, store.SetUpdateNoteParams{
			ID: r.u.ID, Version: r.u.Version, Reason: reason, ExpiresAt: r.u.ExpiresAt,
		})
		if err != nil {
			return err
		}
		if changed == 0 {
			return errStale
		}
		free := row // the transaction may be tried again
		free.ActiveUpdateID, free.Status = "", status
		if err := r.handOver(ctx, tx, &free); err != nil {
			return err
		}
		return setCVM(ctx, tx, &free, column.At(r.clock.Now()))
	})
	if err == nil {
		r.events.Publish(row.ID)
	}
	return err
}

// stillApproved looks at the chain once more. The reason says what took the approval away; an error says
// that the chain could not be read.
func (r *rollout) stillApproved(ctx context.Context) (gone string, err error) {
	if !r.cvm.kms.OnChain() {
		return "", nil
	}
	_, _, err = r.prove(ctx, r.cvm, r.u.ComposeHash, transactionOf(r.u))
	if err == nil {
		return "", nil
	}
	if problem.Is(err, problem.KindUnavailable) {
		return "", err
	}
	return err.Error(), nil
}

// begin checks the approval again right before the CVM is taken down. When a reorg or a removal took it
// away, the update goes back to waiting and nothing was stopped.
func (r *rollout) begin(ctx context.Context) (Step, error) {
	if step, ready, err := r.prepare(ctx); !ready {
		return step, err
	}
	gone, err := r.stillApproved(ctx)
	if err != nil {
		return r.wait(ctx, r.timeouts.Retry, "waits for the chain: %v", err)
	}
	if gone != "" {
		to := column.AwaitingApproval
		if r.u.Kind == column.KindDeploy {
			to = column.Failed
		}
		return r.move(ctx, move{to: to, reason: "the approval was lost before the rollout: " + gone, err: gone})
	}
	if step, err := r.move(ctx, move{to: column.RollingOut, reason: "approval checked again; rolling out"}); err != nil {
		return step, err
	}
	return r.replace(ctx, r.u.ComposeHash) // at once: no other moment is closer to the check
}

// bringUp takes the old revision down and starts the new one. It may be called at any point in between.
func (r *rollout) bringUp(ctx context.Context) (Step, error) {
	status, err := r.status(ctx)
	if err != nil {
		return Step{}, err
	}
	if status != nil && status.NextHash != r.u.ComposeHash && status.State == runtime.StateRunning {
		// Still untouched, perhaps for long: the process may have died between the check and the stop.
		gone, err := r.stillApproved(ctx)
		if err != nil {
			return r.wait(ctx, r.timeouts.Retry, "waits for the chain: %v", err)
		}
		if gone != "" {
			return r.move(ctx, move{to: column.RollingBack, reason: "the approval was lost before the stop", err: gone})
		}
	}
	return r.replace(ctx, r.u.ComposeHash)
}

// status asks the node; nil means that the node does not know the CVM.
func (r *rollout) status(ctx context.Context) (*runtime.Status, error) { return statusOf(ctx, r.cvm) }

func statusOf(ctx context.Context, cvm *target) (*runtime.Status, error) {
	status, err := cvm.node.Runtime.Status(ctx, cvm.row.VMUUID)
	if errors.Is(err, runtime.ErrNotFound) {
		return nil, nil //nolint:nilnil // "not there" is an answer here, and the caller handles it
	}
	if err != nil {
		return nil, err
	}
	return &status, nil
}

// changing is the node for calls that change the CVM: only while this server may work on the operation.
func (t *target) changing() runtime.Runtime { return runtime.Fenced(t.node.Runtime) }

// replace brings the CVM to boot the document of a hash: stop, apply, start, whatever of it is left.
// While rolling out it ends in verifying; while rolling back the caller looks at the result.
func (r *rollout) replace(ctx context.Context, hash appcompose.ComposeHash) (Step, error) {
	rt, id := r.cvm.changing(), r.cvm.row.VMUUID
	status, err := r.status(ctx)
	if err != nil {
		return Step{}, err
	}
	if status == nil || status.NextHash != hash {
		if status != nil && status.State != runtime.StateStopped && status.State != runtime.StateExited {
			return r.takeDown(ctx, status)
		}
		if call, err := r.install(ctx, r.cvm, status, hash); err != nil {
			return r.refused(ctx, call, err)
		}
		if status, err = r.status(ctx); err != nil || status == nil {
			return Step{}, err
		}
	}
	switch status.State {
	case runtime.StateStopped, runtime.StateExited:
		if err := rt.Start(ctx, id); err != nil {
			return r.refused(ctx, "start", err)
		}
	case runtime.StateStarting, runtime.StateRunning:
		if !status.RunningHash.IsZero() && status.RunningHash != hash {
			return r.takeDown(ctx, status) // the document was changed under a running CVM
		}
		again, err := r.isRestart(ctx)
		if err != nil {
			return Step{}, err
		}
		if again && status.StartedAt.Before(r.u.StateSince.Time) {
			return r.takeDown(ctx, status) // still the boot that is to be replaced
		}
	case runtime.StateStopping:
		return r.takeDown(ctx, status)
	}
	if r.u.State == column.RollingOut {
		return r.move(ctx, move{to: column.Verifying, reason: "started; waits until it is healthy"})
	}
	return r.wait(ctx, r.timeouts.Poll, "the previous revision is starting")
}

// install puts the document of a hash on the node of a CVM that is down or not there yet, and reads back what
// was written: a node that keeps other bytes must not boot them. The error is about the call that is named.
func (s *Service) install(ctx context.Context, cvm *target, status *runtime.Status, hash appcompose.ComposeHash) (call string, err error) {
	if status != nil && status.NextHash == hash {
		return "", nil
	}
	document, err := s.document(ctx, s.store.Read(), hash)
	if err != nil {
		return "read document", err
	}
	config := runtime.Config{Document: document.Bytes(), EncryptedEnv: cvm.row.EncryptedEnv}
	if status == nil {
		call, err = "create", cvm.changing().Create(ctx, spec(&cvm.row, config))
	} else {
		call, err = "apply", cvm.changing().Apply(ctx, cvm.row.VMUUID, config)
	}
	if err != nil {
		return call, err
	}
	status, err = statusOf(ctx, cvm)
	if err != nil {
		return call, err
	}
	if status == nil || status.NextHash != hash {
		return call, fmt.Errorf("the node holds a document of another hash than %s", hash)
	}
	return call, nil
}

// isRestart tells whether the rollout boots the document that is there already: a CVM that was down or
// sick is brought up again with what it ran before.
func (r *rollout) isRestart(ctx context.Context) (bool, error) {
	if r.u.State != column.RollingOut || r.u.FromRevisionID == "" {
		return false, nil
	}
	from, err := r.store.Read().GetRevision(ctx, r.u.FromRevisionID)
	if err != nil {
		return false, fmt.Errorf("previous revision of update %s: %w", r.u.ID, err)
	}
	return from.ComposeHash == r.u.ComposeHash, nil
}

// takeDown asks for a shutdown and cuts the CVM off when that takes too long.
func (r *rollout) takeDown(ctx context.Context, status *runtime.Status) (Step, error) {
	limit, bounded := r.stopLimit(r.u.ShutdownTimeout)
	over := bounded && r.overdue(limit)
	force := over && r.u.AllowForceStop
	if over && !force && r.u.State == column.RollingOut {
		why := fmt.Sprintf("the CVM did not shut down within %s, and allow_force_stop is off", limit)
		return r.move(ctx, move{to: column.RollingBack, reason: why, err: why})
	}
	if status.State != runtime.StateStopping || force {
		err := r.cvm.changing().Stop(ctx, r.cvm.row.VMUUID, runtime.StopOptions{Force: force})
		if err != nil {
			return r.refused(ctx, "stop", err)
		}
	}
	return r.wait(ctx, r.timeouts.Poll, "waits until the CVM has stopped")
}

func spec(row *store.CVM, config runtime.Config) runtime.Spec {
	return runtime.Spec{
		ID: row.VMUUID, Name: row.Name, AppID: row.AppID, Image: row.Image, Config: config,
		Resources: runtime.Resources{VCPU: int(row.VCPU), MemoryMB: int(row.MemoryMB), DiskGB: int(row.DiskGB)},
	}
}

// refused handles a call that the node answered with an error. It may be a passing one, so the step is
// tried again until the time of the state is over; then the previous revision gets its place back.
func (r *rollout) refused(ctx context.Context, call string, err error) (Step, error) {
	if errors.Is(err, runtime.ErrUnreachable) || errors.Is(err, lease.ErrOver) || ctx.Err() != nil {
		return Step{}, err
	}
	text := fmt.Sprintf("node %s: %s: %v", r.cvm.node.Name, call, err)
	limit := r.timeouts.Healthy
	if r.u.State == column.RollingBack {
		limit = r.timeouts.Rollback
	}
	stop, _ := r.stopLimit(r.u.ShutdownTimeout)
	if !r.overdue(stop + limit) {
		return r.wait(ctx, r.timeouts.Retry, "tries again: %s", text)
	}
	if r.u.State == column.RollingBack {
		return r.move(ctx, move{to: column.Failed, reason: "neither revision could be brought up", err: r.u.Error + "; " + text})
	}
	return r.move(ctx, move{to: column.RollingBack, reason: "the node refused the new revision", err: text})
}
