package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/history"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// approve is phase 2: the candidate is known and is what was sent (466), the transaction did what it
// had to (467), the contract allows hash and device now (468). Then the rollout begins.
func (s *Service) approve(ctx context.Context, p Principal, cvm *target, request ComposeUpdate) (Outcome, error) {
	hash, err := s.claimedHash(cvm, request)
	if err != nil {
		return Outcome{}, err
	}
	if hash == cvm.base.Hash() && bytes.Equal(request.YAML, []byte(cvm.base.DockerComposeFile())) &&
		cvm.row.ActiveUpdateID == "" && !down(cvm.row.Status) {
		return s.propose(ctx, p, cvm, cvm.base, request.Shutdown) // it runs already: a repeated phase 2, or a needless one
	}
	u, err := s.candidate(ctx, cvm, hash, request.YAML)
	if err != nil {
		return Outcome{}, err
	}
	if u.State != column.AwaitingApproval || u.TxHash != "" {
		return Outcome{Accepted: &Accepted{Update: *u}}, nil // accepted before; asked again
	}
	tx, err := parseTransaction(request.TransactionHash)
	if err != nil {
		return Outcome{}, err
	}
	approval, err := s.lookUp(ctx, cvm, u.ComposeHash, tx)
	final := true
	if pending, ok := errors.AsType[*onchain.NotFinalError](err); ok {
		// The proof holds but is not deep enough yet: the update is taken and waits for it.
		final, approval = false, proof{tx: tx, reason: waitsForDepth(pending)}
		if tx == "" {
			approval.tx = api.AlreadyRegistered // marks the update as taken, without a receipt to look at
		}
	} else if err != nil {
		return Outcome{}, err
	}
	if err := s.accept(ctx, p, u, cvm.row.ID, approval, final, request.Shutdown); err != nil {
		return Outcome{}, err
	}
	s.events.Publish(cvm.row.ID)
	return Outcome{Accepted: &Accepted{Update: *u}}, nil
}

// claimedHash is the compose hash that the request is about: the one it names, or else that of the
// candidate its YAML makes.
func (s *Service) claimedHash(cvm *target, request ComposeUpdate) (appcompose.ComposeHash, error) {
	if request.ComposeHash == "" {
		document, err := cvm.base.Edit(appcompose.SetDockerComposeFile(string(request.YAML)))
		if err != nil {
			return appcompose.ComposeHash{}, invalidCompose(err)
		}
		return document.Hash(), nil
	}
	hash, err := appcompose.ParseComposeHash(request.ComposeHash)
	if err != nil {
		return hash, hashInvalid("Invalid compose hash").With("compose_hash", request.ComposeHash, "64 hex digits, 0x optional").Because(err)
	}
	return hash, nil
}

// hashInvalid is a 466. The official CLI shows its hint to prepare again when it reads "expired" or
// "Invalid" in the message.
func hashInvalid(format string, args ...any) *problem.Error {
	return problem.New(problem.KindHashInvalid, api.CodeHashInvalidOrExpired, format, args...).
		Suggest("Repeat phase 1: send the YAML without X-Compose-Hash, and register the hash that it answers.")
}

// candidate finds what phase 1 stored and checks that it still is what the client means.
func (s *Service) candidate(ctx context.Context, cvm *target, hash appcompose.ComposeHash, yaml []byte) (*store.Update, error) {
	u, err := s.store.Read().FindLatestByHash(ctx, cvm.row.ID, hash)
	if errors.Is(err, store.ErrNotFound) {
		return nil, hashInvalid("Invalid compose hash: no update of this CVM was proposed with it").With("compose_hash", hash.String(), "")
	}
	if err != nil {
		return nil, fmt.Errorf("look up candidate %s: %w", hash, err)
	}
	document, err := s.document(ctx, s.store.Read(), hash)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal([]byte(document.DockerComposeFile()), yaml) {
		return nil, hashInvalid("Invalid compose hash: the YAML is not the one of phase 1").
			With("compose_hash", hash.String(), "the hash of another document than the YAML sent now makes").
			Suggest("Send exactly the bytes of phase 1; line ends and trailing blanks count.")
	}
	switch {
	case u.State == column.AwaitingApproval && u.TxHash == "" && !s.clock.Now().Before(u.ExpiresAt.Time):
		return nil, hashInvalid("the proposal of this compose hash has expired").With("expires_at", u.ExpiresAt.Time, "")
	case u.State == column.AwaitingApproval && u.FromRevisionID != cvm.row.RevisionID, u.State == column.Superseded:
		return nil, hashInvalid("Invalid compose hash: a newer update took the place of this one").With("compose_hash", hash.String(), "")
	case u.State == column.AwaitingApproval, u.State.Rolling():
		return &u, nil
	default:
		return nil, hashInvalid("Invalid compose hash: the update it was proposed for is %s", u.State).
			With("compose_hash", hash.String(), u.Reason)
	}
}

