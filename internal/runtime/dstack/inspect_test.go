package dstack

import (
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

func TestInternalIP(t *testing.T) {
	with := func(names ...string) (interfaces []vmmrpc.Interface) {
		for i, name := range names {
			interfaces = append(interfaces, vmmrpc.Interface{Name: name, Addresses: []vmmrpc.IPAddress{{Address: string(rune('a' + i))}}})
		}
		return interfaces
	}
	for _, tt := range []struct {
		name       string
		interfaces []vmmrpc.Interface
		want       string
	}{
		{"none", nil, ""},
		{"the gateway's network goes first", with("lo", "enp0s2", "dstack-wg0"), "c"},
		{"under its other name", with("wg0", "enp0s2"), "a"},
		{"before the guest has joined it", with("lo", "enp0s2", "enp0s3"), "b"},
		{"networks inside the guest do not lead out of it", with("lo", "docker0", "br-1f", "veth2"), ""},
		{"an interface without an address", append(with("lo"), vmmrpc.Interface{Name: "wg0"}), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := internalIP(tt.interfaces); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
