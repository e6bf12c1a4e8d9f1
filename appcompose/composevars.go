package appcompose

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/tree"
	"github.com/compose-spec/compose-go/v2/types"
)

// maxVariables is how many "$" one value may hold to be looked into:
// compose-go's substitution takes quadratic time.
const maxVariables = 20

// fieldError is an error about the value at a path.
type fieldError struct {
	path    []string
	message string
}

func (e *fieldError) Error() string { return strings.Join(e.path, ".") + ": " + e.message }

// castNode is compose-go's table of conversions (which text becomes a number
// or a boolean once its variables are filled in) as a tree, since looking
// every value up in the table costs more than all else.
type castNode struct {
	cast interpolation.Cast
	next map[string]*castNode
}

var castTree = sync.OnceValue(func() *castNode {
	root := &castNode{}
	for path, cast := range loader.ToOptions(&types.ConfigDetails{}, nil).Interpolate.TypeCastMapping {
		at := root
		for _, part := range path.Parts() {
			if at.next == nil {
				at.next = map[string]*castNode{}
			}
			if at.next[part] == nil {
				at.next[part] = &castNode{}
			}
			at = at.next[part]
		}
		at.cast = cast
	}
	return root
})

// child follows a name or, by the wildcards of compose-go, any name or item.
func (c *castNode) child(name, wildcard string) *castNode {
	if c == nil || c.next == nil {
		return nil
	}
	if next := c.next[name]; next != nil {
		return next
	}
	if next := c.next[wildcard]; next != nil {
		return next
	}
	return c.next[tree.PathMatchAll]
}

// interpolate fills in the defaults of the variables in all values below v, in
// place, and converts text where a number or boolean is meant.
func (m *composeModel) interpolate(v any, casts *castNode, path []string) error {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if err := m.interpolateMember(v[key], func(filled any) { v[key] = filled },
				casts.child(key, tree.PathMatchAll), append(path, key)); err != nil {
				return err
			}
		}
	case []any:
		for i := range v {
			if err := m.interpolateMember(v[i], func(filled any) { v[i] = filled },
				casts.child("", tree.PathMatchList), append(path, strconv.Itoa(i))); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *composeModel) interpolateMember(v any, set func(any), casts *castNode, path []string) error {
	text, isText := v.(string)
	if !isText {
		return m.interpolate(v, casts, path)
	}
	filled, err := m.fill(text)
	if err != nil {
		return &fieldError{path: slices.Clone(path), message: err.Error()}
	}
	if casts != nil && casts.cast != nil && !strings.Contains(filled, "$") {
		value, err := casts.cast(plainBoolean(filled))
		if err != nil {
			return &fieldError{path: slices.Clone(path), message: err.Error()}
		}
		set(value)
		return nil
	}
	if filled != text {
		set(filled)
	}
	return nil
}

// plainBoolean spells the booleans of YAML 1.1 as true and false. compose-go
// understands them too, but writes a warning to the log for each.
func plainBoolean(text string) string {
	switch strings.ToLower(text) {
	case "y", "yes", "on":
		return "true"
	case "n", "no", "off":
		return "false"
	default:
		return text
	}
}

// fill puts in the defaults of variables, which is what a guest does without
// the variable. A value with a variable that has none is kept as it is: what
// it becomes is only known on the guest.
func (m *composeModel) fill(value string) (string, error) {
	count := strings.Count(value, "$")
	if count == 0 {
		return value, nil
	}
	if count > maxVariables {
		m.variables = true
		return value, nil
	}
	absent := func(string) (string, bool) { return "", false }
	filled, err := template.SubstituteWithOptions(value, absent, template.WithoutLogging)
	var missing *template.MissingRequiredError
	if err != nil && !errors.As(err, &missing) {
		return "", fmt.Errorf("invalid variable in %q (write $$ for a plain $)", clip(value, 80))
	}
	for _, v := range template.ExtractVariables(map[string]any{"": value}, template.DefaultPattern) {
		if v.DefaultValue == "" {
			m.variables = true
			return value, nil
		}
	}
	return filled, nil
}

// maxPorts bounds the published ports of a file. compose-go makes a record of
// every port of a range.
const maxPorts = 1 << 16

// checkPorts removes the short forms of ports that hold a variable (they
// cannot be parsed, and compose-go then parses none of the list) and refuses
// ranges that add up to more ports than there are.
func (m *composeModel) checkPorts(entries map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		service, _ := entries[name].(map[string]any)
		ports, ok := service["ports"].([]any)
		if !ok {
			continue
		}
		ports = slices.DeleteFunc(ports, func(port any) bool {
			text, _ := port.(string)
			return strings.Contains(text, "$")
		})
		service["ports"] = ports
		for _, port := range ports {
			if text, ok := port.(string); ok {
				m.ports += portCount(text)
			}
		}
		if m.ports > maxPorts {
			return &fieldError{path: []string{"services", name, "ports"}, message: fmt.Sprintf("publishes more than %d ports", maxPorts)}
		}
	}
	return nil
}

// portCount returns how many ports a short form such as "8000-8010:80-90/udp"
// stands for; 1 when it has no range.
func portCount(text string) int {
	text, _, _ = strings.Cut(text, "/")
	count := 1
	for part := range strings.SplitSeq(text, ":") {
		first, last, _ := strings.Cut(part, "-")
		a, errA := strconv.ParseUint(first, 10, 16)
		b, errB := strconv.ParseUint(last, 10, 16)
		if errA == nil && errB == nil && b > a {
			count = max(count, int(b-a)+1)
		}
	}
	return count
}
