package docker

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lockstep-cvm/lockstep/internal/kms"
)

// Variables of the environment with which an app logs in to the registry of its images, as on Phala Cloud.
const (
	registryUser     = "DSTACK_DOCKER_USERNAME"
	registryPassword = "DSTACK_DOCKER_PASSWORD"
	registryHost     = "DSTACK_DOCKER_REGISTRY" // default: Docker Hub
)

// dockerHub is how Docker's configuration names Docker Hub.
const dockerHub = "https://index.docker.io/v1/"

// dockerConfig is Docker's own configuration file with the login to one registry. Written rather than made by
// `docker login`, it needs no registry to answer and shows the password to no process list.
func dockerConfig(env []kms.EnvVar) ([]byte, error) {
	user, password, registry := value(env, registryUser), value(env, registryPassword), value(env, registryHost)
	if user == "" && password == "" {
		return []byte("{}"), nil
	}
	if user == "" || password == "" {
		return nil, errors.New("registry login: " + registryUser + " and " + registryPassword + " go together, and one is missing")
	}
	if registry == "" || registry == "docker.io" {
		registry = dockerHub
	}
	type auth struct {
		Auth string `json:"auth"`
	}
	return json.Marshal(map[string]any{"auths": map[string]auth{
		registry: {base64.StdEncoding.EncodeToString([]byte(user + ":" + password))},
	}})
}

// withDockerConfig runs something with a folder for DOCKER_CONFIG that is deleted afterwards.
func (a *app) withDockerConfig(run func(dir string) error) (err error) {
	config, err := dockerConfig(a.env)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(string(a.cvm.folder()), dockerConfigPrefix)
	if err != nil {
		return fmt.Errorf("docker: folder for the login: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600); err != nil {
		return fmt.Errorf("docker: configuration with the login: %w", err)
	}
	return run(dir)
}

// dockerConfigPrefix begins the names of the folders that hold a login. One that a killed process left is deleted
// at the next boot.
const dockerConfigPrefix = "login-"

func (c *cvm) sweepLogins() error {
	left, err := filepath.Glob(filepath.Join(string(c.folder()), dockerConfigPrefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}
