package lockstep

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

const testKey = "phak_0123456789abcdef"

// serve starts a server and a client of it with a fake clock.
func serve(t *testing.T, h http.HandlerFunc, opts ...Option) (*Client, *fakeClock) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	clock := newFakeClock()
	c, err := NewClient(append([]Option{WithAPIKey(testKey), WithBaseURL(server.URL + "/api/v1"), WithClock(clock)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c, clock
}

// script answers requests in order and repeats the last answer.
type answer struct {
	status int
	header map[string]string
	body   string
}

func script(answers ...answer) (http.HandlerFunc, func() int) {
	var mu sync.Mutex
	var n int
	return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // so that the connection can be used again
			mu.Lock()
			a := answers[min(n, len(answers)-1)]
			n++
			mu.Unlock()
			if a.status == 0 {
				panic(http.ErrAbortHandler)
			}
			for k, v := range a.header {
				w.Header().Set(k, v)
			}
			if w.Header().Get("Content-Type") == "" {
				w.Header().Set("Content-Type", "application/json")
			}
			w.WriteHeader(a.status)
			_, _ = io.WriteString(w, a.body) // a client that went away is the client's business
		}, func() int {
			mu.Lock()
			defer mu.Unlock()
			return n
		}
}

func TestNewClientSources(t *testing.T) {
	t.Setenv(EnvAPIKey, "")
	t.Setenv(EnvAPIPrefix, "")
	var field *FieldError
	if _, err := NewClient(); !errors.As(err, &field) || field.Field != "API key" {
		t.Errorf("without a key: %v", err)
	}
	if c, err := NewClient(WithAPIKey("k")); err != nil || c.BaseURL() != api.DefaultBaseURL {
		t.Errorf("default base URL: %v, %v", c, err)
	}
	t.Setenv(EnvAPIKey, "from-env")
	t.Setenv(EnvAPIPrefix, "http://env.example/api/v1/")
	c, err := NewClient(WithAPIKey(""), WithBaseURL(""))
	if err != nil || c.apiKey != "from-env" || c.BaseURL() != "http://env.example/api/v1" {
		t.Errorf("environment: %v, %v", c, err)
	}
	c, err = NewClient(WithAPIKey("option"), WithBaseURL("https://option.example/x"))
	if err != nil || c.apiKey != "option" || c.BaseURL() != "https://option.example/x" {
		t.Errorf("options: %v, %v", c, err)
	}
}

func TestNewClientRefusesBadValues(t *testing.T) {
	for _, opts := range [][]Option{
		{WithAPIKey("secret\nkey")}, {WithAPIKey("secret kéy")},
		{WithAPIKey("k"), WithBaseURL("ftp://x")}, {WithAPIKey("k"), WithBaseURL("https://")},
		{WithAPIKey("k"), WithBaseURL("https://user:secret@x")}, {WithAPIKey("k"), WithBaseURL("https://x?secret=1")},
		{WithAPIKey("k"), WithBaseURL("::")}, {WithAPIKey("k"), WithAPIVersion("2030-01-01")},
	} {
		var field *FieldError
		if c, err := NewClient(opts...); !errors.As(err, &field) || strings.Contains(err.Error(), "secret") {
			t.Errorf("NewClient = %v, %v", c, err)
		}
	}
}

func TestRequestHeaders(t *testing.T) {
	var got http.Header
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		fmt.Fprint(w, `{"nodes":[]}`)
	}, WithHeader("X-Team", "a"), WithHeader(api.HeaderAPIKey, "other"), WithUserAgent("tool/1"), WithAPIVersion(api.Version20251028))
	if _, err := c.GetAvailableNodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		api.HeaderAPIKey: testKey, api.HeaderVersion: "2025-10-28", "User-Agent": "tool/1", "X-Team": "a", "Accept": "application/json",
	} {
		if got.Get(key) != want || len(got.Values(key)) != 1 {
			t.Errorf("%s = %q, want %q", key, got.Values(key), want)
		}
	}
}

func TestGivenHTTPClientIsNotChanged(t *testing.T) {
	given := &http.Client{Timeout: time.Minute}
	c, err := NewClient(WithAPIKey("k"), WithHTTPClient(given), WithTimeout(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if given.CheckRedirect != nil || given.Timeout != time.Minute || given.Transport != nil {
		t.Errorf("the client was changed: %+v", given)
	}
	if c.timeout != time.Minute {
		t.Errorf("timeout = %v, want the shorter one", c.timeout)
	}
}

func TestRedirectsNeverLeakTheKeyOrChangeTheMethod(t *testing.T) {
	var leaked bool
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { leaked = true }))
	defer other.Close()
	for _, tt := range []struct {
		name, method, to string
		status           int
	}{
		{"other host", "GET", other.URL, http.StatusFound},
		{"other host, same method", "PATCH", other.URL, http.StatusTemporaryRedirect},
		{"write becomes a read", "PATCH", "/api/v1/elsewhere", http.StatusMovedPermanently},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, tt.to, tt.status) })
			_, err := c.do(t.Context(), request{method: tt.method, path: "/x", body: []byte("b")})
			var e *APIError
			if !errors.As(err, &e) || e.StatusCode != tt.status || leaked {
				t.Errorf("err = %v, leaked = %v", err, leaked)
			}
		})
	}
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/auth/me" {
			http.Redirect(w, r, "/api/v1/me", http.StatusTemporaryRedirect)
			return
		}
		fmt.Fprintf(w, `{"user":{"username":%q}}`, r.Header.Get(api.HeaderAPIKey))
	})
	if me, err := c.GetCurrentUser(t.Context()); err != nil || me.User.Username != testKey {
		t.Errorf("redirect on the same host: %+v, %v", me, err)
	}
}

func TestKeyNeverShows(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"detail":"bad key %s"}`, r.Header.Get(api.HeaderAPIKey))
	})
	_, err := c.GetCurrentUser(t.Context())
	var e *APIError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"error": err.Error(), "format": e.FormatError(), "body": e.Body, "detail": string(e.Detail), "all": fmt.Sprintf("%+v", *e),
		"client": fmt.Sprintf("%v %+v %#v %s", c, c, c, c),
	} {
		if strings.Contains(text, testKey) {
			t.Errorf("%s shows the key: %s", name, text)
		}
	}
	if !strings.Contains(e.Message, "bad key [API key]") {
		t.Errorf("message = %q", e.Message)
	}
}

func TestConcurrentUse(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"name":"my-app","status":"running"}`) })
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if s, err := c.GetCVMState(t.Context(), "my-app"); err != nil || s.Status != api.StatusRunning {
				t.Errorf("state = %v, %v", s, err)
			}
		})
	}
	wg.Wait()
}
