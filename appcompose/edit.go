package appcompose

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// Edit is a change of one top-level field, applied by [Document.Edit].
// Make one with a Set function.
type Edit struct {
	field string
	// next returns the JSON text the field shall have, nil to remove it, and
	// whether anything is to be done at all.
	next func(d *Document) (value []byte, change bool, err error)
	// sized marks the fields that count towards MaxComposeSize.
	sized bool
}

// SetDockerComposeFile puts the Compose text in docker_compose_file.
func SetDockerComposeFile(text string) Edit {
	return setText("docker_compose_file", text, false)
}

// SetPreLaunchScript puts a script in pre_launch_script; an empty one removes
// the field.
func SetPreLaunchScript(script string) Edit {
	return setText("pre_launch_script", script, true)
}

// SetName puts the application's name in name.
func SetName(name string) Edit {
	e := setText("name", name, false)
	e.sized = false
	return e
}

// SetAllowedEnvs puts the names in allowed_envs. When they are the names that
// are there already, in whatever order, nothing changes: an order that differs
// would change the hash and ask for an approval of nothing.
func SetAllowedEnvs(names []string) Edit {
	names = slices.Clone(names)
	return Edit{field: "allowed_envs", next: func(d *Document) ([]byte, bool, error) {
		if sameSet(names, d.AllowedEnvs()) {
			return nil, false, nil
		}
		value, err := quoteList("allowed_envs", names)
		return value, true, err
	}}
}

// SetPublicLogs sets public_logs.
func SetPublicLogs(on bool) Edit { return setFlag("public_logs", on, (*Document).PublicLogs) }

// SetPublicSysinfo sets public_sysinfo.
func SetPublicSysinfo(on bool) Edit { return setFlag("public_sysinfo", on, (*Document).PublicSysinfo) }

// SetPublicTcbinfo sets public_tcbinfo.
func SetPublicTcbinfo(on bool) Edit { return setFlag("public_tcbinfo", on, (*Document).PublicTcbinfo) }

// SetField puts any JSON value in a top-level field, known or not; nil removes
// it. The value is spliced in as it is written; a field that holds the same
// value in another spelling is left alone.
func SetField(name string, value []byte) Edit {
	value = slices.Clone(value)
	return Edit{field: name, sized: name == "docker_compose_file" || name == "pre_launch_script",
		next: func(d *Document) ([]byte, bool, error) {
			f := d.find(name)
			if value == nil {
				return nil, f != nil, nil
			}
			if _, err := parseJSON(value, maxDocumentDepth); err != nil {
				return nil, false, err
			}
			if f != nil && equalJSON(d.rawValue(f), value) {
				return nil, false, nil
			}
			return bytes.TrimSpace(value), true, nil
		}}
}

func setText(field, text string, emptyRemoves bool) Edit {
	return Edit{field: field, sized: true, next: func(d *Document) ([]byte, bool, error) {
		if d.str(field, "") == text {
			return nil, false, nil
		}
		if text == "" && emptyRemoves {
			return nil, true, nil
		}
		value, err := quote(field, text)
		return value, true, err
	}}
}

// setFlag changes nothing when a guest already reads the wanted value, be it
// written or by default.
func setFlag(field string, on bool, get func(*Document) bool) Edit {
	return Edit{field: field, next: func(d *Document) ([]byte, bool, error) {
		if get(d) == on {
			return nil, false, nil
		}
		if on {
			return []byte("true"), true, nil
		}
		return []byte("false"), true, nil
	}}
}

// sameSet reports whether two lists name the same things; how often does not
// matter.
func sameSet(a, b []string) bool {
	covers := func(a, b []string) bool {
		in := make(map[string]struct{}, len(a))
		for _, s := range a {
			in[s] = struct{}{}
		}
		return !slices.ContainsFunc(b, func(s string) bool { _, ok := in[s]; return !ok })
	}
	return covers(a, b) && covers(b, a)
}

// quote writes text as JavaScript would, so that a document in the canonical
// form stays in it.
func quote(field, text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		return nil, &FieldError{Field: field, Seen: "invalid UTF-8", Expected: "UTF-8 text"}
	}
	return appendQuoted(make([]byte, 0, len(text)+len(text)/16+2), text), nil
}

