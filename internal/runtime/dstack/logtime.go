package dstack

import (
	"bufio"
	"bytes"
	"errors"
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

// lastLines reads a log to its end and keeps its last lines, and never more than them.
func lastLines(log io.ReadCloser, count int) (io.ReadCloser, error) {
	defer log.Close()
	var kept [][]byte
	next := 0 // where the oldest of count lines is
	for lines := bufio.NewReader(log); ; {
		line, err := lines.ReadBytes('\n')
		switch {
		case len(line) == 0:
		case len(kept) < count:
			kept = append(kept, line)
		default:
			kept[next] = line
			next = (next + 1) % count
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return io.NopCloser(bytes.NewReader(bytes.Join(append(kept[next:len(kept):len(kept)], kept[:next]...), nil))), nil
}
