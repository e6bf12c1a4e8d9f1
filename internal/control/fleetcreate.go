package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/fleet"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// Defaults and limits of a rollout.
const (
	defaultMinReady = 10   // seconds
	maxMinReady     = 3600 // seconds
)

// StartRollout is POST /apps/{app_id}/rollouts: one document that the owner approved goes to all replicas
// of an app, or to those named. While one to the same document is on its way it is returned instead.
func (s *Service) StartRollout(ctx context.Context, p Principal, appID string, request api.RolloutRequest) (*FleetRollout, error) {
	app, err := s.ownApp(ctx, p, appID)
	if err != nil {
		return nil, cmp.Or(p.Require(ScopeUpdate), err)
	}
	rollout, err := s.startRollout(ctx, p, app, request)
	return rollout, s.refused(ctx, p, attempt{
		what: "rollout", appID: app.AppID, composeHash: request.ComposeHash, transaction: request.TransactionHash,
	}, err)
}

func (s *Service) startRollout(ctx context.Context, p Principal, app store.App, request api.RolloutRequest) (*FleetRollout, error) {
	if err := p.Require(ScopeUpdate); err != nil {
		return nil, err
	}
	if id, ok := madeBefore(p); ok {
		return s.Rollout(ctx, p, app.AppID, id)
	}
	cvms, err := s.chosenCVMs(ctx, p, app, request.VMUUIDs)
	if err != nil {
		return nil, err
	}
	how, err := fleetPolicy(request, len(cvms))
	if err != nil {
		return nil, err
	}
	hash, err := s.rolloutDocument(ctx, app, request)
	if err != nil {
		return nil, err
	}
	active, err := s.store.Read().FindActiveRollout(ctx, app.AppID)
	switch {
	case err == nil:
		return s.sameRollout(ctx, active, hash)
	case !errors.Is(err, store.ErrNotFound):
		return nil, fmt.Errorf("active rollout of %s: %w", app.AppID, err)
	}
	tx, err := parseTransaction(request.TransactionHash)
	if err != nil {
		return nil, err
	}
	if err := s.checkFleet(ctx, app, cvms, hash, tx); err != nil {
		return nil, err
	}
	row, err := s.insertRollout(ctx, p, app, cvms, how, hash, tx)
	if errors.Is(err, store.ErrDuplicate) { // another request was first
		if active, err = s.store.Read().FindActiveRollout(ctx, app.AppID); err == nil {
			return s.sameRollout(ctx, active, hash)
		}
		return nil, busy().Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("start rollout of %s: %w", app.AppID, err)
	}
	tell(ctx, tracedRollout(&row))
	s.log.InfoContext(ctx, "rollout started", "rollout", row.ID, "app", app.AppID, "compose_hash", hash.String(), "cvms", len(cvms), "strategy", row.Strategy)
	return s.fleetView(ctx, row)
}

// sameRollout answers a request with the rollout that is active, if it takes CVMs to the same document.
func (s *Service) sameRollout(ctx context.Context, active store.Rollout, hash appcompose.ComposeHash) (*FleetRollout, error) {
	if active.ComposeHash == hash && active.State != column.RolloutRollingBack {
		return s.fleetView(ctx, active)
	}
	return nil, problem.New(problem.KindConflict, "", "another rollout of this app is active").
		With("rollout_id", active.ID, "").With("compose_hash", active.ComposeHash.String(), "").With("state", string(active.State), "").
		Suggest("Wait until it has ended, or abort it with POST /apps/%s/rollouts/%s/abort.", active.AppID, active.ID)
}

