package kms

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// EnvVar is one environment variable of an app.
type EnvVar struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// EnvDecrypter reads an encrypted environment as the guest does once a KMS gave it the app's keys.
// Values are secrets: callers never log them.
type EnvDecrypter interface {
	DecryptEnv(ctx context.Context, appID [20]byte, ciphertext []byte) ([]EnvVar, error)
}

// ErrEnvCiphertext says that bytes are no environment encrypted to the app's key.
var ErrEnvCiphertext = errors.New("kms: environment cannot be decrypted")

// Layout of encrypted_env: ephemeral X25519 public key ‖ nonce ‖ AES-256-GCM ciphertext and tag. The AES
// key is the raw shared secret; there is no key derivation and no additional data.
const (
	envKeySize   = 32
	envNonceSize = 12
	envTagSize   = 16
	envOverhead  = envKeySize + envNonceSize + envTagSize
)

// envPlain is the plaintext: {"env":[{"key":"K","value":"V"},…]}.
type envPlain struct {
	Env []EnvVar `json:"env"`
}

// EncryptEnv encrypts an environment to the public key of an app, as the JavaScript SDK's
// encryptEnvVars does. The result is the bytes of encrypted_env.
func EncryptEnv(rand io.Reader, publicKey [32]byte, env []EnvVar) ([]byte, error) {
	if env == nil {
		env = []EnvVar{}
	}
	plain, err := json.Marshal(envPlain{Env: env})
	if err != nil {
		return nil, fmt.Errorf("kms: encode environment: %w", err)
	}
	return sealEnv(rand, publicKey, plain)
}

func sealEnv(rand io.Reader, publicKey [32]byte, plain []byte) ([]byte, error) {
	recipient, err := ecdh.X25519().NewPublicKey(publicKey[:])
	if err != nil {
		return nil, fmt.Errorf("kms: environment public key: %w", err)
	}
	// The key is made of bytes of the reader itself: crypto/ecdh's own generator ignores its reader.
	var secret [envKeySize]byte
	out := make([]byte, envKeySize+envNonceSize, envOverhead+len(plain))
	if _, err := io.ReadFull(rand, secret[:]); err != nil {
		return nil, fmt.Errorf("kms: random bytes: %w", err)
	}
	if _, err := io.ReadFull(rand, out[envKeySize:]); err != nil {
		return nil, fmt.Errorf("kms: random bytes: %w", err)
	}
	ephemeral, err := ecdh.X25519().NewPrivateKey(secret[:])
	if err != nil {
		return nil, fmt.Errorf("kms: ephemeral key: %w", err)
	}
	copy(out, ephemeral.PublicKey().Bytes())
	seal, err := envCipher(ephemeral, recipient)
	if err != nil {
		return nil, err
	}
	return seal.Seal(out, out[envKeySize:], plain, nil), nil
}

// decryptEnv is the other side of EncryptEnv. Errors are ErrEnvCiphertext and say nothing of the
// plaintext.
func decryptEnv(key *ecdh.PrivateKey, ciphertext []byte) ([]EnvVar, error) {
	if len(ciphertext) < envOverhead {
		return nil, fmt.Errorf("%w: %d bytes, want at least %d", ErrEnvCiphertext, len(ciphertext), envOverhead)
	}
	sender, err := ecdh.X25519().NewPublicKey(ciphertext[:envKeySize])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvCiphertext, err)
	}
	open, err := envCipher(key, sender)
	if err != nil {
		return nil, err
	}
	nonce := ciphertext[envKeySize : envKeySize+envNonceSize]
	plain, err := open.Open(nil, nonce, ciphertext[envKeySize+envNonceSize:], nil)
	if err != nil {
		return nil, fmt.Errorf("%w: not encrypted to this app's key, or changed since", ErrEnvCiphertext)
	}
	var env envPlain
	if err := json.Unmarshal(plain, &env); err != nil {
		return nil, fmt.Errorf(`%w: plaintext is not {"env":[{"key":…,"value":…}]}`, ErrEnvCiphertext)
	}
	return env.Env, nil
}

// envCipher makes the AEAD of a key pair. ECDH refuses the all-zero shared secret that a low-order
// public key gives.
func envCipher(private *ecdh.PrivateKey, public *ecdh.PublicKey) (cipher.AEAD, error) {
	shared, err := private.ECDH(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvCiphertext, err)
	}
	block, err := aes.NewCipher(shared)
	if err != nil {
		return nil, fmt.Errorf("kms: environment cipher: %w", err)
	}
	return cipher.NewGCM(block)
}
