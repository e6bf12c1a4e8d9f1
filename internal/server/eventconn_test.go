package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// dialStream asks for a stream by hand, in some version of HTTP/1, and reads the head of the answer.
func dialStream(h *harness, id, version string) (net.Conn, *http.Response) {
	h.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(h.t.Context(), "tcp", strings.TrimPrefix(h.listener.URL, "http://"))
	must(h.t, err)
	h.t.Cleanup(func() { _ = conn.Close() })
	request := h.request(h.t.Context(), "GET", base+"/cvms/"+id+"/state?target=stopped&timeout=60")
	_, err = fmt.Fprintf(conn, "GET %s HTTP/%s\r\nHost: test\r\n%s: %s\r\n\r\n", request.URL.RequestURI(), version, api.HeaderAPIKey, request.Header.Get(api.HeaderAPIKey))
	must(h.t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	must(h.t, err)
	return conn, response
}

// TestStreamHasAProperAnswer looks at what a client gets from a connection that was taken over: the headers that every
// answer has, chunks, and an end that is no broken connection.
func TestStreamHasAProperAnswer(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	for version, chunked := range map[string]bool{"1.1": true, "1.0": false} {
		t.Run(version, func(t *testing.T) {
			_, response := dialStream(h, id, version)
			if got := len(response.TransferEncoding) == 1 && response.TransferEncoding[0] == "chunked"; got != chunked {
				t.Errorf("transfer encoding is %v, want chunked: %v", response.TransferEncoding, chunked)
			}
			if response.StatusCode != http.StatusOK || !response.Close {
				t.Errorf("status %d, close %v; want 200 of a connection that is closed after it", response.StatusCode, response.Close)
			}
			for header, want := range map[string]string{"Content-Type": api.MediaTypeEventStream, "Cache-Control": "no-store", "X-Accel-Buffering": "no"} {
				if got := response.Header.Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
			if response.Header.Get(api.HeaderRequestID) == "" || response.Header.Get("Date") == "" {
				t.Errorf("the answer has no request id or no date: %v", response.Header)
			}
			h.clock.await(sleepers)
			h.clock.advance(60 * time.Second)
			body, err := io.ReadAll(response.Body)
			must(t, err) // a chunked body without its last chunk is an error
			if text := string(body); !strings.HasPrefix(text, "event: state\n") || !strings.Contains(text, "event: timeout\n") || !strings.HasSuffix(text, "\n\n") {
				t.Errorf("the stream was %q", text)
			}
			h.clock.awaitNone()
		})
	}
}

// TestStreamSlotComesFreeWithItsClient: a client that goes away must be able to come back at once.
func TestStreamSlotComesFreeWithItsClient(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	for range 12 {
		conn, response := dialStream(h, id, "1.1")
		if response.StatusCode != http.StatusOK {
			t.Fatalf("status %d, want 200", response.StatusCode)
		}
		h.clock.await(sleepers)
		must(t, conn.Close())
		h.clock.awaitNone() // nobody moves the clock: the server notices by itself
		must(t, h.server.AwaitStreams(t.Context()))
	}
}

func TestAwaitStreamsEndsWithItsContext(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	_, _ = dialStream(h, id, "1.1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.server.AwaitStreams(ctx); err == nil {
		t.Error("no error while a stream is open")
	}
	h.server.Shutdown()
	must(t, h.server.AwaitStreams(t.Context()))
}
