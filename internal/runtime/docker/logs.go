package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/logbook"
)

// Logs implements runtime.Runtime.
func (d *Driver) Logs(ctx context.Context, id string, options runtime.LogOptions) (io.ReadCloser, error) {
	following, cancel := d.join(ctx) // outlives the call
	var reader io.ReadCloser
	err := d.call(ctx, id, "logs", func(ctx context.Context) error {
		c, err := d.find(id)
		if err != nil {
			return err
		}
		if options.Container == "" {
			log, err := logbook.Console(options.Channel)
			if err != nil {
				return err
			}
			reader = c.logs.Open(following, log, options)
			return nil
		}
		at, err := d.containerNamed(ctx, c, options.Container)
		if err != nil {
			return err
		}
		read, write := io.Pipe()
		l := &containerLog{driver: d, cvm: c, options: options, out: write, changed: c.bell.Listen(following)}
		if !d.spawn(func() { write.CloseWithError(l.copy(following, at)) }) {
			return errClosed
		}
		reader = read
		return nil
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return &logReader{ReadCloser: reader, cancel: cancel}, nil
}

// logReader ends what feeds it when it is closed.
type logReader struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (r *logReader) Close() error {
	r.cancel()
	return r.ReadCloser.Close()
}

// containerNamed finds a container by the name of its service, else by its own.
func (d *Driver) containerNamed(ctx context.Context, c *cvm, name string) (container, error) {
	containers, err := d.containers(ctx, c)
	if err != nil {
		return container{}, err
	}
	for _, matches := range []func(container) bool{
		func(c container) bool { return c.serviceName() == name },
		func(c container) bool { return c.name() == name },
	} {
		for _, c := range containers {
			if matches(c) {
				return c, nil
			}
		}
	}
	return container{}, fmt.Errorf("%w: %q", runtime.ErrNoContainer, name)
}

// containerLog copies the log of a container.
type containerLog struct {
	driver  *Driver
	cvm     *cvm
	options runtime.LogOptions
	out     io.Writer
	changed <-chan struct{} // closed when the CVM is removed
}

// copy copies the log; with Follow it goes on with the containers that take the place of the first.
func (l *containerLog) copy(ctx context.Context, at container) error {
	options := l.options
	for {
		if err := l.copyOne(ctx, at, options); err != nil {
			return l.end(ctx, err)
		}
		if !options.Follow {
			return nil
		}
		next, err := l.successor(ctx, at)
		if err != nil {
			return l.end(ctx, err)
		}
		at, options.Tail = next, 0
		options.Since, err = time.Parse(time.RFC3339Nano, next.detail.State.StartedAt)
		if err != nil {
			return fmt.Errorf("docker engine: start of container: %w", err)
		}
	}
}

// end makes an error of what ended a log: a CVM that is removed just ends it.
func (l *containerLog) end(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) || !l.cvm.isKnown() {
		return io.EOF
	}
	return engineError(ctx, "read log", err)
}

// successor waits until the container runs again, or another one in its place.
func (l *containerLog) successor(ctx context.Context, last container) (container, error) {
	for {
		select {
		case _, open := <-l.changed:
			if err := ctx.Err(); err != nil || !open {
				return container{}, errors.Join(err, io.EOF)
			}
		case <-ctx.Done():
			return container{}, ctx.Err()
		}
		next, err := l.driver.containerNamed(ctx, l.cvm, l.options.Container)
		if errors.Is(err, runtime.ErrNoContainer) || errors.Is(err, runtime.ErrUnreachable) {
			continue
		}
		if err != nil {
			return container{}, err
		}
		if next.running() && (next.summary.ID != last.summary.ID || next.detail.State.StartedAt != last.detail.State.StartedAt) {
			return next, nil
		}
	}
}

func (l *containerLog) copyOne(ctx context.Context, c container, o runtime.LogOptions) error {
	query := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Follow: o.Follow, Timestamps: o.Timestamps, Since: stamp(o.Since)}
	if !o.Until.IsZero() {
		query.Until = stamp(o.Until.Add(-time.Nanosecond)) // the engine's bound is inclusive
	}
	// The engine counts lines before it looks at their times.
	countHere := o.Tail > 0 && !o.Follow && (!o.Since.IsZero() || !o.Until.IsZero())
	if o.Tail > 0 && !countHere {
		query.Tail = strconv.Itoa(o.Tail)
	}
	log, err := l.driver.engine.ContainerLogs(ctx, c.summary.ID, query)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // it was only read
	if !countHere {
		return demultiplex(l.out, log, c)
	}
	var all bytes.Buffer
	if err := demultiplex(&all, log, c); err != nil {
		return err
	}
	_, err = l.out.Write(lastLines(all.Bytes(), o.Tail))
	return err
}

// demultiplex writes what a container said on both of its channels, in the order that the engine kept.
func demultiplex(out io.Writer, log io.Reader, c container) error {
	var err error
	if c.detail.Config != nil && c.detail.Config.Tty {
		_, err = io.Copy(out, log)
	} else {
		_, err = stdcopy.StdCopy(out, out, log)
	}
	return err
}

func lastLines(text []byte, n int) []byte {
	lines := bytes.SplitAfter(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	kept := bytes.Join(lines[max(0, len(lines)-n):], nil)
	if len(kept) > 0 {
		kept = append(kept, '\n')
	}
	return kept
}

// stamp writes a time as the engine reads it: seconds and nanoseconds.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}

const (
	lastWordsLines = 5
	lastWordsBytes = 2000
)

// lastWords tells of each container that failed how it ended and the last it said.
func (d *Driver) lastWords(ctx context.Context, c *cvm) string {
	containers, err := d.containers(ctx, c)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, container := range inOrder(containers, c.look().services) {
		if !container.failed() {
			continue
		}
		fmt.Fprintf(&b, "; service %s: %s", container.serviceName(), container.summary.Status)
		var words bytes.Buffer
		l := &containerLog{driver: d, cvm: c, out: &words}
		if l.copyOne(ctx, container, runtime.LogOptions{Tail: lastWordsLines}) == nil && words.Len() > 0 {
			text := words.Bytes()
			text = text[max(0, len(text)-lastWordsBytes):]
			b.WriteString(", last lines:\n" + strings.TrimRight(string(text), "\n"))
		}
	}
	return b.String()
}
