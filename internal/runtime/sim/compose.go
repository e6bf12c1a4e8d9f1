package sim

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Directives are labels of a service that steer its simulated container. They are ordinary labels
// anywhere else, so a compose file that carries them still runs on a real host.
//
//	lockstep.sim.exit: "1"             the container exits with this code; 0 is a job well done
//	lockstep.sim.unhealthy: "true"     its health check fails
//	lockstep.sim.never-healthy: "true" its health check never comes to an end
//	lockstep.sim.boot-error: "text"    the containers cannot be started, and the boot fails with this text
//	lockstep.sim.log: "text"           it writes these lines, before it exits if it does
//
// A bash script (runner bash) is steered by comment lines: "# lockstep.sim.exit: 1" and
// "# lockstep.sim.log: text".
const (
	directiveExit         = "lockstep.sim.exit"
	directiveUnhealthy    = "lockstep.sim.unhealthy"
	directiveNeverHealthy = "lockstep.sim.never-healthy"
	directiveBootError    = "lockstep.sim.boot-error"
	directiveLog          = "lockstep.sim.log"
)

// service is what the simulation reads of a service in the compose text.
type service struct {
	name         string
	container    string
	image        string
	command      string
	healthcheck  bool
	dependsOn    []dependency
	exits        bool
	exitCode     int
	unhealthy    bool
	neverHealthy bool
	bootError    string
	log          string
}

type dependency struct {
	service   string
	condition string // service_started, service_healthy, service_completed_successfully
}

// rawService is the YAML of a service.
type rawService struct {
	Image         string    `yaml:"image"`
	Build         yaml.Node `yaml:"build"`
	ContainerName string    `yaml:"container_name"`
	Command       yaml.Node `yaml:"command"`
	Healthcheck   *struct {
		Disable bool      `yaml:"disable"`
		Test    yaml.Node `yaml:"test"`
	} `yaml:"healthcheck"`
	DependsOn yaml.Node `yaml:"depends_on"`
	Labels    yaml.Node `yaml:"labels"`
}

// parseServices reads the services of a compose text in the order they are written. Only what steers
// the simulation is looked at; whether the text is good compose is checked before it is stored.
func parseServices(text string) ([]service, error) {
	var file struct {
		Services yaml.Node `yaml:"services"`
	}
	if err := yaml.Load([]byte(text), &file); err != nil {
		return nil, err
	}
	if file.Services.Kind != yaml.MappingNode || len(file.Services.Content) == 0 {
		return nil, errors.New("no service selected")
	}
	var services []service
	for i := 0; i+1 < len(file.Services.Content); i += 2 {
		name := file.Services.Content[i].Value
		if !serviceName.MatchString(name) {
			return nil, fmt.Errorf("service name %q: want letters, digits, dots, dashes and underscores", name)
		}
		var raw rawService
		if err := file.Services.Content[i+1].Decode(&raw); err != nil {
			return nil, fmt.Errorf("service %q: %w", name, err)
		}
		s, err := raw.service(name)
		if err != nil {
			return nil, fmt.Errorf("service %q: %w", name, err)
		}
		services = append(services, s)
	}
	return services, checkDependencies(services)
}

var serviceName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

func (r rawService) service(name string) (service, error) {
	if r.Image == "" && r.Build.IsZero() {
		return service{}, errors.New("has neither an image nor a build context specified")
	}
	command, err := words(r.Command)
	if err != nil {
		return service{}, fmt.Errorf("command: %w", err)
	}
	dependsOn, err := dependencies(r.DependsOn)
	if err != nil {
		return service{}, fmt.Errorf("depends_on: %w", err)
	}
	labels, err := pairs(r.Labels)
	if err != nil {
		return service{}, fmt.Errorf("labels: %w", err)
	}
	s := service{
		name:         name,
		container:    r.ContainerName,
		image:        r.Image,
		command:      strings.Join(command, " "),
		dependsOn:    dependsOn,
		unhealthy:    labels[directiveUnhealthy] == "true",
		neverHealthy: labels[directiveNeverHealthy] == "true",
		bootError:    labels[directiveBootError],
		log:          labels[directiveLog],
	}
	if s.container == "" {
		s.container = composeProject + "-" + name + "-1"
	}
	if s.image == "" {
		s.image = composeProject + "-" + name // what Compose names an image it builds
	}
	if r.Healthcheck != nil && !r.Healthcheck.Disable {
		test, err := words(r.Healthcheck.Test)
		if err != nil {
			return s, fmt.Errorf("healthcheck: %w", err)
		}
		s.healthcheck = len(test) == 0 || test[0] != "NONE"
	}
	if code, ok := labels[directiveExit]; ok {
		s.exits = true
		if s.exitCode, err = strconv.Atoi(code); err != nil {
			return s, fmt.Errorf("label %s is %q, want a number", directiveExit, code)
		}
	}
	return s, nil
}

