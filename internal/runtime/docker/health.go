package docker

import (
	"regexp"
	"strconv"
	"strings"

	apicontainer "github.com/moby/moby/api/types/container"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

const (
	// crashes is how often the engine may have to restart a container before its app counts as failed.
	crashes = 3
	// steadyAfter is how long one that was restarted has to be up, in seconds, to be no longer suspected of
	// crashing again. It is also when the engine forgets how often it had to.
	steadyAfter = 10
)

// health is what is known of the app in a container. Without a health check, one that runs counts as healthy
// once it has been up for a second: a program that cannot start ends sooner.
func (c container) health() runtime.Health {
	state := c.detail.State
	switch {
	case state == nil || state.Status == apicontainer.StateCreated || state.Status == apicontainer.StatePaused:
		return runtime.HealthStarting
	case state.Dead, c.detail.RestartCount >= crashes && (state.Restarting || c.upSeconds() < steadyAfter):
		return runtime.HealthUnhealthy
	case state.Restarting:
		return runtime.HealthStarting
	case !state.Running:
		return runtime.HealthUnknown // its exit code tells
	case state.Health != nil && state.Health.Status != apicontainer.NoHealthcheck && state.Health.Status != "":
		switch state.Health.Status {
		case apicontainer.Healthy:
			return runtime.HealthHealthy
		case apicontainer.Unhealthy:
			return runtime.HealthUnhealthy
		default:
			return runtime.HealthStarting
		}
	case c.upSeconds() < 1, c.detail.RestartCount > 0 && c.upSeconds() < steadyAfter:
		return runtime.HealthStarting
	default:
		return runtime.HealthUnknown // it has no check, and nothing speaks against it
	}
}

var upPattern = regexp.MustCompile(`^Up (\d+) seconds?\b`)

// upSeconds is how long the container has been up, up to a minute. It is read from the engine's own sentence,
// because the clock of a remote engine may be another one than ours.
func (c container) upSeconds() int {
	if strings.HasPrefix(c.summary.Status, "Up Less than a second") {
		return 0
	}
	if m := upPattern.FindStringSubmatch(c.summary.Status); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return n
		}
	}
	return 60
}

// failed says that the app in the container has ended with an error, or its health check found one.
func (c container) failed() bool {
	if c.health() == runtime.HealthUnhealthy {
		return true
	}
	state := c.detail.State
	return state != nil && state.Status == apicontainer.StateExited && state.ExitCode != 0
}

// appHealth is the health of the app that the containers make up.
func appHealth(containers []container) runtime.Health {
	health := runtime.HealthHealthy
	for _, c := range containers {
		switch {
		case c.failed():
			return runtime.HealthUnhealthy
		case c.health() == runtime.HealthStarting:
			health = runtime.HealthStarting
		}
	}
	return health
}
