package guest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// SeedSize is the length of dstack's instance_id_seed, in bytes.
const SeedSize = 20

// ParseAppID reads an app id: 40 hex digits, no 0x.
func ParseAppID(text string) (id [20]byte, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("invalid app id %q", text)
	}
	return [20]byte(b), nil
}

// InstanceID is the id of an instance: the first 20 bytes of SHA-256(seed ‖ app id), with a seed drawn at the
// first boot and kept on the disk. A document with no_instance_id has none.
func InstanceID(d Document, seed []byte, appID [20]byte) []byte {
	if d.NoInstanceID {
		return nil
	}
	sum := sha256.Sum256(slices.Concat(seed, appID[:]))
	return sum[:20]
}
