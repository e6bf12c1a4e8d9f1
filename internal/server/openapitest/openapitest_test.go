package openapitest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
)

const goodKMS = `{"id":"kms_1","slug":null,"url":"u","version":"v","chain_id":null,"kms_contract_address":null,"gateway_app_id":null}`

func TestCheck(t *testing.T) {
	const me2025 = `{"username":"u","email":"","credits":0,"granted_credits":0,"avatar":"","team_name":"t","team_tier":"x"}`
	for _, tt := range []struct {
		name, method, path, version string
		status                      int
		media, body                 string
		drop                        string // a header that is not sent
		want                        string // part of the error; empty when there is none
	}{
		{name: "good", path: "/api/v1/kms/kms_1", status: 200, body: goodKMS},
		{name: "doubled slashes", path: "//api/v1//kms//kms_1", status: 200, body: goodKMS},
		{name: "a literal before a parameter", path: "/api/v1/kms/phala/next_app_id", status: 200, body: `{"app_ids":[]}`},
		{name: "an undocumented member", path: "/api/v1/kms/x", status: 200, body: strings.Replace(goodKMS, "{", `{"new":1,`, 1), want: "new"},
		{name: "a missing member", path: "/api/v1/kms/x", status: 200, body: strings.Replace(goodKMS, `"slug":null,`, "", 1), want: "slug"},
		{name: "null where it is not allowed", path: "/api/v1/kms/x", status: 200, body: strings.Replace(goodKMS, `"url":"u"`, `"url":null`, 1), want: "url"},
		{name: "null for a member that is optional only", path: "/api/v1/kms/x", status: 200, body: strings.Replace(goodKMS, "{", `{"chain":null,`, 1), want: "chain"},
		{name: "no JSON", path: "/api/v1/kms/x", status: 200, body: "{", want: "not JSON"},
		{name: "two values", path: "/api/v1/kms/x", status: 200, body: goodKMS + "{}", want: "more than one"},
		{name: "another status", path: "/api/v1/kms/x", status: 201, body: goodKMS, want: "status 201"},
		{name: "another media type", path: "/api/v1/kms/x", status: 200, media: "text/html", body: goodKMS, want: "text/html"},
		{name: "no request id", path: "/api/v1/kms/x", status: 200, body: goodKMS, drop: api.HeaderRequestID, want: api.HeaderRequestID},
		{name: "a strict answer", path: "/api/v1/kms/x/pubkey/y", status: 200,
			body: fmt.Sprintf(`{"public_key":%q,"signature":%q,"timestamp":1}`, strings.Repeat("a", 64), strings.Repeat("b", 130)), want: "timestamp"},
		{name: "the right version", path: "/api/v1/auth/me", version: "2025-10-28", status: 200, body: me2025},
		{name: "the other version", path: "/api/v1/auth/me", version: "2026-01-21", status: 200, body: me2025, want: "user"},
		{name: "no version is the newest", path: "/api/v1/auth/me", status: 200, body: me2025, want: "user"},
		{name: "a bare conflict", method: "PATCH", path: "/api/v1/cvms/x/docker-compose", status: 409, body: `{"detail":"busy"}`},
		{name: "a busy answer with a code", method: "PATCH", path: "/api/v1/cvms/x/docker-compose", status: 409, body: `{"error_code":"ERR-01-004","message":"m"}`, want: "detail"},
		{name: "both forms of an error", path: "/api/v1/kms/x", status: 404, body: `{"detail":"d","error_code":"ERR-02-011","message":"m"}`, want: "oneOf"},
		{name: "the code of another status", method: "PATCH", path: "/api/v1/cvms/x/docker-compose", status: 468, body: `{"error_code":"ERR-01-007","message":"m"}`, want: "error_code"},
		{name: "a 465 that lacks its details", method: "PATCH", path: "/api/v1/cvms/x/docker-compose", status: 465,
			body: `{"error_code":"ERR-01-005","message":"m","details":[],"suggestions":[]}`, want: "details"},
		{name: "an unknown path", path: "/nothing", status: 404, body: `{"detail":"none"}`},
		{name: "an unknown path that answers", path: "/nothing", status: 200, body: `{}`, want: "does not have"},
		{name: "a wrong method", method: "DELETE", path: "/healthz", status: 405, body: `{"detail":"no"}`},
		{name: "a wrong method without Allow", method: "DELETE", path: "/healthz", status: 405, body: `{"detail":"no"}`, drop: "Allow", want: "Allow"},
		{name: "a preflight", method: "OPTIONS", path: "/api/v1/kms", status: 204},
		{name: "a preflight with a body", method: "OPTIONS", path: "/api/v1/kms", status: 204, body: "x", want: "OPTIONS"},
		{name: "an answer without a body", method: "DELETE", path: "/api/v1/cvms/x", status: 204, drop: "Content-Type"},
		{name: "an answer that should have none", method: "DELETE", path: "/api/v1/cvms/x", status: 204, body: "x", drop: "Content-Type", want: "want none"},
		{name: "a HEAD has no body", method: "HEAD", path: "/api/v1/kms/x", status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.method == "" {
				tt.method = http.MethodGet
			}
			if tt.media == "" {
				tt.media = "application/json; charset=utf-8"
			}
			request := httptest.NewRequestWithContext(t.Context(), tt.method, "http://test"+tt.path, http.NoBody)
			request.Header.Set(api.HeaderVersion, tt.version)
			header := http.Header{"Content-Type": {tt.media}, api.HeaderRequestID: {"id"}, "Allow": {"GET"}}
			header.Del(tt.drop)
			err := Check(request, tt.status, header, []byte(tt.body))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want an error about %q", err, tt.want)
			}
		})
	}
}

