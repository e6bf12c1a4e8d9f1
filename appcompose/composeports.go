package appcompose

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

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

// Bounds on what is listed, and on the work for it, of a text that publishes
// whole ranges.
const (
	maxPublishedPorts = 64
	maxPortEntries    = 256  // of all services
	maxPortRange      = 1000 // ports of one entry
)

var portRange = regexp.MustCompile(`([0-9]{1,5})-([0-9]{1,5})`)

// wide reports whether an entry stands for more ports than are looked at.
func wide(entry string) bool {
	for _, m := range portRange.FindAllStringSubmatch(entry, -1) {
		first, err := strconv.Atoi(m[1])
		last, err2 := strconv.Atoi(m[2])
		if err != nil || err2 != nil || last-first >= maxPortRange {
			return true
		}
	}
	return false
}

// PublishedPorts lists the TCP ports on which the services of the Compose text
// can be reached from outside the CVM, in the order of the text and at most 64.
// Of an entry for a thousand ports and more none is listed.
// Ports that Docker or a variable chooses are not known and left out, and so
// are those that are bound to the guest's loopback.
func (d *Document) PublishedPorts() []int { return slices.Clone(d.ports()) }

func publishedPorts(text []byte) []int {
	root, err := readCompose(text)
	if err != nil {
		return nil
	}
	services := child(root, "services")
	if services == nil || services.Kind != yaml.MappingNode {
		return nil
	}
	var found []int
	entries := 0
	eachPair(services, func(_, service *yaml.Node) {
		ports := child(service, "ports")
		if ports == nil || ports.Kind != yaml.SequenceNode {
			return
		}
		for _, entry := range ports.Content {
			if entries++; entries > maxPortEntries || len(found) == maxPublishedPorts {
				return
			}
			for _, c := range portConfigs(target(entry)) {
				port, err := strconv.ParseUint(c.Published, 10, 16)
				if err != nil || port == 0 || c.Protocol != "tcp" || loopback(c.HostIP) {
					continue
				}
				if len(found) < maxPublishedPorts && !slices.Contains(found, int(port)) {
					found = append(found, int(port))
				}
			}
		}
	})
	return found
}

// portConfigs reads one entry of ports, in its short or its long form.
func portConfigs(entry *yaml.Node) []types.ServicePortConfig {
	if entry.Kind == yaml.ScalarNode {
		if wide(entry.Value) {
			return nil
		}
		configs, err := types.ParsePortConfig(entry.Value)
		if err != nil {
			return nil // such as a variable
		}
		return configs
	}
	long := types.ServicePortConfig{Protocol: "tcp"}
	for name, into := range map[string]*string{"published": &long.Published, "protocol": &long.Protocol, "host_ip": &long.HostIP} {
		if value := child(entry, name); value != nil {
			*into = strings.ToLower(value.Value)
		}
	}
	return []types.ServicePortConfig{long}
}

func loopback(ip string) bool {
	address, err := netip.ParseAddr(strings.Trim(ip, "[]"))
	return err == nil && address.Unmap().IsLoopback()
}
