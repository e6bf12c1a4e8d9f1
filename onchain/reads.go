package onchain

import (
	"context"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/dstackapp"
	"github.com/lockstep-cvm/lockstep/onchain/internal/bindings/dstackkms"
)

// AppBootInfo is what a booting instance measured about itself, in the order of
// the contracts' struct.
type AppBootInfo struct {
	AppID        common.Address
	ComposeHash  common.Hash
	InstanceID   common.Address
	DeviceID     common.Hash
	MRAggregated common.Hash
	MRSystem     common.Hash
	OSImageHash  common.Hash
	TCBStatus    string
	AdvisoryIDs  []string
}

// Decision is a contract's answer to a boot request.
type Decision struct {
	Allowed bool
	Reason  string // why not; empty when allowed
}

// IsComposeHashAllowed reads allowedComposeHashes(bytes32) of the app's
// contract at the latest block.
func IsComposeHashAllowed(ctx context.Context, caller Caller, app common.Address, hash common.Hash) (bool, error) {
	c := appContract()
	return read(ctx, caller, app, "allowedComposeHashes(bytes32)", c.PackAllowedComposeHashes(hash), nil, c.UnpackAllowedComposeHashes)
}

// IsDeviceAllowed tells whether the app's contract lets instances boot on the
// device at the latest block: because any may, or because this one is listed.
func IsDeviceAllowed(ctx context.Context, caller Caller, app common.Address, device common.Hash) (bool, error) {
	c := appContract()
	anyDevice, err := read(ctx, caller, app, "allowAnyDevice()", c.PackAllowAnyDevice(), nil, c.UnpackAllowAnyDevice)
	if err != nil || anyDevice {
		return anyDevice, err
	}
	return read(ctx, caller, app, "allowedDeviceIds(bytes32)", c.PackAllowedDeviceIds(device), nil, c.UnpackAllowedDeviceIds)
}

// AppOwner reads owner() of a contract, of an app's or of a KMS's.
func AppOwner(ctx context.Context, caller Caller, contract common.Address) (common.Address, error) {
	c := appContract()
	return read(ctx, caller, contract, "owner()", c.PackOwner(), nil, c.UnpackOwner)
}

// IsAppRegistered reads registeredApps(address) of the KMS contract.
func IsAppRegistered(ctx context.Context, caller Caller, kms, app common.Address) (bool, error) {
	c := kmsContract()
	return read(ctx, caller, kms, "registeredApps(address)", c.PackRegisteredApps(app), nil, c.UnpackRegisteredApps)
}

// AppImplementation reads the contract that the factory puts behind new apps;
// zero when none is set.
func AppImplementation(ctx context.Context, caller Caller, kms common.Address) (common.Address, error) {
	c := kmsContract()
	return read(ctx, caller, kms, "appImplementation()", c.PackAppImplementation(), nil, c.UnpackAppImplementation)
}

// GatewayAppID reads gatewayAppId() of the KMS contract.
func GatewayAppID(ctx context.Context, caller Caller, kms common.Address) (string, error) {
	c := kmsContract()
	return read(ctx, caller, kms, "gatewayAppId()", c.PackGatewayAppId(), nil, c.UnpackGatewayAppId)
}

// IsAppAllowed asks the KMS contract what a KMS asks it before it releases an
// app's keys: isAppAllowed(AppBootInfo) at the latest block.
func IsAppAllowed(ctx context.Context, caller Caller, kms common.Address, info AppBootInfo) (Decision, error) {
	c := kmsContract()
	out, err := read(ctx, caller, kms, "isAppAllowed", c.PackIsAppAllowed(info.kms()), nil, c.UnpackIsAppAllowed)
	return Decision{Allowed: out.IsAllowed, Reason: out.Reason}, err
}

// IsKMSAllowed asks the KMS contract whether another instance of the KMS may
// boot: isKmsAllowed(AppBootInfo) at the latest block.
func IsKMSAllowed(ctx context.Context, caller Caller, kms common.Address, info AppBootInfo) (Decision, error) {
	c := kmsContract()
	out, err := read(ctx, caller, kms, "isKmsAllowed", c.PackIsKmsAllowed(info.kms()), nil, c.UnpackIsKmsAllowed)
	return Decision{Allowed: out.IsAllowed, Reason: out.Reason}, err
}

// IsAllowedByApp asks the app's own contract, past the KMS contract's checks of
// registration and OS image.
func IsAllowedByApp(ctx context.Context, caller Caller, info AppBootInfo) (Decision, error) {
	c := appContract()
	out, err := read(ctx, caller, info.AppID, "isAppAllowed", c.PackIsAppAllowed(dstackapp.IAppAuthAppBootInfo(info.kms())), nil, c.UnpackIsAppAllowed)
	return Decision{Allowed: out.IsAllowed, Reason: out.Reason}, err
}

func (i AppBootInfo) kms() dstackkms.IAppAuthAppBootInfo {
	return dstackkms.IAppAuthAppBootInfo{
		AppId: i.AppID, ComposeHash: i.ComposeHash, InstanceId: i.InstanceID, DeviceId: i.DeviceID,
		MrAggregated: i.MRAggregated, MrSystem: i.MRSystem, OsImageHash: i.OSImageHash,
		TcbStatus: i.TCBStatus, AdvisoryIds: i.AdvisoryIDs,
	}
}
