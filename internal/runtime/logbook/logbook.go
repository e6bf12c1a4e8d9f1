// Package logbook keeps the last lines of the logs of a CVM in memory, and lets readers follow them.
package logbook

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/bell"
)

// keepLines is how many lines a log keeps; older ones are dropped, as a host's log rotation does.
const keepLines = 1000

// line is one line of a log.
type line struct {
	at   time.Time
	text string
}

// ring holds the last lines of one log. The zero value is empty and takes no memory for lines.
type ring struct {
	lines []line
	next  uint64 // number of lines ever written, so that a follower knows where it was
}

func (r *ring) add(l line) {
	if len(r.lines) == keepLines {
		copy(r.lines, r.lines[1:])
		r.lines = r.lines[:keepLines-1]
	}
	r.lines = append(r.lines, l)
	r.next++
}

// from returns the lines kept that were written at or after number n.
func (r *ring) from(n uint64) []line {
	first := r.next - uint64(len(r.lines))
	return r.lines[min(max(n, first), r.next)-first:]
}

// Book holds the logs of one CVM: the channels of its console, and one log for each container.
type Book struct {
	mu         sync.Mutex
	rings      map[string]*ring
	containers map[string]string // of the last boot: container or service name → name of its log
	Bell       bell.Bell
}

// Names of the console's logs; containers have the name of their service, which has no slash.
const (
	Serial = "console/serial"
	Stdout = "console/stdout"
	Stderr = "console/stderr"
)

// Write adds lines to a log.
func (b *Book) Write(name string, at time.Time, text string) {
	b.mu.Lock()
	if b.rings == nil {
		b.rings = map[string]*ring{}
	}
	r := b.rings[name]
	if r == nil {
		r = &ring{}
		b.rings[name] = r
	}
	for text := range strings.Lines(text) {
		r.add(line{at: at, text: strings.TrimSuffix(text, "\n")})
	}
	b.mu.Unlock()
	b.Bell.Ring()
}

// NameContainers says which containers there are from now on, by every name they answer to. What the
// ones before wrote is dropped, as a compose up that recreates them does; the console goes on.
func (b *Book) NameContainers(names map[string]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.containers = names
	for name, r := range b.rings {
		if !strings.Contains(name, "/") {
			r.lines = nil
		}
	}
}

// Container is the name of the log of a container.
func (b *Book) Container(name string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	log, ok := b.containers[name]
	return log, ok
}

func (b *Book) read(name string, from uint64) ([]line, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rings[name]
	if r == nil {
		return nil, 0
	}
	return append([]line(nil), r.from(from)...), r.next
}

// Console is the name of the log of a console channel.
func Console(channel string) (string, error) {
	switch channel {
	case "", "serial":
		return Serial, nil
	case "stdout":
		return Stdout, nil
	case "stderr":
		return Stderr, nil
	}
	return "", &runtime.FieldError{Field: "LogOptions.Channel", Seen: channel, Want: "serial, stdout or stderr"}
}

// Open makes a reader of one log.
func (b *Book) Open(ctx context.Context, name string, options runtime.LogOptions) io.ReadCloser {
	ctx, cancel := context.WithCancel(ctx)
	r := &logReader{ctx: ctx, cancel: cancel, book: b, name: name, options: options}
	if options.Follow {
		r.rung = b.Bell.Listen(ctx)
	}
	var lines []line
	lines, r.next = b.read(name, 0)
	lines = r.chosen(lines)
	if options.Tail > 0 && len(lines) > options.Tail {
		lines = lines[len(lines)-options.Tail:]
	}
	r.render(lines)
	return r
}

// logReader is read by one goroutine; Close may come from another.
type logReader struct {
	ctx     context.Context // ends with the caller's, or by Close
	cancel  context.CancelFunc
	book    *Book
	name    string
	options runtime.LogOptions
	rung    <-chan struct{} // nil without Follow
	next    uint64
	pending bytes.Buffer
}

// chosen are the lines within the bounds of time.
func (r *logReader) chosen(lines []line) []line {
	var out []line
	for _, l := range lines {
		if !r.options.Since.IsZero() && l.at.Before(r.options.Since) {
			continue
		}
		if !r.options.Until.IsZero() && !l.at.Before(r.options.Until) {
			continue
		}
		out = append(out, l)
	}
	return out
}

func (r *logReader) render(lines []line) {
	for _, l := range lines {
		if r.options.Timestamps {
			fmt.Fprintf(&r.pending, "%s ", l.at.UTC().Format(time.RFC3339Nano))
		}
		r.pending.WriteString(l.text)
		r.pending.WriteByte('\n')
	}
}

// Read implements io.Reader. Following ends with the error of the context, or with io.EOF when the CVM
// is removed or the node closed.
func (r *logReader) Read(p []byte) (int, error) {
	for r.pending.Len() == 0 {
		if r.rung == nil {
			return 0, io.EOF
		}
		var open bool
		select {
		case _, open = <-r.rung:
		case <-r.ctx.Done():
		}
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		var lines []line
		lines, r.next = r.book.read(r.name, r.next)
		r.render(r.chosen(lines))
		if !open {
			r.rung = nil
		}
	}
	return r.pending.Read(p)
}

// Close ends a Read that blocks.
func (r *logReader) Close() error {
	r.cancel()
	return nil
}
