package onchain

import (
	"context"

	"github.com/ethereum/go-ethereum/common"
)

// RegisterOSImage sends addOsImageHash(bytes32) to the KMS contract: apps may
// then boot on that OS image. Only the KMS contract's owner may.
func RegisterOSImage(ctx context.Context, opts WriteOptions, kms common.Address, osImage common.Hash) (*TransactionResult, error) {
	if err := refuseZero("OS image hash", osImage); err != nil {
		return nil, err
	}
	return sendToOwned(ctx, opts, kms, kmsContract().PackAddOsImageHash(osImage))
}

// RemoveOSImage sends removeOsImageHash(bytes32) to the KMS contract.
func RemoveOSImage(ctx context.Context, opts WriteOptions, kms common.Address, osImage common.Hash) (*TransactionResult, error) {
	return sendToOwned(ctx, opts, kms, kmsContract().PackRemoveOsImageHash(osImage))
}

// RegisterKMSDevice sends addKmsDevice(bytes32): further instances of the KMS
// may then run on that device.
func RegisterKMSDevice(ctx context.Context, opts WriteOptions, kms common.Address, device common.Hash) (*TransactionResult, error) {
	if err := refuseZero("device id", device); err != nil {
		return nil, err
	}
	return sendToOwned(ctx, opts, kms, kmsContract().PackAddKmsDevice(device))
}

// RegisterKMSMeasurement sends addKmsAggregatedMr(bytes32): instances of the
// KMS that measure so may then boot.
func RegisterKMSMeasurement(ctx context.Context, opts WriteOptions, kms common.Address, mrAggregated common.Hash) (*TransactionResult, error) {
	if err := refuseZero("aggregated measurement", mrAggregated); err != nil {
		return nil, err
	}
	return sendToOwned(ctx, opts, kms, kmsContract().PackAddKmsAggregatedMr(mrAggregated))
}

// SetGatewayAppID sends setGatewayAppId(string): the app id of the gateway that
// instances trust.
func SetGatewayAppID(ctx context.Context, opts WriteOptions, kms common.Address, gateway string) (*TransactionResult, error) {
	return sendToOwned(ctx, opts, kms, kmsContract().PackSetGatewayAppId(gateway))
}

// RegisterApp sends registerApp(address): the KMS contract then asks that
// contract. Anyone may; it is how apps with a contract of their own come in.
func RegisterApp(ctx context.Context, opts WriteOptions, kms, app common.Address) (*TransactionResult, error) {
	if app == (common.Address{}) {
		return nil, &InputError{Field: "app id", Value: app.Hex(), Want: "an address that is not zero"}
	}
	var result TransactionResult
	err := write(ctx, opts, func(w *writer) error {
		if err := w.checkFactory(ctx, kms); err != nil {
			return err
		}
		receipt, err := w.send(ctx, &kms, kmsContract().PackRegisterApp(app))
		if err == nil {
			result = resultOf(receipt)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &result, nil
}
