package gateway_test

import (
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/gateway"
)

func TestProbeOf(t *testing.T) {
	const services = "services: {web: {image: nginx}}\n"
	for _, tt := range []struct {
		name, compose string
		want          *gateway.Probe
	}{
		{"nothing", services, nil},
		{"a word in a comment", services + "# x-lockstep\n", nil},
		{"nothing for the gateway", services + "x-lockstep: {}\n", nil},
		{"no YAML", "x-lockstep: [", nil},
		{"defaults", services + "x-lockstep: {gateway_probe: {}}\n", &gateway.Probe{Port: 80, Path: "/"}},
		{"all", services + "x-lockstep:\n  gateway_probe: {port: 8080, path: '/healthz?deep=1'}\n", &gateway.Probe{Port: 8080, Path: "/healthz?deep=1"}},
		{"an alias", "x-mine: &p {port: 81}\nx-lockstep: {gateway_probe: *p}\n" + services, &gateway.Probe{Port: 81, Path: "/"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := gateway.ProbeOf(tt.compose)
			if err != nil || (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestProbeOfWhatIsWrong(t *testing.T) {
	for _, tt := range []struct{ compose, want string }{
		{"x-lockstep: 7", "x-lockstep (line 1)"},
		{"x-lockstep: {probe: {}}", `"probe"`},
		{"x-lockstep: {gateway_probe: yes}", "gateway_probe"},
		{"x-lockstep: {gateway_probe: {port: 0}}", "port (line 1)"},
		{"x-lockstep: {gateway_probe: {port: 65536}}", `"65536"`},
		{"x-lockstep: {gateway_probe: {port: http}}", `"http"`},
		{"x-lockstep: {gateway_probe: {path: healthz}}", `"healthz"`},
		{"x-lockstep: {gateway_probe: {path: \"/a\\r\\nHost: b\"}}", "path"},
		{"x-lockstep: {gateway_probe: {path: /" + strings.Repeat("a", 1024) + "}}", "1024 bytes"},
		{"x-lockstep: {gateway_probe: {timeout: 5}}", `"timeout"`},
	} {
		if got, err := gateway.ProbeOf(tt.compose); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %+v, %v, want an error with %s", tt.compose, got, err, tt.want)
		}
	}
}

func FuzzProbeOf(f *testing.F) {
	f.Add("x-lockstep: {gateway_probe: {port: 8080, path: /healthz}}")
	f.Add("x-lockstep: &a {gateway_probe: *a}")
	f.Fuzz(func(t *testing.T, compose string) {
		probe, err := gateway.ProbeOf(compose)
		if err != nil || probe == nil {
			return
		}
		if probe.Port < 1 || probe.Port > 65535 || !strings.HasPrefix(probe.Path, "/") || strings.ContainsAny(probe.Path, " \r\n") {
			t.Fatalf("%q asks for %+v", compose, probe)
		}
	})
}
