package kms

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Contexts that name the keys of an app, as dstack-kms spells them.
const (
	contextEnvKey = "env-encrypt-key"
)

// kdfSalt is the HKDF salt of every key that dstack derives.
const kdfSalt = "RATLS"

// deriveKey is HKDF-SHA256 with the salt of dstack. The context slices are joined without separators,
// which is unambiguous only because the first one, the app id, has a fixed length.
func deriveKey(secret []byte, context ...[]byte) ([32]byte, error) {
	var key [32]byte
	out, err := hkdf.Key(sha256.New, secret, []byte(kdfSalt), string(slices.Concat(context...)), len(key))
	if err != nil {
		return key, fmt.Errorf("kms: derive key: %w", err)
	}
	copy(key[:], out)
	return key, nil
}

// deriveDH is dstack's derive_dh_secret: a P-256 key is derived from the scalar of the parent, and the
// secret is the SHA-256 of its PKCS#8 encoding, public key included (138 bytes of DER).
func deriveDH(parent *ecdsa.PrivateKey, context ...[]byte) ([32]byte, error) {
	scalar, err := parent.Bytes()
	if err != nil {
		return [32]byte{}, fmt.Errorf("kms: encode parent key: %w", err)
	}
	child, err := deriveKey(scalar, context...)
	if err != nil {
		return [32]byte{}, err
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), child[:])
	if err != nil {
		// One context in 2^32 derives bytes that are no P-256 scalar. dstack-kms fails there too; going
		// on with another value would give keys that no real KMS gives.
		return [32]byte{}, fmt.Errorf("kms: derived bytes are no P-256 key for context %s: %w", contextNames(context), err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return [32]byte{}, fmt.Errorf("kms: encode derived key: %w", err)
	}
	return sha256.Sum256(der), nil
}

// contextNames shows a derivation context in an error.
func contextNames(context [][]byte) string {
	names := make([]string, len(context))
	for i, c := range context {
		names[i] = hex.EncodeToString(c)
	}
	return strings.Join(names, "/")
}

// envPrivateKey is the X25519 key to which the environment of an app is encrypted. The compose hash is
// no input: every document of an app gets the same key.
func envPrivateKey(rootCA *ecdsa.PrivateKey, appID [20]byte) (*ecdh.PrivateKey, error) {
	secret, err := deriveDH(rootCA, appID[:], []byte(contextEnvKey))
	if err != nil {
		return nil, err
	}
	return ecdh.X25519().NewPrivateKey(secret[:])
}
