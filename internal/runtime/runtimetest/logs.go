package runtimetest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

func logParts(b *bench) {
	b.create(b.document(Crash, 1))
	s := b.boot()
	all := lines(b.logs(runtime.LogOptions{Container: service}))
	fail, boom := slices.Index(all, "about to fail"), slices.Index(all, "boom")
	if fail < 0 || boom <= fail {
		b.t.Fatalf("log is %q, want the lines of the app in order", all)
	}
	if got := lines(b.logs(runtime.LogOptions{Container: s.Services[0].Container})); !slices.Equal(got, all) {
		b.t.Errorf("log by container name is %q, want %q as by service name", got, all)
	}
	for _, tail := range []int{1, 2, len(all), len(all) + 5} {
		want := all[max(0, len(all)-tail):]
		if got := lines(b.logs(runtime.LogOptions{Container: service, Tail: tail})); !slices.Equal(got, want) {
			b.t.Errorf("tail %d is %q, want %q", tail, got, want)
		}
	}
	if console := b.logs(runtime.LogOptions{}); console == "" {
		b.t.Error("the console is empty after a boot")
	}
	// The last words of what ran can be read after it was stopped.
	b.halt()
	if b.node.LogsEndWithRun {
		if _, err := b.rt.Logs(b.t.Context(), id, runtime.LogOptions{Container: service}); !errors.Is(err, runtime.ErrNoContainer) {
			b.t.Errorf("Logs of a container after Stop: %v, want ErrNoContainer", err)
		}
		return
	}
	if got := lines(b.logs(runtime.LogOptions{Container: service, Tail: len(all)})); !slices.Contains(got, "boom") {
		b.t.Errorf("log after Stop is %q, want what the app said", got)
	}
}

func logTimes(b *bench) {
	b.create(b.document(Crash, 1))
	b.boot()
	plain := lines(b.logs(runtime.LogOptions{Container: service}))
	stamped := lines(b.logs(runtime.LogOptions{Container: service, Timestamps: true}))
	if len(stamped) != len(plain) {
		b.t.Fatalf("%d lines with timestamps, %d without", len(stamped), len(plain))
	}
	var times []time.Time
	for i, line := range stamped {
		stamp, text, _ := strings.Cut(line, " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil || text != plain[i] {
			b.t.Fatalf("line %q, want a time and %q", line, plain[i])
		}
		times = append(times, at)
	}
	first, last := times[0], times[len(times)-1]
	for _, test := range []struct {
		name         string
		since, until time.Time
		want         []string
	}{
		{"since the first line", first, time.Time{}, plain},
		{"since after the last", last.Add(time.Second), time.Time{}, nil},
		{"until the first", time.Time{}, first, nil},
		{"until after the last", time.Time{}, last.Add(time.Second), plain},
		{"the whole span", first, last.Add(time.Second), plain},
	} {
		got := lines(b.logs(runtime.LogOptions{Container: service, Since: test.since, Until: test.until}))
		if !slices.Equal(got, test.want) {
			b.t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func logFollow(b *bench) {
	b.create(b.document(Healthy, 7))
	b.boot()
	for _, test := range []struct {
		name string
		end  func(reader io.Closer, cancel context.CancelFunc) error
	}{
		{"its context ended", func(_ io.Closer, cancel context.CancelFunc) error { cancel(); return nil }},
		{"it was closed", func(reader io.Closer, _ context.CancelFunc) error { return reader.Close() }},
		{"the CVM was removed", func(io.Closer, context.CancelFunc) error { return b.rt.Remove(b.t.Context(), id) }},
	} {
		patience := b.patient()
		ctx, cancel := context.WithCancel(patience)
		reader, scanner := b.follow(ctx)
		if !scanFor(scanner, "version 7") {
			b.t.Fatalf("following gave no line of the app: %v", scanner.Err())
		}
		if err := test.end(reader, cancel); err != nil {
			b.t.Fatalf("%s: %v", test.name, err)
		}
		// The reader may still give what was written before, but it comes to an end.
		for scanner.Scan() {
			b.t.Logf("further line: %s", scanner.Text())
		}
		if patience.Err() != nil {
			b.t.Errorf("following did not end when %s", test.name)
		}
		cancel()
		reader.Close()
	}
}

func (b *bench) follow(ctx context.Context) (io.ReadCloser, *bufio.Scanner) {
	b.t.Helper()
	reader, err := b.rt.Logs(ctx, id, runtime.LogOptions{Container: service, Follow: true})
	if err != nil {
		b.t.Fatalf("Logs with Follow: %v", err)
	}
	return reader, bufio.NewScanner(reader)
}

func scanFor(scanner *bufio.Scanner, line string) bool {
	for scanner.Scan() {
		if scanner.Text() == line {
			return true
		}
	}
	return false
}

func logErrors(b *bench) {
	b.create(b.document(Healthy, 1))
	b.boot()
	if _, err := b.rt.Logs(b.t.Context(), id, runtime.LogOptions{Container: "nobody"}); !errors.Is(err, runtime.ErrNoContainer) {
		b.t.Errorf("Logs of an unknown container: %v, want ErrNoContainer", err)
	}
	if _, err := b.rt.Logs(b.t.Context(), id, runtime.LogOptions{Channel: "carrier pigeon"}); !errors.Is(err, runtime.ErrInvalid) {
		b.t.Errorf("Logs of an unknown channel: %v, want ErrInvalid", err)
	}
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// watch checks the drivers that can tell of changes.
func watch(b *bench) {
	watcher, ok := b.rt.(runtime.Watcher)
	if !ok {
		b.t.Log("this driver is polled: nothing to check")
		return
	}
	if _, err := watcher.Watch(b.t.Context(), id); !errors.Is(err, runtime.ErrNotFound) {
		b.t.Errorf("Watch of an unknown CVM: %v, want ErrNotFound", err)
	}
	b.create(b.document(Healthy, 1))
	changed, err := watcher.Watch(b.patient(), id)
	if err != nil {
		b.t.Fatalf("Watch: %v", err)
	}
	short, cancel := context.WithCancel(b.t.Context())
	ended, err := watcher.Watch(short, id)
	if err != nil {
		b.t.Fatalf("Watch: %v", err)
	}
	cancel()
	b.drain(ended, "its context ended")
	b.start()
	for !settled(b.status()) {
		select {
		case <-changed:
		case <-b.patient().Done():
			b.t.Fatal("nothing was told of a boot")
		}
	}
	if err := b.rt.Remove(b.t.Context(), id); err != nil {
		b.t.Fatalf("Remove: %v", err)
	}
	b.drain(changed, "the CVM was removed")
}

// drain reads a watch to its end.
func (b *bench) drain(changed <-chan struct{}, why string) {
	b.t.Helper()
	end := b.patient().Done()
	for {
		select {
		case _, open := <-changed:
			if !open {
				return
			}
		case <-end:
			b.t.Fatalf("a watch was not closed when %s", why)
		}
	}
}
