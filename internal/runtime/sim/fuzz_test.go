package sim

import (
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime/guest"
)

// FuzzDocument: whatever the bytes are that a CVM is given, reading them at boot ends in an error or not
// at all, and never takes the node down.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"manifest_version":2,"runner":"docker-compose","init_script":["a"],"docker_compose_file":"services: {a: {image: b}}"}`))
	f.Add([]byte(`{"manifest_version":"3","runner":"bash","bash_script":"# lockstep.sim.exit: 1"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, document []byte) {
		d, err := guest.ParseDocument(document)
		if err != nil {
			return
		}
		if s, err := parseScript(d.BashScript); err == nil && s.exitCode != 0 && !s.exits {
			t.Errorf("script has exit code %d and does not exit", s.exitCode)
		}
	})
}

// FuzzCompose: every service that is read has what a container needs, and starting them is decided.
func FuzzCompose(f *testing.F) {
	f.Add("services:\n  web: {image: a, depends_on: {db: {condition: service_healthy}}, labels: [lockstep.sim.exit=1]}\n  db: {build: .}\n")
	f.Add("x: &a {image: b}\nservices: {a: *a, b: {<<: *a, command: [x], healthcheck: {test: NONE}}}")
	f.Add("services: &s {a: *s}")
	f.Fuzz(func(t *testing.T, text string) {
		services, err := parseServices(text)
		if err != nil {
			return
		}
		if len(services) == 0 {
			t.Error("no services and no error")
		}
		for _, s := range services {
			if s.name == "" || s.container == "" || s.image == "" {
				t.Errorf("service %+v", s)
			}
		}
		_ = startError(services)
	})
}
