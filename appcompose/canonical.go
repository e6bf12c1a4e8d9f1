package appcompose

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strconv"
)

// maxCanonicalDepth bounds nesting in [Canonical]. JavaScript itself runs out
// of stack at a few thousand levels, so no document that the SDK can hash is
// refused.
const maxCanonicalDepth = 10_000

// CanonicalOptions choose a variant of the deterministic encoding.
type CanonicalOptions struct {
	// Normalize first drops the top-level fields that a document's runner does
	// not read, as getComposeHash(document, true) does: docker_compose_file
	// when runner is "bash", bash_script when it is "docker-compose", and a
	// pre_launch_script that is empty, null, false or 0.
	Normalize bool
}

// Canonical re-encodes a JSON document in the deterministic form whose SHA-256
// is getComposeHash(document) of @phala/dstack-sdk, byte for byte, for every
// document JavaScript can read: keys sorted by UTF-16 code units with integer
// keys first, no white space, JSON.stringify's escapes and number format.
//
// Two habits of that function are kept because hashes depend on them: a key
// "__proto__" vanishes, and an object with a key "constructor" is written in
// its own order, with all it contains.
//
// It returns a [SyntaxError] for text that is not one JSON value in UTF-8, or
// is nested deeper than 10 000 levels.
func Canonical(document []byte) ([]byte, error) {
	return CanonicalWith(document, CanonicalOptions{})
}

// CanonicalWith is [Canonical] with options.
func CanonicalWith(document []byte, opts CanonicalOptions) ([]byte, error) {
	t, err := parseJSON(document, maxCanonicalDepth)
	if err != nil {
		return nil, err
	}
	e := encoder{t: t, sorted: true, out: make([]byte, 0, len(document))}
	if opts.Normalize {
		e.normalized()
	} else {
		e.value(0)
	}
	return e.out, nil
}

// CanonicalHash returns the SHA-256 of [Canonical]: what getComposeHash
// returns. It is the compose hash of a document only if the canonical bytes
// are the ones deployed; see [Hash].
func CanonicalHash(document []byte) (ComposeHash, error) {
	b, err := Canonical(document)
	if err != nil {
		return ComposeHash{}, err
	}
	return Hash(b), nil
}

// member is one key of an object while its order is decided.
type member struct {
	key   []byte // WTF-8
	value uint32 // tape index
	index int64  // the key as an array index, or -1
}

type encoder struct {
	t       *tape
	out     []byte
	members []member // a stack: each open object has its members on top
	sorted  bool     // false inside an object with a key "constructor"
}

func (e *encoder) value(i uint32) {
	n := &e.t.nodes[i]
	switch n.kind {
	case kindNumber:
		e.out = appendJSNumber(e.out, e.t.src[n.start:n.end])
	case kindString:
		e.str(n)
	case kindArray:
		e.out = append(e.out, '[')
		for c := i + 1; c < n.next; c = e.t.nodes[c].next {
			if c > i+1 {
				e.out = append(e.out, ',')
			}
			e.value(c)
		}
		e.out = append(e.out, ']')
	case kindObject:
		base := len(e.members)
		e.collect(i)
		e.object(base)
	default:
		e.out = append(e.out, e.t.src[n.start:n.end]...)
	}
}

func (e *encoder) str(n *node) {
	if !n.escaped {
		e.out = append(e.out, e.t.src[n.start:n.end]...)
		return
	}
	e.out = append(e.out, '"')
	e.out = appendReencoded(e.out, e.t.text(n))
	e.out = append(e.out, '"')
}

// key returns the decoded text of a string node.
func (t *tape) key(n *node) []byte {
	if !n.escaped {
		return t.text(n)
	}
	return appendDecoded(nil, t.text(n))
}

// collect pushes the members of the object at tape index i, in document order.
func (e *encoder) collect(i uint32) {
	nodes := e.t.nodes
	for c := i + 1; c < nodes[i].next; {
		key := e.t.key(&nodes[c])
		e.members = append(e.members, member{key: key, value: c + 1, index: arrayIndex(key)})
		c = nodes[c+1].next
	}
}

