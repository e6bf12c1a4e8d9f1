package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack"
)

// runVMMSim runs the command until the test ends it, and returns what its ready file says.
func runVMMSim(t *testing.T, args ...string) (ready vmmSimReady, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	file := filepath.Join(t.TempDir(), "ready.json")
	cmd := newVMMSim()
	cmd.SetArgs(append(args, "--ready-file", file))
	cmd.SetOut(new(bytes.Buffer))
	ended := make(chan error, 1)
	go func() { ended <- cmd.ExecuteContext(ctx) }()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for {
		text, err := os.ReadFile(file)
		if err == nil {
			if err := json.Unmarshal(text, &ready); err != nil {
				t.Fatal(err)
			}
			return ready, func() error {
				cancel()
				err := <-ended
				if _, left := os.Stat(file); !errors.Is(left, fs.ErrNotExist) {
					t.Errorf("the ready file is left: %v", left)
				}
				return err
			}
		}
		select {
		case err := <-ended:
			t.Fatalf("vmm-sim ended: %v", err)
		case <-ticker.C:
		}
	}
}

func TestVMMSimKeepsItsVMs(t *testing.T) {
	const id = "0b0c7a43-91a5-4c39-bd0c-0f1d1c2b3a49"
	data := t.TempDir()
	document := []byte(`{"manifest_version":2,"name":"a","runner":"docker-compose","gateway_enabled":true,"public_logs":true,"docker_compose_file":"services: {web: {image: x}}"}`)
	socket := filepath.Join(t.TempDir(), "vmm.sock")
	for round, listen := range []string{"127.0.0.1:0", "unix:" + socket, "unix:" + socket} {
		ready, stop := runVMMSim(t, "--listen", listen, "--agent-listen", "127.0.0.1:0", "--data", data, "--token", "secret", "--kms-authorize", "allow-all", "--keys-dir", filepath.Join(data, "keys"))
		driver, err := dstack.New(dstack.Config{URL: ready.URL, Token: "secret", AgentURL: ready.AgentURL})
		if err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			if err := driver.Create(t.Context(), runtime.Spec{
				ID: id, Name: "a", AppID: strings.Repeat("0a", 20), Image: "dstack-0.5.5", Resources: runtime.Resources{VCPU: 1, MemoryMB: 64, DiskGB: 1},
				Config: runtime.Config{Document: document},
			}); err != nil {
				t.Fatal(err)
			}
			if err := driver.Start(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		status, err := runtime.Await(t.Context(), driver, id, time.Millisecond, func(s runtime.Status) bool {
			return s.State == runtime.StateRunning && s.Health == runtime.HealthHealthy
		})
		if err != nil {
			t.Fatalf("round %d: %+v, %v", round, status, err)
		}
		log, err := driver.Logs(t.Context(), id, runtime.LogOptions{Container: "web"})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		log.Close()
		driver.Close()
		if err := stop(); err != nil {
			t.Errorf("round %d: vmm-sim ended with %v", round, err)
		}
	}
}

func TestVMMSimRefuses(t *testing.T) {
	data := t.TempDir()
	for want, args := range map[string][]string{
		"--data is empty":      {"--kms-authorize", "allow-all"},
		"want --kms-authorize": {"--data", data},
		"--kms-authorize is":   {"--data", data, "--kms-authorize", "deny-all"},
		"without --rpc-url":    {"--data", data, "--kms-authorize", "allow-all", "--rpc-url", "http://127.0.0.1:1"},
		"40 hex digits":        {"--data", data, "--rpc-url", "http://127.0.0.1:1", "--kms-contract", "0x12"},
		"device":               {"--data", data, "--kms-authorize", "allow-all", "--device-id", "12"},
	} {
		cmd := newVMMSim()
		cmd.SetArgs(args)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want an error with %q", args, err, want)
		}
	}
}
