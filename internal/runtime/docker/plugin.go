package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// plugin is the Compose plugin, run as a program of its own, which it can be just as well.
type plugin struct {
	path string // as configured

	mu      sync.Mutex
	found   string
	version string
}

// pluginFolders are where Docker's command line looks for plugins, besides the user's own folder.
var pluginFolders = []string{
	"/usr/local/lib/docker/cli-plugins", "/usr/local/libexec/docker/cli-plugins",
	"/usr/lib/docker/cli-plugins", "/usr/libexec/docker/cli-plugins",
}

// locate finds the program and makes sure that it is Compose 2 or newer. What it found it keeps.
func (p *plugin) locate(ctx context.Context) (path, version string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != "" {
		return p.found, p.version, nil
	}
	var tried []string
	for _, path := range p.candidates() {
		version, err := composeVersion(ctx, path)
		if err == nil {
			p.found, p.version = path, version
			return path, version, nil
		}
		tried = append(tried, fmt.Sprintf("%s: %v", path, err))
	}
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	if len(tried) == 0 {
		return "", "", errors.New("no Docker Compose plugin was found, want docker-compose in PATH or the setting docker.compose")
	}
	return "", "", errors.New("no Docker Compose plugin of version 2 or newer: " + strings.Join(tried, "; "))
}

func (p *plugin) candidates() []string {
	if p.path != "" {
		return []string{p.path}
	}
	var paths []string
	if path, err := exec.LookPath("docker-compose"); err == nil {
		paths = append(paths, path)
	}
	folders := pluginFolders
	if home, err := os.UserHomeDir(); err == nil {
		folders = append([]string{filepath.Join(home, ".docker", "cli-plugins")}, folders...)
	}
	for _, folder := range folders {
		path := filepath.Join(folder, "docker-compose")
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			paths = append(paths, path)
		}
	}
	return paths
}

func composeVersion(ctx context.Context, path string) (string, error) {
	cmd := exec.CommandContext(ctx, path, "version", "--short")
	cmd.Env = base()
	out, err := cmd.Output()
	if err != nil {
		return "", err
	}
	version := strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
	if strings.HasPrefix(version, "1.") {
		return "", fmt.Errorf("is Compose %s", version)
	}
	return version, nil
}
