package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/docker/go-units"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// container is a simulated container.
type container struct {
	service    service
	id         string
	createdAt  time.Time
	finishedAt time.Time // zero while it runs
	exitCode   int
	health     runtime.Health // empty without a health check
}

func newContainer(s service, id string, now time.Time) container {
	c := container{service: s, id: id, createdAt: now}
	switch {
	case s.exits:
		c.exit(s.exitCode, now)
	case s.healthcheck:
		c.health = runtime.HealthStarting
	}
	return c
}

func (c *container) exit(code int, now time.Time) {
	c.finishedAt, c.exitCode, c.health = now, code, runtime.HealthUnknown
}

func (c *container) running() bool { return c.finishedAt.IsZero() }

// check is the outcome of the container's health check.
func (c *container) check() {
	if !c.running() || !c.service.healthcheck || c.service.neverHealthy {
		return
	}
	c.health = runtime.HealthHealthy
	if c.service.unhealthy {
		c.health = runtime.HealthUnhealthy
	}
}

// status describes the container in Docker's words.
func (c *container) status(now time.Time) runtime.Service {
	s := runtime.Service{
		Name:      c.service.name,
		Container: c.service.container,
		ID:        c.id,
		Image:     c.service.image,
		ImageID:   imageID(c.service.image),
		Command:   c.service.command,
		State:     "running",
		Health:    c.health,
		CreatedAt: c.createdAt,
	}
	if !c.running() {
		s.State = "exited"
		s.ExitCode = c.exitCode
		s.Status = fmt.Sprintf("Exited (%d) %s ago", c.exitCode, units.HumanDuration(now.Sub(c.finishedAt)))
		return s
	}
	s.Status = "Up " + units.HumanDuration(now.Sub(c.createdAt))
	switch c.health {
	case runtime.HealthUnknown:
	case runtime.HealthStarting:
		s.Status += " (health: starting)"
	default:
		s.Status += " (" + string(c.health) + ")"
	}
	return s
}

// appHealth is the health of the app that the containers make up.
func appHealth(containers []container) runtime.Health {
	health := runtime.HealthHealthy
	for i := range containers {
		c := &containers[i]
		switch {
		case !c.running() && c.exitCode != 0, c.health == runtime.HealthUnhealthy:
			return runtime.HealthUnhealthy
		case c.health == runtime.HealthStarting:
			health = runtime.HealthStarting
		}
	}
	return health
}

// imageID makes up the id of an image; the same name gives the same id.
func imageID(image string) string {
	sum := sha256.Sum256([]byte("lockstep simulated image: " + image))
	return "sha256:" + hex.EncodeToString(sum[:])
}
