package control

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// Provisioned is the answer to the first of the two calls that make a CVM.
type Provisioned struct {
	Row    store.Provision
	KMS    *KMS
	Node   *Node
	Image  Image
	EnvKey string // X25519 public key, 64 hex; empty until the app id is known
}

// Provision is POST /cvms/provision: it builds the document once, keeps its bytes, and chooses where it
// will run. Nothing is created yet. composeFile is the member compose_file as the client sent it; nil means
// the one in the request.
func (s *Service) Provision(ctx context.Context, p Principal, request api.ProvisionRequest, composeFile json.RawMessage) (*Provisioned, error) {
	if err := p.Require(ScopeAdmin); err != nil {
		return nil, err
	}
	if err := api.ValidateCVMName(request.Name); err != nil {
		return nil, fieldProblem(err)
	}
	// Told now, before an owner pays for a contract; the commit has the last word.
	if taken, err := s.store.Read().FindCVMsByName(ctx, p.Workspace.ID, request.Name); err != nil {
		return nil, fmt.Errorf("look up name: %w", err)
	} else if len(taken) > 0 {
		return nil, nameTaken(request.Name)
	}
	service, err := s.chooseKMS(request)
	if err != nil {
		return nil, err
	}
	document, err := s.firstDocument(ctx, request, composeFile)
	if err != nil {
		return nil, err
	}
	need, err := size(request)
	if err != nil {
		return nil, err
	}
	node, err := s.place(ctx, request, need)
	if err != nil {
		return nil, err
	}
	chosen, err := image(node, request)
	if err != nil {
		return nil, err
	}
	id, err := s.newID("prv_")
	if err != nil {
		return nil, err
	}
	now := column.At(s.clock.Now())
	row := store.Provision{
		ID: id, WorkspaceID: p.Workspace.ID, ComposeHash: document.Hash(), Name: request.Name, NodeID: node.ID,
		KMSID: service.ID, Image: chosen.Name, InstanceType: need.ID, VCPU: need.VCPU, MemoryMB: need.MemoryMB,
		DiskGB: need.DiskGB, Listed: request.Listed == nil || *request.Listed, CreatedBy: p.KeyID, CreatedAt: now,
		ExpiresAt: column.At(now.Add(s.timeouts.Provision)),
	}
	err = s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		if !service.OnChain() {
			if row.AppID, err = s.takeAppID(ctx, tx, p, request); err != nil {
				return err
			}
		}
		if err := tx.PutDocument(ctx, row.ComposeHash, document.Bytes(), now); err != nil {
			return err
		}
		return tx.InsertProvision(ctx, store.InsertProvisionParams(row))
	})
	if err != nil {
		return nil, fmt.Errorf("provision %s: %w", request.Name, err)
	}
	provisioned := &Provisioned{Row: row, KMS: service, Node: node, Image: chosen}
	if row.AppID != "" {
		key, err := s.envKey(ctx, service, row.AppID)
		if err != nil {
			return nil, err
		}
		provisioned.EnvKey = hex.EncodeToString(key.PublicKey[:])
	}
	return provisioned, nil
}

func nameTaken(name string) *problem.Error {
	return problem.New(problem.KindConflict, api.CodeDuplicateCVMName, "a CVM named %q exists already", name).
		With("name", name, "a name that is free in the workspace").
		Suggest("Choose another name, or update the CVM that is there.")
}

func fieldProblem(err error) *problem.Error {
	p := problem.New(problem.KindInvalid, api.CodeInvalidRequest, "%v", err)
	if f, ok := errors.AsType[*api.FieldError](err); ok {
		p.With(f.Field, f.Seen, f.Expected)
	}
	return p
}

func (s *Service) chooseKMS(request api.ProvisionRequest) (*KMS, error) {
	wanted := string(api.KMSPhala)
	if request.KMS != nil && *request.KMS != "" {
		wanted = *request.KMS
	}
	if request.KMSID != nil && *request.KMSID != "" {
		wanted = *request.KMSID
	}
	service, err := s.catalog.FindKMS(wanted)
	if p, ok := errors.AsType[*problem.Error](err); ok {
		p.Kind = problem.KindInvalid // here the KMS is part of what was asked for, not what was asked
	}
	return service, err
}

