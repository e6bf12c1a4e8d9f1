package lockstep

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// LogOptions choose a part of a log.
type LogOptions struct {
	// Tail is how many of the last lines are wanted; 0 is all that is kept.
	Tail int
	// Since and Until bound the lines by time; zero is no bound.
	Since, Until time.Time
	// Follow goes on as lines come, until the context ends, the reader is closed or the server ends it.
	Follow bool
	// Timestamps begins each line with its time.
	Timestamps bool
	// Color keeps ANSI sequences.
	Color bool
}

// query is the part of a log's address that says what is wanted. Flags have no value, as the official
// clients send them.
func (o LogOptions) query() string {
	var parts []string
	if o.Tail > 0 {
		n := strconv.Itoa(o.Tail)
		parts = append(parts, "tail="+n, "lines="+n) // dstack's agent knows one, its VMM the other
	}
	// Everybody understands whole seconds, so a little more than asked for may come.
	if !o.Since.IsZero() {
		parts = append(parts, "since="+strconv.FormatInt(o.Since.Unix(), 10))
	}
	if !o.Until.IsZero() {
		parts = append(parts, "until="+strconv.FormatInt(o.Until.Add(time.Second-1).Unix(), 10))
	}
	for name, set := range map[string]bool{"follow": o.Follow, "timestamps": o.Timestamps, "ansi": o.Color} {
		if set {
			parts = append(parts, name)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "&")
}

// ContainerLog opens the log of a container of a CVM as text. An empty name means the first container that
// shows its log. The caller closes the reader.
//
// The address of the log comes from the API, and is fetched without the API key: on the hosted service it
// leads into the CVM. A container that is not there, or shows no log, is a [FieldError].
//
// API: GET /cvms/{id}/composition
func (c *Client) ContainerLog(ctx context.Context, cvmID, container string, opts LogOptions) (io.ReadCloser, error) {
	found, err := c.GetCVMComposition(ctx, cvmID)
	if err != nil {
		return nil, err
	}
	if !found.IsOnline {
		why := "it is offline"
		if found.Error != nil {
			why = *found.Error
		}
		return nil, fmt.Errorf("lockstep: no container of CVM %s can be looked at: %s", cvmID, why)
	}
	address, err := logEndpoint(found, container)
	if err != nil {
		return nil, err
	}
	return c.openLog(ctx, address, "text&bare", opts)
}

func logEndpoint(found *api.Composition, name string) (string, error) {
	var names []string
	hidden := false
	for _, one := range found.Containers {
		if len(one.Names) > 0 {
			names = append(names, strings.TrimPrefix(one.Names[0], "/"))
		}
		fits := name == "" || slices.Contains(one.Names, name) || slices.Contains(one.Names, "/"+name) || strings.HasPrefix(one.ID, name)
		switch {
		case fits && one.LogEndpoint != nil:
			return *one.LogEndpoint, nil
		case fits:
			hidden = true
		}
	}
	if hidden {
		return "", &FieldError{Field: "container", Seen: name, Expected: "one that shows its log; the document of the CVM keeps them private (public_logs)"}
	}
	return "", &FieldError{Field: "container", Seen: name, Expected: "one of " + strings.Join(names, ", ")}
}

// ConsoleLog opens a channel of the console of a CVM: [api.LogChannelSerial], [api.LogChannelStdout] or
// [api.LogChannelStderr]. The caller closes the reader. Hosts may keep no times of a console: a Lockstep
// server then refuses Since, Until and Timestamps.
//
// API: GET /cvms/{id}
func (c *Client) ConsoleLog(ctx context.Context, cvmID, channel string, opts LogOptions) (io.ReadCloser, error) {
	cvm, err := c.GetCVM20251028(ctx, cvmID)
	if err != nil {
		return nil, err
	}
	if cvm.SyslogEndpoint == nil || *cvm.SyslogEndpoint == "" {
		return nil, fmt.Errorf("lockstep: the API tells no address for the console of CVM %s", cvmID)
	}
	return c.openLog(ctx, *cvm.SyslogEndpoint, "ch="+url.QueryEscape(channel), opts)
}

// openLog fetches an address that the API handed out.
func (c *Client) openLog(ctx context.Context, address, form string, opts LogOptions) (io.ReadCloser, error) {
	for _, part := range []string{form, opts.query()} {
		switch {
		case part == "":
		case strings.Contains(address, "?"):
			address += "&" + part
		default:
			address += "?" + part
		}
	}
	at, err := url.Parse(address)
	if err != nil || at.Host == "" {
		return nil, fmt.Errorf("lockstep: the API tells the address %q for a log, which is no URL", address)
	}
	r := request{method: http.MethodGet, path: at.Path} // for errors; its query is a secret
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, &TransportError{Operation: r.name(), Err: err}
	}
	if c.userAgent != "" {
		req.Header.Set("User-Agent", c.userAgent)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &TransportError{Operation: r.name(), Err: unwrapURLError(err)}
	}
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	if err != nil {
		return nil, &TransportError{Operation: r.name(), Err: err}
	}
	return nil, c.apiError(r, resp, body)
}
