package sim_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// stages are the boot_progress words on the console since the last call.
func stages(t *testing.T, node *sim.Node, skip int) []string {
	t.Helper()
	var words []string
	for _, line := range consoleLines(t, node) {
		if word, ok := strings.CutPrefix(line, "dstack: "); ok {
			words = append(words, word)
		}
	}
	return words[skip:]
}

func consoleLines(t *testing.T, node *sim.Node) []string {
	t.Helper()
	return strings.Split(readLog(t, node, runtime.LogOptions{}), "\n")
}

func TestStagesInOrder(t *testing.T) {
	script := func(fields map[string]any) { fields["pre_launch_script"] = "echo hi" }
	for name, test := range map[string]struct {
		change func(map[string]any)
		want   []sim.Stage // of the first boot
	}{
		"plain": {
			func(f map[string]any) { f["gateway_enabled"] = false },
			[]sim.Stage{"booting", "requesting app keys", "initializing data disk", "data disk ready", "setting up docker", "starting containers", "done"},
		},
		"everything": {
			func(f map[string]any) { script(f); f["init_script"] = "true" },
			[]sim.Stage{"booting", "requesting app keys", "initializing data disk", "data disk ready", "setting up dstack-gateway", "setting up docker", "init-script", "pre-launch", "starting containers", "done"},
		},
		"old gateway name, list of init scripts": {
			func(f map[string]any) {
				f["gateway_enabled"] = false
				f["tproxy_enabled"] = true
				f["init_script"] = []string{"true"}
			},
			[]sim.Stage{"booting", "requesting app keys", "initializing data disk", "data disk ready", "setting up dstack-gateway", "setting up docker", "init-script", "starting containers", "done"},
		},
		"bash": {
			func(f map[string]any) {
				f["gateway_enabled"] = false
				f["runner"] = "bash"
				f["bash_script"] = "exit 0"
			},
			[]sim.Stage{"booting", "requesting app keys", "initializing data disk", "data disk ready", "setting up docker", "running main script", "done"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			node := open(t, sim.Config{})
			create(t, node, document(t, webCompose, test.change))
			status := boot(t, node)
			if status.State != runtime.StateRunning {
				t.Fatalf("status: %+v", status)
			}
			want := make([]string, len(test.want))
			for i, stage := range test.want {
				want[i] = string(stage)
			}
			if got := stages(t, node, 0); !slices.Equal(got, want) {
				t.Errorf("first boot went through\n%q, want\n%q", got, want)
			}
			stop(t, node)
			boot(t, node)
			want[2] = "mounting data disk" // the disk is there now
			if got := stages(t, node, len(want)+1); !slices.Equal(got, want) {
				t.Errorf("second boot went through\n%q, want\n%q", got, want)
			}
		})
	}
}

func TestStageDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := open(t, sim.Config{StageDelay: func(stage sim.Stage) time.Duration {
			if stage == sim.StageHealthCheck {
				return time.Hour
			}
			return time.Second
		}})
		create(t, node, document(t, "services: {web: {image: a, healthcheck: {test: [CMD, x]}}}", nil))
		start := time.Now()
		if err := node.Start(t.Context(), cvmID); err != nil {
			t.Fatal(err)
		}
		up := await(t, node, func(s runtime.Status) bool { return s.State == runtime.StateRunning })
		if got := time.Since(start); got != 8*time.Second {
			t.Errorf("8 stages of a second took %v", got)
		}
		if up.Health != runtime.HealthStarting || up.Services[0].Health != runtime.HealthStarting || up.Services[0].Status != "Up 1 second (health: starting)" {
			t.Errorf("before the health check: %+v", up)
		}
		up = await(t, node, settled)
		if got := time.Since(start); got != time.Hour+8*time.Second || up.Health != runtime.HealthHealthy {
			t.Errorf("healthy after %v: %+v", got, up)
		}
		if up.Services[0].Status != "Up About an hour (healthy)" {
			t.Errorf("container status is %q", up.Services[0].Status)
		}
		start = time.Now()
		stop(t, node)
		if got := time.Since(start); got != time.Second {
			t.Errorf("powering off took %v, want 1s", got)
		}
	})
}

