package dstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/prpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// heartbeatLine is what the VMM writes into a console that is followed while nothing comes.
const heartbeatLine = "[vmm heartbeat]\n"

// Logs implements runtime.Runtime. See the package comment for where logs come from.
func (d *Driver) Logs(ctx context.Context, id string, options runtime.LogOptions) (io.ReadCloser, error) {
	m, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if options.Container != "" {
		return d.containerLog(ctx, m, options)
	}
	return d.consoleLog(ctx, m, options)
}

// allLines is what is asked for when all that is kept is wanted.
const allLines = 1 << 30

func (d *Driver) consoleLog(ctx context.Context, m *machine, options runtime.LogOptions) (io.ReadCloser, error) {
	switch options.Channel {
	case "", "serial", "stdout", "stderr":
	default:
		return nil, &runtime.FieldError{Field: "LogOptions.Channel", Seen: options.Channel, Want: "serial, stdout or stderr"}
	}
	if !options.Since.IsZero() || !options.Until.IsZero() || options.Timestamps {
		return nil, &runtime.FieldError{
			Field: "LogOptions", Seen: "since, until or timestamps", Want: "none of them: dstack-vmm keeps no times for a console",
		}
	}
	query := url.Values{"id": {m.info.ID}, "ansi": {"false"}, "follow": {strconv.FormatBool(options.Follow)}}
	query.Set("ch", options.Channel)
	if options.Channel == "" {
		query.Set("ch", "serial")
	}
	lines := options.Tail
	if lines <= 0 {
		lines = allLines
	}
	query.Set("lines", strconv.Itoa(lines))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.client.base+"/logs?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("dstack: logs: %w", err)
	}
	d.client.authorize(r)
	stream, err := d.open(ctx, "logs", d.client.http, r)
	if err != nil {
		return nil, err
	}
	stream.keep = func(line string) (string, bool) { return line, line != heartbeatLine }
	return stream, nil
}

// containerLog asks the guest agent.
func (d *Driver) containerLog(ctx context.Context, m *machine, options runtime.LogOptions) (io.ReadCloser, error) {
	container, err := d.container(ctx, m, options.Container)
	if err != nil {
		return nil, err
	}
	if optional(m.info.AppURL) == "" {
		return nil, fmt.Errorf("%w: logs of containers are reached through the gateway, and the document does not enable it (gateway_enabled)", runtime.ErrConflict)
	}
	agent, err := url.Parse(*m.info.AppURL)
	if err != nil || agent.Host == "" {
		return nil, fmt.Errorf("dstack: app_url of VM %s is %q, want a URL", m.info.ID, *m.info.AppURL)
	}
	base, host := strings.TrimRight(agent.String(), "/"), agent.Host
	if d.config.AgentURL != "" {
		base = d.config.AgentURL
	}
	filter := newTimeFilter(options)
	address := base + "/logs/" + url.PathEscape(container) + "?" + filter.query().Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("dstack: logs of a container: %w", err)
	}
	r.Host = host
	stream, err := d.open(ctx, "logs of a container", d.client.agents, r)
	if errors.Is(err, errNoRoute) {
		return nil, fmt.Errorf("%w: the document does not open the logs of its containers (public_logs)", runtime.ErrConflict)
	}
	if err != nil {
		return nil, err
	}
	stream.keep = filter.keep
	if filter.localTail > 0 {
		return lastLines(stream, filter.localTail)
	}
	return stream, nil
}

// container finds the name of a container by itself or by the name of its service. A service's name wins.
func (d *Driver) container(ctx context.Context, m *machine, name string) (string, error) {
	missing := fmt.Errorf("%w: %q", runtime.ErrNoContainer, name)
	if m.info.Status != vmmrpc.StatusRunning {
		return "", fmt.Errorf("%w: dstack shows logs of containers only while the CVM runs, and it is %s", missing, m.info.Status)
	}
	var list vmmrpc.ListContainersResponse
	if err := d.client.guest(ctx, vmmrpc.GuestListContainers, m.info.ID, &list); err != nil {
		if refused := new(RPCError); errors.As(err, &refused) {
			return "", fmt.Errorf("%w: the guest agent does not answer: %s", missing, refused.Text)
		}
		return "", err
	}
	services := match(parseServices(m.config().Document), list.Containers)
	for _, s := range services {
		if s.Name == name {
			return s.Container, nil
		}
	}
	for _, c := range list.Containers {
		for _, n := range c.Names {
			if strings.TrimPrefix(n, "/") == name {
				return name, nil
			}
		}
	}
	return "", missing
}

// errNoRoute says that the other side has no such log.
var errNoRoute = errors.New("dstack: no such route")

// open begins to read a log.
func (d *Driver) open(ctx context.Context, what string, client *http.Client, r *http.Request) (*logStream, error) {
	bound, cancel := d.client.bind(ctx)
	// Only the beginning is bounded in time: a log that is followed goes on for ever.
	expire := time.AfterFunc(d.config.CallTimeout, cancel)
	response, err := client.Do(r.WithContext(bound))
	switch {
	case err != nil:
		err = d.client.failed(ctx, what, err)
	case !expire.Stop():
		err = fmt.Errorf("%w: %s: no answer in %s", runtime.ErrUnreachable, what, d.config.CallTimeout)
	case response.StatusCode == http.StatusNotFound:
		err = errNoRoute
	case response.StatusCode != http.StatusOK:
		var body []byte
		if body, err = io.ReadAll(io.LimitReader(response.Body, prpc.MaxErrorText)); err == nil {
			err = parseAnswer(what, response.StatusCode, body, nil)
		} else {
			err = d.client.failed(ctx, what, err)
		}
	}
	if err != nil {
		cancel()
		if response != nil {
			response.Body.Close()
		}
		return nil, err
	}
	return &logStream{driver: d, ctx: ctx, cancel: cancel, what: what, body: response.Body, lines: bufio.NewReader(response.Body)}, nil
}

// logStream is a log as it comes, line by line. It is read by one goroutine; Close may come from another.
type logStream struct {
	driver *Driver
	ctx    context.Context
	cancel context.CancelFunc
	what   string
	body   io.Closer
	lines  *bufio.Reader
	keep   func(line string) (string, bool)
	left   string // of the line that is being read
}

// Read implements io.Reader.
func (s *logStream) Read(p []byte) (int, error) {
	for s.left == "" {
		line, err := s.lines.ReadString('\n')
		if line == "" && err != nil {
			if errors.Is(err, io.EOF) {
				return 0, io.EOF
			}
			return 0, s.driver.client.failed(s.ctx, s.what, err)
		}
		if kept, ok := s.keep(line); ok {
			s.left = kept
		}
	}
	n := copy(p, s.left)
	s.left = s.left[n:]
	return n, nil
}

// Close ends a Read that blocks.
func (s *logStream) Close() error {
	s.cancel()
	return s.body.Close()
}
