package lockstep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// ApplyRequest is an update and how to carry it out.
type ApplyRequest struct {
	// CVM is any identifier of the CVM.
	CVM string
	// Compose is the new Docker Compose file.
	Compose string
	// Approver is asked when the KMS of the CVM needs an approval on chain.
	Approver Approver
	// Checkpoint, when set, lets a later call, also in another process, go on where this one ended.
	// Without it a later call begins again with phase 1, which finds the same compose hash.
	Checkpoint Checkpoint
	// Wait keeps Apply from returning before the new file runs, or its rollout has failed.
	Wait bool
	// Progress, when set, is told of every step, from the goroutine that called Apply.
	Progress func(ApplyEvent)

	// IdempotencyKey, when set, keeps each request from being carried out twice however often it is sent; see
	// [ContextWithIdempotencyKey]. It should be new for each attempt at an update, and at most 200 characters.
	IdempotencyKey string

	// PollInterval is how often the CVM is looked at while waiting, and how long a busy CVM is left
	// alone; 0 is 2 seconds.
	PollInterval time.Duration
	// ProofPatience is how long a 467 or 468 may only mean that the server's view of the chain is
	// behind; 0 is 30 seconds.
	ProofPatience time.Duration
	// SettlePatience is how long an accepted update may show no effect at all while waiting; 0 is one
	// minute.
	SettlePatience time.Duration
}

// ApplyResult is an update that was accepted.
type ApplyResult struct {
	// ComposeHash is the hash that was approved; without an approval, the hash of what runs, known
	// only after waiting.
	ComposeHash string
	// TransactionHash is the proof; empty when no approval was needed.
	TransactionHash string
	// CorrelationID names the rollout; empty when an earlier call had it and did not live to say.
	CorrelationID string
	// CVM is the CVM after waiting; nil without.
	CVM *api.CVMDetail
}

// ApplyStep names what [Client.Apply] does.
type ApplyStep string

// The steps of an update.
const (
	// StepPropose: the file is sent, phase 1.
	StepPropose ApplyStep = "propose"
	// StepApprove: the approver is asked.
	StepApprove ApplyStep = "approve"
	// StepConfirm: the file is sent with its proof, phase 2.
	StepConfirm ApplyStep = "confirm"
	// StepBusy: another operation is running on the CVM; Apply waits and tries again.
	StepBusy ApplyStep = "busy"
	// StepUnproven: the server does not see the approval yet; Apply waits and tries again.
	StepUnproven ApplyStep = "unproven"
	// StepRestart: the server does not know the hash any more; Apply begins again with phase 1.
	StepRestart ApplyStep = "restart"
	// StepAccepted: the server accepted the update.
	StepAccepted ApplyStep = "accepted"
	// StepWaiting: the rollout was looked at.
	StepWaiting ApplyStep = "waiting"
	// StepDone: the new file runs.
	StepDone ApplyStep = "done"
)

// ApplyEvent is one step of an update. Members without a meaning for the step are empty.
type ApplyEvent struct {
	Step            ApplyStep
	Precondition    *Precondition
	TransactionHash string
	CorrelationID   string
	// Status is that of the CVM.
	Status api.CVMStatus
	// Err is why Apply waits or begins again.
	Err error
}

// Apply updates the Docker Compose file of a CVM: phase 1, the approval if one is needed, phase 2, and
// with Wait the rollout. It can be called again with the same request after any error or crash; then it
// does only what is still missing. The server remembers a proposal for 14 days.
//
// A 409 without an error code (another operation is running) is waited for as long as ctx lasts. An
// approval that the server does not see yet is waited for within ProofPatience. When the server has
// forgotten the hash, phase 1 is repeated once, and the approver is asked again only when the hash is
// another one. Other errors of [Client.UpdateDockerCompose] are returned; without an approver where one
// is needed an *[ApprovalRequiredError], and for a rollout that failed a *[RolloutError].
func (c *Client) Apply(ctx context.Context, req ApplyRequest) (*ApplyResult, error) {
	a, err := c.newApplication(req)
	if err != nil {
		return nil, err
	}
	if !a.rec.Accepted {
		if err := a.untilAccepted(ctx); err != nil {
			return nil, err
		}
	}
	result := &ApplyResult{ComposeHash: a.rec.ComposeHash, TransactionHash: a.rec.TransactionHash, CorrelationID: a.rec.CorrelationID}
	if req.Wait {
		if result.CVM, err = a.wait(ctx); err != nil {
			return nil, err
		}
		if result.ComposeHash == "" && result.CVM.ComposeHash != nil {
			result.ComposeHash = *result.CVM.ComposeHash
		}
		a.emit(ApplyEvent{Step: StepDone, CorrelationID: result.CorrelationID, TransactionHash: result.TransactionHash, Status: result.CVM.Status})
	}
	if a.req.Checkpoint != nil {
		if err := a.req.Checkpoint.Clear(); err != nil {
			return result, fmt.Errorf("lockstep: the update is done, but its checkpoint was not cleared: %w", err)
		}
	}
	return result, nil
}

