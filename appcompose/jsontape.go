package appcompose

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// kind is the type of a JSON value on the tape.
type kind uint8

const (
	kindNull kind = iota
	kindFalse
	kindTrue
	kindNumber
	kindString
	kindArray
	kindObject
)

func (k kind) String() string {
	switch k {
	case kindNull:
		return "null"
	case kindFalse, kindTrue:
		return "boolean"
	case kindNumber:
		return "number"
	case kindString:
		return "string"
	case kindArray:
		return "array"
	default:
		return "object"
	}
}

// node is one JSON value. Values lie on the tape in document order, a
// container before its contents; in an object each member is a key node (a
// string) followed by its value.
type node struct {
	start, end uint32 // the value's bytes in the source, quotes included
	next       uint32 // tape index after this value and all it contains
	kind       kind
	escaped    bool // a string with at least one backslash
}

// tape is a parsed JSON text: one flat slice instead of a tree of interfaces,
// so that a document of any size costs a handful of allocations and every
// value remembers which bytes it came from.
type tape struct {
	src   []byte
	nodes []node
}

// SyntaxError says where a text stops being JSON as JavaScript's JSON.parse
// and dstack's guests read it (RFC 8259, UTF-8 only).
type SyntaxError struct {
	// Offset is the byte position in the text, from 0.
	Offset int
	// Message says what was found and what was expected.
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Message)
}

// maxTapeBytes keeps offsets within 32 bits, which halves the tape.
const maxTapeBytes = math.MaxInt32

// scanner turns text into a tape. Depth is bounded by a limit instead of the
// stack: the parser keeps its own stack of open containers.
type scanner struct {
	src      []byte
	pos      int
	nodes    []node
	open     []uint32 // tape indexes of the containers that are open
	maxDepth int
}

// parseJSON reads exactly one JSON value from src.
func parseJSON(src []byte, maxDepth int) (*tape, error) {
	if len(src) > maxTapeBytes {
		return nil, &SyntaxError{Offset: maxTapeBytes, Message: "text longer than 2 GiB"}
	}
	if !utf8.Valid(src) {
		return nil, &SyntaxError{Offset: invalidUTF8Offset(src), Message: "not valid UTF-8"}
	}
	s := scanner{src: src, maxDepth: maxDepth, nodes: make([]node, 0, 16+len(src)/64)}
	if err := s.run(); err != nil {
		return nil, err
	}
	return &tape{src: src, nodes: s.nodes}, nil
}

func invalidUTF8Offset(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}

func (s *scanner) fail(format string, args ...any) error {
	return &SyntaxError{Offset: s.pos, Message: fmt.Sprintf(format, args...)}
}

// unexpected describes the byte at the current position.
func (s *scanner) unexpected(want string) error {
	if s.pos >= len(s.src) {
		return s.fail("text ends, expected %s", want)
	}
	r, _ := utf8.DecodeRune(s.src[s.pos:])
	return s.fail("found %q, expected %s", r, want)
}

func (s *scanner) skipSpace() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) run() error {
	s.skipSpace()
	if err := s.value(); err != nil {
		return err
	}
	for len(s.open) > 0 {
		if err := s.step(); err != nil {
			return err
		}
	}
	s.skipSpace()
	if s.pos < len(s.src) {
		return s.unexpected("the end of the text")
	}
	return nil
}

// step reads what follows a value (or an opening bracket) inside the innermost
// open container.
func (s *scanner) step() error {
	top := s.open[len(s.open)-1]
	object := s.nodes[top].kind == kindObject
	closer := byte(']')
	if object {
		closer = '}'
	}
	first := int(top) == len(s.nodes)-1
	s.skipSpace()
	if s.pos < len(s.src) && s.src[s.pos] == closer {
		s.pos++
		s.nodes[top].end = uint32(s.pos)
		s.nodes[top].next = uint32(len(s.nodes))
		s.open = s.open[:len(s.open)-1]
		return nil
	}
	if !first {
		if s.pos >= len(s.src) || s.src[s.pos] != ',' {
			return s.unexpected(fmt.Sprintf(`"," or %q`, string(closer)))
		}
		s.pos++
		s.skipSpace()
	}
	if object {
		if s.pos >= len(s.src) || s.src[s.pos] != '"' {
			return s.unexpected("a quoted key")
		}
		if err := s.str(); err != nil {
			return err
		}
		s.skipSpace()
		if s.pos >= len(s.src) || s.src[s.pos] != ':' {
			return s.unexpected(`":"`)
		}
		s.pos++
		s.skipSpace()
	}
	return s.value()
}

