package control

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/gateway"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// ComposeUpdate asks to change the Docker Compose file of a CVM. Without hashes it is phase 1; with
// either of them it is phase 2.
type ComposeUpdate struct {
	YAML            []byte
	ComposeHash     string // X-Compose-Hash, as the client sent it
	TransactionHash string // X-Transaction-Hash, as the client sent it
	// Shutdown says how the CVM goes down for the update; nil leaves it to the server's settings, and in
	// phase 2 to what phase 1 said.
	Shutdown *Shutdown
}

func (r ComposeUpdate) hasProof() bool { return r.ComposeHash != "" || r.TransactionHash != "" }

// Outcome of a request to update: exactly one of the two is set.
type Outcome struct {
	Accepted     *Accepted
	Precondition *Precondition
}

// Accepted says that the update is on its way, or that nothing had to change.
type Accepted struct {
	Update    store.Update
	Unchanged bool
}

// Precondition says what the owner has to register on chain before the update can go on.
type Precondition struct {
	Update   store.Update
	AppID    string
	DeviceID string // 64 hex
	KMS      api.KMSInfo
}

// UpdateCompose is PATCH /cvms/{id}/docker-compose, both phases.
func (s *Service) UpdateCompose(ctx context.Context, p Principal, identifier string, request ComposeUpdate) (Outcome, error) {
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return Outcome{}, cmp.Or(p.Require(ScopeUpdate), err)
	}
	out, err := s.updateCompose(ctx, p, row, request)
	return out, s.refused(ctx, p, attempt{
		what: "update", appID: row.AppID, cvm: row.VMUUID, composeHash: request.ComposeHash, transaction: request.TransactionHash,
	}, err)
}

func (s *Service) updateCompose(ctx context.Context, p Principal, row store.CVM, request ComposeUpdate) (Outcome, error) {
	if err := p.Require(ScopeUpdate); err != nil {
		return Outcome{}, err
	}
	if err := request.Shutdown.check(); err != nil {
		return Outcome{}, err
	}
	if id, ok := madeBefore(p); ok {
		u, err := s.store.Read().GetUpdate(ctx, id)
		return Outcome{Accepted: &Accepted{Update: u}}, err
	}
	cvm, err := s.target(ctx, row)
	if err != nil {
		return Outcome{}, err
	}
	if err := s.checkCompose(ctx, cvm.base, request.YAML); err != nil {
		return Outcome{}, err
	}
	if cvm.kms.OnChain() && request.hasProof() {
		return s.approve(ctx, p, cvm, request)
	}
	candidate, err := cvm.base.Edit(appcompose.SetDockerComposeFile(string(request.YAML)))
	if err != nil {
		return Outcome{}, invalidCompose(err)
	}
	return s.propose(ctx, p, cvm, candidate, request.Shutdown)
}

// target is the CVM that an update is about.
type target struct {
	row  store.CVM
	kms  *KMS
	node *Node
	base *appcompose.Document // what runs, and so what a candidate is made from
}

func (s *Service) target(ctx context.Context, row store.CVM) (*target, error) {
	service, err := s.catalog.kmsOf(row.KMSID)
	if err != nil {
		return nil, err
	}
	node, err := s.catalog.node(row.NodeID)
	if err != nil {
		return nil, err
	}
	base, err := s.shownDocument(ctx, row, nil)
	if err != nil {
		return nil, err
	}
	return &target{row: row, kms: service, node: node, base: base}, nil
}

