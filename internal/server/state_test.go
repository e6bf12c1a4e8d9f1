package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// eventStream reads an open stream.
type eventStream struct {
	t      testing.TB
	body   io.ReadCloser
	reader *bufio.Reader
}

func (h *harness) watch(id, query string, headers ...string) *eventStream {
	h.t.Helper()
	headers = append([]string{"Accept", api.MediaTypeEventStream, "Cache-Control", "no-cache"}, headers...)
	response := h.open("GET", base+"/cvms/"+id+"/state?"+query, "", headers...)
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != api.MediaTypeEventStream {
		b, _ := io.ReadAll(response.Body)
		h.t.Fatalf("status %d, %s: %s", response.StatusCode, response.Header.Get("Content-Type"), b)
	}
	h.t.Cleanup(func() { _ = response.Body.Close() })
	return &eventStream{t: h.t, body: response.Body, reader: bufio.NewReader(response.Body)}
}

type event struct {
	name string // empty for a comment or the end
	data map[string]any
	end  bool
}

// next reads one frame.
func (s *eventStream) next() event {
	s.t.Helper()
	var e event
	for {
		line, err := s.reader.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return event{end: true}
		}
		must(s.t, err)
		if line == "\n" {
			return e
		}
		switch name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); name {
		case "event":
			e.name = value
		case "data":
			must(s.t, json.Unmarshal([]byte(value), &e.data))
		}
	}
}

// want reads one frame and checks its event and one member of its data.
func (s *eventStream) want(name, member string, value any) event {
	s.t.Helper()
	e := s.next()
	if e.name != name || e.data[member] != value {
		s.t.Fatalf("got %q %v, want %q with %s %v", e.name, e.data, name, member, value)
	}
	return e
}

func (s *eventStream) wantEnd() {
	s.t.Helper()
	if e := s.next(); !e.end {
		s.t.Fatalf("got %q %v, want the end of the stream", e.name, e.data)
	}
}

// sleepers of a stream: one for its interval and its timeout.
const sleepers = 1

func TestStreamOfWhatIsReachedAlready(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	for _, target := range []string{"running", "RUNNING", "%20Running"} {
		s := h.watch(id, "target="+target+"&interval=5&timeout=300", api.HeaderVersion, "")
		s.want("state", "status", "running")
		s.want("complete", "status", "running")
		s.wantEnd()
	}
}

func TestStreamFollowsAnUpdate(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	h.patch(id, yamlTwo).want(t, 202)
	s := h.watch(id, "target=running")
	s.want("state", "status", "updating") // never the "running" of before the update
	h.settle(id)
	var names []string
	var last event
	for e := s.next(); !e.end; e = s.next() {
		names, last = append(names, e.name), e
	}
	if last.name != "complete" || last.data["status"] != "running" || len(names) < 2 || names[len(names)-2] != "state" || slices.Contains(names, "timeout") {
		t.Errorf("the events were %v, the last %v", names, last)
	}
}

func TestStreamLooksAtTheNode(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	h.node.set(func(s *runtime.Status) { s.StartedAt = h.clock.Now().Add(-time.Minute) })
	s := h.watch(id, "target=exited&interval=7&timeout=60")
	s.want("state", "status", "running")

	// Nothing but the uptime changed: that is no news, but the line is kept open.
	h.clock.await(sleepers)
	h.clock.advance(7 * time.Second)
	if e := s.next(); e.name != "" || e.end {
		t.Fatalf("got %q %v, want a comment", e.name, e.data)
	}
	h.node.set(func(s *runtime.Status) {
		s.State, s.BootError, s.ExitedAt = runtime.StateExited, "disk full", h.clock.Now()
	})
	h.clock.await(sleepers)
	h.clock.advance(7 * time.Second)
	s.want("state", "boot_error", "disk full")
	s.want("complete", "elapsed", 14.0)
	s.wantEnd()
}

func TestStreamTimesOut(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	s := h.watch(id, "target=stopped&interval=30&timeout=10")
	s.want("state", "status", "running")
	h.clock.await(sleepers)
	h.clock.advance(10 * time.Second)
	e := s.want("timeout", "target", "stopped")
	if e.data["elapsed"] != 10.0 || e.data["error"] == "" {
		t.Errorf("got %v", e.data)
	}
	s.wantEnd()
}