func quoteList(field string, items []string) ([]byte, error) {
	out := []byte{'['}
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		q, err := quote(field, item)
		if err != nil {
			return nil, err
		}
		out = append(out, q...)
	}
	return append(out, ']'), nil
}

// Edit returns a document with the edits applied in order. Every byte that
// does not belong to a changed field stays as it was: unknown fields, white
// space, key order and the final newline. Edits that change no value give a
// document with identical bytes and so the same hash.
//
// A field that is not there yet is inserted in sorted place when the
// document's keys are sorted, else at its end, spaced like its neighbours.
//
// The result is checked as [Parse] does. An edit of the Compose text or the
// pre-launch script also returns a [SizeError] when both together are longer
// than [MaxComposeSize].
func (d *Document) Edit(edits ...Edit) (*Document, error) {
	current := d
	sized := false
	for _, e := range edits {
		value, change, err := e.next(current)
		if err != nil {
			return nil, err
		}
		if !change {
			continue
		}
		next, err := Parse(current.splice(e.field, value))
		if err != nil {
			return nil, err
		}
		current = next
		sized = sized || e.sized
	}
	if sized {
		if err := CheckComposeSize(current.DockerComposeFile(), current.PreLaunchScript()); err != nil {
			return nil, err
		}
	}
	return current, nil
}

// splice returns the bytes of d with one field replaced, inserted or, when
// value is nil, removed.
func (d *Document) splice(name string, value []byte) []byte {
	f := d.find(name)
	switch {
	case f != nil && value != nil:
		n := d.tape.nodes[f.val]
		return d.replace(int(n.start), int(n.end), value)
	case f != nil:
		from, to := d.removal(f)
		return d.replace(from, to)
	case value != nil:
		return d.insert(name, value)
	default:
		return d.raw
	}
}

// replace returns the bytes with [from:to) replaced by parts.
func (d *Document) replace(from, to int, parts ...[]byte) []byte {
	return slices.Concat(append(append([][]byte{d.raw[:from]}, parts...), d.raw[to:])...)
}

func (d *Document) keyStart(i int) int { return int(d.tape.nodes[d.fields[i].key].start) }
func (d *Document) keyEnd(i int) int   { return int(d.tape.nodes[d.fields[i].key].end) }
func (d *Document) valStart(i int) int { return int(d.tape.nodes[d.fields[i].val].start) }
func (d *Document) valEnd(i int) int   { return int(d.tape.nodes[d.fields[i].val].end) }

// removal returns the bytes to cut for a field, with the one comma that goes
// with it.
func (d *Document) removal(f *field) (from, to int) {
	i := slices.IndexFunc(d.fields, func(g field) bool { return g.name == f.name })
	switch {
	case i+1 < len(d.fields):
		return d.keyStart(i), d.keyStart(i + 1)
	case i > 0:
		return d.valEnd(i - 1), d.valEnd(i)
	default:
		return d.keyStart(i), d.valEnd(i)
	}
}

// insert adds a field. A valid document has at least its required fields, so
// there is always a neighbour to imitate.
func (d *Document) insert(name string, value []byte) []byte {
	at := len(d.fields)
	if d.sorted() {
		at, _ = slices.BinarySearchFunc(d.fields, name, func(f field, name string) int {
			return compareMembers(memberOf(f.name), memberOf(name))
		})
	}
	key := appendQuoted(nil, name)
	colon := d.raw[d.keyEnd(0):d.valStart(0)]
	comma := []byte(",")
	if len(d.fields) > 1 {
		comma = d.raw[d.valEnd(0):d.keyStart(1)]
	}
	if at == len(d.fields) {
		end := d.valEnd(at - 1)
		return d.replace(end, end, comma, key, colon, value)
	}
	start := d.keyStart(at)
	return d.replace(start, start, key, colon, value, comma)
}

func memberOf(name string) member {
	return member{key: []byte(name), index: arrayIndex([]byte(name))}
}

func (d *Document) sorted() bool {
	return slices.IsSortedFunc(d.fields, func(a, b field) int {
		return compareMembers(memberOf(a.name), memberOf(b.name))
	})
}
