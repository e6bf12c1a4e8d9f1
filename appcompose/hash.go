package appcompose

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
)

// ErrInvalidHash is matched by every error about a malformed compose hash.
var ErrInvalidHash = errors.New("appcompose: invalid compose hash")

// ComposeHash is the SHA-256 of an app-compose document's bytes: the identity
// that the KMS contract allows and the guest measures. It is 32 bytes, as the
// contract's bytes32 has it.
type ComposeHash [sha256.Size]byte

// Hash returns the compose hash of document: SHA-256 over its bytes exactly as
// they are. A changed space, key order or final newline gives another hash.
func Hash(document []byte) ComposeHash {
	return sha256.Sum256(document)
}

// InvalidHashError says why a text is not a compose hash.
// It matches [ErrInvalidHash].
type InvalidHashError struct {
	// Value is the text seen, cut to 80 bytes.
	Value string
	// Expected says what the text should have been.
	Expected string
}

func (e *InvalidHashError) Error() string {
	return fmt.Sprintf("compose hash: got %q, expected %s", e.Value, e.Expected)
}

// Is reports whether target is [ErrInvalidHash].
func (e *InvalidHashError) Is(target error) bool { return target == ErrInvalidHash }

// ParseComposeHash reads 64 hexadecimal digits in either case, with or without
// a leading 0x or 0X: explorers, clients and the API each write their own form
// of the same hash. It returns an [InvalidHashError] for anything else.
func ParseComposeHash(s string) (ComposeHash, error) {
	var h ComposeHash
	if err := h.parse(s); err != nil {
		return ComposeHash{}, err
	}
	return h, nil
}

func (h *ComposeHash) parse(s string) error {
	digits := s
	if len(digits) >= 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') {
		digits = digits[2:]
	}
	if len(digits) != 2*len(h) {
		return &InvalidHashError{Value: clip(s, 80), Expected: fmt.Sprintf("64 hex digits, not %d characters", len(digits))}
	}
	if _, err := hex.Decode(h[:], []byte(digits)); err != nil {
		return &InvalidHashError{Value: clip(s, 80), Expected: "64 hex digits"}
	}
	return nil
}

// clip keeps an error about a huge value small.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

// String returns 64 lower-case hexadecimal digits without 0x, the form of the
// REST API.
func (h ComposeHash) String() string { return hex.EncodeToString(h[:]) }

// Hex0x returns the hash with a leading 0x, the form of chain tools.
func (h ComposeHash) Hex0x() string { return "0x" + h.String() }

// IsZero reports whether all 32 bytes are zero, which is no document's hash
// and what the contract refuses.
func (h ComposeHash) IsZero() bool { return h == ComposeHash{} }

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (h ComposeHash) MarshalText() ([]byte, error) {
	return hex.AppendEncode(make([]byte, 0, 2*len(h)), h[:]), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler] with the rules of
// [ParseComposeHash]. It leaves h alone when it fails.
func (h *ComposeHash) UnmarshalText(text []byte) error {
	parsed, err := ParseComposeHash(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}

// Value implements [driver.Valuer]: stores keep the text of String, so that a
// person reading a row sees what the API shows.
func (h ComposeHash) Value() (driver.Value, error) { return h.String(), nil }

// Scan implements [database/sql.Scanner] for text columns. NULL is refused:
// a column that may be NULL is scanned into *ComposeHash or sql.Null.
func (h *ComposeHash) Scan(src any) error {
	switch v := src.(type) {
	case string:
		return h.UnmarshalText([]byte(v))
	case []byte:
		return h.UnmarshalText(v)
	default:
		return &InvalidHashError{Value: fmt.Sprintf("%T", src), Expected: "a text column of 64 hex digits"}
	}
}
