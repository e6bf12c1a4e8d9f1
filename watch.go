package lockstep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// WatchOptions says what to watch for.
type WatchOptions struct {
	// Target is the status that ends the watch; empty is running.
	Target api.CVMStatus
	// Interval is how often the server looks, 5 to 30 seconds; 0 is 5 seconds.
	Interval time.Duration
	// Timeout bounds one stream, 10 to 600 seconds; 0 is 300 seconds. When it is over the client
	// connects again: only ctx bounds the watch.
	Timeout time.Duration
}

// StateEvent is one event of a watch.
type StateEvent struct {
	// Name is [api.EventState], [api.EventComplete], [api.EventTimeout] or [api.EventError].
	Name string
	// State is set for [api.EventState].
	State *api.CVMState
	// Message is set for [api.EventTimeout] and [api.EventError].
	Message string
}

// WatchCVMState follows the state of a CVM until it reaches the target: then an [api.EventComplete]
// is the last event. Streams that break or time out are opened again, with growing waits while the
// server does not answer. A refusal that will not pass by itself (401, 404 and so on) or the end of
// ctx is yielded as an error and ends the sequence.
//
// API: GET /cvms/{id}/state
func (c *Client) WatchCVMState(ctx context.Context, cvmID string, opts WatchOptions) iter.Seq2[StateEvent, error] {
	return func(yield func(StateEvent, error) bool) {
		r, limit, err := watchRequest(cvmID, opts)
		if err != nil {
			yield(StateEvent{}, err)
			return
		}
		for failures := 0; ; {
			seen, stop, err := c.watchOnce(ctx, r, limit, yield)
			if stop {
				return
			}
			if ctx.Err() != nil {
				yield(StateEvent{}, context.Cause(ctx))
				return
			}
			var noStream *ResponseError
			if errors.As(err, &noStream) {
				yield(StateEvent{}, err)
				return
			}
			var refusal *APIError
			if errors.As(err, &refusal) && !retryable(http.MethodGet, refusal) && !refusal.IsConflict() {
				yield(StateEvent{}, err)
				return
			}
			if seen {
				failures = 0
			}
			wait := backoff(failures)
			if refusal != nil {
				wait = max(wait, refusal.RetryAfter())
			}
			failures++
			if err := c.clock.Sleep(ctx, wait); err != nil {
				yield(StateEvent{}, err)
				return
			}
		}
	}
}

func watchRequest(cvmID string, opts WatchOptions) (request, time.Duration, error) {
	id, err := segment(cvmID)
	if err != nil {
		return request{}, 0, err
	}
	if opts.Target == "" {
		opts.Target = api.StatusRunning
	}
	interval, err := seconds("interval", opts.Interval, api.MinStateInterval, api.MaxStateInterval, api.DefaultStateInterval)
	if err != nil {
		return request{}, 0, err
	}
	timeout, err := seconds("timeout", opts.Timeout, api.MinStateTimeout, api.MaxStateTimeout, api.DefaultStateTimeout)
	if err != nil {
		return request{}, 0, err
	}
	return request{
		method: http.MethodGet,
		path:   "/cvms/" + id + "/state",
		query:  url.Values{"target": {string(opts.Target)}, "interval": {strconv.Itoa(interval)}, "timeout": {strconv.Itoa(timeout)}},
		accept: api.MediaTypeEventStream,
		header: map[string]string{"Cache-Control": "no-cache"},
	}, time.Duration(timeout) * time.Second, nil
}

func seconds(field string, d time.Duration, least, most, def int) (int, error) {
	if d == 0 {
		return def, nil
	}
	if s := int(d / time.Second); s >= least && s <= most {
		return s, nil
	}
	return 0, &FieldError{Field: field, Seen: d.String(), Expected: fmt.Sprintf("%d to %d seconds", least, most)}
}

// streamGrace is how long a stream may stay open beyond its own timeout: a connection that died
// without a word is noticed then.
const streamGrace = 30 * time.Second

// watchOnce reads one stream. It reports whether an event was seen, and whether the watch is over.
func (c *Client) watchOnce(ctx context.Context, r request, limit time.Duration, yield func(StateEvent, error) bool) (seen, stop bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit+streamGrace)
	defer cancel()
	resp, err := c.send(ctx, r)
	if err != nil {
		return false, false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		if err != nil {
			return false, false, &TransportError{Operation: r.name(), Err: err}
		}
		return false, false, c.apiError(r, resp, body)
	}
	if contentType := resp.Header.Get("Content-Type"); contentType != "" && isJSON(contentType) {
		return false, false, &ResponseError{r.name(), resp.StatusCode, "the answer is " + contentType + ", want " + api.MediaTypeEventStream}
	}
	events := newEventReader(resp.Body)
	for {
		raw, err := events.next()
		if err != nil {
			return seen, false, &TransportError{Operation: r.name(), Err: err}
		}
		ev, known := readStateEvent(raw)
		if !known {
			continue
		}
		seen = true
		if !yield(ev, nil) || ev.Name == api.EventComplete {
			return seen, true, nil
		}
		if ev.Name == api.EventTimeout {
			return seen, false, nil
		}
	}
}

// readStateEvent reads an event; known is false for one that this package has no use for.
func readStateEvent(raw event) (ev StateEvent, known bool) {
	ev.Name = raw.name
	switch raw.name {
	case api.EventState:
		var s api.CVMState
		if err := json.Unmarshal(raw.data, &s); err != nil {
			return StateEvent{Name: api.EventError, Message: "state is not JSON: " + err.Error()}, true
		}
		ev.State = &s
	case api.EventComplete:
	case api.EventTimeout, api.EventError:
		var e api.StateError
		if json.Unmarshal(raw.data, &e) == nil {
			ev.Message = e.Error
		}
	default:
		return StateEvent{}, false
	}
	return ev, true
}