// checkCompose refuses what could not run before anything is stored.
func (s *Service) checkCompose(ctx context.Context, base *appcompose.Document, yaml []byte) error {
	if len(bytes.TrimSpace(yaml)) == 0 {
		return problem.New(problem.KindInvalid, api.CodeComposeFileRequired, "the Docker Compose file is empty").
			With("docker_compose_file", "", "a Docker Compose file").
			Suggest("Send the YAML text as the request body, with Content-Type: text/yaml.")
	}
	err := s.checker.Check(ctx, yaml, appcompose.CheckOptions{PreLaunchScript: base.PreLaunchScript()})
	if err == nil {
		return checkExtension(yaml)
	}
	if tooLarge, ok := errors.AsType[*appcompose.SizeError](err); ok {
		return problem.New(problem.KindTooLarge, api.CodeInvalidComposeFile, "the Docker Compose file is too large: %v", err).
			With("docker_compose_file", tooLarge.Seen, fmt.Sprintf("at most %d bytes together with the pre-launch script", tooLarge.Limit)).
			Suggest("Move large content into an image or a volume.")
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return invalidCompose(err)
}

// checkExtension refuses what is meant for this server and cannot be read: a gate that is mistyped would
// otherwise be no gate.
func checkExtension(yaml []byte) error {
	if _, err := gateway.ProbeOf(string(yaml)); err != nil {
		return problem.New(problem.KindUnprocessable, api.CodeInvalidComposeFile, "the Docker Compose file is not valid: %v", err).
			With("docker_compose_file", map[string]any{"field": gateway.Extension}, err.Error()).
			Suggest("For example: %s: {gateway_probe: {port: 8080, path: /healthz}}", gateway.Extension)
	}
	return nil
}

func invalidCompose(err error) error {
	p := problem.New(problem.KindUnprocessable, api.CodeInvalidComposeFile, "the Docker Compose file is not valid: %v", err)
	if ce, ok := errors.AsType[*appcompose.ComposeError](err); ok {
		p.With("docker_compose_file", map[string]any{"line": ce.Line, "column": ce.Column, "field": ce.Field}, ce.Message)
	}
	return p.Suggest("Check the file with `docker compose config`.")
}

// propose stores a candidate. With an on-chain KMS that is phase 1 and nothing else happens; with an
// off-chain KMS the owner of the API key has the say, so the update is approved at once.
func (s *Service) propose(ctx context.Context, p Principal, cvm *target, candidate *appcompose.Document, shutdown *Shutdown) (Outcome, error) {
	id, err := s.newID("upd_")
	if err != nil {
		return Outcome{}, err
	}
	correlation, err := s.newUUID()
	if err != nil {
		return Outcome{}, err
	}
	now := column.At(s.clock.Now())
	proposal := store.Update{
		ID: id, CVMID: cvm.row.ID, Kind: column.KindUpdate, State: column.Proposed, CorrelationID: correlation,
		ComposeHash: candidate.Hash(), CreatedBy: p.KeyID, CreatedAt: now,
		ExpiresAt: column.At(now.Add(s.timeouts.Candidate)), StateSince: now, Version: 1,
	}
	proposal.ShutdownTimeout, proposal.AllowForceStop = shutdown.columns()
	var out Outcome
	var u store.Update
	err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		u, out = proposal, Outcome{} // the write may be carried out again
		row, err := tx.GetCVM(ctx, cvm.row.ID)
		if err != nil {
			return err
		}
		if row.RevisionID != cvm.row.RevisionID {
			return busy() // the candidate was made from a document that has been replaced since
		}
		old, err := openCandidate(ctx, tx, row.ID)
		if err != nil {
			return err
		}
		if done, err := s.already(ctx, tx, &row, old, &u, cvm); err != nil || done != nil {
			if done != nil {
				out = *done
			}
			return err
		}
		if !cvm.kms.OnChain() { // else nothing is begun
			if err := made(ctx, tx, p, u.ID); err != nil {
				return err
			}
		}
		u.FromRevisionID = row.RevisionID
		if err := tx.PutDocument(ctx, u.ComposeHash, candidate.Bytes(), now); err != nil {
			return err
		}
		m := move{to: column.AwaitingApproval, actor: p.KeyID, reason: "waits for the owner to register the compose hash on chain"}
		switch {
		case u.ComposeHash == cvm.base.Hash() && !down(row.Status): // one that is down is brought up
			m.to, m.reason = column.Succeeded, "the document is what runs already"
			out.Accepted = &Accepted{Unchanged: true}
		case !cvm.kms.OnChain():
			m.to, m.reason = column.Approved, "accepted; this KMS asks no chain"
			out.Accepted = &Accepted{}
		default:
			out.Precondition = &Precondition{AppID: row.AppID, DeviceID: hashHex(cvm.node.DeviceID), KMS: cvm.kms.Info()}
			if old != nil { // a newer proposal takes its place
				superseded := move{to: column.Superseded, actor: p.KeyID, reason: "superseded by " + u.ID}
				if err := s.apply(ctx, tx, old, &row, superseded); err != nil {
					return err
				}
			}
		}
		return s.open(ctx, tx, &u, &row, m)
	})
	if err != nil {
		if errors.Is(err, store.ErrDuplicate) || errors.Is(err, errStale) {
			return Outcome{}, busy().Because(err) // another request for this CVM was first
		}
		return Outcome{}, fmt.Errorf("propose update of %s: %w", cvm.row.HashID, err)
	}
	switch {
	case out.Accepted != nil:
		if out.Accepted.Update.ID == "" {
			out.Accepted.Update = u
		}
		tell(ctx, tracedUpdate(&out.Accepted.Update, &cvm.row))
		s.events.Publish(cvm.row.ID)
	default:
		if out.Precondition.Update.ID == "" {
			out.Precondition.Update = u
		}
		tell(ctx, tracedUpdate(&out.Precondition.Update, &cvm.row))
	}
	return out, nil
}