// value reads one value; of a container only its opening bracket.
func (s *scanner) value() error {
	if s.pos >= len(s.src) {
		return s.unexpected("a value")
	}
	switch c := s.src[s.pos]; c {
	case '{', '[':
		if len(s.open) >= s.maxDepth {
			return s.fail("nested deeper than %d levels", s.maxDepth)
		}
		k := kindObject
		if c == '[' {
			k = kindArray
		}
		s.open = append(s.open, uint32(len(s.nodes)))
		s.nodes = append(s.nodes, node{start: uint32(s.pos), kind: k})
		s.pos++
		return nil
	case '"':
		return s.str()
	case 't':
		return s.literal("true", kindTrue)
	case 'f':
		return s.literal("false", kindFalse)
	case 'n':
		return s.literal("null", kindNull)
	default:
		return s.number()
	}
}

func (s *scanner) push(start int, k kind, escaped bool) {
	s.nodes = append(s.nodes, node{
		start: uint32(start), end: uint32(s.pos), next: uint32(len(s.nodes) + 1), kind: k, escaped: escaped,
	})
}

func (s *scanner) literal(word string, k kind) error {
	start := s.pos
	if len(s.src)-start < len(word) || string(s.src[start:start+len(word)]) != word {
		return s.unexpected("a value")
	}
	s.pos += len(word)
	s.push(start, k, false)
	return nil
}

func (s *scanner) digits() int {
	n := s.pos
	for s.pos < len(s.src) && s.src[s.pos]-'0' <= 9 {
		s.pos++
	}
	return s.pos - n
}

func (s *scanner) number() error {
	start := s.pos
	if s.src[s.pos] == '-' {
		s.pos++
	}
	lead := s.pos
	if s.digits() == 0 {
		if lead > start {
			return s.unexpected("a digit")
		}
		return s.unexpected("a value")
	}
	if s.src[lead] == '0' && s.pos > lead+1 {
		s.pos = lead + 1
		return s.unexpected("no digit after a leading 0")
	}
	if s.pos < len(s.src) && s.src[s.pos] == '.' {
		s.pos++
		if s.digits() == 0 {
			return s.unexpected("a digit")
		}
	}
	if s.pos < len(s.src) && s.src[s.pos]|0x20 == 'e' {
		s.pos++
		if s.pos < len(s.src) && (s.src[s.pos] == '+' || s.src[s.pos] == '-') {
			s.pos++
		}
		if s.digits() == 0 {
			return s.unexpected("a digit")
		}
	}
	s.push(start, kindNumber, false)
	return nil
}

// str reads a string whose opening quote is at the current position.
func (s *scanner) str() error {
	start := s.pos
	escaped := false
	s.pos++
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == '"':
			s.pos++
			s.push(start, kindString, escaped)
			return nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return err
			}
		case c < 0x20:
			return s.unexpected("no raw control character in a string")
		default:
			s.pos++
		}
	}
	return s.unexpected("a closing quote")
}

func (s *scanner) escape() error {
	s.pos++
	if s.pos >= len(s.src) {
		return s.unexpected("an escape")
	}
	switch s.src[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos++
		return nil
	case 'u':
		s.pos++
		for range 4 {
			if s.pos >= len(s.src) || hexValue(s.src[s.pos]) < 0 {
				return s.unexpected("four hex digits after \\u")
			}
			s.pos++
		}
		return nil
	default:
		return s.unexpected("an escape")
	}
}

func hexValue(c byte) rune {
	switch {
	case c-'0' <= 9:
		return rune(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	default:
		return -1
	}
}
