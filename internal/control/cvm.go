package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Statuses of a CVM that are kept in its row. What the node adds (exited, stopped) is laid over them
// when a single CVM is read.
const (
	StatusRunning      = string(api.StatusRunning)
	StatusUpdating     = string(api.StatusUpdating)
	StatusProvisioning = string(api.StatusProvisioning)
	StatusStarting     = string(api.StatusStarting)
	StatusRestarting   = string(api.StatusRestarting)
	StatusStopping     = string(api.StatusStopping)
	StatusShuttingDown = string(api.StatusShuttingDown)
	StatusStopped      = string(api.StatusStopped)
	StatusError        = string(api.StatusError)
)

// down reports whether a CVM in this resting status does not run, so that an update to the document it has
// brings it up.
func down(status string) bool { return status == StatusError || status == StatusStopped }

func statusWhileRolling(kind column.UpdateKind) string {
	if kind == column.KindDeploy {
		return StatusProvisioning
	}
	return StatusUpdating
}

// CVM is a CVM with all that is known of it.
type CVM struct {
	Row      store.CVM
	App      store.App
	Node     *Node
	KMS      *KMS
	Creator  string // name of the API key that created it
	Document *appcompose.Document
	// Active is the update that owns the CVM now, if any.
	Active *store.Update
	// Power is the power operation that owns the CVM now, if any. At most one of Active and Power is set.
	Power *store.PowerOperation
	// Live is what the node says; nil when it was not asked or did not answer.
	Live *runtime.Status
	// LiveError is why the node that was asked did not answer.
	LiveError error
	// LastError is why the newest update did not come to run, or why a power operation after it failed, in
	// the guest's own words where there are any. Empty when it did, and when the node was not asked.
	LastError string
}

// Busy reports whether an operation owns the CVM.
func (c *CVM) Busy() bool { return c.Active != nil || c.Power != nil }

// CorrelationID names the operation that owns the CVM; empty when there is none.
func (c *CVM) CorrelationID() string {
	switch {
	case c.Active != nil:
		return c.Active.CorrelationID
	case c.Power != nil:
		return c.Power.CorrelationID
	default:
		return ""
	}
}

// Target is the status that the operation which owns the CVM leads to; empty when there is none.
func (c *CVM) Target() string {
	switch {
	case c.Power != nil:
		return powerTarget(c.Power.Kind)
	case c.Active != nil && c.Row.Status == StatusStopping:
		return StatusStopped // a stop is in line
	case c.Active != nil:
		return StatusRunning
	default:
		return ""
	}
}

// Status is the state of the CVM in the words of the API. While an operation owns the CVM that wins;
// otherwise the node knows best.
func (c *CVM) Status() string {
	if c.Busy() || c.Live == nil || c.Row.Status == StatusError {
		return c.Row.Status
	}
	switch c.Live.State {
	case runtime.StateRunning:
		return StatusRunning
	case runtime.StateStarting:
		return string(api.StatusStarting)
	case runtime.StateStopping:
		return string(api.StatusStopping)
	case runtime.StateStopped:
		return string(api.StatusStopped)
	case runtime.StateExited:
		return string(api.StatusExited)
	default:
		return c.Row.Status
	}
}

// find returns the CVM that an identifier means in the caller's workspace. A CVM of another
// workspace looks exactly like one that does not exist.
func (s *Service) find(ctx context.Context, p Principal, identifier string) (store.CVM, error) {
	id, err := api.ParseIdentifier(identifier)
	if err != nil {
		return store.CVM{}, cvmNotFound(identifier).Because(err)
	}
	candidates, err := s.lookup(ctx, p, id)
	if err != nil {
		return store.CVM{}, err
	}
	candidates = slices.DeleteFunc(candidates, func(c store.CVM) bool { return c.WorkspaceID != p.Workspace.ID })
	switch len(candidates) {
	case 0:
		return store.CVM{}, cvmNotFound(identifier)
	case 1:
		return candidates[0], nil
	}
	names := make([]string, len(candidates))
	for i, c := range candidates {
		names[i] = c.VMUUID
	}
	return store.CVM{}, problem.New(problem.KindInvalid, api.CodeMultipleCVMsForIdentifier,
		"%s %q names %d CVMs", id.Kind, identifier, len(candidates)).
		With("vm_uuids", names, "").
		Suggest("Use the vm_uuid or the name of the one you mean.")
}

