package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// measureStart compares the start of our program with that of the official CLI: CPU and all.
func measureStart(ctx context.Context, env *environment) ([]figure, error) {
	phala := filepath.Join(env.nodeModules, ".bin", "phala")
	var ours, theirs []time.Duration
	for i := range 12 {
		a, err := runFor(ctx, env.lockstep, "version")
		if err != nil {
			return nil, err
		}
		b, err := runFor(ctx, phala, "--version")
		if err != nil {
			return nil, err
		}
		if i > 1 { // the first runs read the programs from disk
			ours, theirs = append(ours, a), append(theirs, b)
		}
	}
	return []figure{{
		name: "start of lockstep version / phala --version", ours: median(ours).String(), baseline: median(theirs).String(),
		value: ratio(theirs, ours), unit: "x faster", limit: 20,
	}}, nil
}

func runFor(ctx context.Context, program string, args ...string) (time.Duration, error) {
	command := exec.CommandContext(ctx, program, args...)
	command.Env = append(os.Environ(), "CI=1")
	began := time.Now()
	if out, err := command.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return time.Since(began), nil
}

const memoryConfig = `database_url: sqlite:%[1]s/lockstep.db
listen: %[2]s
kms:
  - {slug: off, type: phala, url: "https://kms.test", version: "1", keys_dir: %[1]s/kms}
  - {slug: on, type: ethereum, url: "https://kms.test", version: "1", keys_dir: %[1]s/kms, chain_id: 1337,
     rpc_urls: ["http://127.0.0.1:9"], contract_address: "0x0000000000000000000000000000000000000001"}
nodes:
  - {id: 1, name: node-1, driver: sim, dir: %[1]s/node, images: [{name: dstack-0.5.5, version: [0, 5, 5]}],
     capacity: {cvms: 100, vcpu: 100, memory_mb: 100000}}
`

// measureMemory looks at a server that has answered a few requests and is idle.
func measureMemory(ctx context.Context, env *environment) ([]figure, error) {
	dir, err := os.MkdirTemp("", "lockstep-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder that stays does no harm
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "lockstep.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, memoryConfig, dir, address), 0o600); err != nil {
		return nil, err
	}
	server := exec.CommandContext(ctx, env.server, "serve", "--config", config)
	if err := server.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait() // how it ends does not matter here
	}()
	if err := untilReady(ctx, "http://"+address+"/readyz"); err != nil {
		return nil, err
	}
	time.Sleep(10 * time.Second) // idle
	rss, err := residentMB(server.Process.Pid)
	return []figure{{
		name: "memory of an idle server (resident)", ours: fmt.Sprintf("%.1f MB", rss), baseline: "60 MB", value: rss, unit: "MB", limit: 60, atMost: true,
	}}, err
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func untilReady(ctx context.Context, url string) error {
	for range 200 {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close() // only the status counts
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the server was not ready in 10 s")
}

// residentMB reads VmRSS, in units of 1,000,000 bytes.
func residentMB(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib * 1024 / 1e6, err
		}
	}
	return 0, errors.New("no VmRSS in /proc/PID/status")
}
