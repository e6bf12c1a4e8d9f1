package appcompose

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// normalized writes the document with the top-level clean-up of
// getComposeHash(document, true). That function spreads its argument into a
// new object, so a document that is not an object becomes one: an array gets
// its indexes as keys, a string its UTF-16 code units, anything else nothing.
func (e *encoder) normalized() {
	root := &e.t.nodes[0]
	switch root.kind {
	case kindObject:
		e.collect(0)
		e.members = dropUnread(e.t, ownOrder(e.members))
		e.object(0)
	case kindArray:
		i := int64(0)
		for c := uint32(1); c < root.next; c = e.t.nodes[c].next {
			e.members = append(e.members, member{key: strconv.AppendInt(nil, i, 10), value: c, index: i})
			i++
		}
		e.object(0)
	case kindString:
		e.spreadString(e.t.key(root))
	default:
		e.out = append(e.out, "{}"...)
	}
}

// dropUnread removes the fields that the runner does not read.
func dropUnread(t *tape, ms []member) []member {
	runner := ""
	if m := findMember(ms, "runner"); m != nil {
		if n := &t.nodes[m.value]; n.kind == kindString {
			runner = string(t.key(n))
		}
	}
	unread := ""
	switch runner {
	case "bash":
		unread = "docker_compose_file"
	case "docker-compose":
		unread = "bash_script"
	}
	return slices.DeleteFunc(ms, func(m member) bool {
		key := string(m.key)
		return (unread != "" && key == unread) || (key == "pre_launch_script" && t.falsy(m.value))
	})
}

func findMember(ms []member, key string) *member {
	for i := range ms {
		if string(ms[i].key) == key {
			return &ms[i]
		}
	}
	return nil
}

// falsy reports whether JavaScript counts the value as false in a condition.
func (t *tape) falsy(i uint32) bool {
	n := &t.nodes[i]
	switch n.kind {
	case kindNull, kindFalse:
		return true
	case kindString:
		return n.end-n.start == 2
	case kindNumber:
		f, _ := strconv.ParseFloat(string(t.src[n.start:n.end]), 64)
		return f == 0 && !math.IsNaN(f)
	default:
		return false
	}
}

// spreadString writes {...text}: one member for each UTF-16 code unit.
func (e *encoder) spreadString(text []byte) {
	e.out = append(e.out, '{')
	i := int64(0)
	unit := func(r rune) {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		e.out = append(e.out, '"')
		e.out = strconv.AppendInt(e.out, i, 10)
		e.out = append(e.out, '"', ':', '"')
		e.out = appendEscaped(e.out, r)
		e.out = append(e.out, '"')
		i++
	}
	for len(text) > 0 {
		r, n := decodeWTF8(text)
		unit(firstUnit(r))
		if utf8.RuneLen(r) == 4 {
			unit(secondUnit(r, nil))
		}
		text = text[n:]
	}
	e.out = append(e.out, '}')
}
