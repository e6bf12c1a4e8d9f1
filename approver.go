package lockstep

import (
	"context"
	"fmt"

	"github.com/lockstep-cvm/lockstep/api"
)

// AlreadyRegistered is what an [Approver] returns when the contract allows the hash without a new
// transaction.
const AlreadyRegistered = api.AlreadyRegistered

// Approver gets the owner's approval: it sees to it that the app's contract allows the compose hash
// and the device, and says which transaction did it.
type Approver interface {
	// Approve returns the hash of the transaction that registered the compose hash, once it is mined,
	// or [AlreadyRegistered].
	//
	// It must look at the contract before it sends anything: an earlier run, here or elsewhere, may
	// have got the approval already. An error ends the update, and nothing on the CVM has changed. A
	// hash returned beside an error (sent, but not mined in time) comes back as PreviousTransaction.
	Approve(ctx context.Context, a Approval) (txHash string, err error)
}

// ApproverFunc is a function as an [Approver].
type ApproverFunc func(ctx context.Context, a Approval) (txHash string, err error)

// Approve calls f.
func (f ApproverFunc) Approve(ctx context.Context, a Approval) (string, error) { return f(ctx, a) }

// Approval is what the owner is asked for.
type Approval struct {
	// CVM is the identifier that the update was asked for with.
	CVM string
	Precondition
	// AskedBefore says that an earlier run asked for this hash and did not live to see the answer.
	AskedBefore bool
	// PreviousTransaction was sent before, but the update was not accepted with it; it may still be
	// pending. Empty when none is known.
	PreviousTransaction string
}

// ApprovalRequiredError says that an update needs an approval and nobody was given to ask.
// [errors.Is] finds [ErrHashRegistrationRequired].
type ApprovalRequiredError struct {
	// CVM is the identifier that the update was asked for with.
	CVM          string
	Precondition *Precondition
}

// Error implements error.
func (e *ApprovalRequiredError) Error() string {
	return fmt.Sprintf("lockstep: %s: compose hash %s must be registered on the contract of app %s first, and no approver was given", e.CVM, e.Precondition.ComposeHash, e.Precondition.AppID)
}

// Is makes [errors.Is] find [ErrHashRegistrationRequired].
func (e *ApprovalRequiredError) Is(target error) bool { return target == ErrHashRegistrationRequired }
