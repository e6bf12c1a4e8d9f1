package appcompose

import (
	"bytes"
	"unicode/utf8"
)

// Strings are handled here in WTF-8: UTF-8 that may also hold surrogates
// standing alone, each as three bytes. JSON can spell such a string
// ("\ud800") and JavaScript keeps it; Go's own decoder would replace it by
// U+FFFD and so change the document.

const (
	surrogateMin    = 0xD800
	surrogateLowMin = 0xDC00
	surrogateMax    = 0xDFFF
	lowerHexDigits  = "0123456789abcdef"
	astralMin       = 0x10000
)

// text returns the raw contents of a string node, between its quotes.
func (t *tape) text(n *node) []byte { return t.src[n.start+1 : n.end-1] }

// hex4 reads four hex digits that the scanner has already checked.
func hex4(b []byte) rune {
	return hexValue(b[0])<<12 | hexValue(b[1])<<8 | hexValue(b[2])<<4 | hexValue(b[3])
}

// unescape decodes the escape at b[0] == '\\' and returns the character and
// how many bytes it took. Two escapes that form a surrogate pair are one
// character; a surrogate alone is returned as itself.
func unescape(b []byte) (r rune, n int) {
	switch b[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r = hex4(b[2:])
		if r >= surrogateMin && r < surrogateLowMin && len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
			if low := hex4(b[8:]); low >= surrogateLowMin && low <= surrogateMax {
				return astralMin + (r-surrogateMin)<<10 + (low - surrogateLowMin), 12
			}
		}
		return r, 6
	default: // quote, backslash, slash
		return rune(b[1]), 2
	}
}

func isSurrogate(r rune) bool { return r >= surrogateMin && r <= surrogateMax }

// appendWTF8 is utf8.AppendRune that does not replace surrogates.
func appendWTF8(dst []byte, r rune) []byte {
	if isSurrogate(r) {
		return append(dst, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F)
	}
	return utf8.AppendRune(dst, r)
}

// appendDecoded appends the decoded contents of a JSON string, as WTF-8.
func appendDecoded(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		r, n := unescape(raw[i:])
		dst = appendWTF8(dst, r)
		raw = raw[i+n:]
	}
}

// appendEscaped appends r the way JSON.stringify writes it: only the quote,
// the backslash, control characters below U+0020 and lone surrogates are
// escaped; <, >, &, U+2028 and U+2029 are not.
func appendEscaped(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	if r < 0x20 || isSurrogate(r) {
		return append(dst, '\\', 'u', lowerHexDigits[r>>12&15], lowerHexDigits[r>>8&15],
			lowerHexDigits[r>>4&15], lowerHexDigits[r&15])
	}
	return utf8.AppendRune(dst, r)
}

// appendReencoded appends the contents of a JSON string, escaped anew. Runs
// between escapes need no look: the scanner saw to it that they hold nothing
// that must be escaped.
func appendReencoded(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		r, n := unescape(raw[i:])
		dst = appendEscaped(dst, r)
		raw = raw[i+n:]
	}
}

// appendQuoted appends s, which must be valid UTF-8, as a JSON string.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	plain := 0
	for i := range len(s) {
		if c := s[i]; c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[plain:i]...)
		dst = appendEscaped(dst, rune(s[i]))
		plain = i + 1
	}
	dst = append(dst, s[plain:]...)
	return append(dst, '"')
}

// decodeWTF8 is utf8.DecodeRune that also reads lone surrogates.
func decodeWTF8(b []byte) (rune, int) {
	if len(b) >= 3 && b[0] == 0xED && b[1] >= 0xA0 {
		return 0xD000 | rune(b[1]&0x3F)<<6 | rune(b[2]&0x3F), 3
	}
	return utf8.DecodeRune(b)
}

// compareUTF16 orders two WTF-8 strings as JavaScript's default sort does: by
// UTF-16 code units. That differs from byte order where characters beyond
// U+FFFF (surrogates D800–DFFF in UTF-16) meet U+E000–U+FFFF.
func compareUTF16(a, b []byte) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	if i == len(a) || i == len(b) {
		// A prefix in bytes is a prefix in code units: no WTF-8 character is the
		// beginning of another.
		return len(a) - len(b)
	}
	if a[i] < utf8.RuneSelf && b[i] < utf8.RuneSelf {
		return int(a[i]) - int(b[i])
	}
	for i > 0 && !utf8.RuneStart(a[i]) {
		i--
	}
	a, b = a[i:], b[i:]
	ra, na := decodeWTF8(a)
	rb, nb := decodeWTF8(b)
	if ua, ub := firstUnit(ra), firstUnit(rb); ua != ub {
		return int(ua) - int(ub)
	}
	// Same first unit yet different characters: at least one is beyond U+FFFF,
	// and its low surrogate meets the other's second unit. The two cannot be
	// equal, since a high surrogate before a low one is always one character.
	return int(secondUnit(ra, a[na:])) - int(secondUnit(rb, b[nb:]))
}

func firstUnit(r rune) rune {
	if r >= astralMin {
		return surrogateMin + (r-astralMin)>>10
	}
	return r
}

// secondUnit returns the code unit that follows the first unit of r, which may
// belong to the next character, or -1 at the end of the string.
func secondUnit(r rune, rest []byte) rune {
	if r >= astralMin {
		return surrogateLowMin + (r-astralMin)&0x3FF
	}
	if len(rest) == 0 {
		return -1
	}
	next, _ := decodeWTF8(rest)
	return firstUnit(next)
}
