package kms

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/sha3"
)

// envKeyPrefix is the domain of the signature over an environment encryption key.
const envKeyPrefix = "dstack-env-encrypt-pubkey"

// ErrBadSignature says that no key could have made a signature.
var ErrBadSignature = errors.New("kms: signature is not valid")

// envKeyDigest is what is signed: Keccak-256 of prefix ‖ ":" ‖ app id (20 bytes) ‖ [timestamp, 8 bytes
// big endian] ‖ public key (32 bytes). The extra bytes are absent in the first form of the signature.
func envKeyDigest(appID [20]byte, extra []byte, publicKey [32]byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write([]byte(envKeyPrefix + ":"))
	h.Write(appID[:])
	h.Write(extra)
	h.Write(publicKey[:])
	return h.Sum(nil)
}

// signDigest signs with the layout of dstack: r ‖ s ‖ recovery id 0 or 1.
func signDigest(key *secp256k1.PrivateKey, digest []byte) [65]byte {
	// SignCompact puts the recovery id first, raised by 27, and by 4 more for a compressed key.
	compact := ecdsa.SignCompact(key, digest, false)
	var signature [65]byte
	copy(signature[:64], compact[1:])
	signature[64] = compact[0] - 27
	return signature
}

// recoverDigest is the compressed public key whose private key made the signature.
func recoverDigest(signature [65]byte, digest []byte) ([33]byte, error) {
	var signer [33]byte
	if signature[64] > 3 {
		return signer, fmt.Errorf("%w: recovery id is %d, want 0 or 1", ErrBadSignature, signature[64])
	}
	compact := append([]byte{27 + signature[64]}, signature[:64]...)
	key, _, err := ecdsa.RecoverCompact(compact, digest)
	if err != nil {
		return signer, fmt.Errorf("%w: %w", ErrBadSignature, err)
	}
	copy(signer[:], key.SerializeCompressed())
	return signer, nil
}

// Signer is the compressed secp256k1 public key that signed the environment key of an app. Compare it
// with the key of the KMS that is trusted: DstackKms.kmsInfo().k256Pubkey, or GetMeta of dstack-kms.
// The error is ErrBadSignature.
func (k EnvKey) Signer(appID [20]byte) ([33]byte, error) {
	return recoverDigest(k.Signature, envKeyDigest(appID, nil, k.PublicKey))
}

// SignerAt is Signer for the second form of the signature, which covers the time it was made
// (signature_v1 and timestamp of dstack-kms GetAppEnvEncryptPubKey, in Unix seconds).
func (k EnvKey) SignerAt(appID [20]byte, at time.Time) ([33]byte, error) {
	return recoverDigest(k.Signature, envKeyDigest(appID, timestampBytes(at), k.PublicKey))
}

func timestampBytes(at time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))
}
