package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// verify waits until the new revision is healthy, and makes sure that what booted is what was approved.
func (r *rollout) verify(ctx context.Context) (Step, error) {
	status, err := r.status(ctx)
	if err != nil {
		return Step{}, err
	}
	if status == nil {
		return r.fail(ctx, nil, "the node does not know the CVM any more")
	}
	if !status.RunningHash.IsZero() && status.RunningHash != r.u.ComposeHash {
		return r.fail(ctx, status, fmt.Sprintf("the guest measured %s, approved is %s", status.RunningHash, r.u.ComposeHash))
	}
	waits, look, late := progress(status), r.timeouts.Poll, fmt.Sprintf("the new revision was not healthy after %s", r.timeouts.Healthy)
	switch status.State {
	case runtime.StateRunning:
		switch status.Health {
		case runtime.HealthHealthy, runtime.HealthUnknown:
			if status.RunningHash != r.u.ComposeHash {
				break // it runs but has not said what it measured
			}
			closed, err := r.passGate(ctx, status)
			switch {
			case errors.Is(err, errNoGate):
				return r.fail(ctx, status, err.Error())
			case err != nil:
				return Step{}, err
			case closed == "":
				return r.succeed(ctx, status)
			}
			waits, look, late = "healthy; "+closed, r.timeouts.Retry, fmt.Sprintf("after %s %s", r.timeouts.Healthy, closed)
		case runtime.HealthUnhealthy:
			return r.fail(ctx, status, "the new revision is unhealthy")
		case runtime.HealthStarting:
		}
	case runtime.StateExited:
		return r.fail(ctx, status, "the new revision did not boot")
	case runtime.StateStopped:
		// Somebody stopped it, or the host came back without it.
		if err := r.cvm.changing().Start(ctx, r.cvm.row.VMUUID); err != nil {
			return r.refused(ctx, "start", err)
		}
	case runtime.StateStarting, runtime.StateStopping:
	}
	if r.overdue(r.timeouts.Healthy) {
		return r.fail(ctx, status, late)
	}
	return r.wait(ctx, look, "%s", waits)
}

func progress(status *runtime.Status) string {
	switch {
	case status.State == runtime.StateRunning:
		return "booted; waits until it is healthy"
	case status.BootProgress != "":
		return "boots: " + status.BootProgress
	default:
		return "boots"
	}
}

func (r *rollout) succeed(ctx context.Context, status *runtime.Status) (Step, error) {
	r.cvm.row.InstanceID = status.InstanceID
	return r.move(ctx, move{to: column.Succeeded, reason: "runs, healthy, with the approved document"})
}

// fail gives the place back to the previous revision, with the guest's own words attached.
func (r *rollout) fail(ctx context.Context, status *runtime.Status, what string) (Step, error) {
	return r.move(ctx, move{to: column.RollingBack, reason: what, err: r.explain(ctx, r.cvm, status, what)})
}

const (
	logLinesKept = 5
	logBytesKept = 2000
	logBytesRead = 1 << 20 // of lines that may be of any length
)

// explain tells what a person needs to find the fault: the boot error, and of each container that
// failed its exit code and last lines.
func (s *Service) explain(ctx context.Context, cvm *target, status *runtime.Status, what string) string {
	var b strings.Builder
	b.WriteString(what)
	if status == nil {
		return b.String()
	}
	if status.BootError != "" {
		b.WriteString(": " + status.BootError)
	}
	told := false
	for _, service := range status.Services {
		if service.Health != runtime.HealthUnhealthy && (service.State != "exited" || service.ExitCode == 0) {
			continue
		}
		fmt.Fprintf(&b, "; service %s: %s", service.Name, service.Status)
		if lines := lastLines(ctx, cvm, service.Container); lines != "" {
			b.WriteString(", last lines:\n" + lines)
			told = true
		}
	}
	if !told { // nothing came as far as a container that could say something
		if lines := lastLines(ctx, cvm, ""); lines != "" {
			b.WriteString("; last lines of the console:\n" + lines)
		}
	}
	// A guest may say anything; a database takes text.
	return strings.ReplaceAll(strings.ToValidUTF8(b.String(), "\uFFFD"), "\x00", "")
}

func lastLines(ctx context.Context, cvm *target, container string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	log, err := cvm.node.Runtime.Logs(ctx, cvm.row.VMUUID, runtime.LogOptions{Container: container, Tail: logLinesKept})
	if err != nil {
		return ""
	}
	defer func() { _ = log.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(log, logBytesRead))
	if err != nil {
		return ""
	}
	b = b[max(0, len(b)-logBytesKept):] // the end says why
	return strings.TrimRight(string(b), "\n")
}

