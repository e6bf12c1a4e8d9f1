package lockstep

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// EnvVar is an environment variable of a CVM.
type EnvVar struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// gcmNonce is the length of an AES-GCM nonce in bytes.
const gcmNonce = 12

// EncryptEnvVars encrypts environment variables so that only the app can read them, in the form of
// dstack: JSON {"env":[{"key","value"},…]}, AES-256-GCM under the raw X25519 shared secret. The
// public key is 64 hex digits, with or without 0x (see [Client.GetAppEnvEncryptPubKey]). The result
// is hex of
//
//	ephemeral public key (32 bytes) ‖ nonce (12) ‖ ciphertext ‖ tag (16)
//
// The update replaces all variables: what is not given is lost. random is crypto/rand.Reader outside
// of tests. Bad keys, names and values are a *[FieldError]; values never appear in it.
func EncryptEnvVars(vars []EnvVar, publicKey string, random io.Reader) (string, error) {
	recipient, err := parseX25519(publicKey)
	if err != nil {
		return "", err
	}
	plain, err := encodeEnvVars(vars)
	if err != nil {
		return "", err
	}
	// The secret is read here and not by GenerateKey, which takes no source of randomness any more.
	secret := make([]byte, 32)
	nonce := make([]byte, gcmNonce)
	for _, b := range [][]byte{secret, nonce} {
		if _, err := io.ReadFull(random, b); err != nil {
			return "", fmt.Errorf("lockstep: read randomness: %w", err)
		}
	}
	ephemeral, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		return "", fmt.Errorf("lockstep: make an ephemeral key: %w", err)
	}
	shared, err := ephemeral.ECDH(recipient)
	if err != nil {
		// The key is a point of low order: everybody would know the secret.
		return "", &FieldError{Field: "public key", Seen: "a point of low order", Expected: "an X25519 public key"}
	}
	block, err := aes.NewCipher(shared)
	if err != nil {
		return "", fmt.Errorf("lockstep: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return "", fmt.Errorf("lockstep: %w", err)
	}
	out := append(ephemeral.PublicKey().Bytes(), nonce...)
	return hex.EncodeToString(gcm.Seal(out, nonce, plain, nil)), nil
}

func parseX25519(publicKey string) (*ecdh.PublicKey, error) {
	wrong := &FieldError{Field: "public key", Seen: fmt.Sprintf("%d characters", len(publicKey)), Expected: "64 hex digits"}
	raw, err := hex.DecodeString(strings.TrimPrefix(publicKey, "0x"))
	if err != nil {
		return nil, wrong
	}
	key, err := ecdh.X25519().NewPublicKey(raw)
	if err != nil {
		return nil, wrong
	}
	return key, nil
}

// encodeEnvVars returns the plain text. Unlike Go's default it does not escape <, > and &, which
// keeps its length what it is with the JavaScript library.
func encodeEnvVars(vars []EnvVar) ([]byte, error) {
	seen := make(map[string]bool, len(vars))
	for i, v := range vars {
		field := fmt.Sprintf("env[%d]", i)
		switch {
		case v.Key == "":
			return nil, &FieldError{Field: field, Seen: "an empty name", Expected: "the name of a variable"}
		case !utf8.ValidString(v.Key) || !utf8.ValidString(v.Value):
			return nil, &FieldError{Field: field, Seen: "bytes that are not UTF-8", Expected: "UTF-8 text"}
		case seen[v.Key]:
			return nil, &FieldError{Field: field, Seen: fmt.Sprintf("the name %.80q again", v.Key), Expected: "each variable once"}
		}
		seen[v.Key] = true
	}
	if vars == nil {
		vars = []EnvVar{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(struct {
		Env []EnvVar `json:"env"`
	}{vars}); err != nil {
		return nil, fmt.Errorf("lockstep: encode the environment: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