func (s *Service) lookup(ctx context.Context, p Principal, id api.Identifier) ([]store.CVM, error) {
	q := s.store.Read()
	switch id.Kind {
	case api.IdentifierUUID:
		return q.FindCVMsByUUID(ctx, id.Value)
	case api.IdentifierHashID:
		return q.FindCVMsByHashID(ctx, id.Value)
	case api.IdentifierName:
		return q.FindCVMsByName(ctx, p.Workspace.ID, id.Value)
	case api.IdentifierInstanceID:
		return q.FindCVMsByInstance(ctx, id.Value)
	case api.IdentifierAppID:
		// The official clients write app_ before any 40 hex digits, instance ids included.
		if found, err := q.FindCVMsByApp(ctx, id.Value); err != nil || len(found) > 0 {
			return found, err
		}
		return q.FindCVMsByInstance(ctx, id.Value)
	case api.IdentifierNumeric:
		n, err := strconv.ParseInt(id.Value, 10, 64)
		if err != nil {
			return nil, nil //nolint:nilerr // a number no row can have names nothing
		}
		cvm, err := q.GetCVM(ctx, n)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		return []store.CVM{cvm}, err
	default:
		return nil, fmt.Errorf("control: identifier kind %s is not looked up", id.Kind)
	}
}

func cvmNotFound(identifier string) *problem.Error {
	return problem.New(problem.KindNotFound, api.CodeCVMNotFound, "CVM not found").
		With("cvm_id", identifier, "no CVM of this workspace has this id, app id, instance id or name").
		Suggest("List the CVMs of the workspace with GET /cvms/paginated.")
}

// CVM returns one CVM, with what its node says of it now.
func (s *Service) CVM(ctx context.Context, p Principal, identifier string) (*CVM, error) {
	if err := p.Require(ScopeRead); err != nil {
		return nil, err
	}
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return nil, err
	}
	return s.view(ctx, row, true)
}

// Document returns what a CVM runs, or before its first boot what it is about to. It does not ask the
// node.
func (s *Service) Document(ctx context.Context, p Principal, identifier string) (*appcompose.Document, error) {
	if err := p.Require(ScopeRead); err != nil {
		return nil, err
	}
	row, err := s.find(ctx, p, identifier)
	if err != nil {
		return nil, err
	}
	return s.shownDocument(ctx, row, nil)
}

// CVMs returns one page of the workspace's CVMs, newest first, and how many there are. Pages count
// from 1.
func (s *Service) CVMs(ctx context.Context, p Principal, page, size int) ([]*CVM, int64, error) {
	if err := p.Require(ScopeRead); err != nil {
		return nil, 0, err
	}
	total, err := s.store.Read().CountCVMs(ctx, p.Workspace.ID)
	if err != nil {
		return nil, 0, err
	}
	rows, err := s.store.Read().ListCVMs(ctx, p.Workspace.ID, int64(size), int64(page-1)*int64(size))
	if err != nil {
		return nil, 0, err
	}
	cvms := make([]*CVM, 0, len(rows))
	for _, row := range rows {
		cvm, err := s.view(ctx, row, false)
		if err != nil {
			return nil, 0, err
		}
		cvms = append(cvms, cvm)
	}
	return cvms, total, nil
}

