package lockstep

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
)

// RolloutError says that an accepted update did not come to run. The server has gone back to the
// previous document, or could not.
type RolloutError struct {
	// CVM is the identifier that the update was asked for with.
	CVM    string
	Status api.CVMStatus
	// ComposeHash is what the CVM has now, Want what was approved; each may be empty.
	ComposeHash, Want string
	CorrelationID     string
}

// Error implements error.
func (e *RolloutError) Error() string {
	text := fmt.Sprintf("lockstep: %s: the update did not come to run: the CVM is %s", e.CVM, e.Status)
	if e.ComposeHash != "" {
		text += " with compose hash " + e.ComposeHash
	}
	if e.Want != "" {
		text += ", want " + e.Want
	}
	if e.CorrelationID != "" {
		text += " (operation " + e.CorrelationID + ")"
	}
	return text
}

// wait looks at the CVM until the new document runs or the rollout has ended otherwise.
func (a *application) wait(ctx context.Context) (*api.CVMDetail, error) {
	var (
		last    look
		changed = a.c.clock.Now()
		moved   bool
	)
	for {
		cvm, err := a.c.GetCVM(ctx, a.req.CVM)
		if err == nil {
			now := lookAt(cvm)
			if now != last {
				last, changed = now, a.c.clock.Now()
				a.emit(ApplyEvent{Step: StepWaiting, Status: cvm.Status, CorrelationID: a.rec.CorrelationID})
			}
			moved = moved || now.busy
			patient := a.c.clock.Now().Sub(changed) < a.req.SettlePatience
			var done bool
			if done, err = a.settled(ctx, cvm, moved, patient); done && err == nil {
				return cvm, nil
			}
		}
		if err != nil && (ctx.Err() != nil || !passing(err)) {
			return nil, err
		}
		if err := a.c.clock.Sleep(ctx, a.req.PollInterval); err != nil {
			return nil, fmt.Errorf("lockstep: wait for %s, which is %s: %w", a.req.CVM, last.status, err)
		}
	}
}

// look is what of a CVM changes in a rollout.
type look struct {
	status api.CVMStatus
	hash   string
	busy   bool
}

func lookAt(cvm *api.CVMDetail) look {
	l := look{status: cvm.Status, busy: cvm.InProgress || cvm.Progress != nil && cvm.Progress.Target != nil}
	if cvm.ComposeHash != nil {
		l.hash = *cvm.ComposeHash
	}
	switch cvm.Status {
	case api.StatusRunning, api.StatusStopped, api.StatusExited, api.StatusError:
	default:
		l.busy = true
	}
	return l
}

// settled decides whether the rollout has ended: done without error is success. A CVM that rests without
// the new document has failed, but only when it was seen at work or there is no patience left: right
// after the answer a server may not have begun.
func (a *application) settled(ctx context.Context, cvm *api.CVMDetail, moved, patient bool) (done bool, err error) {
	now := lookAt(cvm)
	if now.busy {
		return false, nil
	}
	if now.status == api.StatusRunning {
		if done, err = a.has(ctx, now); done || err != nil {
			return done, err
		}
	}
	if patient && (!moved || now.status == api.StatusStopped) {
		// A CVM is stopped in the middle of every rollout.
		return false, nil
	}
	failed := &RolloutError{CVM: a.req.CVM, Status: now.status, ComposeHash: now.hash, Want: a.rec.ComposeHash, CorrelationID: a.rec.CorrelationID}
	// The approval still stands; the next run needs a new acceptance only.
	a.rec.Accepted, a.rec.CorrelationID = false, ""
	return true, errors.Join(failed, a.save())
}

// has reports whether the CVM has the new document: by the approved hash, or where there is none by the
// compose file.
func (a *application) has(ctx context.Context, now look) (bool, error) {
	if a.rec.ComposeHash != "" && now.hash != "" {
		return now.hash == a.rec.ComposeHash, nil
	}
	compose, err := a.c.GetDockerCompose(ctx, a.req.CVM)
	return compose == a.req.Compose, err
}

// passing reports whether an error of a GET may be gone at the next one.
func passing(err error) bool {
	var transport *TransportError
	var refusal *APIError
	switch {
	case errors.As(err, &transport):
		return true
	case errors.As(err, &refusal):
		return retryable(http.MethodGet, refusal) || refusal.IsConflict()
	}
	return false
}
