package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"runtime/debug"
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
	s.metrics.streams.Inc()
	s.metrics.inFlight.Inc()
	key := c.principal.KeyID // and not the call, which has more than a stream shall keep
	release := func() {
		s.metrics.inFlight.Dec()
		s.metrics.streams.Dec()
		s.streams.release(key)
	}
	stream := &stateStream{
		Server: s, principal: c.principal, requestID: c.requestID, watch: watch, identifier: c.params["id"], cvmID: cvm.Row.ID, started: s.clock.Now(),
	}
	s.detached.Add(1) // while the HTTP server still knows of the request: a shutdown waits for one of the two
	if out, ok := takeOver(w, r, s.clock.Now()); ok {
		stream.out = out
		s.runDetached(stream, out, release)
		return nil
	}
	s.detached.Done()
	defer release()
	stream.out = newAnswerOutput(w)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stream.run(ctx)
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

// stateStream is one open event stream. There may be many thousands, so it keeps nothing of its request but this.
type stateStream struct {
	*Server
	principal  control.Principal
	requestID  string
	identifier string // of the CVM, as the client wrote it
	watch      watch
	out        eventOutput
	cvmID      int64
	started    time.Time
	last       [sha256.Size]byte // fingerprint of the state that was sent last; zero before the first
}

// run sends the state at once and after each change, until the target is reached, the time is over, the
// client leaves or the server shuts down. The clients take the end of a stream without "complete" for
// success when a state came before, so it always ends with "complete" or "timeout". The caller ends the context
// when run has returned.
func (st *stateStream) run(ctx context.Context) {
	changed, unwatch := st.domain.Watch(st.cvmID)
	defer unwatch()
	tick := st.ticks(ctx)
	for {
		frames, over := st.look(ctx)
		for _, frame := range frames {
			if !sendFrame(st.out, frame) {
				return
			}
		}
		if over {
			return
		}
		select {
		case <-changed:
		case late := <-tick:
			// The node tells the database nothing of what it sees, so it is asked now and then.
			if late {
				st.giveUp(fmt.Sprintf("the CVM was not %s after %s", st.watch.target, st.watch.timeout))
				return
			}
		case <-st.stop:
			st.giveUp("the server is shutting down")
			return
		case <-ctx.Done():
			return
		}
	}
}

// ticks gives false after each interval, and true when the time of the stream is over, until the context ends.
func (st *stateStream) ticks(ctx context.Context) <-chan bool {
	c := make(chan bool)
	go func() {
		for deadline := st.started.Add(st.watch.timeout); ; {
			if st.clock.Sleep(ctx, min(st.watch.interval, deadline.Sub(st.clock.Now()))) != nil {
				return
			}
			select {
			case c <- !st.clock.Now().Before(deadline):
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// looksAtOnce is how many streams read the state at the same time. More would wait for the database.
const looksAtOnce = 16

// look reads the state and returns what is to be sent, and whether the stream is over then. It does so in a goroutine
// of its own, since reading takes a deep stack, and that of the stream would stay deep while it waits.
func (st *stateStream) look(ctx context.Context) (frames [][]byte, over bool) {
	select {
	case st.looking <- struct{}{}:
	case <-ctx.Done():
		return nil, true
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { <-st.looking }()
		defer func() {
			if v := recover(); v != nil {
				st.log.ErrorContext(ctx, "panic", "request_id", st.requestID, "route", statePattern, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
				frames, over = nil, true
			}
		}()
		frames, over = st.read(ctx)
	}()
	<-done
	return frames, over
}

func (st *stateStream) read(ctx context.Context) (frames [][]byte, over bool) {
	cvm, err := st.domain.CVM(ctx, st.principal, st.identifier)
	if err != nil {
		if ctx.Err() != nil {
			return nil, true
		}
		// The client reports it and goes on waiting; so does the server.
		message := "the state could not be read"
		if problem.Is(err, problem.KindNotFound) {
			message = "the CVM is not there any more"
		} else {
			st.log.ErrorContext(ctx, "event stream", "request_id", st.requestID, "error", err)
		}
		return [][]byte{eventFrame(api.EventError, api.StateError{Error: message})}, false
	}
	state := cvmState(cvm, st.clock.Now())
	seen := stateFingerprint(state)
	if seen == st.last {
		return [][]byte{keepAlive}, false
	}
	st.last = seen
	frames = [][]byte{eventFrame(api.EventState, state)}
	if !strings.EqualFold(string(state.Status), st.watch.target) {
		return frames, false
	}
	return append(frames, eventFrame(api.EventComplete, api.StateComplete{Status: state.Status, Elapsed: st.elapsed(), Target: st.watch.target})), true
}

func (st *stateStream) giveUp(why string) {
	sendFrame(st.out, eventFrame(api.EventTimeout, api.StateTimeout{Error: why, Elapsed: st.elapsed(), Target: st.watch.target}))
}

// elapsed is in seconds, to the millisecond.
func (st *stateStream) elapsed() float64 {
	return math.Round(st.clock.Now().Sub(st.started).Seconds()*1000) / 1000
}

// stateFingerprint is the same for two states that are no news to a watcher; the uptime alone is none.
func stateFingerprint(state api.CVMState) [sha256.Size]byte {
	state.Uptime = nil
	text, err := json.Marshal(state)
	if err != nil {
		return [sha256.Size]byte{} // none of our types
	}
	return sha256.Sum256(text)
}

var _ Domain = (*control.Service)(nil)
