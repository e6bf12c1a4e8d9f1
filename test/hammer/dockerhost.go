package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
)

// Labels by which a container is known: the first is ours, in every Compose file, the second Compose's.
const (
	versionLabel  = "hammer.version"
	projectLabel  = "com.docker.compose.project"
	projectPrefix = "lockstep-"
)

// dockerHost is a Docker Engine that the server reaches through a proxy. The witness, who sits at the engine itself,
// keeps the diary: the KMS is in the server, which is not asked whether it asked.
type dockerHost struct {
	engine  *dockertest.Engine
	cuts    *proxy
	disk    hostdisk.Disk // of the server's driver
	diary   *diary
	witness *witness
}

func (w *world) newDockerHost(ctx context.Context) (*dockerHost, error) {
	engine, err := dockertest.Open()
	if err != nil {
		return nil, err
	}
	h := &dockerHost{engine: engine, disk: hostdisk.Disk(filepath.Join(w.dir, "host")), diary: w.diary}
	w.closers = append(w.closers, h.close)
	socket, unix := strings.CutPrefix(engine.Host, "unix://")
	if !unix {
		return nil, fmt.Errorf("the engine is at %s, want one at a socket of this machine, which can be cut off", engine.Host)
	}
	h.cuts, err = newProxy(ctx, func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "unix", socket) })
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, h.cuts.close)
	h.witness = newWitness(engine, h.disk, w.owner, w.keeper, w.diary)
	w.closers = append(w.closers, h.witness.close)
	return h, nil
}

// close takes everything of the run off the engine, which may be one that stays.
func (h *dockerHost) close() error {
	defer h.engine.Close()
	entries, err := os.ReadDir(string(h.disk))
	if errors.Is(err, os.ErrNotExist) {
		return nil // no server got so far
	}
	for _, e := range entries {
		err = errors.Join(err, h.engine.RemoveCVMs(context.Background(), e.Name()))
	}
	return err
}

func (h *dockerHost) node(*server) (settings string, leave func() error) {
	return fmt.Sprintf("driver: docker, dir: %q, docker: {host: %q, compose: %q}", h.disk, "tcp://"+h.cuts.address(), h.engine.Compose),
		func() error { return nil }
}

func (h *dockerHost) good(version int64) string {
	return h.compose(version, h.engine.Image, fmt.Sprintf(`serve, "%d"`, version))
}

// bad is a version of one of four kinds.
func (h *dockerHost) bad(version int64) string {
	switch version % 4 {
	case 0:
		return h.compose(version, h.engine.Image, `crash, "3"`)
	case 1:
		return h.compose(version, h.engine.Image, fmt.Sprintf(`sick, "%d"`, version))
	case 2:
		return h.compose(version, "lockstep.test/no-such-image:1", "serve")
	default:
		return h.compose(version, "lockstep.test/no-such-image:1\n    pull_policy: never", "serve")
	}
}

func (h *dockerHost) compose(version int64, image, command string) string {
	return fmt.Sprintf(`services:
  web:
    image: %s
    command: [%s]
    labels: {%s: "%d"}
    healthcheck: {test: [CMD, /app, check], interval: 500ms, timeout: 5s, retries: 5}
`, image, command, versionLabel, version)
}

func (h *dockerHost) expect(version int64, g grant) {
	h.witness.expect(strconv.FormatInt(version, 10), g)
}

func (h *dockerHost) fail(random *rand.Rand) string {
	if random.IntN(2) == 0 {
		h.diary.disturb(onDocker, "connections cut")
		h.cuts.cut()
		return "connections to the engine cut"
	}
	h.diary.disturb(onDocker, "cut off")
	h.cuts.setDown(true)
	return "engine cut off"
}

func (h *dockerHost) mend() { h.cuts.setDown(false) }

func (h *dockerHost) settle(ctx context.Context) error { return h.witness.settle(ctx) }

func (h *dockerHost) names(context.Context) (map[string]string, error) { return nil, nil }

// look asks the engine which version runs, and reads what the driver keeps on disk. What runs counts only when the
// driver says that it measured just that.
func (h *dockerHost) look(ctx context.Context, vmUUID string) (hosted, error) {
	record, err := h.disk.CVM(vmUUID).ReadRecord()
	if err != nil {
		return hosted{}, err
	}
	document, err := h.disk.CVM(vmUUID).ReadDocument(record.Config)
	if err != nil {
		return hosted{}, err
	}
	seen := hosted{state: runtime.StateStopped, holds: appcompose.Hash(document), error: record.BootError}
	if record.Started {
		seen.state = runtime.StateExited
	}
	list, err := h.engine.Client.ContainerList(ctx, client.ContainerListOptions{
		Filters: client.Filters{}.Add("label", projectLabel+"="+projectPrefix+vmUUID), // those that run
	})
	if err != nil {
		return hosted{}, err
	}
	for _, container := range list.Items {
		seen.state = runtime.StateRunning
		version := container.Labels[versionLabel]
		switch g, ok := h.witness.known(version); {
		case len(list.Items) > 1:
			seen.error = fmt.Sprintf("%d containers run, want one", len(list.Items))
		case !ok || g.app != record.AppID:
			seen.error = fmt.Sprintf("a container of version %q runs, which is none of the app", version)
		case g.hash != record.Measured:
			seen.error = fmt.Sprintf("version %s of %s runs, and the driver measured %s", version, g.hash, record.Measured)
		default:
			seen.runs = g.hash
		}
	}
	return seen, nil
}
