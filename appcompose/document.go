package appcompose

import (
	"slices"
	"sync"
)

// MaxDocumentSize is the size in bytes up to which a guest copies
// app-compose.json from its host.
const MaxDocumentSize = 50 << 20

// maxDocumentDepth is the nesting at which the guest's JSON reader gives up.
const maxDocumentDepth = 128

// Document is an app-compose document: its bytes, kept as they came, and a
// read-only view of the fields a guest knows. It is immutable and may be used
// from several goroutines.
type Document struct {
	raw    []byte
	hash   ComposeHash
	tape   *tape
	fields []field // in the document's order
	ports  func() []int
}

// field is one top-level member and where it lies in the bytes.
type field struct {
	name     string
	key, val uint32 // tape indexes
}

// Parse reads an app-compose document and checks what a guest checks before it
// boots: one JSON object in UTF-8 of at most [MaxDocumentSize] bytes, no field
// twice, known fields of their type, and a manifest version that covers the
// features used. Fields it does not know are accepted and kept: they are part
// of the hash. b is copied.
//
// Errors are of type [SyntaxError], [FieldError] or [SizeError].
func Parse(b []byte) (*Document, error) {
	if len(b) > MaxDocumentSize {
		return nil, &SizeError{Field: "app-compose document", Seen: len(b), Limit: MaxDocumentSize}
	}
	return parseOwned(slices.Clone(b))
}

// parseOwned is Parse for bytes that nobody else will write to.
func parseOwned(b []byte) (*Document, error) {
	t, err := parseJSON(b, maxDocumentDepth)
	if err != nil {
		return nil, err
	}
	if t.nodes[0].kind != kindObject {
		return nil, &FieldError{Field: "(document)", Seen: t.nodes[0].kind.String(), Expected: "an object"}
	}
	if err := t.checkUnicode(); err != nil {
		return nil, err
	}
	d := &Document{raw: b, hash: Hash(b), tape: t}
	d.ports = sync.OnceValue(func() []int { return publishedPorts([]byte(d.DockerComposeFile())) })
	seen := make(map[string]struct{}, 32)
	for i := uint32(1); i < t.nodes[0].next; i = t.nodes[i+1].next {
		name := string(t.key(&t.nodes[i]))
		if _, twice := seen[name]; twice {
			return nil, &FieldError{Field: clip(name, 80), Seen: "the field twice", Expected: "each field once"}
		}
		seen[name] = struct{}{}
		d.fields = append(d.fields, field{name: name, key: i, val: i + 1})
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return d, nil
}

// checkUnicode refuses strings that no UTF-8 can hold: JavaScript reads an
// escaped lone surrogate, a guest does not.
func (t *tape) checkUnicode() error {
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.kind != kindString || !n.escaped {
			continue
		}
		raw := t.text(n)
		for k := 0; k < len(raw); {
			if raw[k] != '\\' {
				k++
				continue
			}
			r, size := unescape(raw[k:])
			if isSurrogate(r) {
				return &SyntaxError{Offset: int(n.start) + 1 + k, Message: "half of a surrogate pair, expected a character"}
			}
			k += size
		}
	}
	return nil
}

// Bytes returns the document as it is hashed and deployed. The slice is a
// copy: changing it does not change the document.
func (d *Document) Bytes() []byte { return slices.Clone(d.raw) }

// Len returns the length of the document in bytes.
func (d *Document) Len() int { return len(d.raw) }

// Hash returns the compose hash, SHA-256 of [Document.Bytes].
func (d *Document) Hash() ComposeHash { return d.hash }

// Has reports whether the document has the top-level field name.
func (d *Document) Has(name string) bool { return d.find(name) != nil }

// Fields returns the names of all top-level fields in the document's order.
func (d *Document) Fields() []string {
	names := make([]string, len(d.fields))
	for i := range d.fields {
		names[i] = d.fields[i].name
	}
	return names
}

// Raw returns the JSON text of a top-level field as it stands in the document,
// and whether it is there. The slice is a copy.
func (d *Document) Raw(name string) ([]byte, bool) {
	f := d.find(name)
	if f == nil {
		return nil, false
	}
	return slices.Clone(d.rawValue(f)), true
}

func (d *Document) find(name string) *field {
	for i := range d.fields {
		if d.fields[i].name == name {
			return &d.fields[i]
		}
	}
	return nil
}

func (d *Document) rawValue(f *field) []byte {
	n := &d.tape.nodes[f.val]
	return d.raw[n.start:n.end]
}

// node returns the value of a field, or nil when it is absent or null.
func (d *Document) node(name string) *node {
	f := d.find(name)
	if f == nil || d.tape.nodes[f.val].kind == kindNull {
		return nil
	}
	return &d.tape.nodes[f.val]
}

func (d *Document) str(name, absent string) string {
	n := d.node(name)
	if n == nil || n.kind != kindString {
		return absent
	}
	return string(d.tape.key(n))
}

func (d *Document) flag(name string, absent bool) bool {
	n := d.node(name)
	if n == nil {
		return absent
	}
	return n.kind == kindTrue
}

// list returns the strings of an array, or of a single string.
func (d *Document) list(name string) []string {
	f := d.find(name)
	if f == nil {
		return nil
	}
	n := &d.tape.nodes[f.val]
	if n.kind == kindString {
		return []string{string(d.tape.key(n))}
	}
	if n.kind != kindArray {
		return nil
	}
	var out []string
	for i := f.val + 1; i < n.next; i = d.tape.nodes[i].next {
		if item := &d.tape.nodes[i]; item.kind == kindString {
			out = append(out, string(d.tape.key(item)))
		}
	}
	return out
}

// ManifestVersion returns 1, 2 or 3.
func (d *Document) ManifestVersion() int {
	n := d.node("manifest_version")
	if n == nil {
		return 0 // only while Parse still checks
	}
	text := d.raw[n.start:n.end]
	if n.kind == kindString {
		text = d.tape.key(n)
	}
	return int(text[0] - '0')
}