// firstDocument builds the app-compose document of a new CVM from the members that the client chose.
// Members that are unknown here are kept: they are part of what the owner approves.
func (s *Service) firstDocument(ctx context.Context, request api.ProvisionRequest, composeFile json.RawMessage) (*appcompose.Document, error) {
	if composeFile == nil {
		var err error
		if composeFile, err = json.Marshal(request.ComposeFile); err != nil {
			return nil, fmt.Errorf("encode compose_file: %w", err)
		}
	}
	spec, err := appcompose.ParseSpec(composeFile, request.Name)
	if err != nil {
		return nil, badDocument(err)
	}
	if len(spec.AllowedEnvs) == 0 {
		spec.AllowedEnvs = request.EnvKeys
	}
	document, err := appcompose.New(spec)
	if err != nil {
		return nil, badDocument(err)
	}
	if document.Runner() == appcompose.RunnerBash {
		return document, nil
	}
	if err := s.checkCompose(ctx, document, []byte(document.DockerComposeFile())); err != nil {
		if p, ok := errors.AsType[*problem.Error](err); ok && p.Kind == problem.KindUnprocessable {
			p.Kind = problem.KindInvalid // on creation the hosted API answers 400, not 422
		}
		return nil, err
	}
	return document, nil
}

func badDocument(err error) error {
	kind := problem.KindInvalid
	if _, ok := errors.AsType[*appcompose.SizeError](err); ok {
		kind = problem.KindTooLarge
	}
	return problem.New(kind, api.CodeInvalidComposeFile, "compose_file cannot be made into an app-compose document: %v", err)
}

// takeAppID gives a new CVM with an off-chain KMS its app id. A client that was told its next app ids may
// name the one it counts on, with its nonce.
func (s *Service) takeAppID(ctx context.Context, tx *store.Tx, p Principal, request api.ProvisionRequest) (string, error) {
	workspace, err := tx.GetWorkspace(ctx, p.Workspace.ID)
	if err != nil {
		return "", err
	}
	nonce := workspace.NextNonce
	if request.Nonce != nil {
		nonce = *request.Nonce
	}
	if nonce < 0 {
		return "", problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad nonce").With("nonce", nonce, "0 or more")
	}
	id := appIDAt(workspace, nonce)
	if request.AppID != nil && *request.AppID != "" {
		wanted, err := api.ParseAppID("app_id", *request.AppID)
		if err != nil {
			return "", fieldProblem(err)
		}
		if wanted != id {
			return "", problem.New(problem.KindInvalid, api.CodeInvalidRequest, "app_id does not belong to this nonce of the workspace").
				With("app_id", wanted, id).With("nonce", nonce, "").
				Suggest("Ask GET /kms/phala/next_app_id for the pairs that are free.")
		}
	}
	if nonce < workspace.NextNonce {
		return id, nil // given out before; the commit refuses it if it is in use
	}
	return id, tx.SetWorkspaceNonce(ctx, workspace.ID, nonce+1)
}

// EnvKey is GET /kms/{kms}/pubkey/{app_id}.
func (s *Service) EnvKey(ctx context.Context, kmsRef, appID string) (kms.EnvKey, error) {
	service, err := s.catalog.FindKMS(kmsRef)
	if err != nil {
		return kms.EnvKey{}, err
	}
	id, err := api.ParseAppID("app_id", appID)
	if err != nil {
		return kms.EnvKey{}, fieldProblem(err)
	}
	return s.envKey(ctx, service, id)
}

func (s *Service) envKey(ctx context.Context, service *KMS, appID string) (kms.EnvKey, error) {
	key, err := service.Keys.AppEnvKey(ctx, appAddress(appID))
	if err != nil {
		return kms.EnvKey{}, problem.New(problem.KindUnavailable, "", "the KMS %s did not give a key", service.Slug).
			Because(err).Suggest("Repeat the call in a moment.")
	}
	return key, nil
}

// Commit is POST /cvms: it creates the CVM that was provisioned and boots it. Repeated with the same app
// id and compose hash it returns the CVM that is there.
func (s *Service) Commit(ctx context.Context, p Principal, request api.CommitRequest) (*CVM, error) {
	if err := p.Require(ScopeAdmin); err != nil {
		return nil, err
	}
	appID, err := api.ParseAppID("app_id", request.AppID)
	if err != nil {
		return nil, fieldProblem(err)
	}
	hash, err := appcompose.ParseComposeHash(request.ComposeHash)
	if err != nil {
		return nil, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad compose hash").
			With("compose_hash", request.ComposeHash, "64 hex digits, 0x optional").Because(err)
	}
	if existing, err := s.committed(ctx, p, appID, hash); existing != nil || err != nil {
		return existing, err
	}
	provision, err := s.provision(ctx, p, appID, hash)
	if err != nil {
		return nil, err
	}
	draft, err := s.draft(ctx, p, provision, request, appID)
	if err != nil {
		return nil, err
	}
	row, err := s.create(ctx, p, draft)
	if err != nil {
		if errors.Is(err, store.ErrDuplicate) {
			return nil, nameTaken(provision.Name).Because(err)
		}
		return nil, fmt.Errorf("create CVM %s: %w", provision.Name, err)
	}
	s.events.Publish(row.ID)
	return s.view(ctx, row, false)
}