// note is a test that only remembers that it failed.
type note struct{ failures []string }

func (n *note) Helper() {}
func (n *note) Errorf(f string, args ...any) {
	n.failures = append(n.failures, fmt.Sprintf(f, args...))
}
func (n *note) Fatalf(f string, args ...any) { n.Errorf(f, args...) }
func (n *note) has(t *testing.T, part string) {
	t.Helper()
	if len(n.failures) != 1 || !strings.Contains(n.failures[0], part) {
		t.Errorf("failures are %q, want one about %q", n.failures, part)
	}
}

// get sends a GET through a checked transport to a server that answers with this.
func get(t *testing.T, n *note, path, media, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.Header().Set(api.HeaderRequestID, "id")
		_, _ = io.WriteString(w, body)
	}))
	defer s.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: Transport(n, nil)}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestTransportPassesTheBodyOn(t *testing.T) {
	var n note
	if got := get(t, &n, "/api/v1/kms/x", api.MediaTypeJSON, goodKMS); got != goodKMS || len(n.failures) > 0 {
		t.Errorf("got %s and failures %q", got, n.failures)
	}
	get(t, &n, "/api/v1/kms/x", api.MediaTypeJSON, "{}")
	n.has(t, "/api/v1/kms/x")
}

func TestTransportChecksEventStreams(t *testing.T) {
	const state = "event: state\ndata: {\"name\":\"n\",\"status\":\"running\"}\n\n"
	for _, tt := range []struct{ name, path, body, want string }{
		{"good", "", ": waiting\n\n" + state + "event: complete\ndata: {\"status\":\"running\",\"elapsed\":0.1,\"target\":\"running\"}\n\n", ""},
		{"null", "", "event: state\ndata: {\"name\":\"n\",\"status\":\"running\",\"uptime\":null}\n\n", "uptime"},
		{"an unknown event", "", "event: done\ndata: {}\n\n", "done"},
		{"two data lines", "", "event: state\ndata: {\ndata: }\n\n", "one event and one data line"},
		{"no JSON", "", "event: state\ndata: running\n\n", "not JSON"},
		{"where no stream is", "/api/v1/kms/x", state, "event-stream"},
		{"nowhere", "/nothing", state, "does not have"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var n note
			if tt.path == "" {
				tt.path = "/api/v1/cvms/x/state"
			}
			if got := get(t, &n, tt.path, api.MediaTypeEventStream, tt.body); got != tt.body {
				t.Errorf("got %q, want %q", got, tt.body)
			}
			if tt.want != "" {
				n.has(t, tt.want)
			} else if len(n.failures) > 0 {
				t.Errorf("failures are %q", n.failures)
			}
		})
	}
}
