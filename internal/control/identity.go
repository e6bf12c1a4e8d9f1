package control

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/google/uuid"
)

// newID makes an opaque id with 80 random bits, such as cvm_6b1f….
func (s *Service) newID(prefix string) (string, error) {
	b := make([]byte, 10)
	if _, err := io.ReadFull(s.rand, b); err != nil {
		return "", fmt.Errorf("random id: %w", err)
	}
	return prefix + hex.EncodeToString(b), nil
}

// newUUID makes a random UUID (version 4), lower case with dashes.
func (s *Service) newUUID() (string, error) {
	id, err := uuid.NewRandomFromReader(s.rand)
	if err != nil {
		return "", fmt.Errorf("random UUID: %w", err)
	}
	return id.String(), nil
}

// StableID is an id that follows from what it names, for things that come from configuration.
func StableID(prefix, name string) string {
	sum := sha256.Sum256([]byte(prefix + name))
	return prefix + hex.EncodeToString(sum[:10])
}
