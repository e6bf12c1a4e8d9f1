package dstack

import (
	"bytes"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// timeFilter picks lines by time. The agent knows whole seconds only, so it is asked for a little more, with
// times, and what is too much is left out here.
type timeFilter struct {
	options   runtime.LogOptions
	stamped   bool
	localTail int // last lines to keep of those chosen by time; 0 when the agent does that
}

func newTimeFilter(options runtime.LogOptions) timeFilter {
	bounded := !options.Since.IsZero() || !options.Until.IsZero()
	f := timeFilter{options: options, stamped: options.Timestamps || bounded}
	if bounded && !options.Follow {
		f.localTail = options.Tail
	}
	return f
}

func (f timeFilter) query() url.Values {
	query := url.Values{"text": {"true"}, "bare": {"true"}, "ansi": {"true"}, "tail": {"all"}, "follow": {strconv.FormatBool(f.options.Follow)}}
	query.Set("timestamps", strconv.FormatBool(f.stamped))
	if f.options.Tail > 0 && f.localTail == 0 {
		query.Set("tail", strconv.Itoa(f.options.Tail))
	}
	if !f.options.Since.IsZero() {
		query.Set("since", strconv.FormatInt(max(f.options.Since.Unix(), 1), 10))
	}
	if !f.options.Until.IsZero() {
		query.Set("until", strconv.FormatInt(max(f.options.Until.Unix()+1, 1), 10))
	}
	return query
}

// keep decides about a line. One without a time goes on from the line before.
func (f timeFilter) keep(line string) (string, bool) {
	if !f.stamped {
		return line, true
	}
	stamp, text, ok := strings.Cut(line, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if !ok || err != nil {
		return line, true
	}
	if !f.options.Since.IsZero() && at.Before(f.options.Since) || !f.options.Until.IsZero() && !at.Before(f.options.Until) {
		return "", false
	}
	if f.options.Timestamps {
		return at.UTC().Format(time.RFC3339Nano) + " " + text, true
	}
	return text, true
}

// lastLines reads a log to its end and keeps its last lines.
func lastLines(log io.ReadCloser, count int) (io.ReadCloser, error) {
	defer log.Close()
	text, err := io.ReadAll(log)
	if err != nil {
		return nil, err
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	if len(lines) > 0 && len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	kept := bytes.Join(lines[max(0, len(lines)-count):], nil)
	return io.NopCloser(bytes.NewReader(kept)), nil
}