// rollBack starts the previous revision again, if its owner still allows it. When a hard stop is in line the
// previous revision is only put in place, and for a CVM that is deleted nothing is.
func (r *rollout) rollBack(ctx context.Context) (Step, error) {
	next, err := r.inLine(ctx, r.cvm.row.ID)
	switch {
	case err != nil:
		return Step{}, err
	case next != nil && next.Kind == column.PowerDelete:
		return r.move(ctx, move{to: column.Failed, reason: "the CVM is deleted; there is nothing to go back to"})
	case next != nil:
		return r.layDown(ctx, "a hard stop is in line")
	case r.u.FromRevisionID == "" && r.u.CancelledBy != "":
		return r.layDown(ctx, "cancelled")
	case r.u.FromRevisionID == "":
		return r.move(ctx, move{to: column.Failed, reason: "the first boot failed; there is no earlier revision to go back to"})
	}
	previous, err := r.store.Read().GetRevision(ctx, r.u.FromRevisionID)
	if err != nil {
		return Step{}, fmt.Errorf("previous revision of update %s: %w", r.u.ID, err)
	}
	status, err := r.status(ctx)
	if err != nil {
		return Step{}, err
	}
	if runs(status, previous.ComposeHash) {
		switch status.Health {
		case runtime.HealthHealthy, runtime.HealthUnknown:
			reason := "the previous revision runs again"
			if r.u.CancelledBy != "" {
				reason = r.u.Error + "; " + reason
			}
			return r.move(ctx, move{to: column.RolledBack, reason: reason})
		case runtime.HealthStarting, runtime.HealthUnhealthy:
		}
	} else if status != nil && status.State != runtime.StateStarting {
		if _, gone := r.forbidden(ctx, previous); gone != "" {
			todo := fmt.Sprintf("the previous revision %s may not run any more: %s; its owner calls addComposeHash(0x%s) on %s, then redeploy it, or send an update that runs",
				previous.ID, gone, previous.ComposeHash, appAddress(r.cvm.row.AppID).Hex())
			return r.move(ctx, move{to: column.Failed, reason: "the previous revision may not run any more: " + gone, err: r.u.Error + "; then " + todo})
		}
	}
	if r.overdue(r.timeouts.Rollback) {
		return r.move(ctx, move{to: column.Failed, reason: fmt.Sprintf("the previous revision was not healthy after %s", r.timeouts.Rollback),
			err: r.u.Error + "; then " + r.explain(ctx, r.cvm, status, "the previous revision did not come back")})
	}
	if runs(status, previous.ComposeHash) {
		return r.wait(ctx, r.timeouts.Poll, "the previous revision waits to be healthy")
	}
	return r.replace(ctx, previous.ComposeHash)
}

// layDown takes the CVM down and puts the previous revision in place, if there is one, without booting it.
func (r *rollout) layDown(ctx context.Context, why string) (Step, error) {
	if r.overdue(r.timeouts.Stop + r.timeouts.Rollback) {
		return r.move(ctx, move{to: column.Failed, reason: why + ", and the previous revision could not be put in place: " + r.u.Reason})
	}
	status, err := r.status(ctx)
	if err != nil {
		return Step{}, err
	}
	if status != nil && status.State != runtime.StateStopped {
		if err := r.cvm.changing().Stop(ctx, r.cvm.row.VMUUID, runtime.StopOptions{Force: true}); err != nil {
			return r.refused(ctx, "stop", err)
		}
		return r.wait(ctx, r.timeouts.Poll, "waits until the CVM has stopped")
	}
	if r.u.FromRevisionID == "" {
		return r.move(ctx, move{to: column.Failed, reason: r.u.Error + "; the first boot has no earlier revision to go back to, so the CVM was stopped"})
	}
	previous, err := r.store.Read().GetRevision(ctx, r.u.FromRevisionID)
	if err != nil {
		return Step{}, fmt.Errorf("previous revision of update %s: %w", r.u.ID, err)
	}
	if status != nil {
		if call, err := r.install(ctx, r.cvm, status, previous.ComposeHash); err != nil {
			return r.refused(ctx, call, err)
		}
	}
	return r.move(ctx, move{to: column.RolledBack, reason: why + "; the previous revision is in place and was not started"})
}

func runs(status *runtime.Status, hash appcompose.ComposeHash) bool {
	return status != nil && status.State == runtime.StateRunning && status.RunningHash == hash
}

// forbidden asks the contract whether the previous document may not boot any more, and says why; found is the
// approval of one that may, as far as it is known. While the
// chain cannot be read the answer is that it may: its owner approved it when it ran, the KMS asks the
// contract once more when it boots, and waiting here would keep the CVM down.
func (r *rollout) forbidden(ctx context.Context, previous store.Revision) (found proof, gone string) {
	if !r.cvm.kms.OnChain() {
		return proof{}, ""
	}
	found, _, err := r.prove(ctx, r.cvm, previous.ComposeHash, "")
	if err == nil || problem.Is(err, problem.KindUnavailable) || errors.Is(err, onchain.ErrNotFinal) {
		return found, ""
	}
	return proof{}, err.Error()
}
