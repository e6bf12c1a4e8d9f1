package dstack

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// composeService is what the driver reads of a service in the compose text, to tell whose a container is: the
// guest shows names of containers and no labels.
type composeService struct {
	name      string
	container string // container_name; empty for the one that Compose makes up
	command   string
}

// parseServices lists the services of the compose text in a document, in their order. A text that cannot be read
// has none: the guest's own errors tell about it.
func parseServices(document []byte) []composeService {
	var fields struct {
		Text *string `json:"docker_compose_file"`
	}
	if json.Unmarshal(document, &fields) != nil || fields.Text == nil {
		return nil
	}
	var file struct {
		Services yaml.Node `yaml:"services"`
	}
	if yaml.Load([]byte(*fields.Text), &file) != nil || file.Services.Kind != yaml.MappingNode {
		return nil
	}
	var services []composeService
	for i := 0; i+1 < len(file.Services.Content); i += 2 {
		service := composeService{name: file.Services.Content[i].Value}
		var raw struct {
			ContainerName string    `yaml:"container_name"`
			Command       yaml.Node `yaml:"command"`
		}
		if file.Services.Content[i+1].Decode(&raw) == nil {
			service.container, service.command = raw.ContainerName, commandText(raw.Command)
		}
		services = append(services, service)
	}
	return services
}

// commandText is a command, a string or a list of strings, on one line.
func commandText(node yaml.Node) string {
	var list []string
	if !node.IsZero() && node.Decode(&list) == nil {
		return strings.Join(list, " ")
	}
	return node.Value
}

// owns tells whether a container is one of the service: by its container_name, or as Compose names them,
// <project>-<service>-<number>, with underscores in older versions.
func (s composeService) owns(container string) bool {
	if s.container != "" {
		return container == s.container
	}
	rest, number, ok := cutNumber(container)
	if !ok || number == "" {
		return false
	}
	return strings.HasSuffix(rest, "-"+s.name) || strings.HasSuffix(rest, "_"+s.name)
}

// cutNumber cuts "-1" or "_1" from the end of a name.
func cutNumber(name string) (rest, number string, ok bool) {
	at := strings.LastIndexAny(name, "-_")
	if at < 0 {
		return name, "", false
	}
	number = name[at+1:]
	_, err := strconv.ParseUint(number, 10, 32)
	return name[:at], number, err == nil
}

// match gives the containers of the app, service by service. Where the names of two services fit (web and
// my-web), the longer one counts. Containers that belong to no service are not of the app.
func match(services []composeService, containers []vmmrpc.Container) []runtime.Service {
	owned := make([][]runtime.Service, len(services))
	for _, c := range containers {
		for _, name := range c.Names {
			name = strings.TrimPrefix(name, "/")
			best := -1
			for i, s := range services {
				if s.owns(name) && (best < 0 || len(s.name) > len(services[best].name)) {
					best = i
				}
			}
			if best >= 0 {
				owned[best] = append(owned[best], serviceOf(services[best], name, c))
				break
			}
		}
	}
	var all []runtime.Service
	for _, list := range owned {
		slices.SortFunc(list, func(a, b runtime.Service) int { return strings.Compare(a.Container, b.Container) })
		all = append(all, list...)
	}
	return all
}

func serviceOf(s composeService, name string, c vmmrpc.Container) runtime.Service {
	health, code := parseDockerStatus(c.Status)
	return runtime.Service{
		Name: s.name, Container: name, ID: strings.ToLower(c.ID), Image: c.Image, ImageID: c.ImageID, Command: s.command,
		State: strings.ToLower(c.State), Status: c.Status, Health: health, ExitCode: code, CreatedAt: time.Unix(c.Created, 0),
	}
}

var exitedStatus = regexp.MustCompile(`^Exited \((-?[0-9]{1,10})\)`)

// parseDockerStatus reads Docker's sentence: "Up 3 seconds (healthy)", "Exited (1) 2 seconds ago".
func parseDockerStatus(status string) (runtime.Health, int) {
	if m := exitedStatus.FindStringSubmatch(status); m != nil {
		code, err := strconv.Atoi(m[1])
		if err != nil {
			code = -1
		}
		return runtime.HealthUnknown, code
	}
	switch {
	case strings.HasSuffix(status, "(healthy)"):
		return runtime.HealthHealthy, 0
	case strings.HasSuffix(status, "(unhealthy)"):
		return runtime.HealthUnhealthy, 0
	case strings.HasSuffix(status, "(health: starting)"):
		return runtime.HealthStarting, 0
	}
	return runtime.HealthUnknown, 0
}

// healthOf is the health of the app that the containers make up. Services without a container are no fault: a
// compose file may keep some for profiles or scale them to none. No container at all is: compose has not got there.
func healthOf(services []composeService, containers []runtime.Service) runtime.Health {
	if len(services) > 0 && len(containers) == 0 {
		return runtime.HealthStarting
	}
	health := runtime.HealthHealthy
	for _, c := range containers {
		switch {
		case c.State == "exited" && c.ExitCode != 0, c.State == "dead", c.Health == runtime.HealthUnhealthy:
			return runtime.HealthUnhealthy
		case c.Health == runtime.HealthStarting, c.State != "running" && c.State != "exited":
			health = runtime.HealthStarting
		}
	}
	return health
}
