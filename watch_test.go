package lockstep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

func readEvents(r io.Reader) (out []string, err error) {
	reader := newEventReader(r)
	for {
		ev, err := reader.next()
		if err != nil {
			return out, err
		}
		out = append(out, ev.name+"="+string(ev.data))
	}
}

func TestEventReader(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"plain", "event: state\ndata: {}\n\n", []string{"state={}"}},
		{"CRLF", "event: state\r\ndata: {}\r\n\r\nevent: b\r\ndata: 2\r\n\r\n", []string{"state={}", "b=2"}},
		{"CR", "event: state\rdata: {}\r\rdata: 2\r\r", []string{"state={}", "message=2"}},
		{"byte order mark", "\uFEFFdata: 1\n\n", []string{"message=1"}},
		{"no space after the colon, and only one is taken", "event:a\ndata:  x\n\n", []string{"a= x"}},
		{"several data lines", "data: a\ndata\ndata: b\n\n", []string{"message=a\n\nb"}},
		{"comments, ids and retry times", ": hi\nid: 1\nretry: 5\ndata: x\n\n", []string{"message=x"}},
		{"an event without data is dropped with its name", "event: a\n\ndata: x\n\n", []string{"message=x"}},
		{"the last of two names counts", "event: a\nevent: b\ndata: x\n\n", []string{"b=x"}},
		{"cut off", "data: x\n\ndata: y\n", []string{"message=x"}},
		{"cut off inside a line", "data: x\n\ndata: y", []string{"message=x"}},
		{"empty", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{"at once": strings.NewReader(tt.in), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.in))} {
				if got, err := readEvents(r); err != io.EOF || !reflect.DeepEqual(got, tt.want) {
					t.Errorf("%s: got %q, %v, want %q", name, got, err, tt.want)
				}
			}
		})
	}
}

func TestEventReaderIsBounded(t *testing.T) {
	if _, err := readEvents(strings.NewReader("data: " + strings.Repeat("a", maxEventLine+1))); err == nil || err == io.EOF {
		t.Errorf("endless line: %v", err)
	}
	line := "data: " + strings.Repeat("a", maxEventLine-10) + "\n"
	if _, err := readEvents(strings.NewReader(strings.Repeat(line, 5))); err == nil || err == io.EOF {
		t.Errorf("endless event: %v", err)
	}
}

func FuzzSSE(f *testing.F) {
	for _, s := range []string{"event: state\ndata: {\"status\":\"running\"}\n\n", "data: a\r\n\r\n", "\uFEFFdata:a\r\r", ":\n\n", "event: complete\ndata: {}\n\n", "data\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		whole, err := readEvents(strings.NewReader(s))
		pieces, err2 := readEvents(iotest.OneByteReader(strings.NewReader(s)))
		if err != io.EOF && len(s) < maxEventLine || err2 != err && len(s) < maxEventLine || !reflect.DeepEqual(whole, pieces) {
			t.Fatalf("%q: %q, %v at once, %q, %v in pieces", s, whole, err, pieces, err2)
		}
		reader := newEventReader(strings.NewReader(s))
		for {
			raw, err := reader.next()
			if err != nil {
				return
			}
			if ev, known := readStateEvent(raw); known && ev.Name == api.EventState && ev.State == nil {
				t.Fatalf("%q: a state event without state", s)
			}
			// Written again, an event reads the same. A name cannot be empty, nor hold a line end.
			again := "event: " + raw.name + "\n"
			for line := range strings.SplitSeq(string(raw.data), "\n") {
				again += "data: " + line + "\n"
			}
			if got, _ := readEvents(strings.NewReader(again + "\n")); len(got) != 1 || got[0] != raw.name+"="+string(raw.data) {
				t.Fatalf("%q → %q → %q", s, again, got)
			}
		}
	})
}

func lastError(seq iter.Seq2[StateEvent, error]) (last error) {
	for _, err := range seq {
		last = err
	}
	return last
}

const (
	starting = "event: state\ndata: {\"name\":\"my-app\",\"status\":\"starting\"}\n\n"
	running  = "event: state\ndata: {\"name\":\"my-app\",\"status\":\"running\"}\n\n"
	complete = "event: complete\ndata: {\"status\":\"running\",\"elapsed\":3,\"target\":\"running\"}\n\n"
	timedOut = "event: timeout\ndata: {\"error\":\"too slow\",\"elapsed\":300,\"target\":\"running\"}\n\n"
	troubled = "event: error\ndata: {\"error\":\"node away\"}\n\n"
	garbled  = "event: state\ndata: {\n\n"
	unknown  = "event: new_in_2030\ndata: 1\n\n"
)

