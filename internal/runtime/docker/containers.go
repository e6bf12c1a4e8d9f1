package docker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	apicontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// Labels that Compose puts on what it makes.
const (
	labelProject   = "com.docker.compose.project"
	labelService   = "com.docker.compose.service"
	labelOneOff    = "com.docker.compose.oneoff"
	labelDependsOn = "com.docker.compose.depends_on" // service:condition:restart,…
)

// container is what the engine says of a container of a CVM.
type container struct {
	summary apicontainer.Summary
	detail  apicontainer.InspectResponse
}

func ofProject(c *cvm) client.Filters {
	return client.Filters{}.Add("label", labelProject+"="+c.project())
}

// containers lists the containers of a CVM, by name.
func (d *Driver) containers(ctx context.Context, c *cvm) ([]container, error) {
	list, err := d.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ofProject(c)})
	if err != nil {
		return nil, engineError(ctx, "list containers", err)
	}
	containers := make([]container, 0, len(list.Items))
	for _, summary := range list.Items {
		if summary.Labels[labelOneOff] == "True" {
			continue
		}
		detail, err := d.engine.ContainerInspect(ctx, summary.ID, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			continue // it went away in between
		}
		if err != nil {
			return nil, engineError(ctx, "inspect container", err)
		}
		containers = append(containers, container{summary, detail.Container})
	}
	slices.SortFunc(containers, func(a, b container) int { return strings.Compare(a.name(), b.name()) })
	return containers, nil
}

func (c container) name() string { return strings.TrimPrefix(c.detail.Name, "/") }

func (c container) serviceName() string { return c.summary.Labels[labelService] }

func (c container) running() bool { return c.detail.State != nil && c.detail.State.Running }

// inOrder sorts containers as their services are written in the compose text.
func inOrder(containers []container, services []string) []container {
	place := func(c container) int {
		if i := slices.Index(services, c.serviceName()); i >= 0 {
			return i
		}
		return len(services)
	}
	sorted := slices.Clone(containers)
	slices.SortStableFunc(sorted, func(a, b container) int { return place(a) - place(b) })
	return sorted
}

// service describes the container as Status does.
func (c container) service() runtime.Service {
	s := runtime.Service{
		Name:      c.serviceName(),
		Container: c.name(),
		ID:        c.summary.ID,
		ImageID:   c.detail.Image,
		State:     string(c.summary.State),
		Status:    c.summary.Status,
		Health:    c.health(),
	}
	if config := c.detail.Config; config != nil {
		s.Image = config.Image
		s.Command = strings.Join(append(slices.Clone(config.Entrypoint), config.Cmd...), " ")
	}
	if state := c.detail.State; state != nil {
		s.State, s.ExitCode = string(state.Status), state.ExitCode
	}
	if at, err := time.Parse(time.RFC3339Nano, c.detail.Created); err == nil {
		s.CreatedAt = at
	}
	for _, p := range c.summary.Ports {
		if p.PublicPort != 0 {
			s.Ports = append(s.Ports, runtime.Port{Protocol: p.Type, Container: p.PrivatePort, HostIP: hostIP(p), Host: p.PublicPort})
		}
	}
	slices.SortFunc(s.Ports, func(a, b runtime.Port) int {
		if a.Container != b.Container {
			return int(a.Container) - int(b.Container)
		}
		return strings.Compare(a.Protocol+a.HostIP, b.Protocol+b.HostIP)
	})
	return s
}

func hostIP(p apicontainer.PortSummary) string {
	if !p.IP.IsValid() {
		return ""
	}
	return p.IP.String()
}

// each does something to containers at once, and joins the errors. One that is gone is as good as done.
func each(containers []container, do func(container) error) error {
	errs := make([]error, len(containers))
	var wait sync.WaitGroup
	for i, c := range containers {
		wait.Go(func() {
			if err := do(c); !errdefs.IsNotFound(err) {
				errs[i] = err
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}
