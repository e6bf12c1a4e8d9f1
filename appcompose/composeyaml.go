package appcompose

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Bounds on what a Compose text may ask of its reader. Each is far above what
// people write and far below what costs a server a noticeable time.
const (
	// maxYAMLDepth bounds nesting of mappings and sequences.
	maxYAMLDepth = 100
	// maxYAMLNodes bounds values after aliases and extends are expanded.
	maxYAMLNodes = 30_000
	// maxYAMLBytes bounds the text of all values after that expansion.
	maxYAMLBytes = 10 * MaxComposeSize
)

// yamlLimits tells the YAML reader to stop early at deep nesting. Aliases are
// judged by yamlChecker instead, which knows what they expand to.
type yamlLimits struct{}

func (yamlLimits) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > maxYAMLDepth {
		return fmt.Errorf("nested deeper than %d levels", maxYAMLDepth)
	}
	return nil
}

func (yamlLimits) CheckAlias(int, int) error { return nil }

// readCompose parses a Compose text into nodes, which know their lines, and
// refuses what no reader should be handed: bytes that are not text, more than
// one document, a key twice in one mapping, aliases that expand without
// bounds. A UTF-8 byte order mark at the start is accepted, as docker compose
// accepts it. The returned node is a mapping.
func readCompose(text []byte) (*yaml.Node, error) {
	if at := invalidUTF8Offset(text); at < len(text) {
		return nil, composeErrorAt(text, at, "not valid UTF-8")
	}
	if at := bytes.IndexByte(text, 0); at >= 0 {
		return nil, composeErrorAt(text, at, "found a NUL byte, expected text")
	}
	loader, err := yaml.NewLoader(bytes.NewReader(text), yaml.WithPlugin(yamlLimits{}))
	if err != nil {
		return nil, fmt.Errorf("appcompose: %w", err)
	}
	var doc, second yaml.Node
	if err := loader.Load(&doc); err != nil {
		return nil, yamlError(err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, nodeError(&second, "found a second YAML document, expected one")
	case !errors.Is(err, io.EOF):
		return nil, yamlError(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, errEmptyCompose()
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, errEmptyCompose()
	}
	if root.Kind != yaml.MappingNode {
		return nil, &ComposeError{Line: root.Line, Column: root.Column, Message: "found " + yamlKind(root) + ", expected a mapping with services"}
	}
	c := yamlChecker{done: map[*yaml.Node]weight{}}
	if _, err := c.visit(root, 0); err != nil {
		return nil, err
	}
	return root, nil
}

func errEmptyCompose() error {
	return &ComposeError{Message: "the compose file is empty, expected at least one service"}
}

// composeErrorAt is for errors found before there are nodes.
func composeErrorAt(text []byte, at int, message string) error {
	before := text[:at]
	return &ComposeError{
		Line:    1 + bytes.Count(before, []byte{'\n'}),
		Column:  at - bytes.LastIndexByte(before, '\n'),
		Message: message,
	}
}

// yamlError takes position and words out of the YAML reader's errors.
func yamlError(err error) error {
	if errors.Is(err, io.EOF) {
		return errEmptyCompose()
	}
	out := &ComposeError{Message: "invalid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	var le *yaml.LoadError
	if errors.As(err, &le) {
		out.Line, out.Column = le.Mark.Line, le.Mark.Column
		out.Message = "invalid YAML: " + le.Message
		if le.ContextMsg != "" {
			out.Message += " " + le.ContextMsg
		}
	}
	return out
}

func yamlKind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	default:
		return "a single value"
	}
}

// weight is what a value costs a reader that expands aliases.
type weight struct{ nodes, bytes int }

func (w *weight) add(o weight) {
	w.nodes += o.nodes
	w.bytes += o.bytes
}

func (w weight) tooHeavy() bool { return w.nodes > maxYAMLNodes || w.bytes > maxYAMLBytes }

// yamlChecker walks each node once. The weight of an anchored node is kept, so
// that its aliases are counted without being expanded.
type yamlChecker struct {
	done map[*yaml.Node]weight // weight{} while the node is still open
}

func (c *yamlChecker) visit(n *yaml.Node, depth int) (weight, error) {
	if depth > maxYAMLDepth {
		return weight{}, nodeError(n, fmt.Sprintf("nested deeper than %d levels", maxYAMLDepth))
	}
	if n.Kind == yaml.AliasNode {
		w, seen := c.done[n.Alias]
		if !seen || w.nodes == 0 {
			return weight{}, nodeError(n, fmt.Sprintf("anchor %q contains itself", n.Value))
		}
		return w, nil
	}
	if n.Anchor != "" {
		c.done[n] = weight{}
	}
	w := weight{nodes: 1, bytes: len(n.Value)}
	if n.Kind == yaml.MappingNode {
		if err := checkKeys(n); err != nil {
			return weight{}, err
		}
	}
	for _, child := range n.Content {
		cw, err := c.visit(child, depth+1)
		if err != nil {
			return weight{}, err
		}
		w.add(cw)
		if w.tooHeavy() {
			return weight{}, nodeError(child, fmt.Sprintf("aliases expand to more than %d values or %d bytes", maxYAMLNodes, maxYAMLBytes))
		}
	}
	if n.Anchor != "" {
		c.done[n] = w
	}
	return w, nil
}

// checkKeys refuses a key twice in one mapping, of which different readers
// keep different ones, and keys that are not plain values.
func checkKeys(n *yaml.Node) error {
	const few = 12 // up to here comparing all pairs is cheaper than a map
	var lines map[string]int
	if len(n.Content) > 2*few {
		lines = make(map[string]int, len(n.Content)/2)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		text := key
		if key.Kind == yaml.AliasNode {
			text = key.Alias
		}
		if text.Kind != yaml.ScalarNode {
			return nodeError(key, "found "+yamlKind(text)+" as a key, expected a name")
		}
		first := 0
		if lines != nil {
			first = lines[text.Value]
			lines[text.Value] = key.Line
		} else {
			for k := 0; k < i; k += 2 {
				other := n.Content[k]
				if other.Value == text.Value && other.Kind == yaml.ScalarNode {
					first = other.Line
				}
			}
		}
		if first > 0 {
			return nodeError(key, fmt.Sprintf("key %q is already defined at line %d", clip(text.Value, 80), first))
		}
	}
	return nil
}

func nodeError(n *yaml.Node, message string) error {
	return &ComposeError{Line: n.Line, Column: n.Column, Message: message}
}
