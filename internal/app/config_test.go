package app

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/lockstep-cvm/lockstep/internal/control"
)

const goodConfig = `
database_url: sqlite:from-file.db
listen: 127.0.0.1:1
finality: safe
kms:
  - {slug: off, type: phala, url: "https://kms.test", version: "1", keys_dir: keys}
nodes:
  - {id: 1, name: node-1, driver: sim, dir: node, images: [{name: dstack-0.5.5, version: [0, 5, 5]}], capacity: {cvms: 1, vcpu: 1, memory_mb: 2048}}
`

func load(t *testing.T, file string, environ []string, args ...string) (Config, error) {
	t.Helper()
	path := ""
	if file != "" {
		path = filepath.Join(t.TempDir(), "lockstep.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	ConfigFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(path, func() []string { return environ }, flags)
}

func TestFlagsOverEnvironmentOverFile(t *testing.T) {
	config, err := load(t, goodConfig, []string{"LOCKSTEP_LISTEN=127.0.0.1:2", "LOCKSTEP_FINALITY=12", "LOCKSTEP_API_KEY=secret", "LOCKSTEP_LOG_LEVEL="}, "--listen", "127.0.0.1:3")
	if err != nil {
		t.Fatal(err)
	}
	if config.Listen != "127.0.0.1:3" || config.Finality != "12" || config.DatabaseURL != "sqlite:from-file.db" || config.Log.Level != "info" {
		t.Errorf("config = %+v", config)
	}
	if len(config.KMS) != 1 || config.KMS[0].Slug != "off" || len(config.Nodes) != 1 || config.Nodes[0].Capacity.MemoryMB != 2048 {
		t.Errorf("lists = %+v %+v", config.KMS, config.Nodes)
	}
}

func TestListsFromTheEnvironment(t *testing.T) {
	config, err := load(t, "", []string{`LOCKSTEP_KMS=[{"slug":"base","type":"base","chain_id":8453,"rpc_urls":["https://a.test","https://b.test"]}]`, "LOCKSTEP_ORIGINS=[https://app.test]"})
	if err != nil {
		t.Fatal(err)
	}
	if len(config.KMS) != 1 || config.KMS[0].ChainID != 8453 || len(config.KMS[0].RPCURLs) != 2 || len(config.Origins) != 1 {
		t.Errorf("config = %+v", config)
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	for name, test := range map[string]struct {
		file    string
		environ []string
		args    []string
		want    string
	}{
		"unknown setting":   {file: "databse_url: sqlite:x", want: "unknown setting databse_url; known here: database_url"},
		"unknown member":    {file: "nodes: [{title: x}]", want: "unknown setting nodes[0].title"},
		"wrong type":        {file: "nodes: [{id: abc}]", want: "nodes[0].id"},
		"broken YAML":       {file: "nodes: [", want: "lockstep.yaml"},
		"bad finality":      {args: []string{"--finality", "soon"}, want: "finality"},
		"half of TLS":       {environ: []string{"LOCKSTEP_TLS_CERT_FILE=x"}, want: "tls.key_file"},
		"list that is none": {environ: []string{"LOCKSTEP_KMS=off"}, want: "LOCKSTEP_KMS"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, test.file, test.environ, test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want it to name %q", err, test.want)
			}
		})
	}
}

func serverConfig(t *testing.T, dir string) Config {
	t.Helper()
	config := DefaultConfig()
	config.DatabaseURL, config.Listen = "sqlite:"+filepath.Join(dir, "lockstep.db"), "127.0.0.1:0"
	config.KMS = []KMSConfig{{Slug: "off", Type: "phala", URL: "https://kms.test", Version: "1", KeysDir: filepath.Join(dir, "kms")}}
	config.Nodes = []NodeConfig{{
		ID: 1, Name: "node-1", Driver: "sim", Dir: filepath.Join(dir, "node"),
		Images: []ImageConfig{{Name: "dstack-0.5.5", Version: []int64{0, 5, 5}}}, Capacity: CapacityConfig{CVMs: 1, VCPU: 1, MemoryMB: 2048},
	}}
	return config
}

func TestServerStartsAnswersAndStartsAgain(t *testing.T) {
	config := serverConfig(t, t.TempDir())
	for range 2 {
		s, err := Open(t.Context(), config, Options{})
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(s.APIURL(), "/api/v1")
		for path, want := range map[string]int{"/readyz": 200, "/metrics": 200, "/openapi.json": 200, "/api/v1/auth/me": 401} {
			response, err := http.Get(base + path)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("GET %s = %d, want %d", path, response.StatusCode, want)
			}
		}
		second, err := Open(t.Context(), config, Options{})
		if err == nil {
			second.Close(context.Background())
			t.Error("a second server opened the same database")
		}
		if err := s.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*Config)
		want  string
	}{
		"unknown driver":   {func(c *Config) { c.Nodes[0].Driver = "qemu" }, `"qemu", want sim`},
		"no image":         {func(c *Config) { c.Nodes[0].Images = nil }, "OS image"},
		"bad device":       {func(c *Config) { c.Nodes[0].DeviceID = "12" }, "device id"},
		"bad KMS type":     {func(c *Config) { c.KMS[0].Type = "aws" }, `"aws", want phala`},
		"chain without id": {func(c *Config) { c.KMS[0].Type = "base" }, "chain_id"},
		"same slug twice":  {func(c *Config) { c.KMS = append(c.KMS, c.KMS[0]) }, "twice"},
		"address taken":    {func(c *Config) { c.Listen = "127.0.0.1:-1" }, "listen on"},
		"bad database":     {func(c *Config) { c.DatabaseURL = "mysql://x" }, "sqlite:PATH"},
	} {
		t.Run(name, func(t *testing.T) {
			config := serverConfig(t, t.TempDir())
			test.spoil(&config)
			s, err := Open(t.Context(), config, Options{})
			if err == nil {
				s.Close(context.Background())
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want it to say %q", err, test.want)
			}
		})
	}
}

func TestTimeoutsAreDurations(t *testing.T) {
	config, err := load(t, goodConfig+"timeouts: {stop: 2s, healthy: 90s}\n", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, want := config.Timeouts.over(control.Timeouts{}), control.DefaultTimeouts()
	want.Stop, want.Healthy = 2*time.Second, 90*time.Second
	if got != want {
		t.Errorf("timeouts = %+v, want %+v", got, want)
	}
	if _, err := load(t, goodConfig+"timeouts: {stop: soon}\n", nil); err == nil || !strings.Contains(err.Error(), "stop") {
		t.Errorf("error = %v, want one that names the setting", err)
	}
}
