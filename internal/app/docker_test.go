package app_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/app"
)

// dockerConfig is a server with a simulated node and a Docker Engine that does not answer.
func dockerConfig(t *testing.T) app.Config {
	t.Helper()
	dir := t.TempDir()
	images := []app.ImageConfig{{Name: "dstack-0.5.5", Version: []int64{0, 5, 5}}}
	c := app.DefaultConfig()
	c.DatabaseURL, c.Listen = "sqlite:"+filepath.Join(dir, "db"), "127.0.0.1:0"
	c.Nodes = []app.NodeConfig{
		{ID: 1, Name: "sim-1", Driver: "sim", Dir: filepath.Join(dir, "sim"), Images: images},
		{ID: 2, Name: "docker-1", Driver: "docker", Dir: filepath.Join(dir, "docker"), Images: images,
			Docker: app.DockerConfig{Host: "unix://" + filepath.Join(dir, "none")}},
	}
	return c
}

func TestServerStartsWithoutItsDockerEngine(t *testing.T) {
	server, err := app.Open(t.Context(), dockerConfig(t), app.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close(context.Background())
	for _, node := range server.Control.Catalog().Nodes() {
		if driver, _, _ := strings.Cut(node.Name, "-"); !strings.HasSuffix(node.Version, "("+driver+", no TEE)") {
			t.Errorf("version of node %s is %q, want it to say that there is no TEE", node.Name, node.Version)
		}
		if node.Images[0].Hash == "" {
			t.Errorf("node %s has no hash for its image, which the KMS is told", node.Name)
		}
	}
}

func TestDockerSettingsThatCannotBe(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*app.NodeConfig)
		want   string
	}{
		"no folder":    {func(n *app.NodeConfig) { n.Dir = "" }, "dir is empty, want the folder"},
		"host":         {func(n *app.NodeConfig) { n.Docker.Host = "localhost" }, `host is "localhost", want unix:///PATH`},
		"pre-launch":   {func(n *app.NodeConfig) { n.Docker.PreLaunch = "yes" }, `pre_launch is "yes", want "host"`},
		"certificates": {func(n *app.NodeConfig) { n.Docker.CertDir = "/x" }, "cert_dir is for a host of tcp://"},
		"image hash": {func(n *app.NodeConfig) {
			n.Images = []app.ImageConfig{{Name: "a", Version: []int64{1, 2, 3}, Hash: "zz"}}
		}, `hash is "zz"`},
	} {
		t.Run(name, func(t *testing.T) {
			config := dockerConfig(t)
			test.change(&config.Nodes[1])
			server, err := app.Open(t.Context(), config, app.Options{})
			if err == nil {
				server.Close(context.Background())
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), `nodes[1] "docker-1"`) {
				t.Errorf("Open: %v, want %q", err, test.want)
			}
		})
	}
}
