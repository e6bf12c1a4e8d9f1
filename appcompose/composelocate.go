package appcompose

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/errdefs"
	"go.yaml.in/yaml/v4"
)

// explain turns an error of compose-go, which has no positions, into a
// ComposeError with the line that the path or the names in its text point at.
func explain(root *yaml.Node, err error) error {
	var ref *referenceError
	if errors.As(err, &ref) {
		n := descend(root, ref.path)
		if found := child(n, ref.target); found != nil && ref.target != "" {
			n = found
		}
		return &ComposeError{Line: n.Line, Column: n.Column, Field: joinPath(ref.path), Message: ref.message}
	}
	var field *fieldError
	if errors.As(err, &field) {
		n := descend(root, field.path)
		return &ComposeError{Line: n.Line, Column: n.Column, Field: joinPath(field.path), Message: field.message}
	}
	text := tidy(err)
	n, path := byPath(root, text)
	if path == "" {
		n, path = byServiceName(root, text)
	}
	if path == "" {
		n, path = byPort(root)
	}
	if path == "" {
		n = root
	}
	if name, unknown := strings.CutSuffix(text, " false schema"); unknown {
		text = "unknown field " + name
	} else {
		n = narrow(n, text)
	}
	if n == root {
		return &ComposeError{Message: text}
	}
	return &ComposeError{Line: n.Line, Column: n.Column, Field: path, Message: text}
}

// tidy makes one line of compose-go's message, without what a reader of the
// text cannot use.
func tidy(err error) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(err.Error(), "\uFFFD")), " ")
	text = strings.TrimPrefix(text, "validating "+composeFilename+": ")
	text = strings.TrimPrefix(text, "decoding failed due to the following error(s): ")
	text = strings.TrimSuffix(text, ": "+errdefs.ErrInvalid.Error())
	return strings.ToValidUTF8(clip(text, 500), "\uFFFD")
}

// descend follows names and list positions as far as they lead.
func descend(root *yaml.Node, path []string) *yaml.Node {
	n := root
	for _, name := range path {
		next := child(n, name)
		if list := target(n); list.Kind == yaml.SequenceNode {
			if i, err := strconv.Atoi(name); err == nil && i < len(list.Content) {
				next = list.Content[i]
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// byPath finds the first path in a message that begins with a top-level key.
func byPath(root *yaml.Node, text string) (*yaml.Node, string) {
	best, field, first := root, "", len(text)
	eachPair(root, func(key, _ *yaml.Node) {
		for _, separator := range []string{".", "["} {
			if i := strings.Index(text, key.Value+separator); key.Value != "" && i >= 0 && i < first {
				best, field = follow(root, text[i:])
				first = i
			}
		}
	})
	return best, field
}

// located is an error about the field at a dotted path.
func located(root *yaml.Node, path, message string) error {
	n, field := follow(root, path)
	if field == "" {
		field = path
	}
	return &ComposeError{Line: n.Line, Column: n.Column, Field: field, Message: path + " " + message}
}

// joinPath writes a path as people do, with list positions in brackets.
func joinPath(path []string) string {
	var b strings.Builder
	for i, part := range path {
		if _, err := strconv.Atoi(part); err == nil && i > 0 {
			b.WriteString("[" + part + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// follow descends from root along a path at the beginning of text, like
// "services.web.ports.0 must be…" or "services[web].ports[0]: …", as far as it
// leads, and returns the last node and the path to it. Names may hold dots
// themselves, so at each step the longest key that fits is taken.
func follow(root *yaml.Node, text string) (*yaml.Node, string) {
	n, used := root, []string{}
	for {
		text = strings.TrimPrefix(strings.TrimPrefix(text, "."), "[")
		next, size := step(n, text)
		if next == nil {
			return n, joinPath(used)
		}
		used = append(used, text[:size])
		n, text = next, strings.TrimPrefix(text[size:], "]")
	}
}

// step finds the child of n that rest begins with, and the length of its name.
func step(n *yaml.Node, rest string) (*yaml.Node, int) {
	n = target(n)
	var found *yaml.Node
	size := 0
	switch n.Kind {
	case yaml.MappingNode:
		eachPair(n, func(key, value *yaml.Node) {
			if name := key.Value; len(name) > size && strings.HasPrefix(rest, name) && endsName(rest[len(name):]) {
				found, size = at(key, value), len(name)
			}
		})
	case yaml.SequenceNode:
		for size < len(rest) && rest[size]-'0' <= 9 {
			size++
		}
		if i, err := strconv.Atoi(rest[:size]); err == nil && i < len(n.Content) {
			found = n.Content[i]
		}
	default: // a value has no members
	}
	return found, size
}

// endsName reports whether a path segment may end before rest.
func endsName(rest string) bool {
	return rest == "" || strings.ContainsRune(".[] :,\"'", rune(rest[0]))
}

// at is the node to point at for a member: the value when it can be descended
// into, under the position of its key.
func at(key, value *yaml.Node) *yaml.Node {
	v := *target(value)
	v.Line, v.Column = key.Line, key.Column
	return &v
}

func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// eachPair visits the members of a mapping, merged ones ("<<") included.
func eachPair(n *yaml.Node, visit func(key, value *yaml.Node)) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Value != "<<" {
			visit(key, value)
			continue
		}
		merged := target(value)
		if merged.Kind == yaml.MappingNode {
			eachPair(merged, visit)
			continue
		}
		for _, item := range merged.Content {
			if m := target(item); m.Kind == yaml.MappingNode {
				eachPair(m, visit)
			}
		}
	}
}

// child returns the member called name, or the item of a list that names it:
// as it is ("db"), first of several parts ("data:/var/lib"), behind a kind
// ("service:db") or as the source of a long form.
func child(n *yaml.Node, name string) *yaml.Node {
	n = target(n)
	var found *yaml.Node
	switch n.Kind {
	case yaml.MappingNode:
		eachPair(n, func(key, value *yaml.Node) {
			if found == nil && key.Value == name {
				found = at(key, value)
			}
		})
	case yaml.SequenceNode:
		for _, item := range n.Content {
			item = target(item)
			if mentions(item, name) {
				return item
			}
			if item.Kind == yaml.MappingNode {
				if source := child(item, "source"); source != nil && source.Value == name {
					return source
				}
			}
		}
	default: // a value has no members
	}
	return found
}

func mentions(n *yaml.Node, name string) bool {
	return n.Kind == yaml.ScalarNode &&
		(n.Value == name || strings.HasPrefix(n.Value, name+":") || strings.HasSuffix(n.Value, ":"+name))
}

var (
	serviceNamed = regexp.MustCompile("service (?:\"([^\"]+)\"|([^ ]+) )")
	quotedName   = regexp.MustCompile("[\"'`]([^\"'`]+)[\"'`]")
)

// byServiceName finds the service that a message names in words.
func byServiceName(root *yaml.Node, text string) (*yaml.Node, string) {
	m := serviceNamed.FindStringSubmatch(text)
	if m == nil {
		return nil, ""
	}
	services := child(root, "services")
	if services == nil {
		return nil, ""
	}
	service := child(services, m[1]+m[2])
	if service == nil {
		return nil, ""
	}
	return service, "services." + m[1] + m[2]
}

// narrow moves from a mapping to the member that the message quotes, such as
// an unknown property.
func narrow(n *yaml.Node, text string) *yaml.Node {
	for _, m := range quotedName.FindAllStringSubmatch(text, -1) {
		if found := child(n, m[1]); found != nil {
			return found
		}
	}
	return n
}
