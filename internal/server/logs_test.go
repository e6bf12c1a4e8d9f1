package server_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// shows makes the node answer every log with a text.
func (h *harness) shows(text string) {
	h.node.say(func(n *fakeNode) {
		n.logs = func(context.Context, runtime.LogOptions) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text)), nil
		}
	})
}

// logged makes a CVM whose logs are public, with one container.
func (h *harness) logged() string {
	id := h.createWith("my-app", map[string]any{"public_logs": true})
	h.node.set(func(s *runtime.Status) { s.Services = []runtime.Service{webService} })
	return id
}

func TestForms(t *testing.T) {
	h := newHarness(t)
	logs := base + "/cvms/" + h.logged() + "/containers/web/logs"
	long := strings.Repeat("x", 100_000)
	h.shows("plain\n\x1b[31mred\x1b[0m \x1b]0;title\x07end\n" + long + "\nlast")
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, tt := range []struct{ query, media, want string }{
		{"?bare&text", "text/plain; charset=utf-8", "plain\nred end\n" + long + "\nlast"},
		{"?bare=true&ansi", "text/plain; charset=utf-8", "plain\n\x1b[31mred\x1b[0m \x1b]0;title\x07end\n" + long + "\nlast"},
		{"", "application/x-ndjson", `{"channel":"stdout","message":"` + encoded("plain\n") + `"}` + "\n"},
		{"?text&follow=false", "application/x-ndjson", `{"channel":"stdout","message":"plain\n"}` + "\n" + `{"channel":"stdout","message":"red end\n"}` + "\n"},
	} {
		answer := h.do("GET", logs+tt.query, "").wantText(t, tt.want)
		if got := answer.header.Get("Content-Type"); got != tt.media {
			t.Errorf("%s: media type %s, want %s", tt.query, got, tt.media)
		}
	}
	if head := h.do("HEAD", logs+"?bare", ""); head.status != 200 || len(head.body) != 0 {
		t.Errorf("HEAD gave %d and %d bytes", head.status, len(head.body))
	}
}

// wantText checks how a text begins.
func (a answer) wantText(t *testing.T, begin string) answer {
	t.Helper()
	if a.status != http.StatusOK || !strings.HasPrefix(string(a.body), begin) {
		t.Errorf("status %d, %.200q, want %.200q", a.status, a.body, begin)
	}
	return a
}

func TestLogFlags(t *testing.T) {
	h := newHarness(t)
	id := h.logged()
	now := h.clock.Now()
	for query, want := range map[string]runtime.LogOptions{
		"tail=7&lines=7&timestamps": {Container: "web", Tail: 7, Timestamps: true},
		"lines=3":                   {Container: "web", Tail: 3},
		"tail=all&follow":           {Container: "web", Follow: true},
		"since=1700000000&until=2026-01-21T11:00:00.5Z": {Container: "web", Since: time.Unix(1_700_000_000, 0), Until: now.Add(-time.Hour + time.Second/2)},
		"since=1700000000.25":                           {Container: "web", Since: time.Unix(1_700_000_000, 250_000_000)},
		"since=90s&until=1m":                            {Container: "web", Since: now.Add(-90 * time.Second), Until: now.Add(-time.Minute)},
		"since=2d":                                      {Container: "web", Since: now.Add(-48 * time.Hour)},
	} {
		h.do("GET", base+"/cvms/"+id+"/containers/web/logs?"+query, "").want(t, 200)
		h.node.say(func(n *fakeNode) {
			got := n.asked
			if !got.Since.Equal(want.Since) || !got.Until.Equal(want.Until) {
				t.Errorf("%s: from %s to %s, want %s to %s", query, got.Since, got.Until, want.Since, want.Until)
			}
			got.Since, got.Until, want.Since, want.Until = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			if got != want {
				t.Errorf("%s: %+v, want %+v", query, got, want)
			}
		})
	}
	for query, name := range map[string]string{
		"tail=0": "tail", "tail=-1": "tail", "tail=x": "tail", "lines=1000001": "lines", "since=yesterday": "since", "until=-5m": "until", "since=1e9": "since",
		"until=99999999999999": "until", "since=70000d": "since", "since=.5": "since", "follow=perhaps": "follow", "since=1.0000000000": "since",
	} {
		h.do("GET", base+"/cvms/"+id+"/containers/web/logs?"+query, "").want(t, 422, "detail.0.loc.1", name)
	}
	h.do("GET", base+"/cvms/"+id+"/logs?ch=stderr&tail=2", "").want(t, 200)
	h.node.say(func(n *fakeNode) {
		if want := (runtime.LogOptions{Channel: "stderr", Tail: 2}); n.asked != want {
			t.Errorf("asked for %+v, want %+v", n.asked, want)
		}
	})
	h.do("GET", base+"/cvms/"+id+"/logs?ch=tape", "").want(t, 422, "detail.0.loc.1", "ch")
}

