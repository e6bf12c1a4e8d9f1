package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// chainReader is what the server reads of a chain besides approvals.
type chainReader struct {
	caller   onchain.Caller
	contract common.Address // of the KMS
}

// IsAppRegistered implements control.AppContracts.
func (r chainReader) IsAppRegistered(ctx context.Context, kmsContract, app common.Address) (bool, error) {
	return onchain.IsAppRegistered(ctx, r.caller, kmsContract, app)
}

// IsAppAllowed implements kms.AppAllower: the check that dstack-kms makes before it gives out keys.
func (r chainReader) IsAppAllowed(ctx context.Context, info kms.BootInfo) (bool, string, error) {
	decision, err := onchain.IsAppAllowed(ctx, r.caller, r.contract, onchain.AppBootInfo{
		AppID: info.AppID, ComposeHash: info.ComposeHash, InstanceID: common.BytesToAddress(info.InstanceID),
		DeviceID: info.DeviceID, MRAggregated: info.MRAggregated, MRSystem: info.MRSystem, OSImageHash: info.OSImageHash,
		TCBStatus: info.TCBStatus, AdvisoryIDs: info.AdvisoryIDs,
	})
	return decision.Allowed, decision.Reason, err
}

// kmsRouter asks the KMS that an app belongs to. One simulated host has CVMs of several.
type kmsRouter struct {
	store *store.Store
	byID  map[string]kms.Authorizer
}

// AuthorizeBoot implements kms.Authorizer.
func (r *kmsRouter) AuthorizeBoot(ctx context.Context, info kms.BootInfo) (kms.Decision, error) {
	app, err := r.store.Read().GetApp(ctx, hex.EncodeToString(info.AppID[:]))
	if errors.Is(err, store.ErrNotFound) {
		return kms.Decision{Reason: "App not registered"}, nil
	}
	if err != nil {
		return kms.Decision{}, err
	}
	authorizer := r.byID[app.KMSID]
	if authorizer == nil {
		return kms.Decision{}, fmt.Errorf("KMS %s of app %s is not configured", app.KMSID, app.AppID)
	}
	return authorizer.AuthorizeBoot(ctx, info)
}

// offChain lets boot what the platform accepted for the app.
func offChain(db *store.Store) kms.Authorizer {
	return kms.AllowlistAuthorizer{Allowed: func(ctx context.Context, appID [20]byte, hash [32]byte) (bool, error) {
		return control.IsAccepted(ctx, db, appID, hash)
	}}
}
