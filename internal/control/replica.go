package control

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// Replicate is POST /cvms/{id}/replicas: another CVM of the same app with the same document, image, size
// and KMS, and with an id, a name and a disk of its own. With an on-chain KMS the owner must allow the
// document and the device before anything is created. With prepareOnly nothing is created in any case.
func (s *Service) Replicate(ctx context.Context, p Principal, identifier string, request api.ReplicateRequest, prepareOnly bool) (*CVM, error) {
	source, err := s.replicaSource(ctx, p, identifier, request.ComposeHash)
	if err != nil {
		return nil, cmp.Or(p.Require(ScopeAdmin), err)
	}
	return s.replicateRecorded(ctx, p, source, request, prepareOnly)
}

func (s *Service) replicateRecorded(ctx context.Context, p Principal, source store.CVM, request api.ReplicateRequest, prepareOnly bool) (*CVM, error) {
	cvm, err := s.replicate(ctx, p, source, request, prepareOnly)
	hash := ""
	if request.ComposeHash != nil {
		hash = *request.ComposeHash
	}
	return cvm, s.refused(ctx, p, attempt{what: "replica", appID: source.AppID, cvm: source.VMUUID, composeHash: hash}, err)
}

// ReplicateOfApp is POST /apps/{app_id}/cvms/{vm_uuid}/replicas.
func (s *Service) ReplicateOfApp(ctx context.Context, p Principal, appID, vmUUID string, request api.ReplicateRequest, prepareOnly bool) (*CVM, error) {
	app, err := s.ownApp(ctx, p, appID)
	if err != nil {
		return nil, cmp.Or(p.Require(ScopeAdmin), err)
	}
	cvms, err := s.store.Read().FindCVMsByApp(ctx, app.AppID)
	if err != nil {
		return nil, fmt.Errorf("CVMs of %s: %w", app.AppID, err)
	}
	i := slices.IndexFunc(cvms, func(c store.CVM) bool {
		return c.WorkspaceID == p.Workspace.ID && sameUUID(c.VMUUID, vmUUID)
	})
	if i < 0 {
		return nil, cmp.Or[error](p.Require(ScopeAdmin), noReplicaSource(vmUUID))
	}
	return s.replicateRecorded(ctx, p, cvms[i], request, prepareOnly)
}

func noReplicaSource(identifier string) *problem.Error {
	return problem.New(problem.KindNotFound, api.CodeReplicaSourceNotAccessible, "the CVM to replicate was not found").
		With("cvm_id", identifier, "a CVM of this workspace")
}

// replicaSource finds the CVM that is replicated. An app id may name several as long as it is clear which
// document is meant.
func (s *Service) replicaSource(ctx context.Context, p Principal, identifier string, composeHash *string) (store.CVM, error) {
	id, err := api.ParseIdentifier(identifier)
	if err != nil {
		return store.CVM{}, noReplicaSource(identifier).Because(err)
	}
	found, err := s.lookup(ctx, p, id)
	if err != nil {
		return store.CVM{}, err
	}
	found = slices.DeleteFunc(found, func(c store.CVM) bool { return c.WorkspaceID != p.Workspace.ID })
	if len(found) == 0 {
		return store.CVM{}, noReplicaSource(identifier)
	}
	hashes := map[appcompose.ComposeHash]store.CVM{}
	for _, row := range slices.Backward(found) { // so that the oldest stays
		document, err := s.shownDocument(ctx, row, nil)
		if err != nil {
			return store.CVM{}, err
		}
		hashes[document.Hash()] = row
	}
	if composeHash != nil && *composeHash != "" {
		if hash, err := appcompose.ParseComposeHash(*composeHash); err == nil {
			if row, ok := hashes[hash]; ok {
				return row, nil
			}
		}
		return found[0], nil // another document of the app, or one that is refused later
	}
	if len(hashes) > 1 {
		return store.CVM{}, problem.New(problem.KindInvalid, api.CodeReplicaHashRequired, "the CVMs of this app run %d different documents", len(hashes)).
			With("compose_hash", "", "the hash of the document that the replica is to run").
			Suggest("Name a compose_hash, or replicate one CVM by its vm_uuid.")
	}
	return found[0], nil
}

func (s *Service) replicate(ctx context.Context, p Principal, source store.CVM, request api.ReplicateRequest, prepareOnly bool) (*CVM, error) {
	if err := p.Require(ScopeAdmin); err != nil {
		return nil, err
	}
	if id, ok := madeBefore(p); ok {
		return s.CVM(ctx, p, id)
	}
	app, err := s.store.Read().GetApp(ctx, source.AppID)
	if err != nil {
		return nil, fmt.Errorf("app %s: %w", source.AppID, err)
	}
	service, err := s.catalog.kmsOf(source.KMSID)
	if err != nil {
		return nil, err
	}
	hash, err := s.replicaDocument(ctx, source, request.ComposeHash)
	if err != nil {
		return nil, err
	}
	node, err := s.replicaNode(ctx, source, request)
	if err != nil {
		return nil, err
	}
	env := source.EncryptedEnv
	if request.EncryptedEnv != nil && *request.EncryptedEnv != "" {
		if env, err = encryptedEnv(request.EncryptedEnv); err != nil {
			return nil, err
		}
	}
	found := proof{reason: "accepted; this KMS asks no chain"}
	switch {
	case service.OnChain():
		found.reason = "the contract allows the compose hash and the device"
		if found.owner, err = s.checkReplica(ctx, app, service, node, hash, prepareOnly); err != nil {
			return nil, err
		}
	case prepareOnly:
		return nil, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "the KMS of this app asks no chain, so there is nothing to prepare").
			With(api.HeaderPrepareOnly, "true", "nothing")
	}
	name, err := s.replicaName(source.Name)
	if err != nil {
		return nil, err
	}
	d, err := s.newDraft(ctx, p, store.Provision{
		WorkspaceID: p.Workspace.ID, ComposeHash: hash, Name: name, NodeID: node.ID, KMSID: service.ID, Image: source.Image,
		InstanceType: source.InstanceType, VCPU: source.VCPU, MemoryMB: source.MemoryMB, DiskGB: source.DiskGB, Listed: source.Listed,
	}, app, service, env)
	if err != nil {
		return nil, err
	}
	d.found = found
	row, err := s.create(ctx, p, d)
	if errors.Is(err, store.ErrDuplicate) {
		return nil, nameTaken(name).Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("create replica of %s: %w", source.HashID, err)
	}
	s.events.Publish(row.ID)
	return s.view(ctx, row, false)
}

