package onchain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/lockstep-cvm/lockstep/onchain/contracts"
)

// classify turns an error of the node into one of ours: the contract refused,
// the caller gave up, or the node did not answer.
func classify(op string, contract common.Address, err error) error {
	if err == nil {
		return nil
	}
	if reason, ok := RevertReason(err); ok {
		return &RevertedError{Contract: contract, Reason: reason}
	}
	// Endpoints of another chain stay so, unless one of the right chain was
	// merely out of reach.
	wrong := errors.Is(err, ErrWrongChain) && !errors.Is(err, ErrRPC)
	if wrong || errors.Is(err, context.Canceled) {
		return fmt.Errorf("onchain: %s: %w", op, err)
	}
	return &RPCError{Op: op, Err: err}
}

// RevertReason reports whether an error of a node says that the EVM reverted,
// and why: the require string, or the custom error with its arguments. Nodes
// agree on the words more than on the code or the shape of the detail.
func RevertReason(err error) (string, bool) {
	var detailed rpc.DataError
	if errors.As(err, &detailed) {
		if text, ok := detailed.ErrorData().(string); ok {
			if raw, decodeErr := hexutil.Decode(text); decodeErr == nil && len(raw) >= 4 {
				return decodeRevert(raw), true
			}
		}
	}
	message := err.Error()
	if _, after, found := strings.Cut(message, "execution reverted"); found {
		return strings.TrimPrefix(after, ": "), true
	}
	return "", false
}

// decodeRevert reads require strings, panics, and the custom errors of our
// contracts; anything else is given in hex.
func decodeRevert(raw []byte) string {
	if reason, err := abi.UnpackRevert(raw); err == nil {
		return reason
	}
	for name, custom := range customErrors() {
		if len(raw) < 4 || [4]byte(raw[:4]) != [4]byte(custom.ID[:4]) {
			continue
		}
		values, err := custom.Inputs.Unpack(raw[4:])
		if err != nil {
			break
		}
		words := make([]string, len(values))
		for i, value := range values {
			words[i] = formatArgument(value)
		}
		return name + "(" + strings.Join(words, ", ") + ")"
	}
	return hexutil.Encode(raw)
}

func formatArgument(value any) string {
	if word, ok := value.([32]byte); ok {
		return hexutil.Encode(word[:])
	}
	return fmt.Sprint(value)
}

// customErrors lists the errors of the app and KMS contracts by name; what they
// share comes from OpenZeppelin and is the same in both.
var customErrors = sync.OnceValue(func() map[string]abi.Error {
	all := make(map[string]abi.Error)
	for _, artifact := range []*contracts.Artifact{contracts.DstackApp(), contracts.DstackKms()} {
		parsed, err := artifact.ParseABI()
		if err != nil {
			panic(err) // generated, and parsed by the tests of package contracts
		}
		for name, custom := range parsed.Errors {
			all[name] = custom
		}
	}
	return all
})
