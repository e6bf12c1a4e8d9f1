package appcompose

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// referenceError names a field that points at something that is not there.
type referenceError struct {
	path    []string // of the field
	target  string   // the name in it, if that is what is wrong
	message string
}

func (e *referenceError) Error() string { return e.message }

// checkReferences looks up every name that a service refers to, and sees to it
// that services do not wait for each other in a circle. compose-go does so
// too, but in random order, without positions, and not for all; what it checks
// beyond names is left to it. dict is in compose-go's canonical form, where
// short forms are spelled out.
//
// It returns which services each service waits for.
func checkReferences(dict map[string]any, partial map[string]bool) (dependencies, error) {
	services := section(dict, "services")
	deps := make(dependencies, len(services))
	for _, name := range slices.Sorted(maps.Keys(services)) {
		service, ok := services[name].(map[string]any)
		if !ok {
			return nil, &referenceError{path: []string{"services", name}, message: fmt.Sprintf("service %q is empty, expected a mapping with an image or a build", name)}
		}
		r := references{dict: dict, name: name, service: service, deps: deps}
		if !partial[name] && service["image"] == nil && service["build"] == nil && service["provider"] == nil {
			return nil, &referenceError{path: []string{"services", name}, message: fmt.Sprintf("service %q has neither an image nor a build", name)}
		}
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	return deps, deps.checkCircles()
}

func section(dict map[string]any, name string) map[string]any {
	m, _ := dict[name].(map[string]any)
	return m
}

// references checks those of one service.
type references struct {
	dict    map[string]any
	name    string
	service map[string]any
	deps    dependencies
}

func (r *references) check() error {
	for _, target := range slices.Sorted(maps.Keys(section(r.service, "depends_on"))) {
		if err := r.want("services", "service", target, "depends_on"); err != nil {
			return err
		}
	}
	for _, field := range []string{"network_mode", "ipc", "pid", "uts", "cgroup"} {
		mode, _ := r.service[field].(string)
		if target, shared := strings.CutPrefix(mode, "service:"); shared {
			if err := r.want("services", "service", target, field); err != nil {
				return err
			}
		}
	}
	for _, field := range []string{"links", "volumes_from"} {
		for _, item := range list(r.service[field]) {
			text, _ := item.(string)
			target, _, _ := strings.Cut(text, ":")
			if field == "volumes_from" && strings.HasPrefix(text, "container:") {
				continue
			}
			if err := r.want("services", "service", target, field); err != nil {
				return err
			}
		}
	}
	for _, target := range slices.Sorted(maps.Keys(section(r.service, "networks"))) {
		if target == "default" {
			continue
		}
		if err := r.want("networks", "network", target, "networks"); err != nil {
			return err
		}
	}
	for _, item := range list(r.service["volumes"]) {
		volume, _ := item.(map[string]any)
		if source, _ := volume["source"].(string); source != "" && volume["type"] == "volume" {
			if err := r.want("volumes", "volume", source, "volumes"); err != nil {
				return err
			}
		}
	}
	for _, what := range []string{"secret", "config"} {
		if err := r.files(r.service, what, what+"s"); err != nil {
			return err
		}
	}
	return r.files(section(r.service, "build"), "secret", "build", "secrets")
}

// files checks secrets or configs, each of which has a source.
func (r *references) files(in map[string]any, what string, path ...string) error {
	for _, item := range list(in[what+"s"]) {
		file, _ := item.(map[string]any)
		if source, _ := file["source"].(string); source != "" {
			if err := r.want(what+"s", what, source, path...); err != nil {
				return err
			}
		}
	}
	return nil
}

// want requires that the section defines target. A target with a variable in
// it is not known yet.
func (r *references) want(in, what, target string, path ...string) error {
	if _, ok := section(r.dict, in)[target]; ok {
		if in == "services" {
			r.deps[r.name] = append(r.deps[r.name], dependency{service: target, field: path[0]})
		}
		return nil
	}
	if strings.Contains(target, "$") {
		return nil
	}
	return &referenceError{
		path:    append([]string{"services", r.name}, path...),
		target:  target,
		message: fmt.Sprintf("service %q refers to undefined %s %q", r.name, what, clip(target, 80)),
	}
}

func list(value any) []any {
	items, _ := value.([]any)
	return items
}

// dependencies says which services each service waits for.
type dependencies map[string][]dependency

// dependency is a service waited for, and the field that says so.
type dependency struct{ service, field string }

// checkCircles refuses services that wait for each other.
func (d dependencies) checkCircles() error {
	const open, done = 1, 2
	state := make(map[string]int, len(d))
	var path []string
	var visit func(name string) error
	visit = func(name string) error {
		state[name] = open
		path = append(path, name)
		for _, next := range d[name] {
			switch state[next.service] {
			case open:
				circle := append(slices.Clone(path[slices.Index(path, next.service):]), next.service)
				return &referenceError{
					path: []string{"services", name, next.field}, target: next.service,
					message: "dependency cycle: " + clip(strings.Join(circle, " -> "), 300),
				}
			case done:
			default:
				if err := visit(next.service); err != nil {
					return err
				}
			}
		}
		path = path[:len(path)-1]
		state[name] = done
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if state[name] == 0 {
			if err := visit(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxPaths is how many ways through the dependencies compose-go may walk.
const maxPaths = 20_000

// tangled reports whether there are more ways through the dependencies than
// maxPaths: compose-go walks each of them, and a few dozen services that all
// wait for each other have more than can ever be walked. There must be no
// circle.
func (d dependencies) tangled() bool {
	ways := make(map[string]int, len(d))
	var count func(name string) int
	count = func(name string) int {
		if n, known := ways[name]; known {
			return n
		}
		n := 1
		for _, next := range d[name] {
			n = min(n+count(next.service), maxPaths+1)
		}
		ways[name] = n
		return n
	}
	total := 0
	for name := range d {
		if total += count(name); total > maxPaths {
			return true
		}
	}
	return false
}
