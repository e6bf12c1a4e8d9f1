package onchain

import (
	"encoding/hex"

	"github.com/ethereum/go-ethereum/common"
)

// AddComposeHashCalldata is the call data of addComposeHash(bytes32): 4 bytes
// of selector 0xdfc77223, 32 of hash. A multisig sends it to the app's contract.
func AddComposeHashCalldata(hash common.Hash) []byte { return appContract().PackAddComposeHash(hash) }

// AddDeviceCalldata is the call data of addDevice(bytes32): 4 bytes of selector
// 0x2a819728, 32 of device id.
func AddDeviceCalldata(device common.Hash) []byte { return appContract().PackAddDevice(device) }

// FormatAppID writes an app id as the API does: lower case without 0x.
func FormatAppID(app common.Address) string { return hex.EncodeToString(app.Bytes()) }
