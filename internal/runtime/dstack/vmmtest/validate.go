package vmmtest

import (
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"

	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

var (
	namePattern   = regexp.MustCompile(`^[\p{L}\p{N}\-_. @~!$^()]*$`)
	versionNumber = regexp.MustCompile(`^(?:[12]|"[123]")$`)
)

func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return refuse("Invalid name: %s", name)
	}
	return nil
}

// checkDocument checks what the VMM does: that the text is an app-compose document whose fields have their
// types. It does not look at the compose text in it.
func checkDocument(text string) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		return refuse("Invalid compose file: %v", err)
	}
	for _, name := range []string{"manifest_version", "name", "runner"} {
		if fields[name] == nil {
			return refuse("Invalid compose file: missing field `%s`", name)
		}
	}
	if !versionNumber.Match(fields["manifest_version"]) {
		return refuse("Invalid compose file: invalid manifest_version %s", fields["manifest_version"])
	}
	for name, target := range map[string]any{
		"name": new(string), "runner": new(string), "docker_compose_file": new(*string),
		"public_logs": new(bool), "public_sysinfo": new(bool), "public_tcbinfo": new(bool), "kms_enabled": new(bool),
		"gateway_enabled": new(bool), "tproxy_enabled": new(bool), "local_key_provider_enabled": new(bool),
		"allowed_envs": new([]string), "no_instance_id": new(bool), "secure_time": new(bool), "features": new([]string),
	} {
		if value, ok := fields[name]; ok && json.Unmarshal(value, target) != nil {
			return refuse("Invalid compose file: invalid type for field `%s`", name)
		}
	}
	return nil
}

// checkPorts checks the ports of a new VM, also against those of the others.
func (v *VMM) checkPorts(ports []vmmrpc.Port) ([]vmmrpc.Port, error) {
	if len(ports) > 0 && !v.config.Ports.Enabled {
		return nil, refuse("Port mapping is disabled")
	}
	parsed, err := v.parsePorts(ports)
	if err != nil {
		return nil, err
	}
	for _, p := range parsed {
		if p.HostPort < v.config.Ports.From || p.HostPort > v.config.Ports.To {
			return nil, refuse("Port mapping is not allowed for %s:%d", p.Protocol, p.HostPort)
		}
	}
	return parsed, v.checkConflicts(nil, parsed)
}

// parsePorts checks the ports of an update. The range is not looked at.
func (m *vm) parsePorts(ports []vmmrpc.Port) ([]vmmrpc.Port, error) {
	parsed, err := m.vmm.parsePorts(ports)
	if err != nil {
		return nil, err
	}
	return parsed, m.vmm.checkConflicts(m, parsed)
}

func (v *VMM) parsePorts(ports []vmmrpc.Port) ([]vmmrpc.Port, error) {
	var parsed []vmmrpc.Port
	for _, p := range ports {
		switch {
		case p.HostPort > 65535:
			return nil, refuse("Invalid host port")
		case p.VMPort > 65535:
			return nil, refuse("Invalid vm port")
		case p.Protocol != "tcp" && p.Protocol != "udp":
			return nil, refuse("Invalid protocol")
		}
		if p.HostAddress == "" {
			p.HostAddress = v.config.Ports.Address
		}
		if _, err := netip.ParseAddr(p.HostAddress); err != nil {
			return nil, refuse("Invalid host address")
		}
		parsed = append(parsed, p)
	}
	return parsed, nil
}

func (v *VMM) checkConflicts(self *vm, ports []vmmrpc.Port) error {
	if len(ports) == 0 {
		return nil
	}
	for _, other := range v.list() {
		if other == self {
			continue
		}
		for _, theirs := range other.snapshot().Ports {
			for _, ours := range ports {
				if ours.Protocol == theirs.Protocol && ours.HostPort == theirs.HostPort && overlap(ours.HostAddress, theirs.HostAddress) {
					return refuse("Port %s:%d is already used by another VM", ours.Protocol, ours.HostPort)
				}
			}
		}
	}
	return nil
}

// overlap tells whether two addresses, of which either may stand for all, have one in common.
func overlap(a, b string) bool {
	return a == b || strings.Trim(a, "0.:") == "" || strings.Trim(b, "0.:") == ""
}

func (v *VMM) checkGPUs(gpus *vmmrpc.GPUConfig) error {
	if gpus == nil {
		return nil
	}
	switch {
	case gpus.AttachMode != "listed" && gpus.AttachMode != "all":
		return refuse("Invalid GPU attach mode: %s", gpus.AttachMode)
	case len(v.config.GPUs) == 0:
		return refuse("GPU is not enabled")
	case gpus.AttachMode == "all" && !v.config.AllowAttachAll:
		return refuse("Attaching all GPUs is not allowed")
	}
	return nil
}
