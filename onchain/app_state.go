package onchain

import (
	"context"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
)

// AppState is what an app's contract says about one hash and one device.
type AppState struct {
	ComposeHashAllowed bool
	// DeviceAllowed is true when the device is listed or any device may boot.
	DeviceAllowed  bool
	AllowAnyDevice bool
	// AwaitingFinality is true when something is not allowed only because its
	// approval is not deep enough in the chain yet: time will allow it.
	AwaitingFinality bool
	// Owner is zero when the contract has no owner(), as a governance variant
	// may have.
	Owner common.Address
	// BlockNumber is the newest block that was asked.
	BlockNumber uint64
}

// Allowed tells whether both the hash and the device are.
func (s AppState) Allowed() bool { return s.ComposeHashAllowed && s.DeviceAllowed }

// Prerequisites is the answer of CheckOnChainPrerequisites.
type Prerequisites struct {
	AllowAnyDevice     bool
	DeviceAllowed      bool // listed, or any may boot
	ComposeHashAllowed bool
}

// CheckOnChainPrerequisites tells in one request what still has to be approved
// before the app can boot the hash on the device, at the latest block. As with
// the JavaScript client, a function that the contract does not have counts as
// false; an address without any contract is an error.
func CheckOnChainPrerequisites(ctx context.Context, caller Caller, app common.Address, device, hash common.Hash) (Prerequisites, error) {
	state, _, err := readAppState(ctx, caller, app, device, hash, nil)
	return Prerequisites{
		AllowAnyDevice:     state.AllowAnyDevice,
		DeviceAllowed:      state.DeviceAllowed,
		ComposeHashAllowed: state.ComposeHashAllowed,
	}, err
}

// readAppState also reports whether the contract has a list of compose hashes.
func readAppState(ctx context.Context, caller Caller, app common.Address, device, hash common.Hash, block *big.Int) (state AppState, listsHashes bool, err error) {
	c := appContract()
	answers, err := callAll(ctx, caller, app, [][]byte{
		c.PackAllowedComposeHashes(hash),
		c.PackAllowAnyDevice(),
		c.PackAllowedDeviceIds(device),
		c.PackOwner(),
	}, block)
	if err != nil {
		return AppState{}, false, err
	}
	if !hasCode(answers) {
		return AppState{}, false, &NotAContractError{Address: app, Call: "allowedComposeHashes(bytes32)"}
	}
	flag := func(a answer, unpack func([]byte) (bool, error)) (value, answered bool) {
		if !a.ok {
			return false, false
		}
		value, err := unpack(a.data)
		return value, err == nil
	}
	state.ComposeHashAllowed, listsHashes = flag(answers[0], c.UnpackAllowedComposeHashes)
	state.AllowAnyDevice, _ = flag(answers[1], c.UnpackAllowAnyDevice)
	listed, _ := flag(answers[2], c.UnpackAllowedDeviceIds)
	state.DeviceAllowed = state.AllowAnyDevice || listed
	if answers[3].ok {
		if owner, err := c.UnpackOwner(answers[3].data); err == nil {
			state.Owner = owner
		}
	}
	return state, listsHashes, nil
}

// hasCode tells a contract that refuses from an address that is not one, which
// answers every call with success and nothing.
func hasCode(answers []answer) bool {
	for _, a := range answers {
		if !a.ok || len(a.data) > 0 {
			return true
		}
	}
	return false
}