func (s *Service) view(ctx context.Context, row store.CVM, live bool) (*CVM, error) {
	cvm := &CVM{Row: row}
	var err error
	if cvm.App, err = s.store.Read().GetApp(ctx, row.AppID); err != nil {
		return nil, fmt.Errorf("app %s: %w", row.AppID, err)
	}
	cvm.Node = s.catalog.hostOf(row.NodeID)
	if cvm.KMS, err = s.catalog.kmsOf(row.KMSID); err != nil {
		return nil, err
	}
	key, err := s.store.Read().GetAPIKey(ctx, row.CreatedBy)
	if err != nil {
		return nil, fmt.Errorf("creator %s: %w", row.CreatedBy, err)
	}
	cvm.Creator = key.Name
	if isPower(row.ActiveUpdateID) {
		op, err := s.store.Read().GetPowerOperation(ctx, row.ActiveUpdateID)
		if err != nil {
			return nil, fmt.Errorf("power operation %s: %w", row.ActiveUpdateID, err)
		}
		cvm.Power = &op
	} else if row.ActiveUpdateID != "" {
		u, err := s.store.Read().GetUpdate(ctx, row.ActiveUpdateID)
		if err != nil {
			return nil, fmt.Errorf("update %s: %w", row.ActiveUpdateID, err)
		}
		cvm.Active = &u
	}
	if cvm.Document, err = s.shownDocument(ctx, row, cvm.Active); err != nil {
		return nil, err
	}
	if live {
		// The page is still useful without what the node says.
		cvm.ask(ctx)
		if cvm.LastError, err = s.lastError(ctx, row.ID); err != nil {
			return nil, err
		}
	}
	return cvm, nil
}

// askLimit bounds how long a reader waits for a node: the official clients give up after 30 s.
const askLimit = 10 * time.Second

// ask has the node say what it sees.
func (c *CVM) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	status, err := c.Node.Runtime.Status(ctx, c.Row.VMUUID)
	if err != nil {
		c.LiveError = err
		return
	}
	c.Live = &status
}

func (s *Service) lastError(ctx context.Context, cvmID int64) (string, error) {
	updates, err := s.store.Read().ListUpdates(ctx, cvmID, 1)
	if err != nil || len(updates) == 0 {
		return "", err
	}
	power, err := s.store.Read().OlderPowerOperations(ctx, store.OlderPowerOperationsParams{
		CVMID: cvmID, Until: farFuture, BeforeAt: farFuture, Kinds: allKinds, Most: 1,
	})
	if err != nil {
		return "", err
	}
	if len(power) > 0 && power[0].CreatedAt.After(updates[0].CreatedAt.Time) {
		return power[0].Error, nil
	}
	if state := updates[0].State; state != column.RolledBack && state != column.Failed {
		return "", nil
	}
	return updates[0].Error, nil
}

// shownDocument is the document that a reader sees: what runs, or before the first boot what is about
// to.
func (s *Service) shownDocument(ctx context.Context, row store.CVM, active *store.Update) (*appcompose.Document, error) {
	if row.RevisionID != "" {
		if document, ok := s.shown.Get(row.RevisionID); ok {
			return document, nil
		}
		revision, err := s.store.Read().GetRevision(ctx, row.RevisionID)
		if err != nil {
			return nil, fmt.Errorf("revision %s: %w", row.RevisionID, err)
		}
		document, err := s.document(ctx, s.store.Read(), revision.ComposeHash)
		if err == nil {
			s.shown.Add(row.RevisionID, document)
		}
		return document, err
	}
	if active != nil {
		return s.document(ctx, s.store.Read(), active.ComposeHash)
	}
	updates, err := s.store.Read().ListUpdates(ctx, row.ID, 1)
	if err != nil {
		return nil, err
	}
	if len(updates) == 0 {
		return nil, fmt.Errorf("control: CVM %s has no document", row.HashID)
	}
	return s.document(ctx, s.store.Read(), updates[0].ComposeHash)
}

// document reads a stored document and checks that the bytes are still those of its hash. A store that
// lost or changed a byte must never reach a runtime.
func (s *Service) document(ctx context.Context, q *store.Queries, hash appcompose.ComposeHash) (*appcompose.Document, error) {
	b, err := q.GetDocument(ctx, hash)
	if err != nil {
		return nil, fmt.Errorf("document %s: %w", hash, err)
	}
	if got := appcompose.Hash(b); got != hash {
		return nil, fmt.Errorf("control: stored document %s has bytes of hash %s", hash, got)
	}
	return appcompose.Parse(b)
}

// appAddress is the address of an app's contract.
func appAddress(appID string) common.Address { return common.HexToAddress(appID) }
