package gateway

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Extension is the member of a Compose file that is meant for Lockstep. Docker Compose leaves members that
// begin with x- alone.
const Extension = "x-lockstep"

// Probe is what an app asks for in its Compose file:
//
//	x-lockstep:
//	  gateway_probe: {port: 8080, path: /healthz}
//
// An update of it has succeeded only once the endpoint answers through the gateway. It is part of the
// document, and so of what the owner approves.
type Probe struct {
	Port int    // inside the CVM
	Path string // with a slash at the beginning
}

// maxProbePath is the most bytes of a path that is asked for.
const maxProbePath = 1024

// ProbeOf reads what a Compose text asks for; nil when it asks for nothing. A text that is no YAML mapping
// asks for nothing either: whoever runs it tells what is wrong with it.
func ProbeOf(compose string) (*Probe, error) {
	if !strings.Contains(compose, Extension) {
		return nil, nil //nolint:nilnil // "asks for nothing" is an answer; most texts do
	}
	var file struct {
		Extension yaml.Node `yaml:"x-lockstep"`
	}
	if err := yaml.Load([]byte(compose), &file); err != nil {
		return nil, nil //nolint:nilerr // as the comment of the function says
	}
	if file.Extension.IsZero() {
		return nil, nil //nolint:nilnil // as above
	}
	members, err := membersOf(&file.Extension, Extension, "gateway_probe")
	if err != nil {
		return nil, err
	}
	asked := members["gateway_probe"]
	if asked == nil {
		return nil, nil //nolint:nilnil // as above
	}
	const name = Extension + ".gateway_probe"
	if members, err = membersOf(asked, name, "port", "path"); err != nil {
		return nil, err
	}
	probe := &Probe{Port: DefaultPort, Path: "/"}
	if node := members["port"]; node != nil {
		if node.Decode(&probe.Port) != nil || probe.Port < 1 || probe.Port > 65535 {
			return nil, fmt.Errorf("%s.port (line %d): got %.80q, want a port from 1 to 65535", name, node.Line, node.Value)
		}
	}
	if node := members["path"]; node != nil {
		if node.Kind != yaml.ScalarNode || !validPath(node.Value) {
			return nil, fmt.Errorf("%s.path (line %d): got %.80q, want a path such as /healthz, of printable ASCII and at most %d bytes",
				name, node.Line, node.Value, maxProbePath)
		}
		probe.Path = node.Value
	}
	return probe, nil
}

// validPath keeps what goes into a request line from being more than a path with a query.
func validPath(path string) bool {
	return strings.HasPrefix(path, "/") && len(path) <= maxProbePath &&
		!strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' })
}

// membersOf lists the members of a mapping that has no others than those known.
func membersOf(node *yaml.Node, name string, known ...string) (map[string]*yaml.Node, error) {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s (line %d): want a mapping with %s", name, node.Line, strings.Join(known, ", "))
	}
	members := map[string]*yaml.Node{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if !slices.Contains(known, key.Value) {
			return nil, fmt.Errorf("%s (line %d): got the member %.80q, want %s", name, key.Line, key.Value, strings.Join(known, ", "))
		}
		for value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		members[key.Value] = value
	}
	return members, nil
}