// proof is what phase 2 found on chain.
type proof struct {
	tx     string // with 0x; empty when there was no receipt to look at
	block  int64
	owner  string // of the contract, with 0x; empty when it has none
	reason string
}

func parseTransaction(s string) (string, error) {
	if api.NoReceipt(s) {
		return "", nil
	}
	hash, err := api.ParseHash(api.HeaderTransactionHash, s)
	if err != nil {
		return "", txUnverified("the transaction hash cannot be read").
			With("transaction_hash", s, "64 hex digits, 0x optional, or the word "+api.AlreadyRegistered).Because(err).
			Suggest("Send the hash of the addComposeHash transaction, or %s when the contract allows the compose hash without a new one.", api.AlreadyRegistered)
	}
	return "0x" + hash, nil
}

func txUnverified(format string, args ...any) *problem.Error {
	return problem.New(problem.KindTxUnverified, api.CodeTxVerificationFailed, format, args...)
}

// lookUp proves the approval of a hash for a CVM. What a node of another provider may not have seen
// yet is looked for again until Timeouts.TxLookup is over.
func (s *Service) lookUp(ctx context.Context, cvm *target, hash appcompose.ComposeHash, tx string) (proof, error) {
	deadline := s.clock.Now().Add(s.timeouts.TxLookup)
	for {
		found, retry, err := s.prove(ctx, cvm, hash, tx)
		if err == nil || !retry || !s.clock.Now().Add(s.timeouts.TxInterval).Before(deadline) {
			return found, err
		}
		if err := s.clock.Sleep(ctx, s.timeouts.TxInterval); err != nil {
			return proof{}, fmt.Errorf("look up approval: %w", err)
		}
	}
}

// prove looks at the chain once. retry tells that a later look may have another result because nodes
// see a chain at different times.
func (s *Service) prove(ctx context.Context, cvm *target, hash appcompose.ComposeHash, tx string) (found proof, retry bool, err error) {
	app := appAddress(cvm.row.AppID)
	found = proof{reason: "the contract allows the compose hash"}
	if tx != "" {
		registration, err := cvm.kms.Registry.Registration(ctx, app, common.Hash(hash), common.HexToHash(tx))
		if err != nil {
			return proof{}, errors.Is(err, onchain.ErrReceiptNotFound) || errors.Is(err, onchain.ErrRPC), explainTx(err, app, tx, hash)
		}
		found = proof{tx: tx, block: int64(registration.BlockNumber), reason: fmt.Sprintf("registered on chain in block %d", registration.BlockNumber)}
	}
	state, err := cvm.kms.Registry.State(ctx, app, cvm.node.DeviceID, common.Hash(hash))
	if errors.Is(err, onchain.ErrNotAContract) {
		return proof{}, true, noContract(app, err) // the chain answered, and the answer is no
	}
	if err != nil {
		return proof{}, true, chainUnavailable(err)
	}
	if err := allowed(cvm, state, hash); err != nil {
		if state.AwaitingFinality {
			return proof{}, false, &onchain.NotFinalError{}
		}
		return proof{}, true, err
	}
	found.owner = ownerOf(state)
	return found, false, nil
}

// ownerOf is the owner of an app's contract, or nothing when the contract has none.
func ownerOf(state onchain.AppState) string {
	if state.Owner == (common.Address{}) {
		return ""
	}
	return state.Owner.Hex()
}

// transactionOf is the transaction that an update was taken with, or nothing when it came without one.
func transactionOf(u *store.Update) string {
	if api.NoReceipt(u.TxHash) {
		return ""
	}
	return u.TxHash
}

func noContract(app common.Address, err error) *problem.Error {
	return problem.New(problem.KindHashNotAllowed, api.CodeHashNotAllowed, "the chain has no contract of this app").
		With("app_contract_address", app.Hex(), "").Because(err).
		Suggest("Check that the server's RPC endpoint serves the chain that the app was deployed on.")
}

// allowed turns what the contract says into nil or a 468.
func allowed(cvm *target, state onchain.AppState, hash appcompose.ComposeHash) error {
	app := appAddress(cvm.row.AppID).Hex()
	if !state.ComposeHashAllowed {
		return problem.New(problem.KindHashNotAllowed, api.CodeHashNotAllowed, "the app's contract does not allow this compose hash").
			With("compose_hash", hash.String(), "").With("app_contract_address", app, "").
			Suggest("The owner calls addComposeHash(0x%s) on %s, then repeat phase 2.", hash, app)
	}
	if !state.AllowAnyDevice && !state.DeviceAllowed {
		return problem.New(problem.KindHashNotAllowed, api.CodeHashNotAllowed, "the app's contract does not allow the device this CVM runs on").
			With("device_id", hashHex(cvm.node.DeviceID), "").With("app_contract_address", app, "").
			Suggest("The owner calls addDevice(0x%s) on %s, then repeat phase 2.", hashHex(cvm.node.DeviceID), app)
	}
	return nil
}