// TestGuestAsksAsAKMSWould checks what the KMS is told, and the identity of the instance in it.
func TestGuestAsksAsAKMSWould(t *testing.T) {
	var asked []kms.BootInfo
	seed := strings.Repeat("s", 20)
	config := sim.Config{
		DeviceID: [32]byte{0xde},
		Rand:     strings.NewReader(seed + strings.Repeat("c", 3*32)),
		Authorizer: kms.AuthorizerFunc(func(_ context.Context, info kms.BootInfo) (kms.Decision, error) {
			asked = append(asked, info)
			return kms.Decision{Allowed: true}, nil
		}),
	}
	node := open(t, config)
	doc := document(t, webCompose, nil)
	create(t, node, doc)
	status := boot(t, node)

	app, _ := hex.DecodeString(appID)
	instance := sha256.Sum256(append([]byte(seed), app...))
	info := asked[0]
	if info.AppID != [20]byte(app) || info.ComposeHash != appcompose.Hash(doc) || info.DeviceID != config.DeviceID ||
		info.OSImageHash != sim.SimulatedImageHash("dstack-0.5.5") || info.TCBStatus != "UpToDate" {
		t.Errorf("the KMS was told %+v", info)
	}
	if hex.EncodeToString(info.InstanceID) != hex.EncodeToString(instance[:20]) || status.InstanceID != hex.EncodeToString(instance[:20]) {
		t.Errorf("instance id is %x and %s, want %x", info.InstanceID, status.InstanceID, instance[:20])
	}
	if info.MRSystem == [32]byte{} || info.MRAggregated == [32]byte{} {
		t.Error("measurements are zero")
	}

	stop(t, node)
	other := document(t, webCompose, func(f map[string]any) { f["no_instance_id"] = true })
	apply(t, node, other)
	if status := boot(t, node); status.InstanceID != "" {
		t.Errorf("instance id with no_instance_id is %s, want none", status.InstanceID)
	}
	if len(asked) != 2 || len(asked[1].InstanceID) != 0 || asked[1].ComposeHash != appcompose.Hash(other) {
		t.Errorf("the KMS was told %+v", asked)
	}
	if asked[1].MRSystem != info.MRSystem || asked[1].MRAggregated == info.MRAggregated {
		t.Error("mr_system must not depend on the document, mr_aggregated must")
	}
}

// TestGuestMeasuresWhatItReads changes the document behind the node's back: what the KMS is asked about
// is what boots, never what was once handed over.
func TestGuestMeasuresWhatItReads(t *testing.T) {
	approved := document(t, webCompose, nil)
	dir := t.TempDir()
	node := open(t, sim.Config{Dir: dir, Authorizer: kms.AllowlistAuthorizer{
		Allowed: func(_ context.Context, _ [20]byte, hash [32]byte) (bool, error) {
			return hash == appcompose.Hash(approved), nil
		},
	}})
	create(t, node, approved)
	if status := boot(t, node); status.RunningHash != appcompose.Hash(approved) {
		t.Fatalf("status: %+v", status)
	}
	overwrite(t, dir, append(approved, '\n'))
	if status, _ := node.Status(t.Context(), cvmID); status.RunningHash != appcompose.Hash(approved) {
		t.Errorf("a write to the disk changed what runs: %+v", status)
	}
	stop(t, node)
	status := boot(t, node)
	const want = "failed to request app keys: App not allowed: Boot denied: Compose hash not allowed"
	if status.State != runtime.StateExited || status.BootError != want || status.BootProgress != "requesting app keys" {
		t.Errorf("status: %+v, want boot error %q", status, want)
	}
}

func TestKMSWithoutDecisionIsAskedAgain(t *testing.T) {
	for _, test := range []struct {
		failures int
		took     time.Duration
		state    runtime.State
	}{
		{0, 0, runtime.StateRunning},
		{2, 3 * time.Second, runtime.StateRunning},
		{3, 3 * time.Second, runtime.StateExited}, // a fourth try would succeed, but only three are made
	} {
		synctest.Test(t, func(t *testing.T) {
			tries := 0
			config := sim.Config{
				AuthorizeTries:      3,
				AuthorizeRetryDelay: time.Second,
				Authorizer: kms.AuthorizerFunc(func(context.Context, kms.BootInfo) (kms.Decision, error) {
					if tries++; tries <= test.failures {
						return kms.Decision{Allowed: true}, errors.New("connection refused")
					}
					return kms.Decision{Allowed: true}, nil
				}),
			}
			node := open(t, config)
			create(t, node, document(t, webCompose, nil))
			start := time.Now()
			status := boot(t, node)
			if status.State != test.state || time.Since(start) != test.took {
				t.Errorf("%d failures: %s after %v, want %s after %v", test.failures, status.State, time.Since(start), test.state, test.took)
			}
			const want = "failed to request app keys: no decision from the KMS in 3 tries: connection refused"
			if test.state == runtime.StateExited && status.BootError != want {
				t.Errorf("boot error is %q, want %q", status.BootError, want)
			}
		})
	}
}
