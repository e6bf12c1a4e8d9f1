package lockstep

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"testing"
	"time"
)

func TestRetries(t *testing.T) {
	ok := answer{status: 200, body: `{"name":"n","status":"running","correlation_id":"c"}`}
	const s = time.Second
	bare409 := answer{status: 409, body: `{"detail":"busy"}`}
	coded409 := answer{status: 409, body: `{"error_code":"ERR-03-007","message":"conflict"}`}
	for _, tt := range []struct {
		name   string
		method string
		script []answer
		sleeps []time.Duration
		status int // of the error; 0 is success, -1 a transport error
	}{
		{"GET on 503", "GET", []answer{{status: 503}, {status: 502}, ok}, []time.Duration{s, 2 * s}, 0},
		{"GET on a broken connection", "GET", []answer{{}, {}, ok}, []time.Duration{s, 2 * s}, 0},
		{"GET on 408, 425, 429, 500", "GET", []answer{{status: 408}, {status: 425}, {status: 429}, {status: 500}, ok}, []time.Duration{s, 2 * s, 4 * s, 8 * s}, 0},
		{"GET gives up", "GET", []answer{{status: 500}}, []time.Duration{s, 2 * s, 4 * s, 8 * s}, 500},
		{"GET on 404", "GET", []answer{{status: 404}}, nil, 404},
		{"GET on 409", "GET", []answer{bare409}, nil, 409},
		{"write on bare 409", "PATCH", []answer{bare409, bare409, ok}, []time.Duration{s, 2 * s}, 0},
		{"write on coded 409", "PATCH", []answer{coded409, ok}, nil, 409},
		{"write on 503 with seconds", "PATCH", []answer{{status: 503, header: map[string]string{"Retry-After": "7"}}, ok}, []time.Duration{7 * s}, 0},
		{"write on 429 with a date", "POST", []answer{{status: 429, header: map[string]string{"Retry-After": "Fri, 02 Jan 2026 03:04:16 GMT"}}, ok}, []time.Duration{11 * s}, 0},
		{"wait asked for is too long", "PATCH", []answer{{status: 503, header: map[string]string{"Retry-After": "86400"}}, ok}, nil, 503},
		{"Retry-After that is neither", "PATCH", []answer{{status: 503, header: map[string]string{"Retry-After": "soon"}}, ok}, []time.Duration{s}, 0},
		{"write on 500", "PATCH", []answer{{status: 500}, ok}, nil, 500},
		{"write on 502", "POST", []answer{{status: 502}, ok}, nil, 502},
		{"write on 465", "PATCH", []answer{{status: 465}, ok}, nil, 465},
		{"write on a broken connection", "PATCH", []answer{{}, ok}, nil, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, calls := script(tt.script...)
			// The standard transport repeats a request itself when a kept connection breaks.
			c, clock := serve(t, h, WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
			_, err := c.do(t.Context(), request{method: tt.method, path: "/x", body: []byte("body")})
			var refusal *APIError
			var transport *TransportError
			switch {
			case tt.status == 0 && err != nil,
				tt.status > 0 && (!errors.As(err, &refusal) || refusal.StatusCode != tt.status),
				tt.status < 0 && !errors.As(err, &transport):
				t.Errorf("err = %v, want status %d", err, tt.status)
			}
			if got := clock.sleeps(); !reflect.DeepEqual(got, tt.sleeps) {
				t.Errorf("slept %v, want %v", got, tt.sleeps)
			}
			if got := calls(); got != len(tt.sleeps)+1 {
				t.Errorf("%d requests, want %d", got, len(tt.sleeps)+1)
			}
		})
	}
}

func TestRetriesCanBeTurnedOff(t *testing.T) {
	h, calls := script(answer{status: 503})
	c, _ := serve(t, h, WithRetries(0))
	if _, err := c.GetCVMState(t.Context(), "my-app"); err == nil || calls() != 1 {
		t.Errorf("err = %v after %d requests", err, calls())
	}
}

func TestCancelWhileWaiting(t *testing.T) {
	h, calls := script(answer{status: 503, body: `{"detail":"maintenance"}`})
	c, clock := serve(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	clock.onSleep = func(time.Duration) { cancel() }
	_, err := c.GetCVMState(ctx, "my-app")
	var refusal *APIError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &refusal) || refusal.StatusCode != 503 {
		t.Errorf("err = %v, want the cancellation and the last answer", err)
	}
	if calls() != 1 {
		t.Errorf("%d requests", calls())
	}
}

func TestTimeoutCountsForOneRequest(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}, WithTimeout(time.Nanosecond), WithRetries(2))
	_, err := c.GetCVMState(t.Context(), "my-app")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
}

func TestBackoff(t *testing.T) {
	for attempt, want := range map[int]time.Duration{0: 1e9, 1: 2e9, 4: 16e9, 5: 20e9, 9: 20e9, 1000: 20e9} {
		if got := backoff(attempt); got != want {
			t.Errorf("backoff(%d) = %v, want %v", attempt, got, want)
		}
	}
}
