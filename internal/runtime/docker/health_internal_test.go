package docker

import (
	"testing"

	apicontainer "github.com/moby/moby/api/types/container"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

func TestHealthOfContainer(t *testing.T) {
	checked := func(status apicontainer.HealthStatus) *apicontainer.Health {
		return &apicontainer.Health{Status: status}
	}
	up := func(health *apicontainer.Health) *apicontainer.State {
		return &apicontainer.State{Status: apicontainer.StateRunning, Running: true, Health: health}
	}
	restarting := &apicontainer.State{Status: apicontainer.StateRestarting, Running: true, Restarting: true, ExitCode: 1}
	ended := func(code int) *apicontainer.State {
		return &apicontainer.State{Status: apicontainer.StateExited, ExitCode: code}
	}
	for name, test := range map[string]struct {
		state    *apicontainer.State
		status   string
		restarts int
		health   runtime.Health
		app      runtime.Health // of an app of this one container
	}{
		"created":                   {&apicontainer.State{Status: apicontainer.StateCreated}, "Created", 0, runtime.HealthStarting, runtime.HealthStarting},
		"check under way":           {up(checked(apicontainer.Starting)), "Up 5 seconds (health: starting)", 0, runtime.HealthStarting, runtime.HealthStarting},
		"check passed":              {up(checked(apicontainer.Healthy)), "Up Less than a second (healthy)", 0, runtime.HealthHealthy, runtime.HealthHealthy},
		"check failed":              {up(checked(apicontainer.Unhealthy)), "Up 9 seconds (unhealthy)", 0, runtime.HealthUnhealthy, runtime.HealthUnhealthy},
		"no check, just started":    {up(nil), "Up Less than a second", 0, runtime.HealthStarting, runtime.HealthStarting},
		"no check, up for a second": {up(nil), "Up 1 second", 0, runtime.HealthUnknown, runtime.HealthHealthy},
		"no check, up for long":     {up(checked(apicontainer.NoHealthcheck)), "Up 3 weeks", 0, runtime.HealthUnknown, runtime.HealthHealthy},
		"restarted lately":          {up(nil), "Up 4 seconds", 1, runtime.HealthStarting, runtime.HealthStarting},
		"restarted again and again": {up(nil), "Up 2 seconds", 3, runtime.HealthUnhealthy, runtime.HealthUnhealthy},
		"restarted long ago":        {up(nil), "Up 10 seconds", 8, runtime.HealthUnknown, runtime.HealthHealthy},
		"between two crashes":       {restarting, "Restarting (1) 1 second ago", 1, runtime.HealthStarting, runtime.HealthStarting},
		"crash loop":                {restarting, "Restarting (1) 1 second ago", 3, runtime.HealthUnhealthy, runtime.HealthUnhealthy},
		"job well done":             {ended(0), "Exited (0) 2 seconds ago", 0, runtime.HealthUnknown, runtime.HealthHealthy},
		"crashed":                   {ended(3), "Exited (3) 2 seconds ago", 0, runtime.HealthUnknown, runtime.HealthUnhealthy},
		"dead":                      {&apicontainer.State{Status: apicontainer.StateDead, Dead: true}, "Dead", 0, runtime.HealthUnhealthy, runtime.HealthUnhealthy},
	} {
		t.Run(name, func(t *testing.T) {
			c := container{
				summary: apicontainer.Summary{Status: test.status},
				detail:  apicontainer.InspectResponse{State: test.state, RestartCount: test.restarts},
			}
			if got := c.health(); got != test.health {
				t.Errorf("health is %q, want %q", got, test.health)
			}
			if got := appHealth([]container{c}); got != test.app {
				t.Errorf("health of the app is %q, want %q", got, test.app)
			}
		})
	}
}

func TestStopWaves(t *testing.T) {
	service := func(name, dependsOn string) container {
		return container{summary: apicontainer.Summary{Labels: map[string]string{labelService: name, labelDependsOn: dependsOn}}}
	}
	for name, test := range map[string]struct {
		containers []container
		want       [][]string
	}{
		"none":     {nil, nil},
		"apart":    {[]container{service("a", ""), service("b", "")}, [][]string{{"a", "b"}}},
		"chain":    {[]container{service("db", ""), service("web", "api:service_healthy:true"), service("api", "db:service_started:false")}, [][]string{{"web"}, {"api"}, {"db"}}},
		"replicas": {[]container{service("db", ""), service("web", "db:service_started:false"), service("web", "db:service_started:false")}, [][]string{{"web", "web"}, {"db"}}},
		"cycle":    {[]container{service("a", "b:service_started:false"), service("b", "a:service_started:false")}, [][]string{{"a", "b"}}},
		"itself":   {[]container{service("a", "a:service_started:false")}, [][]string{{"a"}}},
		"one gone": {[]container{service("web", "db:service_started:false")}, [][]string{{"web"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got := stopWaves(test.containers)
			if len(got) != len(test.want) {
				t.Fatalf("%d waves, want %v", len(got), test.want)
			}
			for i, wave := range got {
				var names []string
				for _, c := range wave {
					names = append(names, c.serviceName())
				}
				if len(names) != len(test.want[i]) || names[0] != test.want[i][0] {
					t.Errorf("wave %d is %v, want %v", i, names, test.want[i])
				}
			}
		})
	}
}
