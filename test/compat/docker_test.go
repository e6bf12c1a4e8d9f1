package compat

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/devcloud"
	"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest"
)

// TestOfficialSDKOnDocker runs a script of the official SDK against a cloud whose CVMs are Compose projects on a
// Docker Engine. The cloud is in this process, because how long an update may take is no flag of `lockstep dev`.
func TestOfficialSDKOnDocker(t *testing.T) {
	needNode(t)
	engine := dockertest.Shared(t)
	readyFile := startDockerCloud(t, engine)
	lines := runScript(t, "docker", "LOCKSTEP_READY_FILE="+readyFile, "LOCKSTEP_TEST_IMAGE="+engine.Image,
		"LOCKSTEP_TEST_PORT="+strconv.Itoa(freePort(t)))
	for _, line := range lines {
		t.Run(line.Name, func(t *testing.T) {
			t.Logf("%d ms", line.Milliseconds)
			if !line.OK {
				t.Error(line.Problem)
			}
		})
	}
}

// startDockerCloud starts a cloud on an engine, and removes what it made there with the test.
func startDockerCloud(t *testing.T, engine *dockertest.Engine) (readyFile string) {
	t.Helper()
	timeouts := control.DefaultTimeouts()
	timeouts.TxLookup, timeouts.TxInterval, timeouts.Retry = time.Second, 50*time.Millisecond, 200*time.Millisecond
	timeouts.Healthy = 4 * time.Second // how long what cannot be pulled is tried for
	cloud, err := devcloud.Start(t.Context(), devcloud.Config{
		Listen: "127.0.0.1:0", RPCListen: "127.0.0.1:0", ChainID: 31337, Timeouts: timeouts,
		Docker:  &app.DockerConfig{Host: engine.Host, Compose: engine.Compose},
		Compose: "services: {web: {image: " + engine.Image + "}}\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		// A cloud that is not kept leaves nothing on the engine.
		for _, cvm := range cloud.Ready.CVMs {
			if n := engine.Containers(t, cvm.VMUUID); n != 0 {
				t.Errorf("%d containers of %s are left on the engine", n, cvm.Name)
				engine.Remove(t, cvm.VMUUID)
			}
		}
	})
	readyFile = filepath.Join(t.TempDir(), "ready.json")
	ready, err := json.Marshal(cloud.Ready)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(readyFile, ready, 0o600); err != nil {
		t.Fatal(err)
	}
	return readyFile
}

// freePort is a port that nobody listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
