package api

import (
	"net/url"
	"strconv"
	"strings"
)

// PathID returns the path segment for a CVM identifier, as the official clients make it: a UUID of
// version 4 loses its dashes, 40 hex digits get app_ in front, everything else stays. Unlike them
// it escapes what would leave the segment.
func PathID(id string) string {
	switch {
	case isUUIDv4(id):
		return strings.ReplaceAll(id, "-", "")
	case len(id) == appIDDigits && isHex(id):
		return "app_" + id
	case id == "." || id == "..":
		return strings.ReplaceAll(id, ".", "%2E")
	}
	return url.PathEscape(id)
}

// isUUIDv4 matches what the clients take for a UUID: 8-4-4-4-12 hex digits, each dash optional,
// with the version digit 4 and a variant digit 8, 9, a or b.
func isUUIDv4(s string) bool {
	digits, ok := uuidDigits(s)
	if !ok || digits[12] != '4' {
		return false
	}
	switch digits[16] {
	case '8', '9', 'a', 'b', 'A', 'B':
		return true
	}
	return false
}

// uuidDigits returns the 32 hex digits of a UUID whose dashes, each optional, are where they
// belong.
func uuidDigits(s string) (string, bool) {
	if len(s) < 32 || len(s) > 36 {
		return "", false
	}
	var digits strings.Builder
	for i, rest := 0, s; i < 5; i++ {
		if i > 0 {
			rest = strings.TrimPrefix(rest, "-")
		}
		n := [5]int{8, 4, 4, 4, 12}[i]
		if len(rest) < n || !isHex(rest[:n]) || i == 4 && len(rest) != n {
			return "", false
		}
		digits.WriteString(rest[:n])
		rest = rest[n:]
	}
	return digits.String(), true
}

// IdentifierKind says what an [Identifier] names.
type IdentifierKind int

// The kinds of identifiers of a CVM.
const (
	// IdentifierUUID is a vm_uuid: lower case, with dashes.
	IdentifierUUID IdentifierKind = iota + 1
	// IdentifierAppID is an app id: 40 hex digits in lower case. The official clients send a bare
	// instance id in the same form, so when no app matches it may be one.
	IdentifierAppID
	// IdentifierInstanceID is an instance id: 40 hex digits in lower case.
	IdentifierInstanceID
	// IdentifierHashID is an opaque id with its prefix "cvm_"; case matters.
	IdentifierHashID
	// IdentifierNumeric is a decimal number, the id of version 2025-10-28.
	IdentifierNumeric
	// IdentifierName is the name of a CVM.
	IdentifierName
)

// String implements fmt.Stringer.
func (k IdentifierKind) String() string {
	switch k {
	case IdentifierUUID:
		return "uuid"
	case IdentifierAppID:
		return "app_id"
	case IdentifierInstanceID:
		return "instance_id"
	case IdentifierHashID:
		return "id"
	case IdentifierNumeric:
		return "numeric id"
	case IdentifierName:
		return "name"
	}
	return "unknown"
}

// Identifier is a CVM identifier as it came in a path.
type Identifier struct {
	Kind IdentifierKind
	// Value is the canonical form of its kind.
	Value string
}

// maxHashID bounds an opaque id, prefix included.
const maxHashID = 64

// ParseIdentifier reads the {id} of /cvms/{id}: a UUID with or without dashes, an app id (40 hex
// digits, bare or after app_ or 0x), an instance id (after instance_), an opaque id (after cvm_), a
// decimal number, or a name. Hex digits and prefixes of hex values may have any case. The error is
// a *[FieldError].
func ParseIdentifier(s string) (Identifier, error) {
	if digits, ok := uuidDigits(s); ok {
		d := strings.ToLower(digits)
		return Identifier{IdentifierUUID, d[:8] + "-" + d[8:12] + "-" + d[12:16] + "-" + d[16:20] + "-" + d[20:]}, nil
	}
	lower := strings.ToLower(s)
	if rest, ok := strings.CutPrefix(lower, "instance_"); ok && len(rest) == appIDDigits && isHex(rest) {
		return Identifier{IdentifierInstanceID, rest}, nil
	}
	if app, err := ParseAppID("id", s); err == nil {
		return Identifier{IdentifierAppID, app}, nil
	}
	if rest, ok := strings.CutPrefix(s, "cvm_"); ok && len(s) <= maxHashID && isOpaque(rest) {
		return Identifier{IdentifierHashID, s}, nil
	}
	if n, err := strconv.ParseUint(s, 10, 63); err == nil && strconv.FormatUint(n, 10) == s {
		return Identifier{IdentifierNumeric, s}, nil
	}
	if ValidateCVMName(s) == nil {
		return Identifier{IdentifierName, s}, nil
	}
	return Identifier{}, &FieldError{
		Field: "id", Seen: quote(s),
		Expected: "a UUID, app_ or instance_ with 40 hex digits, a cvm_ id, a number or a CVM name",
	}
}

func isOpaque(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}
