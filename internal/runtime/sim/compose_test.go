package sim_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// TestApps boots compose texts and checks what becomes of their services.
func TestApps(t *testing.T) {
	for name, test := range map[string]struct {
		compose string
		health  runtime.Health
		want    []runtime.Service // compared by name, container, image, command, state, health and exit code
	}{
		"order, names and commands": {
			`
services:
  zeta: {image: z:1, container_name: the-zeta, command: run --fast}
  alpha: {build: ., command: [sh, -c, "sleep 1"]}
`,
			runtime.HealthHealthy,
			[]runtime.Service{
				{Name: "zeta", Container: "the-zeta", Image: "z:1", Command: "run --fast", State: "running"},
				{Name: "alpha", Container: "dstack-alpha-1", Image: "dstack-alpha", Command: "sh -c sleep 1", State: "running"},
			},
		},
		"health checks": {
			`
services:
  checked: {image: a, healthcheck: {test: "true"}}
  default: {image: a, healthcheck: {interval: 5s}}
  none: {image: a, healthcheck: {test: [NONE]}}
  disabled: {image: a, healthcheck: {disable: true}, labels: {lockstep.sim.unhealthy: "true"}}
`,
			runtime.HealthHealthy,
			[]runtime.Service{
				{Name: "checked", Container: "dstack-checked-1", Image: "a", State: "running", Health: runtime.HealthHealthy},
				{Name: "default", Container: "dstack-default-1", Image: "a", State: "running", Health: runtime.HealthHealthy},
				{Name: "none", Container: "dstack-none-1", Image: "a", State: "running"},
				{Name: "disabled", Container: "dstack-disabled-1", Image: "a", State: "running"},
			},
		},
		"one is unhealthy, labels as a list": {
			`
services:
  web: {image: a, healthcheck: {test: x}}
  db: {image: a, healthcheck: {test: x}, labels: [lockstep.sim.unhealthy=true, other]}
`,
			runtime.HealthUnhealthy,
			[]runtime.Service{
				{Name: "web", Container: "dstack-web-1", Image: "a", State: "running", Health: runtime.HealthHealthy},
				{Name: "db", Container: "dstack-db-1", Image: "a", State: "running", Health: runtime.HealthUnhealthy},
			},
		},
		"never healthy": {
			`services: {web: {image: a, healthcheck: {test: x}, labels: {lockstep.sim.never-healthy: "true"}}}`,
			runtime.HealthStarting,
			[]runtime.Service{{Name: "web", Container: "dstack-web-1", Image: "a", State: "running", Health: runtime.HealthStarting}},
		},
		"a job that is done and one that failed": {
			`
services:
  done: {image: a, labels: {lockstep.sim.exit: "0"}}
  failed: {image: a, labels: {lockstep.sim.exit: 2}}
`,
			runtime.HealthUnhealthy,
			[]runtime.Service{
				{Name: "done", Container: "dstack-done-1", Image: "a", State: "exited"},
				{Name: "failed", Container: "dstack-failed-1", Image: "a", State: "exited", ExitCode: 2},
			},
		},
		"dependencies that hold": {
			`
services:
  web: {image: a, depends_on: {db: {condition: service_healthy}, job: {condition: service_completed_successfully}, other: {}}}
  db: {image: a, healthcheck: {test: x}, depends_on: [job]}
  job: {image: a, labels: {lockstep.sim.exit: "0"}}
  other: {image: a}
`,
			runtime.HealthHealthy,
			[]runtime.Service{
				{Name: "web", Container: "dstack-web-1", Image: "a", State: "running"},
				{Name: "db", Container: "dstack-db-1", Image: "a", State: "running", Health: runtime.HealthHealthy},
				{Name: "job", Container: "dstack-job-1", Image: "a", State: "exited"},
				{Name: "other", Container: "dstack-other-1", Image: "a", State: "running"},
			},
		},
		"anchors and merges": {
			`
x-base: &base {image: shared:2, healthcheck: {test: x}}
services:
  web: {<<: *base, command: web}
  copy: *base
`,
			runtime.HealthHealthy,
			[]runtime.Service{
				{Name: "web", Container: "dstack-web-1", Image: "shared:2", Command: "web", State: "running", Health: runtime.HealthHealthy},
				{Name: "copy", Container: "dstack-copy-1", Image: "shared:2", State: "running", Health: runtime.HealthHealthy},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			node := open(t, sim.Config{})
			create(t, node, document(t, test.compose, nil))
			if err := node.Start(t.Context(), cvmID); err != nil {
				t.Fatal(err)
			}
			status := await(t, node, func(s runtime.Status) bool {
				return s.State == runtime.StateExited || s.State == runtime.StateRunning && s.Health == test.health
			})
			if len(status.Services) != len(test.want) {
				t.Fatalf("status: %+v, want %d services", status, len(test.want))
			}
			for i, want := range test.want {
				got := status.Services[i]
				got.ID, got.ImageID, got.Status, got.CreatedAt = "", "", "", want.CreatedAt
				if !reflect.DeepEqual(got, want) {
					t.Errorf("service is\n%+v, want\n%+v", got, want)
				}
			}
		})
	}
}

