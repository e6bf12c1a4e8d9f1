package appcompose

import (
	"bytes"
	"slices"
)

// equalJSON reports whether two JSON texts mean the same to every reader: they
// differ at most in white space, key order and the escapes of strings. Numbers
// are compared as they are written, since readers differ in what they make of
// 2 and 2.0 or of more digits than a double holds.
func equalJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	ta, err := parseJSON(a, maxCanonicalDepth)
	if err != nil {
		return false
	}
	tb, err := parseJSON(b, maxCanonicalDepth)
	return err == nil && equalNodes(ta, 0, tb, 0)
}

func equalNodes(ta *tape, i uint32, tb *tape, j uint32) bool {
	a, b := &ta.nodes[i], &tb.nodes[j]
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case kindNumber:
		return bytes.Equal(ta.src[a.start:a.end], tb.src[b.start:b.end])
	case kindString:
		return bytes.Equal(ta.key(a), tb.key(b))
	case kindArray:
		i, j = i+1, j+1
		for ; i < a.next && j < b.next; i, j = ta.nodes[i].next, tb.nodes[j].next {
			if !equalNodes(ta, i, tb, j) {
				return false
			}
		}
		return i == a.next && j == b.next
	case kindObject:
		return slices.EqualFunc(byKey(ta, i), byKey(tb, j), func(m, n member) bool {
			return bytes.Equal(m.key, n.key) && equalNodes(ta, m.value, tb, n.value)
		})
	default:
		return true
	}
}

// byKey returns the members of an object sorted by key; of a key that comes
// twice the order is kept, since it decides which one counts.
func byKey(t *tape, i uint32) []member {
	e := encoder{t: t}
	e.collect(i)
	slices.SortStableFunc(e.members, func(a, b member) int { return bytes.Compare(a.key, b.key) })
	return e.members
}