// chosenCVMs are the CVMs of a rollout in the order of their ids.
func (s *Service) chosenCVMs(ctx context.Context, p Principal, app store.App, vmUUIDs []string) ([]store.CVM, error) {
	all, err := s.store.Read().FindCVMsByApp(ctx, app.AppID)
	if err != nil {
		return nil, fmt.Errorf("CVMs of %s: %w", app.AppID, err)
	}
	all = slices.DeleteFunc(all, func(c store.CVM) bool { return c.WorkspaceID != p.Workspace.ID })
	chosen := all
	if len(vmUUIDs) > 0 {
		wanted := make(map[string]string, len(vmUUIDs)) // as it was given, by its plain form
		for _, id := range vmUUIDs {
			wanted[plainUUID(id)] = id
		}
		chosen = slices.DeleteFunc(all, func(c store.CVM) bool { return wanted[plainUUID(c.VMUUID)] == "" })
		for _, row := range chosen {
			delete(wanted, plainUUID(row.VMUUID))
		}
		for _, id := range wanted {
			return nil, problem.New(problem.KindNotFound, api.CodeCVMNotFound, "a CVM of the rollout was not found").
				With("vm_uuids", id, "the vm_uuid of a CVM of this app")
		}
	}
	if len(chosen) == 0 {
		return nil, problem.New(problem.KindNotFound, api.CodeCVMNotFound, "the app has no CVM").With("app_id", app.AppID, "")
	}
	return chosen, nil
}

// plainUUID is a UUID in the form in which two can be compared.
func plainUUID(id string) string { return strings.ToLower(strings.ReplaceAll(id, "-", "")) }

func sameUUID(a, b string) bool { return plainUUID(a) == plainUUID(b) }

func badRollout(field string, seen any, want string) *problem.Error {
	return problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad rollout").With(field, seen, want)
}

// fleetPolicy checks how a rollout is to go about n CVMs and resolves its amounts.
func fleetPolicy(request api.RolloutRequest, n int) (fleet.Policy, error) {
	how := fleet.Policy{Strategy: column.RolloutStrategy(request.Strategy), MaxFailures: request.MaxFailures}
	switch how.Strategy {
	case "":
		how.Strategy = column.StrategyRolling
	case column.StrategyRolling, column.StrategyCanary, column.StrategyAllAtOnce:
	default:
		return how, badRollout("strategy", request.Strategy, "rolling, canary or all_at_once")
	}
	for _, amount := range []struct {
		field string
		given api.CountOrPercent
		into  *int
		fits  bool
		with  string
	}{
		{"max_unavailable", request.MaxUnavailable, &how.MaxUnavailable, how.Strategy != column.StrategyAllAtOnce, "rolling and canary"},
		{"canary", request.Canary, &how.Canary, how.Strategy == column.StrategyCanary, "canary"},
	} {
		switch {
		case amount.given == "" && amount.fits:
			*amount.into = 1
		case amount.given == "":
		case !amount.fits:
			return how, badRollout(amount.field, string(amount.given), "only with the strategy "+amount.with)
		default:
			parsed, err := fleet.ParseAmount(string(amount.given))
			if err != nil || (!parsed.Percent && parsed.N == 0) {
				return how, badRollout(amount.field, string(amount.given), "a count of at least 1, or a percentage such as 25%").Because(err)
			}
			*amount.into = parsed.Of(n)
		}
	}
	if how.Strategy == column.StrategyAllAtOnce {
		how.MaxUnavailable = n
	}
	seconds := defaultMinReady
	if request.MinReady != nil {
		seconds = *request.MinReady
	}
	if seconds < 0 || seconds > maxMinReady {
		return how, badRollout("min_ready", seconds, fmt.Sprintf("0 to %d seconds", maxMinReady))
	}
	how.MinReady = time.Duration(seconds) * time.Second
	if how.MaxFailures < 0 {
		return how, badRollout("max_failures", how.MaxFailures, "0 or more")
	}
	return how, nil
}

