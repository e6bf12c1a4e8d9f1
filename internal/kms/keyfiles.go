package kms

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

// Names of the root key files in the folder of the development KMS.
const (
	caKeyFile   = "root-ca.key"   // PKCS#8 PEM, P-256
	k256KeyFile = "root-k256.key" // 64 hex digits and a newline, secp256k1
)

// OpenDev opens the development KMS whose root keys lie in a folder, and creates what is missing there:
// the folder (mode 0700) and the key files (0600), drawn from rand. A key file that is there is never
// written again, since every secret of every app hangs on it; one that cannot be read is an error.
func OpenDev(dir string, rand io.Reader) (*Dev, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("kms: key folder: %w", err)
	}
	caText, err := loadOrCreate(filepath.Join(dir, caKeyFile), func() ([]byte, error) {
		key, err := newP256Key(rand)
		if err != nil {
			return nil, err
		}
		return encodeCAKey(key)
	})
	if err != nil {
		return nil, err
	}
	k256Text, err := loadOrCreate(filepath.Join(dir, k256KeyFile), func() ([]byte, error) {
		key, err := newK256Key(rand)
		if err != nil {
			return nil, err
		}
		return []byte(hex.EncodeToString(key.Serialize()) + "\n"), nil
	})
	if err != nil {
		return nil, err
	}
	ca, err := decodeCAKey(caText)
	if err != nil {
		return nil, fmt.Errorf("kms: %s: %w", caKeyFile, err)
	}
	k256, err := decodeK256Key(k256Text)
	if err != nil {
		return nil, fmt.Errorf("kms: %s: %w", k256KeyFile, err)
	}
	return &Dev{rootCA: ca, rootK256: k256}, nil
}

func encodeCAKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("kms: encode root key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func decodeCAKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New(`file holds no PEM block "PRIVATE KEY"`)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("key is not on P-256")
	}
	return key, nil
}

func decodeK256Key(text []byte) (*secp256k1.PrivateKey, error) {
	// The error of hex.DecodeString shows a byte of its input, which is a secret here.
	scalar, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, errors.New("file does not hold 64 hex digits")
	}
	key, ok := parseK256Key(scalar)
	if !ok {
		return nil, errors.New("file does not hold a secp256k1 key of 64 hex digits")
	}
	return key, nil
}

// loadOrCreate reads a file, or makes it once. The file appears under its name only when whole and
// synced, and when two processes race, the first one's content is what both read.
func loadOrCreate(path string, create func() ([]byte, error)) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	text, err = create()
	if err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("kms: create key file: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(text)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err != nil {
		return nil, fmt.Errorf("kms: write key file: %w", err)
	}
	// Link, unlike rename, refuses to replace a key that appeared meanwhile.
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("kms: create key file: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("kms: sync key folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
