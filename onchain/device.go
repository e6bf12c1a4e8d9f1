package onchain

import (
	"context"

	"github.com/ethereum/go-ethereum/common"
)

// AddDevice sends addDevice(bytes32) to the app's contract: instances may then
// boot on that device.
func AddDevice(ctx context.Context, opts WriteOptions, app common.Address, device common.Hash) (*TransactionResult, error) {
	if err := refuseZero("device id", device); err != nil {
		return nil, err
	}
	return sendToOwned(ctx, opts, app, AddDeviceCalldata(device))
}

// RemoveDevice sends removeDevice(bytes32) to the app's contract. A device that
// was not allowed is no error.
func RemoveDevice(ctx context.Context, opts WriteOptions, app common.Address, device common.Hash) (*TransactionResult, error) {
	return sendToOwned(ctx, opts, app, appContract().PackRemoveDevice(device))
}

// SetAllowAnyDevice sends setAllowAnyDevice(bool) to the app's contract. While
// it is true, the list of devices does not count.
func SetAllowAnyDevice(ctx context.Context, opts WriteOptions, app common.Address, allow bool) (*TransactionResult, error) {
	return sendToOwned(ctx, opts, app, appContract().PackSetAllowAnyDevice(allow))
}
