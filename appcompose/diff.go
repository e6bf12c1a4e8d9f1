package appcompose

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// ChangeKind says what happened to a field or a service.
type ChangeKind string

// Kinds of change.
const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
)

// Changes is what differs between two documents, for plans and audit records.
// All of it is part of the compose hash.
type Changes struct {
	OldHash ComposeHash `json:"old_hash"`
	NewHash ComposeHash `json:"new_hash"`
	// Fields are the top-level fields whose value differs, in the order of the
	// new document, removed ones last.
	Fields []FieldChange `json:"fields,omitempty"`
	// Services are the Compose services that differ, by name.
	Services []ServiceChange `json:"services,omitempty"`
	// EnvsAdded and EnvsRemoved are names of allowed_envs.
	EnvsAdded   []string `json:"envs_added,omitempty"`
	EnvsRemoved []string `json:"envs_removed,omitempty"`
	// FormatOnly is true when the bytes differ but no value does: only white
	// space, key order or spelling. The hash differs all the same.
	FormatOnly bool `json:"format_only,omitempty"`
	// ComposeUnreadable is true when a Compose text is not YAML that can be
	// compared service by service.
	ComposeUnreadable bool `json:"compose_unreadable,omitempty"`
}

// FieldChange is a top-level field that differs.
type FieldChange struct {
	Field string     `json:"field"`
	Kind  ChangeKind `json:"kind"`
	// Old and New are the values as JSON, left out for texts of many lines.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// ServiceChange is a Compose service that differs. The images are set where
// they differ.
type ServiceChange struct {
	Service  string     `json:"service"`
	Kind     ChangeKind `json:"kind"`
	OldImage string     `json:"old_image,omitempty"`
	NewImage string     `json:"new_image,omitempty"`
}

// Identical reports whether the two documents are the same bytes.
func (c Changes) Identical() bool { return c.OldHash == c.NewHash }

// Diff compares two documents field by field and, where both hold a Compose
// text, service by service.
func Diff(before, after *Document) Changes {
	c := Changes{OldHash: before.Hash(), NewHash: after.Hash()}
	if c.Identical() {
		return c
	}
	for _, f := range after.fields {
		was := before.find(f.name)
		if was == nil {
			c.Fields = append(c.Fields, FieldChange{Field: f.name, Kind: Added, New: after.brief(&f)})
		} else if !equalJSON(before.rawValue(was), after.rawValue(&f)) {
			c.Fields = append(c.Fields, FieldChange{Field: f.name, Kind: Changed, Old: before.brief(was), New: after.brief(&f)})
		}
	}
	for _, f := range before.fields {
		if !after.Has(f.name) {
			c.Fields = append(c.Fields, FieldChange{Field: f.name, Kind: Removed, Old: before.brief(&f)})
		}
	}
	c.FormatOnly = len(c.Fields) == 0
	c.EnvsAdded = missingFrom(before.AllowedEnvs(), after.AllowedEnvs())
	c.EnvsRemoved = missingFrom(after.AllowedEnvs(), before.AllowedEnvs())
	c.diffServices(before.DockerComposeFile(), after.DockerComposeFile())
	return c
}

// briefMax is the length up to which a value is shown in full.
const briefMax = 200

// brief returns a field's value for people to read, or "" when it is long.
func (d *Document) brief(f *field) string {
	raw := d.rawValue(f)
	if len(raw) > briefMax || bytes.Contains(raw, []byte(`\n`)) {
		return ""
	}
	return string(raw)
}

// missingFrom returns the names of b that a lacks, in b's order.
func missingFrom(a, b []string) []string {
	var out []string
	for _, name := range b {
		if !slices.Contains(a, name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func (c *Changes) diffServices(oldText, newText string) {
	if oldText == newText {
		return
	}
	before, err := readServices(oldText)
	if err != nil {
		c.ComposeUnreadable = true
		return
	}
	after, err := readServices(newText)
	if err != nil {
		c.ComposeUnreadable = true
		return
	}
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := before[name]
		is, has := after[name]
		s := ServiceChange{Service: name, Kind: Changed, OldImage: image(was), NewImage: image(is)}
		switch {
		case !had:
			s.Kind = Added
		case !has:
			s.Kind = Removed
		case reflect.DeepEqual(was, is):
			continue
		case s.OldImage == s.NewImage:
			s.OldImage, s.NewImage = "", ""
		}
		c.Services = append(c.Services, s)
	}
}

// readServices reads the services of a Compose text; none of an empty one.
func readServices(text string) (map[string]any, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if err := checkComposeSize(len(text), 0); err != nil {
		return nil, err
	}
	root, err := readCompose([]byte(text))
	if err != nil {
		return nil, err
	}
	var model struct {
		Services map[string]any `yaml:"services"`
	}
	if err := root.Decode(&model); err != nil {
		return nil, err
	}
	return model.Services, nil
}

func image(service any) string {
	m, _ := service.(map[string]any)
	name, _ := m["image"].(string)
	return name
}

// String describes the changes line by line: "+" added, "-" removed, "~"
// changed.
func (c Changes) String() string {
	if c.Identical() {
		return "no changes\n"
	}
	var b strings.Builder
	if c.FormatOnly {
		b.WriteString("~ formatting only: no value changes, but the compose hash does\n")
	}
	for _, s := range c.Services {
		fmt.Fprintf(&b, "%s service %s%s\n", s.Kind.mark(), s.Service, arrow(" image ", s.OldImage, s.NewImage))
	}
	for _, name := range c.EnvsAdded {
		fmt.Fprintf(&b, "+ env %s\n", name)
	}
	for _, name := range c.EnvsRemoved {
		fmt.Fprintf(&b, "- env %s\n", name)
	}
	for _, f := range c.Fields {
		fmt.Fprintf(&b, "%s %s%s\n", f.Kind.mark(), f.Field, arrow(": ", f.Old, f.New))
	}
	if c.ComposeUnreadable {
		b.WriteString("! the compose file is not YAML that can be compared service by service\n")
	}
	fmt.Fprintf(&b, "compose hash %s -> %s\n", c.OldHash, c.NewHash)
	return b.String()
}

func (k ChangeKind) mark() string {
	switch k {
	case Added:
		return "+"
	case Removed:
		return "-"
	default:
		return "~"
	}
}

func arrow(label, before, after string) string {
	switch {
	case before == "" && after == "":
		return ""
	case before == "":
		return label + after
	case after == "":
		return label + before
	default:
		return label + before + " -> " + after
	}
}
