package onchain

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// Bundle is a batch of transactions in the file format of Safe's Transaction
// Builder: an owner that is a multisig loads the file, checks it and signs.
type Bundle struct {
	Version      string              `json:"version"`   // "1.0"
	ChainID      string              `json:"chainId"`   // decimal
	CreatedAt    int64               `json:"createdAt"` // milliseconds since 1970
	Meta         BundleMeta          `json:"meta"`
	Transactions []BundleTransaction `json:"transactions"`
}

// BundleMeta is what the Safe shows about the batch.
type BundleMeta struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// BundleTransaction is one call. Data is complete; the method and its inputs
// let the Safe show it decoded.
type BundleTransaction struct {
	To                   common.Address    `json:"to"`
	Value                string            `json:"value"` // wei, decimal
	Data                 hexutil.Bytes     `json:"data"`
	ContractMethod       BundleMethod      `json:"contractMethod"`
	ContractInputsValues map[string]string `json:"contractInputsValues"`
}

// MarshalJSON writes the address with its checksum, as Safe exports it: people
// compare it by eye.
func (t BundleTransaction) MarshalJSON() ([]byte, error) {
	type plain BundleTransaction
	return json.Marshal(struct {
		To string `json:"to"`
		plain
	}{t.To.Hex(), plain(t)})
}

// BundleMethod is the called function, as in an ABI.
type BundleMethod struct {
	Inputs  []BundleInput `json:"inputs"`
	Name    string        `json:"name"`
	Payable bool          `json:"payable"`
}

// BundleInput is a parameter of a function.
type BundleInput struct {
	InternalType string `json:"internalType"`
	Name         string `json:"name"`
	Type         string `json:"type"`
}

// ApprovalBundle is what an owner has to execute before an update can roll out:
// addComposeHash(hash) on the app's contract and, when a device is given that
// is not allowed yet, addDevice(device) before it. A nil device is left out.
// Now dates the file.
func ApprovalBundle(chainID uint64, app common.Address, hash common.Hash, device *common.Hash, now time.Time) (*Bundle, error) {
	if app == (common.Address{}) {
		return nil, &InputError{Field: "app id", Value: app.Hex(), Want: "an address that is not zero"}
	}
	if err := refuseZero("compose hash", hash); err != nil {
		return nil, err
	}
	bundle := &Bundle{
		Version:   "1.0",
		ChainID:   strconv.FormatUint(chainID, 10),
		CreatedAt: now.UnixMilli(),
		Meta: BundleMeta{
			Name:        "Approve compose hash " + hash.Hex(),
			Description: "Lets app " + app.Hex() + " boot the app-compose document with this SHA-256.",
		},
	}
	if device != nil {
		if err := refuseZero("device id", *device); err != nil {
			return nil, err
		}
		bundle.Transactions = append(bundle.Transactions, bundleCall(app, "addDevice", "deviceId", *device, AddDeviceCalldata(*device)))
	}
	bundle.Transactions = append(bundle.Transactions, bundleCall(app, "addComposeHash", "composeHash", hash, AddComposeHashCalldata(hash)))
	return bundle, nil
}

func bundleCall(app common.Address, method, input string, value common.Hash, calldata []byte) BundleTransaction {
	return BundleTransaction{
		To:    app,
		Value: "0",
		Data:  calldata,
		ContractMethod: BundleMethod{
			Inputs: []BundleInput{{InternalType: "bytes32", Name: input, Type: "bytes32"}},
			Name:   method,
		},
		ContractInputsValues: map[string]string{input: value.Hex()},
	}
}