func TestLogsThatCannotBeRead(t *testing.T) {
	h := newHarness(t)
	logs := base + "/cvms/" + h.logged() + "/containers/web/logs"
	for _, tt := range []struct {
		err    error
		status int
	}{
		{fmt.Errorf("%w: web", runtime.ErrNoContainer), 404},
		{runtime.ErrNotFound, 409},
		{fmt.Errorf("%w: it is stopped", runtime.ErrConflict), 409},
		{fmt.Errorf("%w: refused", runtime.ErrUnreachable), 503},
		{&runtime.FieldError{Field: "LogOptions", Seen: "since", Want: "none"}, 400},
		{errors.New("disk on fire"), 500},
	} {
		h.node.say(func(n *fakeNode) {
			n.logs = func(context.Context, runtime.LogOptions) (io.ReadCloser, error) { return nil, tt.err }
		})
		h.do("GET", logs, "").want(t, tt.status)
	}
	h.do("GET", logs, "", api.HeaderAPIKey, "").want(t, 401)
	h.do("GET", logs, "", api.HeaderAPIKey, h.bob).want(t, 404)
}

// An address that was handed out opens its log, and that one only, for an hour and while its key is good.
func TestLogAddresses(t *testing.T) {
	h := newHarness(t)
	id := h.logged()
	h.shows("hello\n")
	composition := h.do("GET", base+"/cvms/"+id+"/composition", "", api.HeaderAPIKey, h.reader).want(t, 200)
	old := h.do("GET", base+"/cvms/"+id, "", api.HeaderVersion, "2025-10-28").want(t, 200)
	detail := h.do("GET", base+"/cvms/"+id, "").want(t, 200)
	addresses := []string{
		composition.text(t, "containers.0.log_endpoint") + "&bare&text", old.text(t, "syslog_endpoint") + "&ch=serial&ansi", detail.text(t, "logs.stderr"),
	}
	open := func(address string) answer {
		return h.do("GET", strings.TrimPrefix(address, h.url), "", api.HeaderAPIKey, "")
	}
	for _, address := range addresses {
		open(address).wantText(t, "hello\n")
		open(strings.Replace(address, "token=", "token=x", 1)).want(t, 401)
		open(strings.Replace(address, "&", "x&", 1)).want(t, 401)
	}
	other := h.createWith("other", map[string]any{"public_logs": true})
	uuid := func(id string) string { return h.do("GET", base+"/cvms/"+id, "").text(t, "vm_uuid") }
	open(strings.Replace(addresses[0], uuid(id), uuid(other), 1)).want(t, 401)
	open(strings.Replace(addresses[0], "dstack-web-1", "dstack-db-1", 1)).want(t, 401)
	open(strings.Replace(addresses[1], "/logs?", "/containers/dstack-web-1/logs?", 1)).want(t, 401)
	for _, token := range []string{".", "..", "a.b.c", "key_x.1.AA", strings.Repeat("9", 100) + ".1."} {
		open(base+"/cvms/"+uuid(id)+"/logs?token="+token).want(t, 401)
	}

	readerKey := strings.SplitN(strings.SplitN(addresses[0], "token=", 2)[1], ".", 2)[0]
	must(t, h.domain.RevokeKey(t.Context(), readerKey))
	open(addresses[0]).want(t, 401)
	open(addresses[1]).wantText(t, "hello\n")
	h.clock.advance(control.LogGrantLife)
	open(addresses[1]).want(t, 401)
	if strings.Contains(h.log.String(), "token=") {
		t.Error("a token is in the log")
	}
}