func TestBootErrors(t *testing.T) {
	const start = "failed to start containers: "
	for name, test := range map[string]struct {
		document []byte
		want     string // beginning of the boot error
	}{
		"not JSON":          {[]byte("{"), "failed to parse app-compose.json: "},
		"JSON of no object": {[]byte("[]"), "failed to parse app-compose.json: "},
		"empty":             {nil, "failed to parse app-compose.json: "},
		"field of other type": {
			document(t, webCompose, func(f map[string]any) { f["no_instance_id"] = "yes" }),
			"failed to parse app-compose.json: field no_instance_id: ",
		},
		"no manifest version": {
			document(t, webCompose, func(f map[string]any) { delete(f, "manifest_version") }),
			"failed to parse app-compose.json: manifest_version is absent",
		},
		"numeric manifest version 3": {
			document(t, webCompose, func(f map[string]any) { f["manifest_version"] = 3 }),
			"failed to parse app-compose.json: manifest_version is 3",
		},
		"manifest version 03": {
			document(t, webCompose, func(f map[string]any) { f["manifest_version"] = "03" }),
			`failed to parse app-compose.json: manifest_version is "03"`,
		},
		"manifest version of the future": {
			document(t, webCompose, func(f map[string]any) { f["manifest_version"] = "4" }),
			"unsupported manifest_version 4",
		},
		"no runner":      {document(t, webCompose, func(f map[string]any) { delete(f, "runner") }), `unsupported runner: ""`},
		"unknown runner": {document(t, webCompose, func(f map[string]any) { f["runner"] = "podman" }), `unsupported runner: "podman"`},
		"script fails": {
			document(t, "", func(f map[string]any) { f["runner"], f["bash_script"] = "bash", "# lockstep.sim.exit: 4\nfalse" }),
			"failed to run main script: exit status 4",
		},
		"script with a bad comment": {
			document(t, "", func(f map[string]any) { f["runner"], f["bash_script"] = "bash", "# lockstep.sim.exit: soon" }),
			"failed to run main script: comment lockstep.sim.exit",
		},
		"no compose text":     {document(t, "", nil), start},
		"broken YAML":         {document(t, "services: [", nil), start},
		"no services":         {document(t, "services: {}", nil), start + "no service selected"},
		"no image":            {document(t, "services: {web: {command: x}}", nil), start + `service "web": has neither an image nor a build context`},
		"empty service":       {document(t, "services: {web: }", nil), start + `service "web": has neither`},
		"service of a list":   {document(t, "services: {web: [1]}", nil), start + `service "web": `},
		"bad service name":    {document(t, "services: {console/serial: {image: a}}", nil), start + `service name "console/serial"`},
		"labels of a string":  {document(t, "services: {web: {image: a, labels: x}}", nil), start + `service "web": labels: `},
		"command of a map":    {document(t, "services: {web: {image: a, command: {a: b}}}", nil), start + `service "web": command: `},
		"depends on a string": {document(t, "services: {web: {image: a, depends_on: db}}", nil), start + `service "web": depends_on: `},
		"exit code of words":  {document(t, "services: {web: {image: a, labels: {lockstep.sim.exit: x}}}", nil), start + `service "web": label lockstep.sim.exit is "x"`},
		"same container name": {document(t, "services: {a: {image: a, container_name: x}, b: {image: b, container_name: x}}", nil), start + `container name "x" is used by services "a" and "b"`},
		"undefined dependency": {
			document(t, "services: {a: {image: a, depends_on: [b]}}", nil),
			start + `service "a" depends on undefined service "b"`,
		},
		"cycle": {
			document(t, "services: {a: {image: a, depends_on: [b]}, b: {image: b, depends_on: [c]}, c: {image: b, depends_on: [b]}}", nil),
			start + "dependency cycle detected: a -> b -> c -> b",
		},
		"directive": {
			document(t, "services: {web: {image: a, labels: {lockstep.sim.boot-error: no such image}}}", nil),
			start + "no such image",
		},
		"dependency is unhealthy": {
			document(t, "services: {a: {image: a, depends_on: {b: {condition: service_healthy}}}, b: {image: b, healthcheck: {test: x}, labels: {lockstep.sim.unhealthy: \"true\"}}}", nil),
			start + "dependency failed to start: container dstack-b-1 is unhealthy",
		},
		"dependency has no health check": {
			document(t, "services: {a: {image: a, depends_on: {b: {condition: service_healthy}}}, b: {image: b}}", nil),
			start + "dependency failed to start: container dstack-b-1 has no healthcheck configured",
		},
		"dependency failed": {
			document(t, "services: {a: {image: a, depends_on: {b: {condition: service_completed_successfully}}}, b: {image: b, labels: {lockstep.sim.exit: \"9\"}}}", nil),
			start + `service "b" didn't complete successfully: exit 9`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			node := open(t, sim.Config{})
			create(t, node, test.document)
			status := boot(t, node)
			if status.State != runtime.StateExited || !strings.HasPrefix(status.BootError, test.want) {
				t.Errorf("status %+v, want exited with %q", status, test.want)
			}
		})
	}
}

func TestFieldNamesAreExact(t *testing.T) {
	node := open(t, sim.Config{})
	create(t, node, []byte(`{"manifest_version":"3","runner":"bash","Runner":"podman","RUNNER":1,"bash_script":"# lockstep.sim.log: hello\n"}`))
	if status := boot(t, node); status.State != runtime.StateRunning || len(status.Services) != 0 {
		t.Fatalf("status: %+v", status)
	}
	if got := readLog(t, node, runtime.LogOptions{Channel: "stdout"}); got != "hello\n" {
		t.Errorf("output of the script is %q", got)
	}
}