// application is one run of Apply.
type application struct {
	c   *Client
	req ApplyRequest
	rec *CheckpointRecord
	// resumed says that rec was loaded.
	resumed bool
}

func (c *Client) newApplication(req ApplyRequest) (*application, error) {
	id, err := segment(req.CVM)
	if err != nil {
		return nil, err
	}
	if err := checkCompose(req.Compose); err != nil {
		return nil, err
	}
	req.PollInterval = orDefault(req.PollInterval, 2*time.Second)
	req.ProofPatience = orDefault(req.ProofPatience, 30*time.Second)
	req.SettlePatience = orDefault(req.SettlePatience, time.Minute)
	a := &application{c: c, req: req, rec: &CheckpointRecord{API: c.baseURL, CVM: id, ComposeSHA256: sha256Hex([]byte(req.Compose))}}
	if req.Checkpoint == nil {
		return a, nil
	}
	saved, err := req.Checkpoint.Load()
	if err != nil {
		return nil, fmt.Errorf("lockstep: load the checkpoint: %w", err)
	}
	if saved != nil && saved.same(a.rec) {
		a.rec, a.resumed = saved, true
	}
	return a, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

func (a *application) emit(e ApplyEvent) {
	if a.req.Progress != nil {
		a.req.Progress(e)
	}
}

func (a *application) save() error {
	if a.req.Checkpoint == nil {
		return nil
	}
	if err := a.req.Checkpoint.Save(a.rec); err != nil {
		return fmt.Errorf("lockstep: save the checkpoint: %w", err)
	}
	return nil
}

// untilAccepted goes through both phases. A server that does not know the hash any more (466, or 465 to
// a proof) makes it begin again, once.
func (a *application) untilAccepted(ctx context.Context) error {
	if a.resumed && a.rec.TransactionHash != "" {
		// The last run may have ended between the server's acceptance and the news of it.
		if done, err := a.acceptedBefore(ctx); done || err != nil {
			return err
		}
	}
	for restarted := false; ; restarted = true {
		if restarted || a.rec.TransactionHash == "" {
			if err := a.propose(ctx); err != nil || a.rec.Accepted {
				return err
			}
		}
		err := a.confirm(ctx)
		if restarted || !errors.Is(err, ErrHashInvalidOrExpired) && !errors.Is(err, errAskedAgain) {
			return err
		}
		a.emit(ApplyEvent{Step: StepRestart, Err: err})
	}
}

// acceptedBefore finds out whether the CVM has the approved document already.
func (a *application) acceptedBefore(ctx context.Context) (bool, error) {
	cvm, err := a.c.GetCVM(ctx, a.req.CVM)
	if err != nil {
		return false, err
	}
	if cvm.ComposeHash == nil || *cvm.ComposeHash != a.rec.ComposeHash {
		return false, nil
	}
	var correlation string
	if cvm.Progress != nil && cvm.Progress.CorrelationID != nil {
		correlation = *cvm.Progress.CorrelationID
	}
	return true, a.accept(correlation)
}

func (a *application) accept(correlationID string) error {
	a.rec.Accepted, a.rec.CorrelationID = true, correlationID
	a.emit(ApplyEvent{Step: StepAccepted, CorrelationID: correlationID, TransactionHash: a.rec.TransactionHash})
	return a.save()
}

// propose is phase 1 and the approval. Afterwards the update is accepted or has a transaction hash.
func (a *application) propose(ctx context.Context) error {
	a.emit(ApplyEvent{Step: StepPropose})
	result, err := a.update(ctx)
	if err != nil {
		return err
	}
	switch r := result.(type) {
	case *InProgress:
		return a.accept(r.CorrelationID)
	case *Precondition:
		if r.ComposeHash != a.rec.ComposeHash {
			// What was approved before was another document.
			a.rec.ComposeHash, a.rec.Asked, a.rec.TransactionHash, a.rec.PreviousTransaction = r.ComposeHash, false, "", ""
		}
		if a.rec.TransactionHash != "" {
			return a.save()
		}
		return a.approve(ctx, r)
	}
	return nil
}

// approve gets the transaction hash and saves it before anything else happens.
func (a *application) approve(ctx context.Context, p *Precondition) error {
	a.emit(ApplyEvent{Step: StepApprove, Precondition: p})
	if p.Onchain != nil && p.Onchain.IsAllowed {
		a.rec.TransactionHash = AlreadyRegistered
		return a.save()
	}
	if a.req.Approver == nil {
		return &ApprovalRequiredError{a.req.CVM, p}
	}
	ask := Approval{CVM: a.req.CVM, Precondition: *p, AskedBefore: a.rec.Asked, PreviousTransaction: a.rec.PreviousTransaction}
	a.rec.Asked = true
	if err := a.save(); err != nil {
		return err
	}
	answer, err := a.req.Approver.Approve(ctx, ask)
	tx, bad := parseTransactionHash(answer)
	if err != nil {
		if bad == nil && tx != AlreadyRegistered {
			a.rec.PreviousTransaction = tx
			err = errors.Join(err, a.save())
		}
		return fmt.Errorf("lockstep: approve compose hash %s: %w", p.ComposeHash, err)
	}
	if bad != nil {
		return fmt.Errorf("lockstep: the approver's answer: %w", bad)
	}
	a.rec.TransactionHash = tx
	return a.save()
}

// errAskedAgain says that the server answered a proof with the demand for one.
var errAskedAgain = errors.New("lockstep: the server asks for a registration although a proof was sent")

// confirm is phase 2.
func (a *application) confirm(ctx context.Context) error {
	giveUp := a.c.clock.Now().Add(a.req.ProofPatience)
	var refusal error
	for attempt := 0; ; attempt++ {
		a.emit(ApplyEvent{Step: StepConfirm, TransactionHash: a.rec.TransactionHash})
		result, err := a.update(ctx, WithComposeHash(a.rec.ComposeHash), WithTransactionHash(a.rec.TransactionHash))
		if err == nil {
			if r, ok := result.(*InProgress); ok {
				return a.accept(r.CorrelationID)
			}
			return errAskedAgain
		}
		if !errors.Is(err, ErrTxVerificationFailed) && !errors.Is(err, ErrHashNotAllowed) {
			if refusal != nil && ctx.Err() != nil {
				return fmt.Errorf("%w; before that: %w", err, refusal) // what the server said last tells more
			}
			return err
		}
		refusal = err
		if !a.c.clock.Now().Before(giveUp) {
			return errors.Join(err, a.dropProof())
		}
		a.emit(ApplyEvent{Step: StepUnproven, TransactionHash: a.rec.TransactionHash, Err: err})
		if sleepErr := a.c.clock.Sleep(ctx, backoff(attempt)); sleepErr != nil {
			return fmt.Errorf("%w while waiting for the server to see the approval: %w", sleepErr, err)
		}
	}
}

// dropProof makes the next run ask the approver again, who learns of the transaction.
func (a *application) dropProof() error {
	if a.rec.TransactionHash != AlreadyRegistered {
		a.rec.PreviousTransaction = a.rec.TransactionHash
	}
	a.rec.TransactionHash = ""
	return a.save()
}

// once gives a request a key that follows from what it says: the two phases are different requests, and so is
// phase 2 with another proof.
func (a *application) once(ctx context.Context, opts []UpdateOption) context.Context {
	if a.req.IdempotencyKey == "" {
		return ctx
	}
	var proof updateSettings
	for _, opt := range opts {
		opt(&proof)
	}
	says := sha256.New()
	for _, part := range []*string{&a.req.CVM, proof.composeHash, proof.transactionHash, &a.req.Compose} {
		if part != nil {
			fmt.Fprintf(says, "%d %s", len(*part), *part)
		}
		fmt.Fprintln(says)
	}
	return ContextWithIdempotencyKey(ctx, a.req.IdempotencyKey+"-"+hex.EncodeToString(says.Sum(nil)[:8]))
}

// update sends the file, waiting as long as another operation is running on the CVM.
func (a *application) update(ctx context.Context, opts ...UpdateOption) (UpdateResult, error) {
	for {
		result, err := a.c.UpdateDockerCompose(a.once(ctx, opts), a.req.CVM, a.req.Compose, opts...)
		var refusal *APIError
		if !errors.As(err, &refusal) || !refusal.IsConflict() || refusal.IsStructured() {
			return result, err
		}
		a.emit(ApplyEvent{Step: StepBusy, Err: err})
		if sleepErr := a.c.clock.Sleep(ctx, a.req.PollInterval); sleepErr != nil {
			return nil, fmt.Errorf("%w while another operation is running: %w", sleepErr, err)
		}
	}
}