// committed answers a repeated commit, and refuses an app id that is in use for something else.
func (s *Service) committed(ctx context.Context, p Principal, appID string, hash appcompose.ComposeHash) (*CVM, error) {
	cvms, err := s.store.Read().FindCVMsByApp(ctx, appID)
	if err != nil || len(cvms) == 0 {
		return nil, err
	}
	for _, cvm := range cvms {
		if cvm.WorkspaceID != p.Workspace.ID {
			continue
		}
		_, err := s.store.Read().FindLatestByHash(ctx, cvm.ID, hash)
		if err == nil {
			return s.view(ctx, cvm, false)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	conflict := problem.New(problem.KindConflict, api.CodeCVMAppIDConflict, "the app id is in use with another configuration").
		With("app_id", appID, "").Suggest("Update the CVM that is there, or provision a new one.")
	if !slices.ContainsFunc(cvms, func(c store.CVM) bool { return c.WorkspaceID == p.Workspace.ID }) {
		return nil, conflict // a stranger's request leaves no trace in the history of the app
	}
	return nil, s.refused(ctx, p, attempt{what: "create", appID: appID, composeHash: hash.String()}, conflict)
}

func (s *Service) provision(ctx context.Context, p Principal, appID string, hash appcompose.ComposeHash) (store.Provision, error) {
	found, err := s.store.Read().FindProvisions(ctx, p.Workspace.ID, hash)
	if err != nil {
		return store.Provision{}, fmt.Errorf("look up provision: %w", err)
	}
	i := slices.IndexFunc(found, func(row store.Provision) bool { return row.AppID == "" || row.AppID == appID })
	if i < 0 {
		return store.Provision{}, problem.New(problem.KindUnprocessable, api.CodeInvalidRequest, "nothing was provisioned with this compose hash and app id").
			With("compose_hash", hash.String(), "").With("app_id", appID, "").Suggest("Call POST /cvms/provision first.")
	}
	if !s.clock.Now().Before(found[i].ExpiresAt.Time) {
		return store.Provision{}, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "the provision has expired").
			With("expires_at", found[i].ExpiresAt.Time, "").Suggest("Call POST /cvms/provision again.")
	}
	return found[i], nil
}

// draft is a CVM about to be created.
type draft struct {
	provision store.Provision
	app       store.App
	cvm       store.InsertCVMParams
	update    store.Update
	found     proof
}

func (s *Service) draft(ctx context.Context, p Principal, provision store.Provision, request api.CommitRequest, appID string) (*draft, error) {
	service, err := s.catalog.kmsOf(provision.KMSID)
	if err != nil {
		return nil, err
	}
	node, err := s.catalog.node(provision.NodeID)
	if err != nil || node.Removed {
		return nil, noLongerThere(provision.NodeID)
	}
	env, err := encryptedEnv(request.EncryptedEnv)
	if err != nil {
		return nil, err
	}
	app := store.App{AppID: appID, WorkspaceID: p.Workspace.ID, Name: provision.Name, KMSID: service.ID, CreatedAt: column.At(s.clock.Now())}
	found := proof{reason: "accepted; this KMS asks no chain"}
	if service.OnChain() {
		if found, err = s.checkContract(ctx, service, node, provision, request, appID); err != nil {
			return nil, err
		}
		app.ContractAddress = appAddress(appID).Hex()
		if request.DeployerAddress != nil {
			app.DeployerAddress = *request.DeployerAddress
		}
	}
	if app.ProjectID, err = s.newID("prj_"); err != nil {
		return nil, err
	}
	d, err := s.newDraft(ctx, p, provision, app, service, env)
	if err != nil {
		return nil, err
	}
	d.found = found
	return d, nil
}

// newDraft gives a CVM about to be created its ids, its key and its first update.
func (s *Service) newDraft(ctx context.Context, p Principal, provision store.Provision, app store.App, service *KMS, env []byte) (*draft, error) {
	key, err := s.envKey(ctx, service, app.AppID)
	if err != nil {
		return nil, err
	}
	now := column.At(s.clock.Now())
	d := &draft{provision: provision, app: app}
	ids := map[string]*string{"cvm_": &d.cvm.HashID, "upd_": &d.update.ID}
	for _, prefix := range []string{"cvm_", "upd_"} {
		if *ids[prefix], err = s.newID(prefix); err != nil {
			return nil, err
		}
	}
	if d.cvm.VMUUID, err = s.newUUID(); err != nil {
		return nil, err
	}
	if d.update.CorrelationID, err = s.newUUID(); err != nil {
		return nil, err
	}
	d.cvm.WorkspaceID, d.cvm.AppID, d.cvm.Name, d.cvm.NodeID, d.cvm.KMSID = p.Workspace.ID, app.AppID, provision.Name, provision.NodeID, service.ID
	d.cvm.Status, d.cvm.Image, d.cvm.InstanceType = StatusProvisioning, provision.Image, provision.InstanceType
	d.cvm.VCPU, d.cvm.MemoryMB, d.cvm.DiskGB, d.cvm.Listed = provision.VCPU, provision.MemoryMB, provision.DiskGB, provision.Listed
	d.cvm.EncryptedEnv, d.cvm.EnvPublicKey = env, hex.EncodeToString(key.PublicKey[:])
	d.cvm.CreatedBy, d.cvm.CreatedAt = p.KeyID, now
	d.update.Kind, d.update.ComposeHash, d.update.CreatedBy = column.KindDeploy, provision.ComposeHash, p.KeyID
	d.update.AllowForceStop = true
	d.update.State, d.update.CreatedAt, d.update.StateSince, d.update.Version = column.Proposed, now, now, 1
	d.update.ExpiresAt = column.At(now.Add(s.timeouts.Candidate))
	return d, nil
}

// maxEncryptedEnv is the largest ciphertext that a guest takes (.encrypted-env, 256 KiB).
const maxEncryptedEnv = 256 << 10

func encryptedEnv(text *string) ([]byte, error) {
	if text == nil || *text == "" {
		return nil, nil
	}
	env, err := hex.DecodeString(strings.TrimPrefix(*text, "0x"))
	if err != nil || len(env) > maxEncryptedEnv {
		return nil, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "encrypted_env cannot be read").
			With("encrypted_env", fmt.Sprintf("%d characters", len(*text)), fmt.Sprintf("hex of at most %d bytes", maxEncryptedEnv))
	}
	return env, nil
}