// follow opens a log that does not end by itself, past the check of whole bodies.
func (h *harness) follow(ctx context.Context, path string) *http.Response {
	h.t.Helper()
	response, err := http.DefaultClient.Do(h.request(ctx, "GET", path))
	must(h.t, err)
	h.t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// endless is a log to which a test adds lines. It ends with its context, or when it is closed.
func (h *harness) endless() (say func(string), ended <-chan struct{}) {
	reader, writer := io.Pipe()
	done := make(chan struct{})
	h.node.say(func(n *fakeNode) {
		n.logs = func(ctx context.Context, _ runtime.LogOptions) (io.ReadCloser, error) {
			context.AfterFunc(ctx, func() { _ = writer.CloseWithError(ctx.Err()); close(done) })
			return reader, nil
		}
	})
	return func(line string) {
		_, err := io.WriteString(writer, line)
		must(h.t, err)
	}, done
}

func TestFollow(t *testing.T) {
	for name, leave := range map[string]func(h *harness, cancel context.CancelFunc){
		"client leaves": func(_ *harness, cancel context.CancelFunc) { cancel() },
		"server ends":   func(h *harness, _ context.CancelFunc) { h.server.Shutdown() },
		"time is over":  func(h *harness, _ context.CancelFunc) { h.clock.await(1); h.clock.advance(12 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			id := h.logged()
			say, ended := h.endless()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			response := h.follow(ctx, base+"/cvms/"+id+"/containers/web/logs?follow&bare")
			lines := bufio.NewReader(response.Body)
			for _, line := range []string{"one\n", "two\n"} {
				say(line) // each is sent when it comes
				if got, err := lines.ReadString('\n'); err != nil || got != line {
					t.Fatalf("got %q, %v, want %q", got, err, line)
				}
			}
			leave(h, cancel)
			<-ended
			if rest, err := io.ReadAll(lines); name != "client leaves" && (err != nil || len(rest) > 0) {
				t.Errorf("the stream ends with %q, %v", rest, err)
			}
		})
	}
}

func TestALogThatBreaksOffDoesNotLookWhole(t *testing.T) {
	h := newHarness(t)
	id := h.logged()
	h.node.say(func(n *fakeNode) {
		n.logs = func(context.Context, runtime.LogOptions) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("one\n"), failing{})), nil
		}
	})
	response := h.follow(t.Context(), base+"/cvms/"+id+"/logs")
	if got, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("got %q and a proper end", got)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, runtime.ErrUnreachable }

func TestLogsOfAKeyAreLimited(t *testing.T) {
	h := newHarness(t)
	id := h.logged()
	h.node.say(func(n *fakeNode) {
		n.logs = func(ctx context.Context, _ runtime.LogOptions) (io.ReadCloser, error) {
			reader, writer := io.Pipe()
			context.AfterFunc(ctx, func() { _ = writer.Close() })
			return reader, nil
		}
	})
	path := base + "/cvms/" + id + "/logs?follow"
	for range 20 {
		if response := h.follow(t.Context(), path); response.StatusCode != 200 {
			t.Fatalf("status %d", response.StatusCode)
		}
	}
	h.do("GET", path, "").want(t, 429)
	h.do("GET", base+"/cvms/"+id, "").want(t, 200)
}

func TestPublicURL(t *testing.T) {
	h := newHarness(t)
	id := h.logged()
	address := func(headers ...string) string {
		return h.do("GET", base+"/cvms/"+id, "", append([]string{api.HeaderVersion, "2025-10-28"}, headers...)...).text(t, "syslog_endpoint")
	}
	if got := address("X-Forwarded-Proto", "https"); !strings.HasPrefix(got, strings.Replace(h.url, "http", "https", 1)+base) {
		t.Errorf("behind a proxy with TLS: %s", got)
	}
	h = newDomain(t)
	h.publicURL = "https://lockstep.example.org/cloud/"
	h.serve()
	id = h.logged()
	if got := address(); !strings.HasPrefix(got, "https://lockstep.example.org/cloud"+base+"/cvms/") {
		t.Errorf("as configured: %s", got)
	}
}