// composeProject is the project name under which a dstack guest runs the compose text.
const composeProject = "dstack"

// words reads a value that is a string or a list of strings.
func words(node yaml.Node) ([]string, error) {
	if node.IsZero() {
		return nil, nil
	}
	var list []string
	if node.Decode(&list) == nil {
		return list, nil
	}
	var one string
	if err := node.Decode(&one); err != nil {
		return nil, errors.New("want a string or a list of strings")
	}
	if one == "" {
		return nil, nil
	}
	return []string{one}, nil
}

// pairs reads a value that is a mapping or a list of key=value.
func pairs(node yaml.Node) (map[string]string, error) {
	if node.IsZero() {
		return nil, nil
	}
	mapping := map[string]string{}
	if node.Decode(&mapping) == nil {
		return mapping, nil
	}
	var list []string
	if err := node.Decode(&list); err != nil {
		return nil, errors.New("want a mapping or a list of key=value")
	}
	clear(mapping)
	for _, item := range list {
		key, value, _ := strings.Cut(item, "=")
		mapping[key] = value
	}
	return mapping, nil
}

// dependencies reads depends_on: a list of services, or a mapping with conditions.
func dependencies(node yaml.Node) ([]dependency, error) {
	if node.IsZero() {
		return nil, nil
	}
	const started = "service_started"
	var list []string
	if node.Decode(&list) == nil {
		out := make([]dependency, len(list))
		for i, name := range list {
			out[i] = dependency{service: name, condition: started}
		}
		return out, nil
	}
	var mapping map[string]struct {
		Condition string `yaml:"condition"`
	}
	if err := node.Decode(&mapping); err != nil {
		return nil, errors.New("want a list of services or a mapping with conditions")
	}
	var out []dependency
	for name, d := range mapping {
		if d.Condition == "" {
			d.Condition = started
		}
		out = append(out, dependency{service: name, condition: d.Condition})
	}
	slices.SortFunc(out, func(a, b dependency) int { return strings.Compare(a.service, b.service) })
	return out, nil
}

// checkDependencies refuses what Compose refuses to start.
func checkDependencies(services []service) error {
	byName := map[string]service{}
	containers := map[string]string{}
	for _, s := range services {
		if other, ok := containers[s.container]; ok {
			return fmt.Errorf("container name %q is used by services %q and %q", s.container, other, s.name)
		}
		containers[s.container] = s.name
		byName[s.name] = s
	}
	done := map[string]bool{}
	var visit func(s service, path []string) error
	visit = func(s service, path []string) error {
		if slices.Contains(path, s.name) {
			return fmt.Errorf("dependency cycle detected: %s", strings.Join(append(path, s.name), " -> "))
		}
		if done[s.name] {
			return nil
		}
		path = append(path, s.name)
		for _, d := range s.dependsOn {
			on, ok := byName[d.service]
			if !ok {
				return fmt.Errorf("service %q depends on undefined service %q", s.name, d.service)
			}
			if err := visit(on, path); err != nil {
				return err
			}
		}
		done[s.name] = true
		return nil
	}
	for _, s := range services {
		if err := visit(s, nil); err != nil {
			return err
		}
	}
	return nil
}

// startError says why Compose would not get the services up, in its words. What each container will do
// is known beforehand, so nothing need be waited for.
func startError(services []service) error {
	byName := map[string]service{}
	for _, s := range services {
		byName[s.name] = s
	}
	for _, s := range services {
		if s.bootError != "" {
			return errors.New(s.bootError)
		}
		for _, d := range s.dependsOn {
			on := byName[d.service]
			switch {
			case d.condition == "service_healthy" && !on.healthcheck:
				return fmt.Errorf("dependency failed to start: container %s has no healthcheck configured", on.container)
			case d.condition == "service_healthy" && (on.unhealthy || on.neverHealthy || on.exits):
				return fmt.Errorf("dependency failed to start: container %s is unhealthy", on.container)
			case d.condition == "service_completed_successfully" && on.exits && on.exitCode != 0:
				return fmt.Errorf("service %q didn't complete successfully: exit %d", on.name, on.exitCode)
			}
		}
	}
	return nil
}

var scriptDirective = regexp.MustCompile(`(?m)^#[ \t]*(lockstep\.sim\.[a-z-]+):[ \t]*(.*?)[ \t\r]*$`)

// parseScript reads the directives of a bash script.
func parseScript(script string) (service, error) {
	s := service{name: "main script"}
	var err error
	for _, m := range scriptDirective.FindAllStringSubmatch(script, -1) {
		switch m[1] {
		case directiveExit:
			s.exits = true
			if s.exitCode, err = strconv.Atoi(m[2]); err != nil {
				return s, fmt.Errorf("comment %s is %q, want a number", directiveExit, m[2])
			}
		case directiveLog:
			s.log += m[2] + "\n"
		}
	}
	return s, nil
}