// checkContract makes sure that the owner's contract lets the new CVM boot, before it is created.
func (s *Service) checkContract(ctx context.Context, service *KMS, node *Node, provision store.Provision, request api.CommitRequest, appID string) (proof, error) {
	if request.ContractAddress != nil && *request.ContractAddress != "" {
		contract, err := api.ParseAppID("contract_address", *request.ContractAddress)
		if err != nil {
			return proof{}, fieldProblem(err)
		}
		if contract != appID {
			return proof{}, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "contract_address is not the app id").
				With("contract_address", *request.ContractAddress, "0x"+appID)
		}
	}
	registered, err := service.Contracts.IsAppRegistered(ctx, service.Contract, appAddress(appID))
	if err != nil {
		return proof{}, chainUnavailable(err)
	}
	if !registered {
		return proof{}, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "the KMS contract does not know this app").
			With("app_id", appID, "").With("kms_contract_address", service.Contract.Hex(), "").
			Suggest("Deploy the app with deployAndRegisterApp on the KMS contract, or register it there.")
	}
	t := &target{row: store.CVM{AppID: appID}, kms: service, node: node}
	return s.lookUp(ctx, t, provision.ComposeHash, "")
}

func (s *Service) create(ctx context.Context, p Principal, d *draft) (store.CVM, error) {
	var row store.CVM
	var update store.Update
	err := s.store.Write(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.GetApp(ctx, d.app.AppID)
		if errors.Is(err, store.ErrNotFound) {
			err = tx.InsertApp(ctx, store.InsertAppParams(d.app))
		}
		if err != nil {
			return err
		}
		if err := made(ctx, tx, p, d.cvm.HashID); err != nil {
			return err
		}
		if err := holdNode(ctx, tx, d.cvm.NodeID); err != nil {
			return err
		}
		if err := s.enterCVM(ctx, tx, &d.cvm, d.update.ComposeHash.String()); err != nil {
			return err
		}
		if row, err = tx.InsertCVM(ctx, d.cvm); err != nil {
			return err
		}
		update = d.update // the write may be carried out again
		update.CVMID = row.ID
		return s.open(ctx, tx, &update, &row, move{to: column.Approved, actor: p.KeyID, reason: d.found.reason, owner: d.found.owner})
	})
	if err == nil {
		tell(ctx, tracedUpdate(&update, &row))
	}
	return row, err
}
