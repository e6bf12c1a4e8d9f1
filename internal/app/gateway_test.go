package app

import (
	"strings"
	"testing"
)

func TestGatewayProbeSettings(t *testing.T) {
	node := func(domain, probe string) string {
		return "nodes: [{id: 1, name: n, driver: sim, gateway_domain: '" + domain + "', gateway_probe: {" + probe + "}}]"
	}
	for _, tt := range []struct {
		name, file, want string // want is in the error; empty for none
		asks             bool
	}{
		{"none", node("apps.test", ""), "", false},
		{"on", node("apps.test", "enabled: true"), "", true},
		{"all", node("apps.test:8443", "enabled: true, url: 'https://127.0.0.1:8443', insecure_skip_verify: true, timeout: 2s"), "", true},
		{"no domain", node("", "enabled: true"), "needs gateway_domain", false},
		{"not on", node("apps.test", "timeout: 2s"), "enabled is not true", false},
		{"no such file", node("apps.test", "enabled: true, ca_file: /nowhere.pem"), "ca_file", false},
		{"no URL", node("apps.test", "enabled: true, url: gateway"), `"gateway"`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			config, err := load(t, tt.file, nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := gatewayOf(config.Nodes[0])
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if (got != nil) != tt.asks {
				t.Errorf("got %v", got)
			}
		})
	}
}
