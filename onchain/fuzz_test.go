package onchain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/lockstep-cvm/lockstep/onchain"
)

func FuzzParseAppID(f *testing.F) {
	f.Add(checksummed)
	f.Add(strings.ToLower(checksummed[2:]))
	f.Add("0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
	f.Fuzz(func(t *testing.T, s string) {
		address, err := onchain.ParseAppID(s)
		if err != nil {
			if !errors.Is(err, onchain.ErrInvalidInput) {
				t.Fatalf("%q: %v is not ErrInvalidInput", s, err)
			}
			return
		}
		if again, err := onchain.ParseAppID(onchain.FormatAppID(address)); err != nil || again != address {
			t.Fatalf("%q: %s does not survive its text: %v", s, address, err)
		}
		if !strings.EqualFold(strings.TrimPrefix(strings.ToLower(s), "0x"), onchain.FormatAppID(address)) {
			t.Fatalf("%q was read as %s", s, address)
		}
	})
}

func FuzzParseHash(f *testing.F) {
	f.Add("0x" + strings.Repeat("ab", 32))
	f.Add("abc")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := onchain.ParseComposeHash(s)
		if err == nil && !strings.EqualFold(strings.TrimPrefix(strings.ToLower(s), "0x"), common.Bytes2Hex(id[:])) {
			t.Fatalf("%q was read as %s", s, id)
		}
		padded, padErr := onchain.PadID(s)
		if err == nil && (padErr != nil || padded != id) {
			t.Fatalf("a full id %q was padded to %s, %v", s, padded, padErr)
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	f.Add("0x" + strings.Repeat("1f", 32))
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := onchain.ParsePrivateKey(s); err != nil && len(s) >= 16 && strings.Contains(err.Error(), s) {
			t.Fatal("the error repeats the key")
		}
	})
}

func FuzzParseFinality(f *testing.F) {
	for _, s := range []string{"latest", "safe", "finalized", "12", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		finality, err := onchain.ParseFinality(s)
		if err != nil {
			return
		}
		if again, err := onchain.ParseFinality(finality.String()); err != nil || again != finality {
			t.Fatalf("%q: %s does not survive its text: %v", s, finality, err)
		}
	})
}

// reverted is what an RPC client makes of a node's answer.
type reverted string

func (reverted) Error() string    { return "execution reverted" }
func (r reverted) ErrorData() any { return string(r) }

func TestRevertReason(t *testing.T) {
	panicked := "0x4e487b71" + strings.Repeat("0", 62) + "11"
	for data, want := range map[string]string{
		"0x118cdaa7000000000000000000000000" + strings.ToLower(checksummed[2:]): "OwnableUnauthorizedAccount(" + checksummed + ")",
		"0xaa1d49a4" + strings.Repeat("ab", 32):                                 "UUPSUnsupportedProxiableUUID(0x" + strings.Repeat("ab", 32) + ")",
		"0xf92ee8a9":                                                            "InvalidInitialization()",
		panicked:                                                                "arithmetic underflow or overflow",
		"0x12345678":                                                            "0x12345678",
		"0x118cdaa7":                                                            "0x118cdaa7", // its argument is missing
		"0x":                                                                    "",
	} {
		if have, ok := onchain.RevertReason(reverted(data)); !ok || have != want {
			t.Errorf("%s: %q, %v, want %q", data, have, ok, want)
		}
	}
	if have, ok := onchain.RevertReason(errors.New("rpc error: execution reverted: Device not allowed")); !ok || have != "Device not allowed" {
		t.Errorf("%q, %v", have, ok)
	}
	if _, ok := onchain.RevertReason(errors.New("connection refused")); ok {
		t.Error("a broken connection looks like a revert")
	}
}

// What a node or a hostile contract returns must never panic.
func FuzzRevertReason(f *testing.F) {
	f.Add(common.FromHex("0x118cdaa7"))
	f.Add(common.FromHex("0x08c379a0" + strings.Repeat("ff", 64)))
	f.Add(common.FromHex("0x4e487b71" + strings.Repeat("ff", 32)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, ok := onchain.RevertReason(reverted(hexutil.Encode(data))); !ok {
			t.Fatal("a revert was not recognised")
		}
	})
}
