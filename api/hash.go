package api

import (
	"strconv"
	"strings"
)

// Lengths in hex digits.
const (
	hashDigits  = 64
	appIDDigits = 40
)

// ParseHash returns a compose hash or transaction hash as 64 lower-case hex digits. The input may
// have 0x in front and any case: clients show hashes with 0x and people paste them back. The error
// is a *[FieldError] that names field.
func ParseHash(field, s string) (string, error) {
	h := strings.ToLower(trim0x(s))
	if len(h) != hashDigits || !isHex(h) {
		return "", &FieldError{Field: field, Seen: quote(s), Expected: "64 hex digits"}
	}
	return h, nil
}

// ParseAppID returns an app id or contract address as 40 lower-case hex digits, the form that
// answers use. The input may have 0x or app_ in front and any case. The error is a *[FieldError]
// that names field.
func ParseAppID(field, s string) (string, error) {
	a := strings.ToLower(s)
	if rest, ok := strings.CutPrefix(a, "app_"); ok {
		a = rest
	} else {
		a = trim0x(a)
	}
	if len(a) != appIDDigits || !isHex(a) {
		return "", &FieldError{Field: field, Seen: quote(s), Expected: "40 hex digits"}
	}
	return a, nil
}

// NoReceipt reports whether a transaction hash says that there is no receipt to verify: it is empty
// or [AlreadyRegistered].
func NoReceipt(transactionHash string) bool {
	return transactionHash == "" || transactionHash == AlreadyRegistered
}

func trim0x(s string) string {
	if len(s) >= 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		return s[2:]
	}
	return s
}

func isHex(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'f', 'A' <= c && c <= 'F':
		default:
			return false
		}
	}
	return s != ""
}

// quote shows a value of unknown length and content in an error.
func quote(s string) string {
	const most = 100
	if len(s) > most {
		return strconv.Quote(s[:most]) + "… (" + strconv.Itoa(len(s)) + " bytes)"
	}
	return strconv.Quote(s)
}
