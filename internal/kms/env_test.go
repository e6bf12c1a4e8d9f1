package kms

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestEnvRoundTrip(t *testing.T) {
	dev := newDev(t)
	rapid.Check(t, func(r *rapid.T) {
		appID := [20]byte(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(r, "app"))
		env := rapid.SliceOf(rapid.Custom(func(r *rapid.T) EnvVar {
			return EnvVar{Key: rapid.String().Draw(r, "key"), Value: rapid.String().Draw(r, "value")}
		})).Draw(r, "env")
		key, err := dev.AppEnvKey(t.Context(), appID)
		if err != nil {
			r.Fatal(err)
		}
		sealed, err := EncryptEnv(rand.Reader, key.PublicKey, env)
		if err != nil {
			r.Fatal(err)
		}
		got, err := dev.DecryptEnv(t.Context(), appID, sealed)
		if err != nil || !slices.Equal(got, env) {
			r.Fatalf("decrypted %q, %v; want %q", got, err, env)
		}
		flipped := bytes.Clone(sealed)
		flipped[rapid.IntRange(envKeySize, len(sealed)-1).Draw(r, "position")] ^= 1
		if _, err := dev.DecryptEnv(t.Context(), appID, flipped); !errors.Is(err, ErrEnvCiphertext) {
			r.Fatalf("a changed ciphertext: %v, want ErrEnvCiphertext", err)
		}
	})
}

func TestEncryptEnvLayout(t *testing.T) {
	dev := newDev(t)
	key, err := dev.AppEnvKey(t.Context(), [20]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	// The plaintext of no variables is {"env":[]}, 10 bytes.
	sealed, err := EncryptEnv(rand.Reader, key.PublicKey, nil)
	if err != nil || len(sealed) != envOverhead+10 {
		t.Errorf("no variables give %d bytes, %v; want %d", len(sealed), err, envOverhead+10)
	}
}

func TestDecryptEnvRefuses(t *testing.T) {
	dev := newDev(t)
	key, err := dev.AppEnvKey(t.Context(), [20]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := EncryptEnv(rand.Reader, key.PublicKey, []EnvVar{{"A", "1"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		app        [20]byte
		ciphertext []byte
	}{
		"another app":        {[20]byte{2}, sealed},
		"nothing":            {[20]byte{1}, nil},
		"too short":          {[20]byte{1}, sealed[:envOverhead-1]},
		"cut":                {[20]byte{1}, sealed[:len(sealed)-1]},
		"low-order sender":   {[20]byte{1}, slices.Concat(make([]byte, envKeySize), sealed[envKeySize:])},
		"plaintext not JSON": {[20]byte{1}, sealRaw(t, key.PublicKey, "env")},
		"plaintext no env":   {[20]byte{1}, sealRaw(t, key.PublicKey, `{"env":{"A":"1"}}`)},
	} {
		if _, err := dev.DecryptEnv(t.Context(), test.app, test.ciphertext); !errors.Is(err, ErrEnvCiphertext) {
			t.Errorf("%s: %v, want ErrEnvCiphertext", name, err)
		}
	}
}

func sealRaw(t *testing.T, publicKey [32]byte, plain string) []byte {
	t.Helper()
	sealed, err := sealEnv(rand.Reader, publicKey, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}
