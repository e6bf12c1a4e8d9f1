package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
)

// streamsOfAKey is how many event streams a server lets one API key open.
const streamsOfAKey = 5

// watchedCVMs is how many CVMs the streams are about.
const watchedCVMs = 50

// watching is what the process of the clients is told.
type watching struct {
	Address string   `json:"address"`
	Keys    []string `json:"keys"`
	CVMs    []string `json:"cvms"`
	Streams int      `json:"streams"`
}

// measureWatchers opens event streams from another process and compares the memory of the server with what it took
// before.
func measureWatchers(ctx context.Context, env *environment) ([]figure, error) {
	dir, err := os.MkdirTemp("", "lockstep-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder that stays does no harm
	server, err := startServed(ctx, env, dir, fmt.Sprintf(simConfig, dir))
	if err != nil {
		return nil, err
	}
	defer server.stop()
	plan := watching{Address: server.address, Streams: env.watchers}
	err = inParallel(ctx, watchedCVMs, func(ctx context.Context, i int) error { return server.create(ctx, cvmName(i)) })
	if err == nil {
		err = server.settled(ctx)
	}
	if err != nil {
		return nil, err
	}
	for i := range watchedCVMs {
		plan.CVMs = append(plan.CVMs, cvmName(i))
	}
	if plan.Keys, err = server.keys(ctx, (env.watchers+streamsOfAKey-1)/streamsOfAKey, control.ScopeRead); err != nil {
		return nil, err
	}
	before, err := server.atRest(ctx)
	if err != nil {
		return nil, err
	}
	clients, err := startWatching(ctx, filepath.Join(dir, "watch.json"), plan)
	if err != nil {
		return nil, err
	}
	defer clients.stop()
	after, err := server.atRest(ctx)
	if err != nil {
		return nil, err
	}
	open, err := server.metric(ctx, "lockstep_http_event_streams")
	if err != nil {
		return nil, err
	}
	if int(open) != env.watchers {
		return nil, fmt.Errorf("%.0f streams are open, want %d", open, env.watchers)
	}
	stacks, err := server.metric(ctx, "go_memstats_stack_inuse_bytes")
	if err != nil {
		return nil, err
	}
	heap, err := server.metric(ctx, "go_memstats_heap_inuse_bytes")
	if err != nil {
		return nil, err
	}
	end := env.profile("watchers")
	each := (after - before) * 1000 / float64(env.watchers)
	end()
	return []figure{{
		name: fmt.Sprintf("memory of each of %d event streams", env.watchers), ours: fmt.Sprintf("%.1f KB, %.0f MB in all (heap %.0f, stacks %.0f)", each, after, heap/1e6, stacks/1e6),
		baseline: fmt.Sprintf("%.0f MB without", before), value: each, unit: "KB", limit: 30, atMost: true,
	}}, nil
}

// atRest is the memory of the server when it has had time to collect garbage, in MB.
func (s *served) atRest(ctx context.Context) (float64, error) {
	select {
	case <-time.After(10 * time.Second):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return s.resident()
}

// watchers is the process of the clients.
type watchers struct{ command *exec.Cmd }

// startWatching starts the clients in a process of their own, whose memory and files do not count, and returns when
// every stream has brought its first event.
func startWatching(ctx context.Context, file string, plan watching) (*watchers, error) {
	text, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &watchers{command: exec.CommandContext(ctx, program, "-watch", file)}
	w.command.Stderr = os.Stderr
	out, err := w.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.command.Start(); err != nil {
		return nil, err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != allOpen+"\n" {
		w.stop()
		return nil, fmt.Errorf("clients of event streams: said %q: %w", line, err)
	}
	return w, nil
}

func (w *watchers) stop() {
	_ = w.command.Process.Signal(os.Interrupt)
	_ = w.command.Wait() // how it ends does not matter here
}

// allOpen is what the clients say when all streams are open.
const allOpen = "all streams are open"

// watchStreams is the process of the clients: it opens the streams and keeps them open until it is interrupted.
func watchStreams(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var plan watching
	if err := json.Unmarshal(text, &plan); err != nil {
		return err
	}
	var first sync.WaitGroup
	var failed atomic.Pointer[error]
	slots := make(chan struct{}, clients) // of those that have not begun yet
	for i := range plan.Streams {
		slots <- struct{}{}
		first.Add(1)
		go func() {
			begun := sync.OnceFunc(func() { <-slots; first.Done() })
			defer begun()
			if err := watchOne(ctx, plan, i, begun); err != nil {
				failed.Store(&err)
			}
		}()
	}
	first.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	fmt.Println(allOpen)
	<-ctx.Done()
	return nil
}

// watchOne opens a stream for a status that the CVM does not reach, and reads it to its end. It speaks HTTP by hand:
// thousands of clients must not take more of the machine than the server does.
func watchOne(ctx context.Context, plan watching, i int, begun func()) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", plan.Address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it was only read
	_, err = fmt.Fprintf(conn, "GET /api/v1/cvms/%s/state?target=stopped&interval=30&timeout=600 HTTP/1.1\r\nHost: bench\r\nX-Api-Key: %s\r\n\r\n",
		plan.CVMs[i%len(plan.CVMs)], plan.Keys[i/streamsOfAKey])
	if err != nil {
		return err
	}
	var head strings.Builder
	buffer := make([]byte, 1024)
	for !strings.Contains(head.String(), "event: state") {
		n, err := conn.Read(buffer)
		head.Write(buffer[:n])
		if err != nil || head.Len() > 1<<16 {
			return errors.Join(err, fmt.Errorf("stream %d began with %q", i, head.String()))
		}
	}
	begun()
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, conn, buffer[:256])
	if ctx.Err() != nil {
		return nil // it was told to end
	}
	return err
}
