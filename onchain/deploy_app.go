package onchain

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// DeployAppAuthRequest deploys an app's contract through the factory of a KMS
// contract and registers it there.
type DeployAppAuthRequest struct {
	WriteOptions
	KMSContract common.Address
	// Owner owns the new contract at once. Zero: the sender.
	Owner           common.Address
	DisableUpgrades bool
	// RequireTCBUpToDate uses the six-argument form, which KMS contracts of
	// before 2026 do not have. False uses the five-argument form that all have.
	RequireTCBUpToDate bool
	AllowAnyDevice     bool
	// DeviceID and ComposeHash are approved at once; zero means none. See
	// PadID for the short ids that the official clients accept.
	DeviceID    common.Hash
	ComposeHash common.Hash
}

// DeployAppAuthResult is what the official clients return.
type DeployAppAuthResult struct {
	AppID          string // 40 hex digits in lower case, without 0x
	AppAuthAddress common.Address
	Deployer       common.Address
	TransactionResult
}

// DeployAppAuth sends deployAndRegisterApp to the KMS contract. Anyone may do
// that.
func DeployAppAuth(ctx context.Context, request DeployAppAuthRequest) (*DeployAppAuthResult, error) {
	var result DeployAppAuthResult
	err := write(ctx, request.WriteOptions, func(w *writer) error {
		if err := w.checkFactory(ctx, request.KMSContract); err != nil {
			return err
		}
		receipt, err := w.send(ctx, &request.KMSContract, request.calldata(w.signer.Address()))
		if err != nil {
			return err
		}
		app, err := deployedApp(receipt, request.KMSContract)
		if err != nil {
			return err
		}
		result = DeployAppAuthResult{
			AppID:             FormatAppID(app),
			AppAuthAddress:    app,
			Deployer:          w.signer.Address(),
			TransactionResult: resultOf(receipt),
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &result, nil
}

func (r DeployAppAuthRequest) calldata(sender common.Address) []byte {
	owner := r.Owner
	if owner == (common.Address{}) {
		owner = sender
	}
	c := kmsContract()
	if r.RequireTCBUpToDate {
		return c.PackDeployAndRegisterApp0(owner, r.DisableUpgrades, true, r.AllowAnyDevice, r.DeviceID, r.ComposeHash)
	}
	return c.PackDeployAndRegisterApp(owner, r.DisableUpgrades, r.AllowAnyDevice, r.DeviceID, r.ComposeHash)
}

// checkFactory makes sure that there is a contract: calling an address without
// code succeeds and costs gas for nothing.
func (w *writer) checkFactory(ctx context.Context, kms common.Address) error {
	return w.ask(ctx, func() error {
		code, err := w.backend.CodeAt(ctx, kms, nil)
		if err != nil {
			return classify("read code of "+kms.Hex(), kms, err)
		}
		if len(code) == 0 {
			return &NotAContractError{Address: kms, Call: "deployAndRegisterApp"}
		}
		return nil
	})
}

// deployedApp takes the app's address from AppDeployedViaFactory, the last
// event of the factory.
func deployedApp(receipt *types.Receipt, kms common.Address) (common.Address, error) {
	for _, log := range receipt.Logs {
		if log.Address != kms || log.Removed {
			continue
		}
		if event, err := kmsContract().UnpackAppDeployedViaFactoryEvent(log); err == nil {
			return event.AppId, nil
		}
	}
	return common.Address{}, fmt.Errorf("onchain: transaction %s emitted no AppDeployedViaFactory of %s: %w", receipt.TxHash, kms, ErrNotAContract)
}
