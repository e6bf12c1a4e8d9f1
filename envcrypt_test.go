package lockstep

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// A key pair of this test, and what @phala/dstack-sdk 0.5.7 made of jsVars with it.
const (
	envSecret = "77076d0a7318a57d3c16c17251b26645df4c6a0e7f3b1b2a9d5c3e1f0a9b8c7d"
	envPublic = "ba7a0c5755bb5bbca75bfa12674bb3e9906063ad11b52cb8875ddad334e6556d"
	envFromJS = "088ba00520b4dd87a2a5ceca27097ef149c64b76be09e41875350ccc9646dc6d7ea632f1461eeab456a1b3cb787d4250f8ee4c002c3fc3d2299157e2cbcb0ebe75cff9b5f29cf9f8698057079159bfabec66d114953c4c4e756e964d2b39ec4338ffdd30cb995500f3203aa8d767e641d3b39b90fe8ba18689b5a3527fbf92a6594ddc961cf096b74bc62451884fabe554b6fb"
)

var jsVars = []EnvVar{{"TOKEN", "a<b>&\"c\"\n é 😀 \u2028"}, {"EMPTY", ""}}

// decryptEnv is what a dstack guest does.
func decryptEnv(t *testing.T, encrypted string) string {
	t.Helper()
	raw, err := hex.DecodeString(encrypted)
	if err != nil || len(raw) < 60 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	secret, err := hex.DecodeString(envSecret)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(private.PublicKey().Bytes()); got != envPublic {
		t.Fatalf("public key %s", got)
	}
	ephemeral, err := ecdh.X25519().NewPublicKey(raw[:32])
	if err != nil {
		t.Fatal(err)
	}
	shared, err := private.ECDH(ephemeral)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(shared)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := gcm.Open(nil, raw[32:44], raw[44:], nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(plain)
}

func TestEncryptEnvVarsAgreesWithTheJavaScriptSDK(t *testing.T) {
	for name, key := range map[string]string{"bare": envPublic, "with 0x": "0x" + envPublic, "upper case": strings.ToUpper(envPublic)} {
		ours, err := EncryptEnvVars(jsVars, key, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		// Go writes U+2028 as an escape of 6 bytes where JavaScript writes its 3 bytes.
		plain := strings.ReplaceAll(decryptEnv(t, ours), `\u2028`, "\u2028")
		if want := decryptEnv(t, envFromJS); plain != want {
			t.Errorf("%s key: %s, want %s", name, plain, want)
		}
	}
}

func TestEncryptEnvVarsOfNothing(t *testing.T) {
	random := bytes.NewReader(bytes.Repeat([]byte{7}, 44))
	out, err := EncryptEnvVars(nil, envPublic, random)
	if err != nil {
		t.Fatal(err)
	}
	if got := decryptEnv(t, out); got != `{"env":[]}` || len(out) != 2*(60+len(got)) {
		t.Errorf("%d digits, plain text %s", len(out), got)
	}
	if random.Len() != 0 {
		t.Errorf("%d bytes of randomness were not used", random.Len())
	}
}

func TestEncryptEnvVarsRefuses(t *testing.T) {
	for _, tt := range []struct {
		name, key string
		vars      []EnvVar
	}{
		{"short key", envPublic[2:], nil},
		{"no hex", "zz" + envPublic[2:], nil},
		{"a key of low order", strings.Repeat("00", 32), nil},
		{"no name", envPublic, []EnvVar{{"", "secret"}}},
		{"twice", envPublic, []EnvVar{{"A", "secret"}, {"A", "b"}}},
		{"not UTF-8", envPublic, []EnvVar{{"A", "secret\xff"}}},
	} {
		var field *FieldError
		out, err := EncryptEnvVars(tt.vars, tt.key, rand.Reader)
		if out != "" || !errors.As(err, &field) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %q, %v", tt.name, out, err)
		}
	}
	if _, err := EncryptEnvVars(nil, envPublic, iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("without randomness: %v", err)
	}
}
