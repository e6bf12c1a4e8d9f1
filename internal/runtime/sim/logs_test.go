package sim_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

func TestFollowGoesOnAcrossBoots(t *testing.T) {
	node := open(t, sim.Config{})
	create(t, node, document(t, `services: {web: {image: "a:1"}}`, nil))
	boot(t, node)
	follow := func(options runtime.LogOptions) *bufio.Scanner {
		options.Follow = true
		reader, err := node.Logs(t.Context(), cvmID, options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { reader.Close() })
		return bufio.NewScanner(reader)
	}
	expect := func(s *bufio.Scanner, want string) {
		t.Helper()
		if !s.Scan() || s.Text() != want {
			t.Fatalf("line is %q, %v; want %q", s.Text(), s.Err(), want)
		}
	}
	web := follow(runtime.LogOptions{Container: "web"})
	console := follow(runtime.LogOptions{Tail: 1})
	expect(web, "web: simulated start, image a:1")
	expect(console, "dstack: done")
	stop(t, node)
	expect(console, "dstack: powering off")
	apply(t, node, document(t, `services: {web: {image: "a:2"}}`, nil))
	boot(t, node)
	expect(web, "web: simulated start, image a:2")
	expect(console, "dstack: booting")
	if err := node.CrashContainer(cvmID, "web", 9); err != nil {
		t.Fatal(err)
	}
	expect(web, "web: simulated exit with code 9")
	// The log of a container is that of its present run.
	if got := readLog(t, node, runtime.LogOptions{Container: "web"}); strings.Contains(got, "a:1") {
		t.Errorf("log of the new container is %q", got)
	}
}

func TestLogKeepsTheLastLines(t *testing.T) {
	var text strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&text, "line %d\\n", i)
	}
	node := open(t, sim.Config{})
	create(t, node, document(t, `services: {web: {image: a, labels: {lockstep.sim.log: "`+text.String()+`"}}}`, nil))
	boot(t, node)
	lines := strings.Split(strings.TrimSuffix(readLog(t, node, runtime.LogOptions{Container: "web"}), "\n"), "\n")
	if len(lines) != 1000 || lines[0] != "line 500" || lines[999] != "line 1499" {
		t.Errorf("%d lines from %q to %q, want the last 1000", len(lines), lines[0], lines[len(lines)-1])
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	node := open(t, sim.Config{})
	create(t, node, document(t, webCompose, nil))
	ctx, cancel := context.WithCancel(t.Context())
	reader, err := node.Logs(ctx, cvmID, runtime.LogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := reader.Read(make([]byte, 10)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Read after the context ended: %d, %v", n, err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
}
