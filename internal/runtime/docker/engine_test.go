package docker_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/docker"
	"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest"
)

const (
	cvmID = dockertest.SuiteCVM
	appID = "00112233445566778899aabbccddeeff00112233"
)

// rig is a driver on the engine, with a CVM to be.
type rig struct {
	*docker.Driver
	t      *testing.T
	engine *dockertest.Engine
	kms    *switchedKMS
	config docker.Config
}

func newRig(t *testing.T, change ...func(*docker.Config)) *rig {
	t.Helper()
	engine := dockertest.Shared(t)
	engine.Sweep(t)
	r := &rig{t: t, engine: engine, kms: &switchedKMS{}}
	r.config = docker.Config{Host: engine.Host, Compose: engine.Compose, Dir: t.TempDir(), Authorizer: r.kms, EnvDecrypter: clearEnv{}}
	for _, c := range change {
		c(&r.config)
	}
	r.Driver = open(t, r.config)
	return r
}

// clearEnv opens environments that are JSON and not encrypted at all.
type clearEnv struct{}

func (clearEnv) DecryptEnv(_ context.Context, _ [20]byte, text []byte) (env []kms.EnvVar, err error) {
	return env, json.Unmarshal(text, &env)
}

func sealed(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var env []kms.EnvVar
	for i := 0; i < len(pairs); i += 2 {
		env = append(env, kms.EnvVar{Key: pairs[i], Value: pairs[i+1]})
	}
	text, err := json.Marshal(env)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// document makes a document of a compose text and further fields.
func document(t *testing.T, compose string, more map[string]any) []byte {
	t.Helper()
	fields := map[string]any{"manifest_version": 2, "name": "app", "runner": "docker-compose", "docker_compose_file": compose}
	for name, value := range more {
		fields[name] = value
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// boot creates the CVM, or stops it and applies the configuration, and boots it.
func (r *rig) boot(config runtime.Config) runtime.Status {
	r.t.Helper()
	ctx := r.t.Context()
	spec := runtime.Spec{ID: cvmID, Name: "app", AppID: appID, Image: "dstack-0.5.5", Config: config}
	if err := r.Create(ctx, spec); err != nil {
		r.t.Fatal(err)
	}
	r.halt()
	if err := r.Apply(ctx, cvmID, config); err != nil {
		r.t.Fatal(err)
	}
	if err := r.Start(ctx, cvmID); err != nil {
		r.t.Fatal(err)
	}
	return r.await(func(s runtime.Status) bool {
		return s.State == runtime.StateExited || s.State == runtime.StateRunning && s.Health != runtime.HealthStarting
	})
}

func (r *rig) halt() {
	r.t.Helper()
	if err := r.Stop(r.t.Context(), cvmID, runtime.StopOptions{}); err != nil {
		r.t.Fatal(err)
	}
	r.await(func(s runtime.Status) bool { return s.State == runtime.StateStopped })
}

func (r *rig) await(done func(runtime.Status) bool) runtime.Status {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 3*time.Minute)
	defer cancel()
	status, err := runtime.Await(ctx, r.Driver, cvmID, time.Second, done)
	if err != nil {
		r.t.Fatalf("waiting: %v; last status %+v\nconsole:\n%s", err, status, r.log(""))
	}
	return status
}

func (r *rig) mustRun(s runtime.Status) {
	r.t.Helper()
	if s.State != runtime.StateRunning || s.Health != runtime.HealthHealthy {
		r.t.Fatalf("status %+v\nconsole:\n%s", s, r.log(""))
	}
}

func (r *rig) log(container string) string {
	r.t.Helper()
	log, err := r.Logs(context.Background(), cvmID, runtime.LogOptions{Container: container})
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	text, err := io.ReadAll(log)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// get asks the app over the port that the engine published for it.
func (r *rig) get(s runtime.Status) string {
	r.t.Helper()
	if len(s.Services) == 0 || len(s.Services[0].Ports) == 0 {
		r.t.Fatalf("no published port: %+v", s.Services)
	}
	return dockertest.Get(r.t, s.Services[0].Ports[0].Host)
}

func (r *rig) web(command, more string) string {
	return fmt.Sprintf("services:\n  web:\n    image: %s\n    command: %s\n    ports: [\"127.0.0.1::8080\"]\n"+
		"    healthcheck: {test: [CMD, /app, check], interval: 200ms, retries: 25}\n%s", r.engine.Image, command, more)
}

const greeting = "    environment: {GREETING: \"${GREETING-nothing} ${OTHER-nothing}\"}\n"

func TestAppGetsAllowedEnvironmentOnly(t *testing.T) {
	r := newRig(t)
	s := r.boot(runtime.Config{
		Document:     document(t, r.web("[serve, one]", greeting), map[string]any{"allowed_envs": []string{"GREETING", "DOCKER_HOST"}}),
		EncryptedEnv: sealed(t, "GREETING", "it's \"$a\" secret", "OTHER", "not allowed", "DOCKER_HOST", "tcp://127.0.0.1:9"),
	})
	r.mustRun(s)
	if got, want := r.get(s), `version one greeting "it's \"$a\" secret nothing"`; strings.TrimSpace(got) != want {
		t.Errorf("the app says %s, want %s", got, want)
	}
	console := r.log("")
	if strings.Contains(console, "secret") || !strings.Contains(console, "DOCKER_HOST steers Docker") {
		t.Errorf("console: %s", console)
	}
	// Nothing with a login, a secret or a script stays in the folder.
	left, err := filepath.Glob(filepath.Join(r.config.Dir, cvmID, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if name := filepath.Base(path); name != "instance.json" && name != "app" && !strings.HasPrefix(name, "config-") {
			t.Errorf("%s is left in the folder of the CVM", name)
		}
	}
}

func TestPreLaunchScript(t *testing.T) {
	script := func(text string) map[string]any {
		return map[string]any{"pre_launch_script": text, "allowed_envs": []string{"GREETING"}}
	}
	t.Run("what it exports is seen by the compose text", func(t *testing.T) {
		r := newRig(t)
		s := r.boot(runtime.Config{
			Document:     document(t, r.web("[serve, one]", greeting), script("#!/bin/bash\necho it runs\nexport OTHER=\"$GREETING twice\" DOCKER_HOST=tcp://127.0.0.1:9\nfalse\n")),
			EncryptedEnv: sealed(t, "GREETING", "hello"),
		})
		r.mustRun(s)
		if got, want := r.get(s), `version one greeting "hello hello twice"`; strings.TrimSpace(got) != want {
			t.Errorf("the app says %s, want %s", got, want)
		}
		if console := r.log(""); !strings.Contains(console, "it runs") {
			t.Errorf("console: %s", console)
		}
	})
	for name, test := range map[string]struct{ text, want string }{
		"fails":         {"echo what is wrong >&2; exit 7", "exit status 7: what is wrong"},
		"ends the boot": {"exit 0", "ended the boot with exit 0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			s := r.boot(runtime.Config{Document: document(t, r.web("[serve, one]", ""), script(test.text))})
			if s.State != runtime.StateExited || !strings.Contains(s.BootError, "pre-launch") || !strings.Contains(s.BootError, test.want) {
				t.Errorf("status %+v, want a boot error with %q", s, test.want)
			}
		})
	}
	t.Run("is refused", func(t *testing.T) {
		r := newRig(t, func(c *docker.Config) { c.PreLaunch = docker.PreLaunchRefuse })
		s := r.boot(runtime.Config{Document: document(t, r.web("[serve, one]", ""), script("touch ran"))})
		if s.State != runtime.StateExited || !strings.Contains(s.BootError, "pre_launch_script is refused") {
			t.Errorf("status %+v", s)
		}
		if _, err := os.Stat(filepath.Join(r.config.Dir, cvmID, "app", "ran")); err == nil {
			t.Error("the script was run")
		}
	})
}

func TestVolumesSurviveUpdatesAndRemoveLeavesNothing(t *testing.T) {
	r := newRig(t)
	text := func(version string) string {
		return r.web("[serve, "+version+"]", "    volumes: [\"kept:/kept\"]\n") + "volumes: {kept: {}}\n"
	}
	created := func() string {
		volumes, err := r.engine.Client.VolumeList(t.Context(), client.VolumeListOptions{
			Filters: client.Filters{}.Add("label", "com.docker.compose.project=lockstep-"+cvmID),
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(volumes.Items) == 0 {
			return ""
		}
		return volumes.Items[0].Name + " of " + volumes.Items[0].CreatedAt
	}
	r.mustRun(r.boot(runtime.Config{Document: document(t, text("one"), nil)}))
	first := created()
	if first == "" {
		t.Fatal("the app has no volume")
	}
	r.mustRun(r.boot(runtime.Config{Document: document(t, text("two"), nil)}))
	if after := created(); after != first {
		t.Errorf("volume is %q after an update, want %q as before", after, first)
	}
	if err := r.Remove(t.Context(), cvmID); err != nil {
		t.Fatal(err)
	}
	if left := created(); left != "" {
		t.Errorf("volume %s is there after Remove", left)
	}
	if _, err := os.Stat(filepath.Join(r.config.Dir, cvmID)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the CVM is there after Remove: %v", err)
	}
}

func TestServiceThatFailsIsNamedInTheBootError(t *testing.T) {
	r := newRig(t)
	text := fmt.Sprintf("services:\n  web:\n    image: %[1]s\n    depends_on: {job: {condition: service_completed_successfully}}\n"+
		"  job: {image: %[1]s, command: [crash, \"4\"]}\n  always: {image: %[1]s, restart: always}\n", r.engine.Image)
	s := r.boot(runtime.Config{Document: document(t, text, nil)})
	for _, want := range []string{"failed to start containers", "service job: Exited (4)", "last lines:\nabout to fail\nboom"} {
		if !strings.Contains(s.BootError, want) {
			t.Errorf("boot error %q, want %q in it", s.BootError, want)
		}
	}
	running, err := r.engine.Client.ContainerList(t.Context(), client.ContainerListOptions{
		Filters: client.Filters{}.Add("label", "com.docker.compose.project=lockstep-"+cvmID),
	})
	if err != nil || len(running.Items) != 0 {
		t.Errorf("containers that run after a failed boot: %+v, %v", running.Items, err)
	}
}

func TestWhatOnlyAGuestCanDoIsRefused(t *testing.T) {
	r := newRig(t)
	for want, fields := range map[string]map[string]any{
		`unsupported runner: "bash"`: {"runner": "bash", "bash_script": "true"},
		"init_script":                {"init_script": "true"},
		"manifest_version":           {"manifest_version": 9},
	} {
		if s := r.boot(runtime.Config{Document: document(t, r.web("[serve, one]", ""), fields)}); s.State != runtime.StateExited || !strings.Contains(s.BootError, want) {
			t.Errorf("status %+v, want a boot error with %q", s, want)
		}
	}
}

func TestPrepareChangesNothingAndFindsWhatWouldNotBoot(t *testing.T) {
	r := newRig(t)
	one := document(t, r.web("[serve, one]", ""), nil)
	before := r.boot(runtime.Config{Document: one})
	r.mustRun(before)
	ctx := t.Context()
	for name, test := range map[string]struct {
		config runtime.Config
		want   string
	}{
		"good":                      {runtime.Config{Document: document(t, r.web("[serve, two]", ""), nil)}, ""},
		"no such image":             {runtime.Config{Document: document(t, "services: {web: {image: \"lockstep.test/none:1\"}}", nil)}, "lockstep.test"},
		"image that may not come":   {runtime.Config{Document: document(t, "services: {web: {image: \"lockstep.test/none:1\", pull_policy: never}}", nil)}, "pull_policy is never"},
		"variable that is missing":  {runtime.Config{Document: document(t, r.web("[serve, \"${VERSION:?give a version}\"]", ""), nil)}, "give a version"},
		"text that is no compose":   {runtime.Config{Document: document(t, "services: [web]", nil)}, "services"},
		"environment is not opened": {runtime.Config{Document: one, EncryptedEnv: []byte("no ciphertext")}, "failed to decrypt env"},
		"no document":               {runtime.Config{Document: []byte("{}")}, "manifest_version"},
	} {
		t.Run(name, func(t *testing.T) {
			err := r.Prepare(ctx, cvmID, test.config)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Prepare: %v, want %q", err, test.want)
			}
			if errors.Is(err, runtime.ErrUnreachable) {
				t.Errorf("Prepare: %v, which says nothing about the document", err)
			}
		})
	}
	r.kms.deny("Compose hash not allowed")
	if err := r.Prepare(ctx, cvmID, runtime.Config{Document: one}); err == nil || !strings.Contains(err.Error(), "Boot denied: Compose hash not allowed") {
		t.Errorf("Prepare of what the KMS denies: %v", err)
	}
	if err := r.Prepare(ctx, "00000000-0000-4000-8000-000000000000", runtime.Config{Document: one}); !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("Prepare of an unknown CVM: %v", err)
	}
	after, err := r.Status(ctx, cvmID)
	if err != nil || after.RunningHash != appcompose.Hash(one) || after.NextHash != before.NextHash || after.Services[0].ID != before.Services[0].ID {
		t.Errorf("status after Prepare is %+v, %v; before %+v", after, err, before)
	}
}

func TestContainersThatSomebodyTookAway(t *testing.T) {
	r := newRig(t)
	doc := document(t, r.web("[serve, one]", ""), nil)
	r.mustRun(r.boot(runtime.Config{Document: doc}))
	r.engine.Remove(t, cvmID)
	s := r.await(func(s runtime.Status) bool { return s.State == runtime.StateExited })
	if !s.RunningHash.IsZero() || len(s.Services) != 0 {
		t.Errorf("status %+v", s)
	}
	if err := r.Start(t.Context(), cvmID); err != nil {
		t.Fatal(err)
	}
	r.mustRun(r.await(func(s runtime.Status) bool { return s.Health == runtime.HealthHealthy }))
}

// TestStoppedCVMStaysDown plays an engine that restarts and starts containers by itself.
func TestStoppedCVMStaysDown(t *testing.T) {
	r := newRig(t)
	s := r.boot(runtime.Config{Document: document(t, r.web("[serve, one]", "    restart: always\n"), nil)})
	r.mustRun(s)
	r.halt()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	container := s.Services[0].ID
	comesDown := func(how string) {
		t.Helper()
		wait := r.engine.Client.ContainerWait(ctx, container, client.ContainerWaitOptions{})
		select {
		case <-wait.Result:
		case err := <-wait.Error:
			t.Fatalf("%s: %v", how, err)
		}
	}
	start := func() {
		t.Helper()
		if _, err := r.engine.Client.ContainerStart(ctx, container, client.ContainerStartOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	start()
	comesDown("started while the driver listens")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	start()
	r.Driver = open(t, r.config)
	comesDown("started before the driver was opened")
	if s, err := r.Status(ctx, cvmID); err != nil || s.State != runtime.StateStopped {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestInstanceIDIsDstacks(t *testing.T) {
	r := newRig(t, func(c *docker.Config) { c.Rand = strings.NewReader(strings.Repeat("seed", 5)) })
	s := r.boot(runtime.Config{Document: document(t, r.web("[serve, one]", ""), nil)})
	// SHA-256 of the seed and the app id, cut to 20 bytes.
	want := wantInstance(t, strings.Repeat("seed", 5), appID)
	if s.InstanceID != want {
		t.Errorf("instance id %s, want %s", s.InstanceID, want)
	}
}

// TestSystemInfo: the machine is the engine's, the memory in use is that of the CVM's containers.
func TestSystemInfo(t *testing.T) {
	r := newRig(t)
	r.mustRun(r.boot(runtime.Config{Document: document(t, r.web("[serve, one]", ""), nil)}))
	machine, err := r.engine.Client.Info(t.Context(), client.InfoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := r.SystemInfo(t.Context(), cvmID)
	if err != nil {
		t.Fatal(err)
	}
	if info.CPUs != int64(machine.Info.NCPU) || info.TotalMemory != uint64(machine.Info.MemTotal) || info.KernelVersion != machine.Info.KernelVersion || info.OSName == "" {
		t.Errorf("SystemInfo: %+v, want the engine's machine: %+v", info, machine.Info)
	}
	// A Go web server takes at least its own code, and nothing near the whole machine.
	if info.UsedMemory < 100_000 || info.UsedMemory > info.TotalMemory/2 || info.Uptime <= 0 || len(info.Disks) != 0 {
		t.Errorf("SystemInfo: %+v", info)
	}
	if network, err := r.NetworkInfo(t.Context(), cvmID); network != nil || err != nil {
		t.Errorf("NetworkInfo: %+v, %v, want nothing: there is no gateway", network, err)
	}
	r.engine.Remove(t, cvmID)
	if info, err := r.SystemInfo(t.Context(), cvmID); !errors.Is(err, runtime.ErrConflict) {
		t.Errorf("SystemInfo without a container: %+v, %v, want ErrConflict", info, err)
	}
}

func TestProbe(t *testing.T) {
	r := newRig(t)
	m, err := r.Probe(t.Context())
	if err != nil || !m.Simulated || !strings.Contains(m.Version, "Docker Engine ") || !strings.Contains(m.Version, "Compose ") {
		t.Errorf("Probe: %+v, %v", m, err)
	}
	if info := r.Info(); info.TEE || info.Driver != "docker" {
		t.Errorf("Info: %+v", info)
	}
}

func wantInstance(t *testing.T, seed, app string) string {
	t.Helper()
	id, err := hex.DecodeString(app)
	if err != nil {
		t.Fatal(err)
	}
	return instanceOf(seed, id)
}

func instanceOf(seed string, app []byte) string {
	sum := sha256.Sum256(append([]byte(seed), app...))
	return hex.EncodeToString(sum[:20])
}