// already answers a proposal from what is there: the same one made before, or another that owns the CVM.
func (s *Service) already(ctx context.Context, tx *store.Tx, row *store.CVM, candidate, u *store.Update, cvm *target) (*Outcome, error) {
	if isPower(row.ActiveUpdateID) {
		op, err := tx.GetPowerOperation(ctx, row.ActiveUpdateID)
		if err != nil {
			return nil, err
		}
		return nil, busyWith(op.CorrelationID)
	}
	if row.ActiveUpdateID != "" {
		active, err := tx.GetUpdate(ctx, row.ActiveUpdateID)
		if err != nil {
			return nil, err
		}
		if active.ComposeHash == u.ComposeHash && active.State != column.RollingBack {
			return &Outcome{Accepted: &Accepted{Update: active}}, nil
		}
		return nil, busyWith(active.CorrelationID)
	}
	if candidate == nil || candidate.ComposeHash != u.ComposeHash || candidate.FromRevisionID != row.RevisionID {
		return nil, nil
	}
	// Asking again keeps the candidate and gives it a new term.
	if _, err := tx.SetUpdateNote(ctx, store.SetUpdateNoteParams{
		ID: candidate.ID, Version: candidate.Version, Reason: candidate.Reason, TxHash: candidate.TxHash, ExpiresAt: u.ExpiresAt,
	}); err != nil {
		return nil, err
	}
	candidate.ExpiresAt, candidate.Version = u.ExpiresAt, candidate.Version+1
	return &Outcome{Precondition: &Precondition{
		Update: *candidate, AppID: row.AppID, DeviceID: hashHex(cvm.node.DeviceID), KMS: cvm.kms.Info(),
	}}, nil
}

// openCandidate is the update of a CVM that waits for its owner, or nil.
func openCandidate(ctx context.Context, tx *store.Tx, cvmID int64) (*store.Update, error) {
	u, err := tx.FindCandidate(ctx, cvmID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return &u, err
}

// open writes a new update with its first steps: proposed, and where that leads at once.
func (s *Service) open(ctx context.Context, tx *store.Tx, u *store.Update, row *store.CVM, m move) error {
	if !CanMove(column.Proposed, m.to) {
		return fmt.Errorf("control: a proposal cannot go to %s", m.to)
	}
	now := u.CreatedAt
	proposed, err := s.enterStep(ctx, tx, u, row, "", move{to: column.Proposed, reason: "proposed", actor: m.actor}, now)
	if err != nil {
		return err
	}
	entry, err := s.enterStep(ctx, tx, u, row, column.Proposed, m, now)
	if err != nil {
		return err
	}
	u.State, u.Reason = m.to, m.reason
	taken(u, row, now)
	u.TxHash, u.BlockNumber = m.tx, m.block
	if m.to.Final() {
		u.FinishedAt = &now
	}
	if err := tx.InsertUpdate(ctx, store.InsertUpdateParams{
		ID: u.ID, CVMID: u.CVMID, Kind: u.Kind, State: u.State, Reason: u.Reason, CorrelationID: u.CorrelationID,
		ComposeHash: u.ComposeHash, FromRevisionID: u.FromRevisionID, TxHash: u.TxHash, BlockNumber: u.BlockNumber,
		CreatedBy: u.CreatedBy, CreatedAt: now, ExpiresAt: u.ExpiresAt, FinishedAt: u.FinishedAt,
		ApprovedAt: u.ApprovedAt, RestingStatus: u.RestingStatus, ShutdownTimeout: u.ShutdownTimeout, AllowForceStop: u.AllowForceStop,
	}); err != nil {
		return err
	}
	if err := tx.InsertFirstUpdateEvents(ctx, store.InsertFirstUpdateEventsParams{
		UpdateID: u.ID, ProposedState: column.Proposed, ToState: m.to, Reason: m.reason, Actor: m.actor, CreatedAt: now,
		ProposedHistorySeq: proposed, ToHistorySeq: entry,
	}); err != nil {
		return err
	}
	if err := s.follow(ctx, tx, u, row, m.owner, now); err != nil {
		return err
	}
	if u.State == column.Approved {
		return s.queue.EnqueueAdvance(ctx, tx, u.ID)
	}
	return nil
}

// busyWith is busy, with the operation that is in the way.
func busyWith(correlationID string) *problem.Error {
	return busy().With("correlation_id", correlationID, "the operation that runs")
}

// busy is the answer to what has to wait for another operation. It has no code: clients repeat a bare
// 409 by themselves and take a coded one as final.
func busy() *problem.Error {
	return problem.New(problem.KindBusy, "", "another operation is in progress for this CVM; try again when it has ended")
}