// The clients go on after an error event, so the stream does too.
func TestStreamOutlivesAnError(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	s := h.watch(id, "target=stopped")
	s.want("state", "status", "running")
	h.clock.await(sleepers)
	h.domain.setCVM(func(context.Context) (*control.CVM, error) { return nil, errSecret })
	h.clock.advance(5 * time.Second)
	s.want("error", "error", "the state could not be read")
	h.clock.await(sleepers)
	h.domain.setCVM(nil)
	h.node.set(func(s *runtime.Status) { s.State = runtime.StateStopped })
	h.clock.advance(5 * time.Second)
	s.want("state", "status", "stopped")
	s.want("complete", "status", "stopped")
}

func TestStreamsEndWithTheServer(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	s := h.watch(id, "target=stopped")
	s.want("state", "status", "running")
	// What http.Server.Shutdown calls. The client takes a silent end for success.
	h.server.Shutdown()
	s.want("timeout", "error", "the server is shutting down")
	s.wantEnd()
	must(t, h.listener.Config.Shutdown(t.Context()))
}

func TestStreamEndsWithItsClient(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	s := h.watch(id, "target=stopped")
	s.want("state", "status", "running")
	must(t, s.body.Close())
	h.listener.Close() // returns when every handler has
	h.clock.awaitNone()
}

func TestStreamsOfAKeyAreLimited(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	streams := make([]*eventStream, 5)
	for i := range streams {
		streams[i] = h.watch(id, "target=stopped&timeout=600")
		streams[i].want("state", "status", "running")
	}
	refused := h.do("GET", base+"/cvms/"+id+"/state?target=stopped", "").want(t, 429, "error_code", nil)
	if refused.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	h.do("GET", base+"/cvms/"+id+"/state", "").want(t, 200) // the plain read is not limited
	other := h.watch(id, "target=stopped", api.HeaderAPIKey, h.reader)
	other.want("state", "status", "running")
	if page := string(h.do("GET", "/metrics", "").body); !strings.Contains(page, "lockstep_http_event_streams 6\n") {
		t.Error("the metrics do not show 6 streams")
	}
	h.clock.await(6 * sleepers)
	h.clock.advance(600 * time.Second)
	for i := range streams {
		for e := streams[i].next(); !e.end; e = streams[i].next() {
		}
	}
	h.watch(id, "target=stopped").want("state", "status", "running")
}

func TestStreamNeedsACVM(t *testing.T) {
	h := newHarness(t)
	h.do("GET", base+"/cvms/nobody-here/state?target=running", "").want(t, 404, "error_code", "ERR-03-001")
	h.do("GET", base+"/cvms/nobody-here/state?target=running", "", api.HeaderAPIKey, "").want(t, 401)
}

// A connection has deadlines for answers that end. A stream lifts the one for reading, which would cut
// it off, and gives each event its own for writing.
func TestStreamLiftsDeadlines(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	w := &deadlineWriter{ResponseRecorder: httptest.NewRecorder()}
	h.server.ServeHTTP(w, h.request(t.Context(), "GET", base+"/cvms/"+id+"/state?target=running"))
	if len(w.read) == 0 || !w.read[len(w.read)-1].IsZero() {
		t.Errorf("read deadlines are %v, want the last to be none", w.read)
	}
	if len(w.write) != 2 || w.write[0].IsZero() {
		t.Errorf("write deadlines are %v, want one for each of two events", w.write)
	}
}

// A client that takes nothing any more must not hold a stream.
func TestStreamEndsWhenNothingCanBeWritten(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	w := &deadlineWriter{ResponseRecorder: httptest.NewRecorder(), fail: io.ErrClosedPipe}
	h.server.ServeHTTP(w, h.request(t.Context(), "GET", base+"/cvms/"+id+"/state?target=stopped"))
	h.clock.awaitNone()
}

type deadlineWriter struct {
	*httptest.ResponseRecorder
	read, write []time.Time
	fail        error
}

func (w *deadlineWriter) Write(b []byte) (int, error) {
	if w.fail != nil {
		return 0, w.fail
	}
	return w.ResponseRecorder.Write(b)
}

func (w *deadlineWriter) SetReadDeadline(at time.Time) error {
	w.read = append(w.read, at)
	return nil
}

func (w *deadlineWriter) SetWriteDeadline(at time.Time) error {
	w.write = append(w.write, at)
	return nil
}
