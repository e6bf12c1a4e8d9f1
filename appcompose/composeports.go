package appcompose

import (
	"strconv"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// byPort finds the first port of a service that does not parse by itself:
// compose-go's errors about ports do not say which entry they mean.
func byPort(root *yaml.Node) (found *yaml.Node, path string) {
	services := child(root, "services")
	if services == nil || services.Kind != yaml.MappingNode {
		return nil, ""
	}
	eachPair(services, func(key, value *yaml.Node) {
		ports := child(value, "ports")
		if found != nil || ports == nil || ports.Kind != yaml.SequenceNode {
			return
		}
		for i, entry := range ports.Content {
			entry = target(entry)
			if entry.Kind != yaml.ScalarNode {
				continue
			}
			if _, err := types.ParsePortConfig(entry.Value); err != nil {
				found, path = entry, joinPath([]string{"services", key.Value, "ports", strconv.Itoa(i)})
				return
			}
		}
	})
	return found, path
}
