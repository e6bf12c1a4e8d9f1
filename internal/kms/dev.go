package kms

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Dev is the embedded development KMS. It derives the keys that a dstack-kms with the same root keys
// would derive and signs them the same way, but it runs outside any TEE: whoever reads its folder reads
// every secret of every app. It never decides about boots; see OnChainAuthorizer and
// AllowlistAuthorizer.
//
// A Dev is immutable and safe for concurrent use.
type Dev struct {
	rootCA   *ecdsa.PrivateKey     // P-256, parent of the env, disk and CA keys of apps
	rootK256 *secp256k1.PrivateKey // signs what the KMS hands out
}

var (
	_ EnvKeys      = (*Dev)(nil)
	_ EnvDecrypter = (*Dev)(nil)
)

// NewDev makes a KMS with root keys drawn from rand and keeps them in memory only. The same bytes give
// the same keys. The only error is that of the reader.
func NewDev(rand io.Reader) (*Dev, error) {
	ca, err := newP256Key(rand)
	if err != nil {
		return nil, err
	}
	k256, err := newK256Key(rand)
	if err != nil {
		return nil, err
	}
	return &Dev{rootCA: ca, rootK256: k256}, nil
}

// AppEnvKey implements EnvKeys with the first form of the signature, the one without a timestamp.
func (d *Dev) AppEnvKey(_ context.Context, appID [20]byte) (EnvKey, error) {
	public, err := d.envPublicKey(appID)
	if err != nil {
		return EnvKey{}, err
	}
	return EnvKey{PublicKey: public, Signature: signDigest(d.rootK256, envKeyDigest(appID, nil, public))}, nil
}

// AppEnvKeyAt is AppEnvKey with the second form of the signature, which covers the time given
// (signature_v1 of dstack-kms).
func (d *Dev) AppEnvKeyAt(_ context.Context, appID [20]byte, at time.Time) (EnvKey, error) {
	public, err := d.envPublicKey(appID)
	if err != nil {
		return EnvKey{}, err
	}
	digest := envKeyDigest(appID, timestampBytes(at), public)
	return EnvKey{PublicKey: public, Signature: signDigest(d.rootK256, digest)}, nil
}

// DecryptEnv implements EnvDecrypter. The error is ErrEnvCiphertext when the bytes are at fault.
func (d *Dev) DecryptEnv(_ context.Context, appID [20]byte, ciphertext []byte) ([]EnvVar, error) {
	key, err := envPrivateKey(d.rootCA, appID)
	if err != nil {
		return nil, err
	}
	return decryptEnv(key, ciphertext)
}

// K256PublicKey is the compressed secp256k1 key that signs what this KMS hands out: the k256Pubkey of
// DstackKms.kmsInfo().
func (d *Dev) K256PublicKey() [33]byte {
	return [33]byte(d.rootK256.PubKey().SerializeCompressed())
}

// CAPublicKey is the root CA key in SubjectPublicKeyInfo DER (91 bytes): the caPubkey of
// DstackKms.kmsInfo(), and what key_provider_id of an app-compose document pins.
func (d *Dev) CAPublicKey() ([]byte, error) {
	return x509.MarshalPKIXPublicKey(&d.rootCA.PublicKey)
}

func (d *Dev) envPublicKey(appID [20]byte) ([32]byte, error) {
	key, err := envPrivateKey(d.rootCA, appID)
	if err != nil {
		return [32]byte{}, err
	}
	return [32]byte(key.PublicKey().Bytes()), nil
}

// keyTries bounds the search for a scalar below the order of the curve. A good reader needs one try but
// for a chance of 2^-32; a reader that gives zeros for ever must not hang the caller.
const keyTries = 16

var errNoKey = errors.New("kms: random reader gives no usable key")

// newP256Key draws a key from the reader itself, because ecdsa.GenerateKey ignores the one it is given
// and tests want keys that stay the same.
func newP256Key(rand io.Reader) (*ecdsa.PrivateKey, error) {
	var scalar [32]byte
	for range keyTries {
		if _, err := io.ReadFull(rand, scalar[:]); err != nil {
			return nil, fmt.Errorf("kms: random bytes: %w", err)
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:]); err == nil {
			return key, nil
		}
	}
	return nil, errNoKey
}

func newK256Key(rand io.Reader) (*secp256k1.PrivateKey, error) {
	var scalar [32]byte
	for range keyTries {
		if _, err := io.ReadFull(rand, scalar[:]); err != nil {
			return nil, fmt.Errorf("kms: random bytes: %w", err)
		}
		if key, ok := parseK256Key(scalar[:]); ok {
			return key, nil
		}
	}
	return nil, errNoKey
}

// parseK256Key refuses what secp256k1.PrivKeyFromBytes would silently reduce: zero and values that are
// not below the order of the group.
func parseK256Key(scalar []byte) (*secp256k1.PrivateKey, bool) {
	var n secp256k1.ModNScalar
	if len(scalar) != 32 || n.SetByteSlice(scalar) || n.IsZero() {
		return nil, false
	}
	return secp256k1.NewPrivateKey(&n), true
}
