package onchain_test

import (
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/onchain"
)

// device20 is some address without meaning.
var device20 = common.HexToAddress("0x20")

const checksummed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed" // from EIP-55

func TestParseAppID(t *testing.T) {
	want := common.HexToAddress(checksummed)
	for _, s := range []string{
		checksummed, checksummed[2:], strings.ToLower(checksummed), "0X" + checksummed[2:],
		strings.ToUpper(checksummed[2:]), "0x" + strings.ToUpper(checksummed[2:]),
	} {
		if have, err := onchain.ParseAppID(s); err != nil || have != want {
			t.Errorf("%s: %s, %v", s, have, err)
		}
	}
	for s, hint := range map[string]string{
		"": "40 hex digits", "0x": "40 hex digits", checksummed[:41]: "40 hex digits", checksummed + "00": "40 hex digits",
		"0x" + strings.Repeat("g", 40):                "40 hex digits",
		" " + checksummed:                             "40 hex digits",
		"0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed":  "checksum",
		strings.Replace(checksummed[2:], "A", "a", 1): "checksum",
		strings.Repeat("9", 1000):                     "40 hex digits",
	} {
		_, err := onchain.ParseAppID(s)
		if !errors.Is(err, onchain.ErrInvalidInput) || !strings.Contains(err.Error(), hint) {
			t.Errorf("%q: error %v, want one about %s", s, err, hint)
		} else if len(err.Error()) > 300 {
			t.Errorf("the error repeats all of the input: %d characters", len(err.Error()))
		}
	}
}

func TestEveryWayToWriteAnAppID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		address := common.Address(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "address"))
		for _, s := range []string{
			address.Hex(), address.Hex()[2:], strings.ToLower(address.Hex()),
			strings.ToUpper(address.Hex()[2:]), onchain.FormatAppID(address),
		} {
			if have, err := onchain.ParseAppID(s); err != nil || have != address {
				t.Fatalf("%s: %s, %v", s, have, err)
			}
		}
	})
}

func TestParseHashes(t *testing.T) {
	text := strings.Repeat("aB", 32)
	want := common.HexToHash(text)
	for name, parse := range map[string]func(string) (common.Hash, error){
		"compose hash": onchain.ParseComposeHash, "device id": onchain.ParseDeviceID, "transaction hash": onchain.ParseTransactionHash,
	} {
		for _, s := range []string{text, "0x" + text, "0X" + strings.ToUpper(text)} {
			if have, err := parse(s); err != nil || have != want {
				t.Errorf("%s %s: %s, %v", name, s, have, err)
			}
		}
		for _, s := range []string{"", "0x", text[1:], text + "00", "zz" + text[2:]} {
			var bad *onchain.InputError
			if _, err := parse(s); !errors.As(err, &bad) || bad.Field != name || bad.Value != s {
				t.Errorf("%s %q: error %v", name, s, err)
			}
		}
	}
}

func TestPadID(t *testing.T) {
	zeros := strings.Repeat("0", 64)
	for s, want := range map[string]string{
		"": zeros, "0x": zeros, "ab": "ab" + zeros[2:], "0xABC": "abc" + zeros[3:], strings.Repeat("f", 64): strings.Repeat("f", 64),
	} {
		if have, err := onchain.PadID(s); err != nil || hex.EncodeToString(have[:]) != want {
			t.Errorf("%q: %s, %v", s, have, err)
		}
	}
	for _, s := range []string{"xyz", strings.Repeat("f", 65)} {
		if _, err := onchain.PadID(s); !errors.Is(err, onchain.ErrInvalidInput) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestParsePrivateKey(t *testing.T) {
	text := strings.Repeat("1f", 32)
	for _, s := range []string{text, "0x" + text} {
		key, err := onchain.ParsePrivateKey(s)
		if err != nil || hex.EncodeToString(crypto.FromECDSA(key)) != text {
			t.Errorf("%v", err)
		}
	}
	// The last one is the order of the curve, the first number too large.
	for _, s := range []string{"", "0x12", text + "00", strings.Repeat("0", 64), "g" + text[1:],
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"} {
		_, err := onchain.ParsePrivateKey(s)
		if !errors.Is(err, onchain.ErrInvalidInput) {
			t.Errorf("%q was accepted", s)
		} else if len(s) > 8 && strings.Contains(err.Error(), s[:8]) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestFormatEther(t *testing.T) {
	for wei, want := range map[string]string{
		"0": "0", "1": "0.000000000000000001", "1000000000000000": "0.001", "1000000000000000000": "1",
		"12345000000000000000000": "12345", "1500000000000000000": "1.5", "-1500000000000000000": "-1.5",
	} {
		n, _ := new(big.Int).SetString(wei, 10)
		if have := onchain.FormatEther(n); have != want {
			t.Errorf("%s wei is %s, want %s", wei, have, want)
		}
	}
	if have := onchain.FormatEther(onchain.DefaultMinBalance()); have != "0.001" {
		t.Errorf("the default minimum is %s ETH, want 0.001", have)
	}
}

func TestParseFinality(t *testing.T) {
	for s, want := range map[string]onchain.Finality{
		"latest": onchain.Latest, "safe": onchain.Safe, "finalized": onchain.Finalized, "0": onchain.Latest, "12": onchain.Depth(12),
	} {
		have, err := onchain.ParseFinality(s)
		if err != nil || have != want {
			t.Errorf("%s: %s, %v", s, have, err)
		}
		var again onchain.Finality
		text, _ := have.MarshalText()
		if err := again.UnmarshalText(text); err != nil || again != have {
			t.Errorf("%s does not survive its text %s: %v", s, text, err)
		}
	}
	for _, s := range []string{"", "Latest", "-1", "1.5", "10001", "99999999999999999999999"} {
		if _, err := onchain.ParseFinality(s); !errors.Is(err, onchain.ErrInvalidInput) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
