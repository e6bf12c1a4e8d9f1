package onchain

import (
	"crypto/ecdsa"
	"encoding/hex"
	"math/big"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
)

// ParseAppID reads an app id or contract address: 40 hex digits with or without
// 0x, in lower case, in upper case, or in mixed case with a valid EIP-55
// checksum. The checksum is what catches a mistyped address, so a wrong one is
// an error here as it is in the official clients.
func ParseAppID(s string) (common.Address, error) {
	digits := trimHexPrefix(s)
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != common.AddressLength {
		return common.Address{}, &InputError{Field: "app id", Value: clip(s), Want: "40 hex digits, 0x optional"}
	}
	address := common.BytesToAddress(raw)
	mixed := digits != strings.ToLower(digits) && digits != strings.ToUpper(digits)
	if mixed && digits != address.Hex()[2:] {
		return common.Address{}, &InputError{Field: "app id", Value: clip(s), Want: "a valid EIP-55 checksum, or one case only"}
	}
	return address, nil
}

// ParseComposeHash reads 32 bytes as 64 hex digits, in any case, 0x optional.
func ParseComposeHash(s string) (common.Hash, error) { return parseHash("compose hash", s) }

// ParseDeviceID reads 32 bytes as 64 hex digits, in any case, 0x optional.
func ParseDeviceID(s string) (common.Hash, error) { return parseHash("device id", s) }

// ParseTransactionHash reads 32 bytes as 64 hex digits, in any case, 0x optional.
func ParseTransactionHash(s string) (common.Hash, error) { return parseHash("transaction hash", s) }

// PadID reads up to 64 hex digits and pads them with zeros on the right, which
// is how the official clients treat the device id and compose hash of a
// deployment. The empty string is the zero id: "none yet".
func PadID(s string) (common.Hash, error) {
	digits := trimHexPrefix(s)
	if len(digits) > 2*common.HashLength {
		return common.Hash{}, &InputError{Field: "id", Value: clip(s), Want: "at most 64 hex digits, 0x optional"}
	}
	return parseHash("id", digits+strings.Repeat("0", 2*common.HashLength-len(digits)))
}

// ParsePrivateKey reads a secp256k1 private key as 64 hex digits, 0x optional.
// Its errors never repeat the input.
func ParsePrivateKey(s string) (*ecdsa.PrivateKey, error) {
	key, err := crypto.HexToECDSA(trimHexPrefix(s))
	if err != nil {
		return nil, &InputError{Field: "private key", Want: "64 hex digits, 0x optional, of a secp256k1 key"}
	}
	return key, nil
}

// FormatEther writes an amount in wei as decimal ETH without trailing zeros.
func FormatEther(wei *big.Int) string {
	const decimals = 18
	sign, digits := "", new(big.Int).Abs(wei).String()
	if wei.Sign() < 0 {
		sign = "-"
	}
	if missing := decimals + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	whole, fraction := digits[:len(digits)-decimals], strings.TrimRight(digits[len(digits)-decimals:], "0")
	if fraction == "" {
		return sign + whole
	}
	return sign + whole + "." + fraction
}

func parseHash(field, s string) (common.Hash, error) {
	raw, err := hex.DecodeString(trimHexPrefix(s))
	if err != nil || len(raw) != common.HashLength {
		return common.Hash{}, &InputError{Field: field, Value: clip(s), Want: "64 hex digits, 0x optional"}
	}
	return common.BytesToHash(raw), nil
}

func trimHexPrefix(s string) string {
	if strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X") {
		return s[2:]
	}
	return s
}

// clip keeps a mistaken paste of a whole file out of error messages.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
