package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/examples"
)

// TestOfficialCLI runs the official `phala` command line.
func TestOfficialCLI(t *testing.T) {
	t.Parallel()
	needNode(t)
	cloud := startCloud(t)
	phala := newPhala(t, cloud)
	seed := cloud.cvm(t, onChain)

	t.Run("status", func(t *testing.T) {
		var status struct {
			Success            bool
			APIURL, APIVersion string
		}
		phala.json(t, &status, "status", "--json")
		if !status.Success || status.APIURL != cloud.APIURL || status.APIVersion != "2026-01-21" {
			t.Errorf("got %+v", status)
		}
	})
	t.Run("whoami", func(t *testing.T) {
		if out := phala.ok(t, "whoami"); !strings.Contains(out, "(") {
			t.Errorf("got %q, want the user and the workspace", out)
		}
	})
	t.Run("cvms get", func(t *testing.T) {
		for _, identifier := range []string{seed.Name, seed.AppID} {
			var cvm struct {
				ID, Status string
				KMSType    string `json:"kms_type"`
			}
			phala.json(t, &cvm, "cvms", "get", identifier, "--json")
			if cvm.ID != seed.ID || cvm.Status != "running" || cvm.KMSType != seed.KMSType {
				t.Errorf("%s: got %+v", identifier, cvm)
			}
		}
	})
	t.Run("cvms get of another workspace", func(t *testing.T) {
		stranger := newPhala(t, cloud)
		stranger.apiKey = cloud.SecondAPIKey
		out, err := stranger.run(t, "cvms", "get", seed.ID, "--json")
		if err == nil || !strings.Contains(out, "not found") {
			t.Errorf("got %v, %s", err, out)
		}
	})
	t.Run("cvms list-nodes", func(t *testing.T) {
		var list struct {
			Nodes   []struct{ Name string }
			KMSList []struct{ Slug string } `json:"kmsList"`
		}
		phala.json(t, &list, "cvms", "list-nodes", "--json")
		if len(list.Nodes) != 1 || len(list.KMSList) != 3 {
			t.Errorf("got %+v", list)
		}
	})
	t.Run("nodes list", func(t *testing.T) {
		if out := phala.ok(t, "nodes", "list"); !strings.Contains(out, "local-1") {
			t.Errorf("the node local-1 is not in %s", out)
		}
	})
	t.Run("kms list", func(t *testing.T) {
		if out := phala.ok(t, "kms", "list"); !strings.Contains(strings.ToLower(out), strings.ToLower(cloud.KMSContract)) {
			t.Errorf("the KMS contract %s is not in %s", cloud.KMSContract, out)
		}
	})
	t.Run("api", func(t *testing.T) {
		var page struct{ Total int }
		phala.json(t, &page, "api", "/cvms/paginated", "-f", "page_size=1")
		if page.Total < len(cloud.CVMs) {
			t.Errorf("got %d CVMs, want at least %d", page.Total, len(cloud.CVMs))
		}
	})
	t.Run("inside", func(t *testing.T) { inside(t, cloud, phala) })
	t.Run("deploy with an off-chain KMS", func(t *testing.T) {
		phala.deploy(t, "cli-phala", "-e", "GREETING=hello")
	})
	t.Run("deploy with an on-chain KMS", func(t *testing.T) {
		phala.deploy(t, "cli-chain", "--kms", "ethereum", "--private-key", cloud.OwnerKey, "--rpc-url", cloud.RPCURL)
	})
	t.Run("deploy with the other on-chain KMS", func(t *testing.T) {
		phala.deploy(t, "cli-base", "--kms", "base", "--private-key", cloud.OwnerKey, "--rpc-url", cloud.RPCURL)
	})
	t.Run("start, stop, restart and delete", func(t *testing.T) {
		phala.deploy(t, "cli-power")
		client := cloud.client(t)
		for _, step := range []struct {
			args []string
			want api.CVMStatus
		}{
			{[]string{"cvms", "stop", "cli-power"}, api.StatusStopped},
			{[]string{"cvms", "start", "cli-power"}, api.StatusRunning},
			{[]string{"cvms", "restart", "cli-power"}, api.StatusRunning},
		} {
			phala.ok(t, step.args...)
			awaitStatus(t, client, "cli-power", step.want)
		}
		phala.ok(t, "cvms", "delete", "cli-power", "-y")
		if out, err := phala.run(t, "cvms", "get", "cli-power", "--json"); err == nil {
			t.Errorf("it is still there: %s", out)
		}
	})
	t.Run("deploy without a key", func(t *testing.T) {
		out, err := phala.run(t, "deploy", "-n", "cli-nokey", "-c", phala.composeFile, "--kms", "ethereum", "--json")
		if err == nil {
			t.Errorf("it went through:\n%s", out)
		}
	})
	t.Run("deploy of a broken file", func(t *testing.T) {
		broken := filepath.Join(t.TempDir(), "broken.yml")
		if err := os.WriteFile(broken, []byte("services: ["), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := phala.run(t, "deploy", "-n", "cli-broken", "-c", broken, "--json")
		if err == nil || !strings.Contains(out, "YAML") {
			t.Errorf("got %v, %s", err, out)
		}
	})
}

// phala is the command line as a user has it: a home of its own, the key and the API in variables.
type phala struct {
	cloud       *cloud
	apiKey      string
	home        string
	composeFile string
}

func newPhala(t *testing.T, c *cloud) *phala {
	t.Helper()
	p := &phala{cloud: c, apiKey: c.APIKey, home: t.TempDir()}
	p.composeFile = filepath.Join(p.home, "docker-compose.yml")
	if err := os.WriteFile(p.composeFile, []byte(examples.ComposeV1), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs the command in its home, where no phala.toml and no SSH key lies, and returns everything it
// said.
func (p *phala) run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	script, err := filepath.Abs(filepath.Join("node_modules", "phala", "dist", "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, "node", append([]string{script}, args...)...)
	command.Dir = p.home
	command.Env = p.environment()
	out, err := command.CombinedOutput()
	return string(out), err
}

// environment is what the command reads. CI keeps it from asking a package registry for updates.
func (p *phala) environment() []string {
	return bareEnvironment("CI=1", "HOME="+p.home, "PHALA_CLOUD_DIR="+filepath.Join(p.home, "phala"),
		"PHALA_CLOUD_API_PREFIX="+p.cloud.APIURL, "PHALA_CLOUD_API_KEY="+p.apiKey)
}

func (p *phala) ok(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.run(t, args...)
	if err != nil {
		t.Fatalf("phala %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// json decodes the JSON object that a command prints, which may follow lines of progress.
func (p *phala) json(t *testing.T, into any, args ...string) {
	t.Helper()
	out := p.ok(t, args...)
	begin := strings.Index(out, "{")
	if begin < 0 {
		t.Fatalf("phala %s printed no JSON:\n%s", strings.Join(args, " "), out)
	}
	if err := json.NewDecoder(strings.NewReader(out[begin:])).Decode(into); err != nil {
		t.Fatalf("phala %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// awaitStatus follows the event stream until the CVM is in a state.
func awaitStatus(t *testing.T, client *lockstep.Client, cvm string, want api.CVMStatus) {
	t.Helper()
	for event, err := range client.WatchCVMState(withPatience(t), cvm, lockstep.WatchOptions{Target: want}) {
		if err != nil {
			t.Fatalf("watch %s: %v", cvm, err)
		}
		if event.Name == api.EventComplete {
			return
		}
	}
	t.Fatalf("the watch of %s ended before it was %s", cvm, want)
}

var appIDForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

// deploy creates a CVM and waits until it runs exactly the file.
func (p *phala) deploy(t *testing.T, name string, args ...string) {
	t.Helper()
	var deployed struct {
		Success bool
		VMUUID  string `json:"vm_uuid"`
		Name    string
		AppID   string `json:"app_id"`
	}
	p.json(t, &deployed, append([]string{"deploy", "-n", name, "-c", p.composeFile, "--json"}, args...)...)
	if !deployed.Success || deployed.Name != name || !appIDForm.MatchString(deployed.AppID) {
		t.Fatalf("got %+v", deployed)
	}
	client := p.cloud.client(t)
	awaitRunning(t, client, deployed.VMUUID)
	text, err := client.GetDockerCompose(withPatience(t), deployed.VMUUID)
	if err != nil || !bytes.Equal([]byte(text), []byte(examples.ComposeV1)) {
		t.Errorf("the CVM runs %q, %v", text, err)
	}
}
