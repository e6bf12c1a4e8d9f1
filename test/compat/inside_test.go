package compat

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
)

// composeThatTalks is an app whose containers have something to say.
const composeThatTalks = `services:
  web:
    image: nginx:1.27
    labels: {lockstep.sim.log: "web says one\nweb says two\nweb says three"}
  cache:
    image: redis:7
    container_name: the-cache
    labels: {lockstep.sim.log: cache is warm}
`

// inside runs what the official command line has for looking into a CVM.
func inside(t *testing.T, cloud *cloud, phala *phala) {
	client := cloud.client(t)
	seed := cloud.cvm(t, offChain)
	result, err := client.UpdateDockerCompose(withPatience(t), seed.ID, composeThatTalks)
	inProgress(t, result, err)
	awaitRunning(t, client, seed.ID)

	t.Run("cvms list", func(t *testing.T) {
		out := phala.ok(t, "cvms", "list")
		for _, cvm := range cloud.CVMs {
			if !strings.Contains(out, cvm.Name) {
				t.Errorf("%s is not in\n%s", cvm.Name, out)
			}
		}
		if !strings.Contains(strings.ToLower(out), "running") {
			t.Errorf("no CVM runs in\n%s", out)
		}
	})
	t.Run("apps", func(t *testing.T) {
		if out := phala.ok(t, "apps", "--search", seed.Name); !strings.Contains(out, seed.Name) || strings.Contains(out, cloud.cvm(t, onChain).Name) {
			t.Errorf("got\n%s", out)
		}
	})
	t.Run("instances ls", func(t *testing.T) {
		if out := phala.ok(t, "instances", "ls", "--app-id", seed.AppID); !strings.Contains(strings.ToLower(out), "running") {
			t.Errorf("got\n%s", out)
		}
	})
	t.Run("runtime-config", func(t *testing.T) {
		if out := phala.ok(t, "runtime-config", seed.Name); !strings.Contains(out, "gateway.local.test") {
			t.Errorf("got\n%s", out)
		}
	})
	t.Run("ps", func(t *testing.T) {
		var list struct {
			Containers []struct {
				Names []string
				State string
			}
		}
		phala.json(t, &list, "ps", seed.Name, "--json")
		if len(list.Containers) != 2 || list.Containers[1].Names[0] != "/the-cache" || list.Containers[0].State != "running" {
			t.Errorf("got %+v", list)
		}
		if out := phala.ok(t, "ps", seed.Name); !strings.Contains(out, "the-cache") || !strings.Contains(out, "Less than a minute ago") {
			t.Errorf("got\n%s", out)
		}
	})
	t.Run("logs", func(t *testing.T) {
		for _, tt := range []struct {
			name      string
			args      []string
			want, not string
		}{
			{"of the first container", nil, "web says three", "cache"},
			{"of a container", []string{"the-cache"}, "cache is warm", "web"},
			{"the last line", []string{"-n", "1"}, "web says three", "web says two"},
			{"with times", []string{"the-cache", "-t"}, "Z cache is warm", "web"},
			{"since", []string{"--since", "1h"}, "web says one", ""},
			{"until", []string{"--until", "2020-01-01T00:00:00Z"}, "", "web"},
			{"serial", []string{"--serial"}, "booting", "web says"},
			{"serial, the last line", []string{"--serial", "-n", "1"}, "", "booting"},
			{"stdout of the VM", []string{"--cvm-stdout"}, "", "web says"},
			{"with stderr", []string{"the-cache", "--stderr"}, "cache is warm", "web"},
		} {
			out := phala.ok(t, append(append([]string{"logs"}, tt.args...), "--cvm-id", seed.Name)...)
			if !strings.Contains(out, tt.want) || tt.not != "" && strings.Contains(out, tt.not) {
				t.Errorf("%s: got %q, want %q and not %q", tt.name, out, tt.want, tt.not)
			}
		}
	})
	t.Run("logs --follow", func(t *testing.T) { follow(t, client, phala, seed.Name) })
	t.Run("logs of a container that is not there", func(t *testing.T) {
		out, err := phala.run(t, "logs", "nobody", "--cvm-id", seed.Name)
		if err == nil || !strings.Contains(out, "not found") {
			t.Errorf("got %v, %s", err, out)
		}
	})
}

// follow runs `phala logs -f`, and writes to the log that it follows by updating the CVM: a console goes on
// across boots.
func follow(t *testing.T, client *lockstep.Client, phala *phala, cvm string) {
	t.Helper()
	script, err := filepath.Abs(filepath.Join("node_modules", "phala", "dist", "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	said := &output{}
	command := exec.CommandContext(withPatience(t), "node", script, "logs", "--serial", "-f", "-n", "1", "--cvm-id", cvm)
	command.Dir, command.Stdout, command.Stderr = phala.home, said, said
	command.Env = phala.environment()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = command.Process.Kill()
		_ = command.Wait() // it was killed, and says so
	}()
	until := func(what string, reached func(string) bool) {
		t.Helper()
		look := time.NewTicker(20 * time.Millisecond)
		defer look.Stop()
		for !reached(said.String()) {
			select {
			case <-look.C:
			case <-withPatience(t).Done():
				t.Fatalf("%s did not come; phala said %q", what, said.String())
			}
		}
	}
	until("the last line", func(s string) bool { return strings.Count(s, "\n") >= 1 })
	before := strings.Count(said.String(), "\n")
	result, err := client.UpdateDockerCompose(withPatience(t), cvm, composeThatTalks+"# again\n")
	inProgress(t, result, err)
	until("what the next boot says", func(s string) bool { return strings.Count(s, "\n") > before+3 })
	awaitRunning(t, client, cvm)
}

// The Go SDK reads the same.
func TestGoSDKInside(t *testing.T) {
	t.Parallel()
	cloud := startCloud(t)
	client := cloud.client(t)
	seed := cloud.cvm(t, offChain)
	ctx := withPatience(t)
	found, err := client.GetCVMComposition(ctx, seed.ID)
	if err != nil || !found.IsOnline || len(found.Containers) == 0 {
		t.Fatalf("composition: %+v, %v", found, err)
	}
	log, err := client.ConsoleLog(ctx, seed.ID, api.LogChannelSerial, lockstep.LogOptions{Tail: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(log); err != nil || strings.Count(text.String(), "\n") != 3 {
		t.Errorf("console: %q, %v", text.String(), err)
	}
	var names []string
	for app, err := range client.ListApps(ctx, lockstep.AppFilter{}, lockstep.ListOptions{PageSize: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, app.Name)
	}
	if len(names) != len(cloud.CVMs) || !slices.Contains(names, seed.Name) {
		t.Errorf("apps %q", names)
	}
}