// object writes the members above base and pops them.
func (e *encoder) object(base int) {
	outer := e.sorted
	if e.sorted && slices.ContainsFunc(e.members[base:], isConstructor) {
		e.sorted = false
	}
	if e.sorted {
		e.members = append(e.members[:base], sortMembers(e.members[base:])...)
	} else {
		e.members = append(e.members[:base], ownOrder(e.members[base:])...)
	}
	end := len(e.members)
	e.out = append(e.out, '{')
	first := true
	for k := base; k < end; k++ {
		m := e.members[k]
		if e.sorted && string(m.key) == "__proto__" {
			continue // assigned to the sorted copy, it sets the prototype instead
		}
		if !first {
			e.out = append(e.out, ',')
		}
		first = false
		e.out = appendKey(e.out, m.key)
		e.value(m.value)
	}
	e.out = append(e.out, '}')
	e.members = e.members[:base]
	e.sorted = outer
}

// isConstructor finds the key that makes the SDK's test for a plain object
// (value.constructor === Object) fail, so that it returns the object unsorted.
func isConstructor(m member) bool { return string(m.key) == "constructor" }

// compareMembers is the order in which JavaScript lists the keys of an object
// filled in sorted order: array indexes ascending, then the others.
func compareMembers(a, b member) int {
	if a.index >= 0 || b.index >= 0 {
		return cmp.Compare(uint64(a.index), uint64(b.index)) // -1 becomes the largest
	}
	return compareUTF16(a.key, b.key)
}

// sortMembers sorts ms in place and drops all but the last member of each key,
// as JSON.parse does.
func sortMembers(ms []member) []member {
	if !slices.IsSortedFunc(ms, compareMembers) {
		slices.SortStableFunc(ms, compareMembers)
	}
	kept := ms[:0]
	for i := range ms {
		if i+1 < len(ms) && bytes.Equal(ms[i].key, ms[i+1].key) {
			continue
		}
		kept = append(kept, ms[i])
	}
	return kept
}

// ownOrder gives ms the order of an object that JSON.parse made: array indexes
// ascending, then the others where their first occurrence stood, each with the
// value of its last.
func ownOrder(ms []member) []member {
	first := make(map[string]int, len(ms))
	kept := ms[:0]
	for _, m := range ms {
		if at, seen := first[string(m.key)]; seen {
			kept[at].value = m.value
			continue
		}
		first[string(m.key)] = len(kept)
		kept = append(kept, m)
	}
	slices.SortStableFunc(kept, func(a, b member) int {
		return cmp.Compare(uint64(a.index), uint64(b.index))
	})
	return kept
}

// arrayIndex returns the number of a key that JavaScript keeps as an array
// index (the canonical decimal of 0 to 2^32-2), or -1.
func arrayIndex(key []byte) int64 {
	if len(key) == 0 || len(key) > 10 || (key[0] == '0' && len(key) > 1) {
		return -1
	}
	var n int64
	for _, c := range key {
		if c-'0' > 9 {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	if n >= math.MaxUint32 {
		return -1
	}
	return n
}

// appendKey appends a WTF-8 key and its colon.
func appendKey(dst, key []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(key); {
		if c := key[i]; c >= 0x20 && c != '"' && c != '\\' && c != 0xED {
			dst = append(dst, c)
			i++
			continue
		}
		r, n := decodeWTF8(key[i:])
		dst = appendEscaped(dst, r)
		i += n
	}
	return append(dst, '"', ':')
}

// appendJSNumber appends a JSON number as JavaScript writes the double it
// parses to (ECMA-262, Number::toString), and null for what overflows.
func appendJSNumber(dst, raw []byte) []byte {
	if isPlainInteger(raw) {
		return append(dst, raw...)
	}
	// The grammar is already checked, so the only error is overflow.
	f, _ := strconv.ParseFloat(string(raw), 64)
	return appendJSFloat(dst, f)
}

// appendJSFloat appends a double as JSON.stringify does.
func appendJSFloat(dst []byte, f float64) []byte {
	switch abs := math.Abs(f); {
	case math.IsInf(f, 0) || math.IsNaN(f):
		return append(dst, "null"...)
	case abs == 0:
		return append(dst, '0') // -0 too
	case abs >= 1e-6 && abs < 1e21:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// Go pads the exponent to two digits, JavaScript does not.
	if n := len(dst); n-start >= 4 && dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// isPlainInteger reports whether raw is an integer that a double holds exactly
// and JavaScript writes back digit by digit: up to 15 digits, not -0.
func isPlainInteger(raw []byte) bool {
	digits := raw
	if digits[0] == '-' {
		digits = digits[1:]
		if digits[0] == '0' {
			return false
		}
	}
	if len(digits) > 15 {
		return false
	}
	for _, c := range digits {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}