// rolloutDocument finds the document that a request names, which the app has to know.
func (s *Service) rolloutDocument(ctx context.Context, app store.App, request api.RolloutRequest) (appcompose.ComposeHash, error) {
	var none appcompose.ComposeHash
	switch {
	case (request.ComposeHash == "") == (request.RevisionID == ""):
		return none, badRollout("compose_hash", request.ComposeHash, "either compose_hash or revision_id")
	case request.RevisionID != "":
		revision, err := s.revisionOf(ctx, app.AppID, request.RevisionID)
		return revision.ComposeHash, err
	}
	hash, err := appcompose.ParseComposeHash(request.ComposeHash)
	if err != nil {
		return none, hashInvalid("Invalid compose hash").With("compose_hash", request.ComposeHash, "64 hex digits, 0x optional").Because(err)
	}
	return hash, s.knownDocument(ctx, app.AppID, hash)
}

// knownDocument makes sure that a document was proposed for a CVM of the app, or ran on one.
func (s *Service) knownDocument(ctx context.Context, appID string, hash appcompose.ComposeHash) error {
	known, err := s.store.Read().IsDocumentOfApp(ctx, appID, hash)
	if err != nil {
		return fmt.Errorf("look up document %s: %w", hash, err)
	}
	if !known {
		return hashInvalid("Invalid compose hash: no document of this app has it").With("compose_hash", hash.String(), "")
	}
	return nil
}

// checkFleet makes sure that the owner allows the document on every node it will go to, and lists all that
// is missing at once.
func (s *Service) checkFleet(ctx context.Context, app store.App, cvms []store.CVM, hash appcompose.ComposeHash, tx string) error {
	missing := fleetGaps{app: app, hash: hash}
	asked := map[common.Hash]bool{}
	for _, row := range cvms {
		service, err := s.catalog.kmsOf(row.KMSID)
		if err != nil {
			return err
		}
		node, err := s.catalog.node(row.NodeID)
		if err != nil {
			return err
		}
		if !service.OnChain() {
			if tx != "" {
				return badRollout("transaction_hash", tx, "nothing: the KMS of this app asks no chain")
			}
			continue
		}
		if asked[node.DeviceID] {
			missing.addCVM(node, row)
			continue
		}
		if len(asked) == 0 && tx != "" {
			if _, _, err := s.prove(ctx, &target{row: row, kms: service, node: node}, hash, tx); problem.Is(err, problem.KindTxUnverified) {
				return err
			}
		}
		asked[node.DeviceID] = true
		state, err := service.Registry.State(ctx, appAddress(app.AppID), node.DeviceID, common.Hash(hash))
		if errors.Is(err, onchain.ErrNotAContract) {
			return noContract(appAddress(app.AppID), err)
		}
		if err != nil {
			return chainUnavailable(err)
		}
		if state.AwaitingFinality {
			return problem.New(problem.KindBusy, "", "the approval is on chain but not as deep as configured yet; try again in a moment")
		}
		missing.add(service, node, row, state)
	}
	return missing.problem()
}

// fleetGaps gathers what the owner has not allowed.
type fleetGaps struct {
	app     store.App
	hash    appcompose.ComposeHash
	kms     *KMS
	device  string // the first that is missing, or of the first CVM
	noHash  bool
	devices []api.MissingApproval
}

func (g *fleetGaps) add(service *KMS, node *Node, row store.CVM, state onchain.AppState) {
	g.kms = service
	if g.device == "" {
		g.device = hashHex(node.DeviceID)
	}
	g.noHash = g.noHash || !state.ComposeHashAllowed
	if !state.AllowAnyDevice && !state.DeviceAllowed {
		g.devices = append(g.devices, missingDevice(node, row.VMUUID))
	}
}

// addCVM adds a CVM of a node that was asked about before.
func (g *fleetGaps) addCVM(node *Node, row store.CVM) {
	for i := range g.devices {
		if g.devices[i].Value == hashHex(node.DeviceID) {
			g.devices[i].VMUUIDs = append(g.devices[i].VMUUIDs, row.VMUUID)
		}
	}
}

func (g *fleetGaps) problem() error {
	if !g.noHash && len(g.devices) == 0 {
		return nil
	}
	var missing []api.MissingApproval
	if g.noHash {
		missing = append(missing, missingHash(g.hash))
	}
	if len(g.devices) > 0 {
		g.device = g.devices[0].Value
	}
	return registrationRequired(g.app.AppID, g.hash, g.device, g.kms, append(missing, g.devices...))
}

