package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"go.yaml.in/yaml/v4"
)

// composeUp creates and starts the services, and removes the containers of services that are no more.
func (d *Driver) composeUp(ctx context.Context, a *app, environment []string) error {
	_, err := d.compose(ctx, a, environment, "up", "--detach", "--remove-orphans")
	return err
}

// childGrace is how long a child process may take to end once it is asked to.
const childGrace = 3 * time.Second

// compose runs the plugin over the compose text, which it reads from its standard input: the bytes are those of
// the document, and nothing of them lies about on a disk. What it says goes to the console, and its last lines
// into the error.
func (d *Driver) compose(ctx context.Context, a *app, environment []string, args ...string) (stdout string, err error) {
	select {
	case d.work <- struct{}{}:
		defer func() { <-d.work }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	path, _, err := d.plugin.locate(ctx)
	if err != nil {
		return "", err
	}
	err = a.withDockerConfig(func(config string) error {
		args := slices.Concat([]string{
			"--ansi", "never", "--progress", "plain", "--project-name", a.cvm.project(),
			"--project-directory", a.cvm.home(), "--file", "-",
		}, args)
		cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // no shell is between, and the arguments are ours
		cmd.Dir = a.cvm.home()
		cmd.Env = slices.Concat(environment, d.engineEnv(), []string{"DOCKER_CONFIG=" + config})
		cmd.Stdin = strings.NewReader(a.document.ComposeText)
		var out strings.Builder
		said := &tail{console: a.cvm.console}
		cmd.Stdout, cmd.Stderr = &out, said
		detach(cmd)
		err := cmd.Run()
		said.flush()
		stdout = out.String()
		switch {
		case err == nil || ctx.Err() != nil:
			return ctx.Err()
		case said.empty():
			return err
		default:
			return fmt.Errorf("%w: %s", err, said)
		}
	})
	return stdout, err
}

// engineEnv tells a child process which engine is meant.
func (d *Driver) engineEnv() []string {
	env := []string{"DOCKER_HOST=" + d.config.Host}
	if d.config.CertDir != "" {
		env = append(env, "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH="+d.config.CertDir)
	}
	return env
}

// composeService is what matters of a service once Compose has resolved the text.
type composeService struct {
	Image      string `json:"image" yaml:"image"`
	Build      any    `json:"build" yaml:"build"`
	Extends    any    `json:"-" yaml:"extends"` // resolved already in what Compose says
	PullPolicy string `json:"pull_policy" yaml:"pull_policy"`
}

// literalServices reads a text in which there is nothing to resolve, which saves a child process: what it says was
// checked when the document was proposed. It reports false for any other.
func literalServices(text string) (map[string]composeService, bool) {
	var file struct {
		Services map[string]composeService `yaml:"services"`
		Include  any                       `yaml:"include"`
	}
	if strings.Contains(text, "$") || yaml.Load([]byte(text), &file) != nil || file.Include != nil || len(file.Services) == 0 {
		return nil, false
	}
	for _, s := range file.Services {
		if s.Image == "" || s.Extends != nil {
			return nil, false
		}
	}
	return file.Services, true
}

// resolve finds the services of the text with the environment filled in, and has Compose check it.
func (d *Driver) resolve(ctx context.Context, a *app, environment []string) (map[string]composeService, error) {
	if services, ok := literalServices(a.document.ComposeText); ok {
		return services, nil
	}
	out, err := d.compose(ctx, a, environment, "config", "--format", "json", "--no-path-resolution")
	if err != nil {
		return nil, err
	}
	var project struct {
		Services map[string]composeService `json:"services"`
	}
	if err := json.Unmarshal([]byte(out), &project); err != nil {
		return nil, fmt.Errorf("docker: what compose config says: %w", err)
	}
	if len(project.Services) == 0 {
		return nil, errors.New("no service selected")
	}
	return project.Services, nil
}

// pull gets the images that are not there, and those that are to be looked for anew. An image that the
// document wants never to be pulled has to be there.
func (d *Driver) pull(ctx context.Context, a *app, environment []string, services map[string]composeService) error {
	var wanted []string
	for name, s := range services {
		if s.Image == "" || s.Build != nil {
			continue // built at the start
		}
		_, err := d.engine.ImageInspect(ctx, s.Image)
		switch {
		case err != nil && !errdefs.IsNotFound(err):
			return engineError(ctx, "look for image "+s.Image, err)
		case err != nil && s.PullPolicy == "never":
			return fmt.Errorf("service %s: image %s is not there, and pull_policy is never", name, s.Image)
		case err != nil, s.PullPolicy == "always", s.PullPolicy == "daily", s.PullPolicy == "weekly", strings.HasPrefix(s.PullPolicy, "every_"):
			wanted = append(wanted, name)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	slices.Sort(wanted)
	_, err := d.compose(ctx, a, environment, append([]string{"pull", "--ignore-buildable", "--"}, wanted...)...)
	return err
}
