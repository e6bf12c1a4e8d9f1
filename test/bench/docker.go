package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest"
)

// dockerUpdates is how many updates are measured, each way.
const dockerUpdates = 9

// measureDocker compares an update through Lockstep on a Docker Engine with `docker compose up` of the same change
// on the same engine, in turn.
func measureDocker(ctx context.Context, env *environment) ([]figure, error) {
	engine, err := dockertest.Open()
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	dir, err := os.MkdirTemp("", "lockstep-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder that stays does no harm
	b := &dockerBench{engine: engine, dir: dir}
	defer b.plainDown()
	if err := b.start(ctx, env); err != nil {
		return nil, err
	}
	defer b.stop(ctx)
	var ours, oursAnswers, plain, plainAnswers []time.Duration
	for i := range dockerUpdates + 1 {
		version := strconv.Itoa(i + 1)
		done, answers, err := timedUpdate(ctx, b.ours, version, func() error { return b.update(ctx, version) })
		if err != nil {
			return nil, fmt.Errorf("update through Lockstep: %w", err)
		}
		plainDone, answersPlain, err := timedUpdate(ctx, b.plain, version, func() error { return b.plainUp(ctx, version) })
		if err != nil {
			return nil, fmt.Errorf("docker compose up: %w", err)
		}
		if i > 0 { // the first ones create what later ones replace
			ours, oursAnswers = append(ours, done), append(oursAnswers, answers)
			plain, plainAnswers = append(plain, plainDone), append(plainAnswers, answersPlain)
		}
	}
	return []figure{{
		name: "update on Docker until healthy / docker compose up --wait", ours: median(ours).String(), baseline: median(plain).String(),
		value: ratio(ours, plain), unit: "x the time", limit: 1.3, atMost: true,
	}, {
		name: "… until the new version answers over HTTP, both", ours: median(oursAnswers).String(), baseline: median(plainAnswers).String(),
		value: ratio(oursAnswers, plainAnswers), unit: "x the time", limit: 1.3, atMost: true,
	}}, nil
}

// dockerBench is an app that is updated both ways, each on a port of its own.
type dockerBench struct {
	engine      *dockertest.Engine
	dir         string
	cloud       *cloud
	client      *lockstep.Client
	ours, plain int // ports
}

func (b *dockerBench) start(ctx context.Context, env *environment) error {
	var err error
	if b.ours, err = unusedPort(ctx); err != nil {
		return err
	}
	if b.plain, err = unusedPort(ctx); err != nil {
		return err
	}
	// `lockstep dev` takes engine and plugin from its surroundings.
	if err := os.Symlink(b.engine.Compose, filepath.Join(b.dir, "docker-compose")); err != nil {
		return err
	}
	seed := filepath.Join(b.dir, "seed.yml")
	if err := os.WriteFile(seed, []byte("services: {web: {image: "+b.engine.Image+"}}\n"), 0o600); err != nil {
		return err
	}
	for name, value := range map[string]string{"PATH": b.dir + ":" + os.Getenv("PATH"), "DOCKER_HOST": b.engine.Host} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	if b.cloud, err = startCloud(ctx, env, filepath.Join(b.dir, "cloud"), "--runtime", "docker", "--compose", seed); err != nil {
		return err
	}
	b.client, err = lockstep.NewClient(lockstep.WithBaseURL(b.cloud.ready.APIURL), lockstep.WithAPIKey(b.cloud.ready.APIKey))
	return err
}

// stop ends the cloud and removes its CVMs: the engine may be one that stays.
func (b *dockerBench) stop(ctx context.Context) {
	b.cloud.stop()
	entries, err := os.ReadDir(filepath.Join(b.dir, "cloud", "data", "docker"))
	for _, e := range entries {
		err = errors.Join(err, b.engine.RemoveCVMs(context.WithoutCancel(ctx), e.Name()))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func (b *dockerBench) compose(version string, port int) string {
	return fmt.Sprintf(`services:
  web:
    image: %s
    command: [serve, "%s"]
    ports: ["127.0.0.1:%d:8080"]
    healthcheck: {test: [CMD, /app, check], interval: 500ms, retries: 20}
`, b.engine.Image, version, port)
}

// update takes the off-chain CVM, whose owner has no transaction to send, to a version.
func (b *dockerBench) update(ctx context.Context, version string) error {
	id := b.cloud.ready.CVMs[0].ID
	if _, err := b.client.UpdateDockerCompose(ctx, id, b.compose(version, b.ours)); err != nil {
		return err
	}
	for event, err := range b.client.WatchCVMState(ctx, id, lockstep.WatchOptions{}) {
		if err != nil || event.Name == api.EventComplete {
			return err
		}
	}
	return fmt.Errorf("the watch ended before version %s ran", version)
}

func (b *dockerBench) plainUp(ctx context.Context, version string) error {
	return b.docker(ctx, b.compose(version, b.plain), "up", "--detach", "--remove-orphans", "--wait")
}

func (b *dockerBench) plainDown() {
	_ = b.docker(context.Background(), b.compose("0", b.plain), "down") // the engine goes, or its owner sees what is left
}

func (b *dockerBench) docker(ctx context.Context, text string, args ...string) error {
	command := exec.CommandContext(ctx, b.engine.Compose, append([]string{"--project-name", "lockstep-bench-plain", "--file", "-"}, args...)...)
	command.Env = append(os.Environ(), "DOCKER_HOST="+b.engine.Host)
	command.Stdin = strings.NewReader(text)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// timedUpdate runs an update and tells how long it took, and how long it took until the version answered.
func timedUpdate(ctx context.Context, port int, version string, update func() error) (done, answers time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	began := time.Now()
	answered := make(chan error, 1)
	go func() {
		err := awaitVersion(ctx, port, version)
		answers = time.Since(began)
		answered <- err
	}()
	if err := update(); err != nil {
		return 0, 0, err
	}
	done = time.Since(began)
	err = <-answered
	return done, answers, err
}

func awaitVersion(ctx context.Context, port int, version string) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/", port), http.NoBody)
	if err != nil {
		return err
	}
	for {
		response, err := client.Do(request)
		if err == nil {
			text, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if strings.HasPrefix(string(text), "version "+version+" ") {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func unusedPort(ctx context.Context) (int, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }() // nobody has connected
	return listener.Addr().(*net.TCPAddr).Port, nil
}