// replicaDocument is what the replica will run: what its source does, or another document of the app.
func (s *Service) replicaDocument(ctx context.Context, source store.CVM, composeHash *string) (appcompose.ComposeHash, error) {
	if composeHash == nil || *composeHash == "" {
		document, err := s.shownDocument(ctx, source, nil)
		if err != nil {
			return appcompose.ComposeHash{}, err
		}
		return document.Hash(), nil
	}
	hash, err := appcompose.ParseComposeHash(*composeHash)
	if err != nil {
		return hash, problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad compose hash").
			With("compose_hash", *composeHash, "64 hex digits, 0x optional").Because(err)
	}
	known, err := s.store.Read().IsDocumentOfApp(ctx, source.AppID, hash)
	if err != nil {
		return hash, fmt.Errorf("look up document %s: %w", hash, err)
	}
	if !known {
		return hash, problem.New(problem.KindInvalid, api.CodeReplicaHashRequired, "no document of this app has this compose hash").
			With("compose_hash", hash.String(), "the hash of a document that a CVM of the app ran, or that was proposed for one")
	}
	return hash, nil
}

// replicaNode is where the replica will run: the node that was asked for, or that of its source. It must
// have the source's image and room.
func (s *Service) replicaNode(ctx context.Context, source store.CVM, request api.ReplicateRequest) (*Node, error) {
	wanted := request.NodeID
	if wanted == nil {
		wanted = request.TeepodID
	}
	id := source.NodeID
	if wanted != nil {
		id = *wanted
	}
	node, err := s.catalog.node(id)
	if err != nil || node.Removed {
		return nil, problem.New(problem.KindInvalid, api.CodeNodeNotFound, "node not found").
			With("node_id", id, "the id of a node of this server").Suggest("List the nodes with GET /teepods/available.")
	}
	if !slices.ContainsFunc(node.Images, func(i Image) bool { return i.Name == source.Image }) {
		return nil, problem.New(problem.KindInvalid, api.CodeReplicaImageNotAvailable, "node %s does not have the OS image of the source", node.Name).
			With("image", source.Image, "").With("node_id", id, "a node that has the image")
	}
	if err := node.Accepts(); err != nil {
		return nil, err
	}
	free, err := s.Free(ctx, node)
	if err != nil {
		return nil, err
	}
	return node, fits(node, free, InstanceType{VCPU: source.VCPU, MemoryMB: source.MemoryMB})
}

// checkReplica makes sure that the owner's contract lets the replica boot on its node, and returns the owner.
func (s *Service) checkReplica(ctx context.Context, app store.App, service *KMS, node *Node, hash appcompose.ComposeHash, prepareOnly bool) (string, error) {
	state, err := service.Registry.State(ctx, appAddress(app.AppID), node.DeviceID, common.Hash(hash))
	if errors.Is(err, onchain.ErrNotAContract) {
		return "", noContract(appAddress(app.AppID), err)
	}
	if err != nil {
		return "", chainUnavailable(err)
	}
	var missing []api.MissingApproval
	if !state.ComposeHashAllowed {
		missing = append(missing, missingHash(hash))
	}
	if !state.AllowAnyDevice && !state.DeviceAllowed {
		missing = append(missing, missingDevice(node))
	}
	switch {
	case len(missing) == 0 && !prepareOnly:
		return ownerOf(state), nil
	case state.AwaitingFinality:
		return "", problem.New(problem.KindBusy, "", "the approval is on chain but not as deep as configured yet; try again in a moment")
	default:
		return "", registrationRequired(app.AppID, hash, hashHex(node.DeviceID), service, missing)
	}
}

func missingHash(hash appcompose.ComposeHash) api.MissingApproval {
	return api.MissingApproval{Kind: "compose_hash", Value: hash.String(), Call: fmt.Sprintf("addComposeHash(0x%s)", hash)}
}

func missingDevice(node *Node, vmUUIDs ...string) api.MissingApproval {
	return api.MissingApproval{
		Kind: "device", Value: hashHex(node.DeviceID), Call: fmt.Sprintf("addDevice(0x%s)", hashHex(node.DeviceID)),
		NodeName: node.Name, VMUUIDs: vmUUIDs,
	}
}

// replicaName is the name of the source with random digits at its end.
func (s *Service) replicaName(source string) (string, error) {
	b := make([]byte, 3)
	if _, err := io.ReadFull(s.rand, b); err != nil {
		return "", fmt.Errorf("random name: %w", err)
	}
	suffix := "-" + hex.EncodeToString(b)
	if most := api.MaxCVMName - len(suffix); len(source) > most {
		source = strings.TrimRight(source[:most], "-")
	}
	return source + suffix, nil
}
