package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

const statePattern = Base + "/cvms/{id}/state"

// getState is GET /cvms/{id}/state: the state now, or with ?target= a stream of events until the CVM is
// in that state.
func (s *Server) getState(w http.ResponseWriter, r *http.Request, c *call) error {
	query := r.URL.Query()
	if !query.Has("target") {
		cvm, err := s.domain.CVM(r.Context(), c.principal, c.params["id"])
		if err != nil {
			return err
		}
		s.json(w, http.StatusOK, cvmState(cvm, s.clock.Now()))
		return nil
	}
	watch, err := parseWatch(query)
	if err != nil {
		return err
	}
	cvm, err := s.domain.CVM(r.Context(), c.principal, c.params["id"])
	if err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", api.MediaTypeEventStream)
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if !s.streams.take(c.principal.KeyID, maxStreams) {
		return errTooManyStreams
	}
	defer s.streams.release(c.principal.KeyID)
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	stream := &stateStream{Server: s, call: c, watch: watch, events: newEventWriter(w), cvmID: cvm.Row.ID, started: s.clock.Now()}
	stream.run(r.Context())
	return nil
}

// watch is what a stream waits for.
type watch struct {
	target            string
	interval, timeout time.Duration
}

func parseWatch(query url.Values) (watch, error) {
	w := watch{target: strings.TrimSpace(query.Get("target"))}
	if w.target == "" {
		return w, invalidAt("missing", "got nothing, want the status to wait for, such as running", "query", "target")
	}
	if len(w.target) > maxTarget {
		return w, invalidAt("too_long", fmt.Sprintf("got %d characters, want at most %d", len(w.target), maxTarget), "query", "target")
	}
	interval, err := queryInt(query, "interval", api.DefaultStateInterval, api.MinStateInterval, api.MaxStateInterval)
	if err != nil {
		return w, err
	}
	timeout, err := queryInt(query, "timeout", api.DefaultStateTimeout, api.MinStateTimeout, api.MaxStateTimeout)
	if err != nil {
		return w, err
	}
	w.interval, w.timeout = time.Duration(interval)*time.Second, time.Duration(timeout)*time.Second
	return w, nil
}

const maxTarget = 32

// maxStreams is how many event streams one API key may have open.
const maxStreams = 5

// streamLimit counts the open streams of each key.
type streamLimit struct {
	mu   sync.Mutex
	open map[string]int
}

func (l *streamLimit) take(key string, most int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key] >= most {
		return false
	}
	if l.open == nil {
		l.open = map[string]int{}
	}
	l.open[key]++
	return true
}

func (l *streamLimit) release(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[key]--; l.open[key] == 0 {
		delete(l.open, key)
	}
}

// stateStream is one open event stream.
type stateStream struct {
	*Server
	call    *call
	watch   watch
	events  *eventWriter
	cvmID   int64
	started time.Time
	last    api.CVMState
	sent    bool // a state was sent
}

// run sends the state at once and after each change, until the target is reached, the time is over, the
// client leaves or the server shuts down. The clients take the end of a stream without "complete" for
// success when a state came before, so it always ends with "complete" or "timeout".
func (st *stateStream) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed, unwatch := st.domain.Watch(st.cvmID)
	defer unwatch()
	tick := st.every(ctx, st.watch.interval)
	over := st.every(ctx, st.watch.timeout)
	for {
		if done := st.look(ctx); done {
			return
		}
		select {
		case <-changed:
		case <-tick:
			// The node tells the database nothing of what it sees, so it is asked now and then.
		case <-over:
			st.giveUp(fmt.Sprintf("the CVM was not %s after %s", st.watch.target, st.watch.timeout))
			return
		case <-st.stop:
			st.giveUp("the server is shutting down")
			return
		case <-ctx.Done():
			return
		}
	}
}

// every gives a value after each period until the context ends.
func (st *stateStream) every(ctx context.Context, period time.Duration) <-chan struct{} {
	c := make(chan struct{})
	go func() {
		for st.clock.Sleep(ctx, period) == nil {
			select {
			case c <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// look reads the state and sends what is new. It reports whether the stream is over.
func (st *stateStream) look(ctx context.Context) bool {
	cvm, err := st.domain.CVM(ctx, st.call.principal, st.call.params["id"])
	if err != nil {
		if ctx.Err() != nil {
			return true
		}
		// The client reports it and goes on waiting; so does the server.
		message := "the state could not be read"
		if problem.Is(err, problem.KindNotFound) {
			message = "the CVM is not there any more"
		} else {
			st.log.ErrorContext(ctx, "event stream", "request_id", st.call.requestID, "error", err)
		}
		return !st.events.send(api.EventError, api.StateError{Error: message})
	}
	state := cvmState(cvm, st.clock.Now())
	if st.sent && sameState(st.last, state) {
		return !st.events.keepAlive()
	}
	st.last, st.sent = state, true
	if !st.events.send(api.EventState, state) {
		return true
	}
	if !strings.EqualFold(string(state.Status), st.watch.target) {
		return false
	}
	st.events.send(api.EventComplete, api.StateComplete{Status: state.Status, Elapsed: st.elapsed(), Target: st.watch.target})
	return true
}

func (st *stateStream) giveUp(why string) {
	st.events.send(api.EventTimeout, api.StateTimeout{Error: why, Elapsed: st.elapsed(), Target: st.watch.target})
}

// elapsed is in seconds, to the millisecond.
func (st *stateStream) elapsed() float64 {
	return math.Round(st.clock.Now().Sub(st.started).Seconds()*1000) / 1000
}

// sameState compares what a watcher wants to know; the uptime alone is no news.
func sameState(a, b api.CVMState) bool {
	a.Uptime, b.Uptime = nil, nil
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

var _ Domain = (*control.Service)(nil)
