package dstackkms

import (
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/lockstep-cvm/lockstep/internal/kms"
)

// Sizes in bytes.
const (
	publicKeySize = 32
	signatureSize = 65
)

// keys are the key with its two signatures; the second is nil when there is none and none is needed.
func (r PublicKeyResponse) keys(unstamped bool) (plain kms.EnvKey, stamped *kms.EnvKey, err error) {
	switch {
	case len(r.PublicKey) != publicKeySize:
		return plain, nil, fmt.Errorf("%w: public_key has %d bytes, want %d", ErrMalformed, len(r.PublicKey), publicKeySize)
	case len(r.Signature) != signatureSize:
		return plain, nil, fmt.Errorf("%w: signature has %d bytes, want %d", ErrMalformed, len(r.Signature), signatureSize)
	}
	plain = kms.EnvKey{PublicKey: [publicKeySize]byte(r.PublicKey), Signature: [signatureSize]byte(r.Signature)}
	if len(r.SignatureV1) == 0 {
		if !unstamped {
			return plain, nil, fmt.Errorf("%w: the KMS does not sign the time (signature_v1 is empty); update it, or allow that in its settings", ErrStale)
		}
		return plain, nil, nil
	}
	if len(r.SignatureV1) != signatureSize {
		return plain, nil, fmt.Errorf("%w: signature_v1 has %d bytes, want %d", ErrMalformed, len(r.SignatureV1), signatureSize)
	}
	if r.Timestamp > 1<<40 {
		return plain, nil, fmt.Errorf("%w: timestamp is %d, want Unix seconds", ErrMalformed, r.Timestamp)
	}
	return plain, &kms.EnvKey{PublicKey: plain.PublicKey, Signature: [signatureSize]byte(r.SignatureV1)}, nil
}

// CompressKey brings a secp256k1 public key in SEC1 form to 33 bytes.
func CompressKey(encoded []byte) ([33]byte, error) {
	key, err := secp256k1.ParsePubKey(encoded)
	if err != nil {
		return [33]byte{}, fmt.Errorf("%w: root key of the KMS (%d bytes) is no secp256k1 key: %w", ErrMalformed, len(encoded), err)
	}
	return [33]byte(key.SerializeCompressed()), nil
}