// explainTx turns what is wrong with a transaction into a 467. What is only not deep enough stays as it is.
func explainTx(err error, app common.Address, tx string, hash appcompose.ComposeHash) error {
	if _, ok := errors.AsType[*onchain.NotFinalError](err); ok {
		return err
	}
	if errors.Is(err, onchain.ErrRPC) {
		return chainUnavailable(err)
	}
	p := txUnverified("the transaction does not prove the registration").Because(err)
	switch {
	case errors.Is(err, onchain.ErrReceiptNotFound):
		p.Message = "the chain does not know the transaction"
		p.Suggest("Wait until it is mined and repeat phase 2, or check that it was sent to the right chain.")
	case errors.Is(err, onchain.ErrTxReverted):
		p.Message = "the transaction was reverted"
		p.Suggest("Only the owner of the contract may add a compose hash; send addComposeHash again and repeat phase 2.")
	case errors.Is(err, onchain.ErrNoComposeHashEvent):
		p.Message = "the transaction did not add this compose hash to this app's contract"
		p.Suggest("Call addComposeHash(0x%s) on %s and send that transaction's hash.", hash, app.Hex())
	}
	return p.With("transaction_hash", tx, "").With("app_contract_address", app.Hex(), "").With("compose_hash", hash.String(), "")
}

func chainUnavailable(err error) *problem.Error {
	return problem.New(problem.KindUnavailable, "", "the chain could not be read; nothing was changed").
		Because(err).Suggest("Repeat the call in a moment.")
}

func waitsForDepth(e *onchain.NotFinalError) string {
	return fmt.Sprintf("registered on chain; waits for the configured depth: %v", e)
}

// accept writes that the owner's approval was seen. Without the configured depth the update stays
// where it is, but from here on it owns the CVM, and a job looks until the depth is reached.
func (s *Service) accept(ctx context.Context, p Principal, u *store.Update, cvmID int64, found proof, final bool, shutdown *Shutdown) error {
	var taken store.Update
	var accepted store.CVM
	err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		taken = *u // the write may be carried out again
		row, err := tx.GetCVM(ctx, cvmID)
		if err != nil {
			return err
		}
		if row.ActiveUpdateID != "" || row.RevisionID != u.FromRevisionID {
			return busy()
		}
		if err := made(ctx, tx, p, u.ID); err != nil {
			return err
		}
		if shutdown != nil {
			seconds, force := shutdown.columns()
			if err := tx.SetUpdateShutdown(ctx, u.ID, seconds, force); err != nil {
				return err
			}
		}
		if final {
			err = s.apply(ctx, tx, &taken, &row, move{to: column.Approved, actor: p.KeyID, reason: found.reason, tx: found.tx, block: found.block, owner: found.owner})
		} else {
			err = s.waitForDepth(ctx, tx, p, &taken, &row, found)
		}
		if err != nil {
			return err
		}
		accepted = row
		return s.queue.EnqueueAdvance(ctx, tx, u.ID)
	})
	if errors.Is(err, errStale) {
		return busy().Because(err)
	}
	if err != nil {
		return fmt.Errorf("accept update %s: %w", u.ID, err)
	}
	*u = taken
	tell(ctx, tracedUpdate(u, &accepted))
	s.log.InfoContext(ctx, "update accepted", "update", u.ID, "correlation_id", u.CorrelationID, "tx", u.TxHash, "state", u.State)
	return nil
}

func (s *Service) waitForDepth(ctx context.Context, tx *store.Tx, p Principal, u *store.Update, row *store.CVM, found proof) error {
	if err := s.enterDepth(ctx, tx, history.KindPending, u, row, p.KeyID, found.tx, found.reason); err != nil {
		return err
	}
	changed, err := tx.SetUpdateNote(ctx, store.SetUpdateNoteParams{
		ID: u.ID, Version: u.Version, Reason: found.reason, TxHash: found.tx, ExpiresAt: u.ExpiresAt,
	})
	if err != nil {
		return err
	}
	if changed == 0 {
		return errStale
	}
	if err := tx.SetUpdateResting(ctx, u.ID, row.Status); err != nil {
		return err
	}
	u.Reason, u.TxHash, u.RestingStatus, u.Version = found.reason, found.tx, row.Status, u.Version+1
	row.ActiveUpdateID, row.Status = u.ID, statusWhileRolling(u.Kind)
	return setCVM(ctx, tx, row, column.At(s.clock.Now()))
}

// recheckInterval is how often the depth of an approval is looked at.
const recheckInterval = 4 * time.Second
