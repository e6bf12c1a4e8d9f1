package sim_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

const (
	cvmID = "3f2b8a51-7d0e-4c4b-9a39-1d1f5b0c6e77"
	appID = "00112233445566778899aabbccddeeff00112233"
)

// document makes an app-compose document of a compose text.
func document(t *testing.T, compose string, change func(map[string]any)) []byte {
	t.Helper()
	fields := map[string]any{
		"manifest_version":    2,
		"name":                "app",
		"runner":              "docker-compose",
		"docker_compose_file": compose,
		"kms_enabled":         true,
		"gateway_enabled":     true,
	}
	if change != nil {
		change(fields)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const webCompose = "services:\n  web:\n    image: nginx:1\n"

var allowAll = kms.AuthorizerFunc(func(context.Context, kms.BootInfo) (kms.Decision, error) {
	return kms.Decision{Allowed: true}, nil
})

// open opens a node that the test closes at its end, unless it did so itself.
func open(t *testing.T, config sim.Config) *sim.Node {
	t.Helper()
	if config.Dir == "" {
		config.Dir = t.TempDir()
	}
	if config.Authorizer == nil {
		config.Authorizer = allowAll
	}
	node, err := sim.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	return node
}

func create(t *testing.T, node *sim.Node, document []byte) {
	t.Helper()
	spec := runtime.Spec{ID: cvmID, Name: "app", AppID: appID, Image: "dstack-0.5.5", Config: runtime.Config{Document: document}}
	if err := node.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
}

// settled says that nothing more will happen by itself.
func settled(s runtime.Status) bool {
	switch s.State {
	case runtime.StateRunning:
		return s.Health != runtime.HealthStarting
	case runtime.StateExited, runtime.StateStopped:
		return true
	default:
		return false
	}
}

func boot(t *testing.T, node *sim.Node) runtime.Status {
	t.Helper()
	if err := node.Start(t.Context(), cvmID); err != nil {
		t.Fatal(err)
	}
	return await(t, node, settled)
}

func await(t *testing.T, node *sim.Node, done func(runtime.Status) bool) runtime.Status {
	t.Helper()
	status, err := runtime.Await(t.Context(), node, cvmID, 0, done)
	if err != nil {
		t.Fatalf("await: %v; last status %+v", err, status)
	}
	return status
}

func TestBootRunsTheDocument(t *testing.T) {
	node := open(t, sim.Config{})
	doc := document(t, webCompose, nil)
	create(t, node, doc)
	status := boot(t, node)
	if status.State != runtime.StateRunning || status.Health != runtime.HealthHealthy || status.BootProgress != "done" {
		t.Fatalf("status after boot: %+v", status)
	}
	if status.RunningHash != appcompose.Hash(doc) {
		t.Errorf("running hash %s, want that of the document", status.RunningHash)
	}
	if len(status.Services) != 1 || status.Services[0].Container != "dstack-web-1" || !strings.HasPrefix(status.Services[0].Status, "Up ") {
		t.Errorf("services: %+v", status.Services)
	}
}