func TestWatch(t *testing.T) {
	stream := map[string]string{"Content-Type": "text/event-stream"}
	for _, tt := range []struct {
		name   string
		script []answer
		want   string
		sleeps []time.Duration
		status int // of the error at the end
	}{
		{"to the end", []answer{{200, stream, starting + running + complete + starting}}, "state:starting state:running complete", nil, 0},
		{"a stream that breaks is opened again", []answer{{200, stream, starting}, {200, stream, running + complete}}, "state:starting state:running complete", []time.Duration{1e9}, 0},
		{"a timeout is not the end", []answer{{200, stream, starting + timedOut}, {200, stream, complete}}, "state:starting timeout:too slow complete", []time.Duration{1e9}, 0},
		{"errors inside are told", []answer{{200, stream, troubled + garbled + unknown + complete}}, "error:node away error:state is not JSON: unexpected end of JSON input complete", nil, 0},
		{"no connection, and a server that starts", []answer{{}, {status: 502}, {status: 503, header: map[string]string{"Retry-After": "9"}}, {200, stream, complete}}, "complete", []time.Duration{1e9, 2e9, 9e9}, 0},
		{"unknown CVM", []answer{{404, nil, `{"error_code":"ERR-03-001","message":"no"}`}}, "", nil, 404},
		{"no key", []answer{{200, stream, starting}, {401, nil, `{"detail":"no"}`}}, "state:starting", []time.Duration{1e9}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, _ := script(tt.script...)
			c, clock := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.URL.RequestURI(); got != "/api/v1/cvms/my-app/state?interval=5&target=running&timeout=300" || r.Header.Get("Accept") != "text/event-stream" {
					t.Errorf("%s, Accept %q", got, r.Header.Get("Accept"))
				}
				h(w, r)
			}, WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
			var got []string
			var last error
			for ev, err := range c.WatchCVMState(t.Context(), "my-app", WatchOptions{}) {
				last = err
				switch {
				case err != nil:
				case ev.State != nil:
					got = append(got, fmt.Sprintf("%s:%s", ev.Name, ev.State.Status))
				case ev.Message != "":
					got = append(got, ev.Name+":"+ev.Message)
				default:
					got = append(got, ev.Name)
				}
			}
			var refusal *APIError
			if tt.status == 0 && last != nil || tt.status != 0 && (!errors.As(last, &refusal) || refusal.StatusCode != tt.status) {
				t.Errorf("ended with %v", last)
			}
			if joined := strings.Join(got, " "); joined != tt.want {
				t.Errorf("got %s\nwant %s", joined, tt.want)
			}
			if !reflect.DeepEqual(clock.sleeps(), tt.sleeps) {
				t.Errorf("slept %v, want %v", clock.sleeps(), tt.sleeps)
			}
		})
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, starting)
		w.(http.Flusher).Flush()
		<-r.Context().Done() // the stream stays open
	})
	var states int
	var last error
	for ev, err := range c.WatchCVMState(ctx, "my-app", WatchOptions{Target: api.StatusStopped}) {
		if last = err; err == nil && ev.State != nil {
			states++
			cancel()
		}
	}
	if states != 1 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d states, then %v", states, last)
	}
}

func TestWatchCanBeLeft(t *testing.T) {
	h, calls := script(answer{200, map[string]string{"Content-Type": "text/event-stream"}, starting + running})
	c, _ := serve(t, h)
	for range c.WatchCVMState(t.Context(), "my-app", WatchOptions{Interval: 30 * time.Second, Timeout: 10 * time.Minute}) {
		break
	}
	if calls() != 1 {
		t.Errorf("%d streams", calls())
	}
}

func TestWatchNeedsAStream(t *testing.T) {
	h, calls := script(answer{200, nil, `{"name":"my-app","status":"running"}`})
	c, _ := serve(t, h)
	var unexpected *ResponseError
	if err := lastError(c.WatchCVMState(t.Context(), "my-app", WatchOptions{})); !errors.As(err, &unexpected) || calls() != 1 {
		t.Errorf("err = %v after %d requests", err, calls())
	}
}
