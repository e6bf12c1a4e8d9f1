package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// The routes of logs.
const (
	consoleLogPattern   = Base + "/cvms/{id}/logs"
	containerLogPattern = Base + "/cvms/{id}/containers/{name}/logs"
)

const (
	// maxLogs is how many logs one API key may read at once.
	maxLogs = 20
	// maxFollow is how long a log is followed at most, so that nothing stays open for ever.
	maxFollow = 12 * time.Hour
	// maxTail bounds the number of lines that can be asked for.
	maxTail = 1_000_000
)

// consoleLog is GET /cvms/{id}/logs: the console of a CVM as text.
func (s *Server) consoleLog(w http.ResponseWriter, r *http.Request, c *call) error {
	query := r.URL.Query()
	form, err := parseLogForm(query, s.clock.Now())
	if err != nil {
		return err
	}
	form.bare = true // what a console says has no channel and is no JSON
	switch form.options.Channel = query.Get("ch"); form.options.Channel {
	case "", api.LogChannelSerial, api.LogChannelStdout, api.LogChannelStderr:
	default:
		return invalidAt("enum", fmt.Sprintf("got %q, want serial, stdout or stderr", clip(form.options.Channel)), "query", "ch")
	}
	return s.serveLog(w, r, c, form)
}

// containerLog is GET /cvms/{id}/containers/{name}/logs, with the flags and forms that dstack's guest agent
// has: one JSON object a line, or with bare the text alone.
func (s *Server) containerLog(w http.ResponseWriter, r *http.Request, c *call) error {
	form, err := parseLogForm(r.URL.Query(), s.clock.Now())
	if err != nil {
		return err
	}
	form.options.Container = c.params["name"]
	return s.serveLog(w, r, c, form)
}

// logForm is which part of a log is wanted, and how it is written.
type logForm struct {
	options runtime.LogOptions
	bare    bool // text alone
	text    bool // the message in JSON is text, not base64
	ansi    bool // keep colours
}

// parseLogForm reads the query of a log. Flags stand alone (follow) or with a value (follow=true). Times are
// Unix seconds, RFC 3339, or an age such as 90s, 5m, 2h or 1d.
func parseLogForm(query url.Values, now time.Time) (logForm, error) {
	var f logForm
	for name, into := range map[string]*bool{
		"follow": &f.options.Follow, "timestamps": &f.options.Timestamps, "bare": &f.bare, "text": &f.text, "ansi": &f.ansi,
	} {
		if query.Has(name) && query.Get(name) == "" {
			*into = true
			continue
		}
		switch b, err := queryBool(query, name); {
		case err != nil:
			return f, err
		case b != nil:
			*into = *b
		}
	}
	for name, into := range map[string]*time.Time{"since": &f.options.Since, "until": &f.options.Until} {
		text := query.Get(name)
		if text == "" {
			continue
		}
		at, ok := logTime(text, now)
		if !ok {
			return f, invalidAt("datetime_parsing", fmt.Sprintf("got %q, want Unix seconds, a time as in RFC 3339, or an age such as 5m", clip(text)), "query", name)
		}
		*into = at
	}
	name := "tail"
	if !query.Has(name) {
		name = "lines"
	}
	if text := query.Get(name); text != "" && text != "all" {
		var err error
		if f.options.Tail, err = queryInt(query, name, 0, 1, maxTail); err != nil {
			return f, err
		}
	}
	return f, nil
}

// logTime reads a bound of time. A fraction of a second counts.
func logTime(text string, now time.Time) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at, true
	}
	if whole, fraction, _ := strings.Cut(text, "."); whole != "" {
		seconds, err := strconv.ParseInt(whole, 10, 64)
		nanos, ok := nanosOf(fraction)
		if err == nil && ok && seconds >= 0 && seconds < maxUnix {
			return time.Unix(seconds, nanos), true
		}
	}
	age := text
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return time.Time{}, false
		}
		age = strconv.FormatUint(n*24, 10) + "h"
	}
	d, err := time.ParseDuration(age)
	if err != nil || d < 0 {
		return time.Time{}, false
	}
	return now.Add(-d), true
}

// maxUnix is the end of the year 9999.
const maxUnix = 253402300800

func nanosOf(fraction string) (int64, bool) {
	if fraction == "" {
		return 0, true
	}
	const digits = 9
	padded := (fraction + strings.Repeat("0", digits))[:digits]
	n, err := strconv.ParseUint(padded, 10, 32)
	return int64(n), err == nil && len(fraction) <= digits
}

// logReader tells who reads a log: by the API key, or by the token in an address that was made for this log.
func (s *Server) logReader(r *http.Request, c *call, container string) (control.Principal, error) {
	key, token := apiKey(r), r.URL.Query().Get("token")
	if key != "" || token == "" {
		return s.domain.Authenticate(r.Context(), key)
	}
	return s.domain.RedeemLogGrant(r.Context(), token, c.params["id"], container)
}

// serveLog opens a log and copies it to the client until it ends, the client leaves or the server shuts down.
func (s *Server) serveLog(w http.ResponseWriter, r *http.Request, c *call, form logForm) error {
	var err error
	if c.principal, err = s.logReader(r, c, form.options.Container); err != nil {
		return err
	}
	if !s.logs.take(c.principal.KeyID, maxLogs) {
		return errTooManyStreams
	}
	defer s.logs.release(c.principal.KeyID)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() { // ends with the request
		defer cancel()
		select {
		case <-s.stop:
		case <-s.over(ctx, maxFollow):
		case <-ctx.Done():
		}
	}()
	log, err := s.domain.Logs(ctx, c.principal, c.params["id"], form.options)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = log.Close() }) // a read that blocks ends
	defer func() {
		stop()
		_ = log.Close() // it was only read
	}()
	out := newLogWriter(w, form)
	if r.Method == http.MethodHead {
		return nil
	}
	if err := out.copy(log); err != nil && ctx.Err() == nil {
		// What was sent looks whole only if the connection ends as it should.
		s.log.ErrorContext(ctx, "log broke off", "request_id", c.requestID, "route", c.pattern, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// over gives a value once a time is over.
func (s *Server) over(ctx context.Context, d time.Duration) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		if s.clock.Sleep(ctx, d) == nil {
			close(over)
		}
	}()
	return over
}

// copy sends a log line by line as it comes. It returns nil at the end of the log and when the client has
// left.
func (l *logWriter) copy(log io.Reader) error {
	lines := newLineReader(log)
	for {
		line, err := lines.next()
		if len(line) > 0 {
			if gone := l.write(line, !lines.more()); gone != nil {
				return nil //nolint:nilerr // a client that left is its own business
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