// registrationRequired is the 465 of what goes to CVMs that were not there when the owner approved: it
// lists all that the contract does not allow yet.
func registrationRequired(appID string, hash appcompose.ComposeHash, device string, service *KMS, missing []api.MissingApproval) *problem.Error {
	contract, status := appAddress(appID).Hex(), api.OnchainStatus{ComposeHashAllowed: true, DeviceIDAllowed: true, IsAllowed: len(missing) == 0}
	p := problem.New(problem.KindHashRequired, api.CodeHashRegistrationRequired, "registration required on-chain: %d approvals are missing", len(missing))
	if len(missing) == 0 {
		p.Message = "prepared; the contract allows everything that is needed"
	}
	for _, m := range missing {
		status.ComposeHashAllowed = status.ComposeHashAllowed && m.Kind != "compose_hash"
		status.DeviceIDAllowed = status.DeviceIDAllowed && m.Kind != "device"
		p.Suggest("The owner of the app calls %s on %s.", m.Call, contract)
	}
	return p.With(api.DetailComposeHash, hash.String(), "").
		With(api.DetailAppID, appID, "").
		With(api.DetailDeviceID, device, "").
		With(api.DetailKMSInfo, service.Info(), "").
		With(api.DetailOnchainStatus, status, "").
		With(api.DetailMissing, api.List[api.MissingApproval](missing), "").
		Suggest("Then repeat this request.")
}

func (s *Service) insertRollout(ctx context.Context, p Principal, app store.App, cvms []store.CVM, how fleet.Policy, hash appcompose.ComposeHash, txHash string) (store.Rollout, error) {
	id, err := s.newID("rol_")
	if err != nil {
		return store.Rollout{}, err
	}
	batches, canaryBatches := fleet.Plan(len(cvms), how)
	now := column.At(s.clock.Now())
	reason := fmt.Sprintf("approved for %d CVMs in %d batches", len(cvms), batches[len(batches)-1]+1)
	var row store.Rollout
	err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := made(ctx, tx, p, id); err != nil {
			return err
		}
		begun := store.Rollout{ID: id, AppID: app.AppID, ComposeHash: hash, TxHash: txHash, Strategy: how.Strategy}
		if err := s.enterRollout(ctx, tx, &begun, "", column.RolloutRunning, reason, p.KeyID, now); err != nil {
			return err
		}
		if err := tx.InsertRollout(ctx, store.InsertRolloutParams{
			ID: id, AppID: app.AppID, WorkspaceID: p.Workspace.ID, ComposeHash: hash, TxHash: txHash, Strategy: how.Strategy,
			MaxUnavailable: int64(how.MaxUnavailable), Canary: int64(how.Canary), CanaryBatches: int64(canaryBatches),
			MinReady: int64(how.MinReady.Seconds()), MaxFailures: int64(how.MaxFailures), State: column.RolloutRunning,
			Reason: reason, CreatedBy: p.KeyID, CreatedAt: now,
		}); err != nil {
			return err
		}
		for i, cvm := range cvms {
			if err := tx.InsertRolloutTarget(ctx, store.InsertRolloutTargetParams{
				RolloutID: id, Position: int64(i), CVMID: cvm.ID, VMUUID: cvm.VMUUID, Batch: int64(batches[i]),
				State: column.TargetPending, Reason: "waits for its turn", UpdatedAt: now,
			}); err != nil {
				return err
			}
		}
		if err := tx.InsertRolloutEvent(ctx, store.InsertRolloutEventParams{
			RolloutID: id, FromState: "", ToState: column.RolloutRunning, Reason: reason, Actor: p.KeyID, CreatedAt: now,
		}); err != nil {
			return err
		}
		if err := s.queue.EnqueueRollout(ctx, tx, id); err != nil {
			return err
		}
		row, err = tx.GetRollout(ctx, id)
		return err
	})
	return row, err
}
