package server_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/kms"
)

func TestKeys(t *testing.T) {
	h := newHarness(t)
	for _, tt := range []struct {
		name, key, authorization string
		status                   int
	}{
		{"X-API-Key", h.alice, "", 200},
		{"bearer", "", "Bearer " + h.alice, 200},
		{"bearer in any case", "", "bearer  " + h.alice, 200},
		{"the key goes first", h.alice, "Bearer nonsense", 200},
		{"none", "", "", 401},
		{"wrong", "lsk_nonsense", "", 401},
		{"wrong, and a good bearer", "lsk_nonsense", "Bearer " + h.alice, 401},
		{"another scheme", "", "Basic " + h.alice, 401},
		{"no scheme", "", h.alice, 401},
		{"an empty bearer", "", "Bearer ", 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := h.do("GET", base+"/auth/me", "", api.HeaderAPIKey, tt.key, "Authorization", tt.authorization).want(t, tt.status)
			if tt.status == 401 {
				got.want(t, 401, "detail", "invalid or missing API key", "error_code", nil)
			}
		})
	}
	log := h.log.String()
	if strings.Contains(log, h.alice) || strings.Contains(log, "nonsense") {
		t.Error("a key is in the log")
	}
	if !strings.Contains(log, `"key":"key_`) || !strings.Contains(log, `"route":"/api/v1/auth/me"`) {
		t.Errorf("key id or route are not in the log: %s", log)
	}
}

func TestMe(t *testing.T) {
	h := newHarness(t)
	h.do("GET", base+"/auth/me", "").want(t, 200, "user.username", "alice-admin", "user.role", "admin", "user.avatar", "",
		"workspace.slug", "alice", "workspace.name", "Team alice", "credits.outstanding_amount", nil, "credits.balance", "0")
	h.do("GET", base+"/auth/me", "", api.HeaderAPIKey, h.reader).want(t, 200, "user.role", "user")
	h.do("GET", base+"/auth/me", "", api.HeaderVersion, "2025-10-28").want(t, 200, "username", "alice-admin", "credits", 0, "team_name", "Team alice")
}

func TestCatalog(t *testing.T) {
	h := newHarness(t)
	app := strings.Repeat("ab", 20)
	h.do("GET", base+"/kms", "").want(t, 200, "total", 2, "page_size", 20, "pages", 1, "items.0.id", "kms_off", "items.1.chain.id", 1337)
	h.do("GET", base+"/kms?page_size=100&is_onchain=true", "").want(t, 200, "total", 1, "items.0.id", "kms_on")
	h.do("GET", base+"/kms?is_onchain=false", "").want(t, 200, "total", 1, "items.0.id", "kms_off")
	h.do("GET", base+"/kms?page=2&page_size=1", "").want(t, 200, "total", 2, "pages", 2, "items.0.id", "kms_on", "items.1", nil)
	h.do("GET", base+"/kms?page=9&page_size=100", "").want(t, 200, "total", 2, "items.0", nil)
	for _, ref := range []string{"kms_on", "on", "ON", "ethereum", "ETHEREUM"} {
		h.do("GET", base+"/kms/"+ref, "").want(t, 200, "id", "kms_on", "chain_id", 1337)
		for _, form := range []string{app, "0x" + app, "0x" + strings.ToUpper(app)} {
			key := h.do("GET", base+"/kms/"+ref+"/pubkey/"+form, "").want(t, 200)
			if len(key.text(t, "public_key")) != 64 {
				t.Errorf("got %s", key.body)
			}
		}
	}
	h.do("GET", base+"/kms/nobody", "").want(t, 404, "error_code", "ERR-02-011")
	h.do("GET", base+"/kms/nobody/pubkey/"+app, "").want(t, 404, "error_code", "ERR-02-011")
	h.do("GET", base+"/kms/on/pubkey/xyz", "").want(t, 400, "error_code", "ERR-02-008", "details.0.field", "app_id")
	h.domain.envKey = func() (kms.EnvKey, error) { return kms.EnvKey{}, errors.New("secret cause") }
	h.do("GET", base+"/kms/on/pubkey/"+app, "").want(t, 500, "detail", "internal error")

	h.do("GET", base+"/kms/phala/next_app_id", "").want(t, 200, "app_ids.0.nonce", 0, "app_ids.1", nil)
	next := h.do("GET", base+"/kms/phala/next_app_id?counts=20", "").want(t, 200, "app_ids.19.nonce", 19, "app_ids.20", nil)
	if got := h.provision("my-app", "PHALA").text(t, "app_id"); got != next.text(t, "app_ids.0.app_id") {
		t.Errorf("app id %s was not predicted: %s", got, next.body)
	}

	h.create("an-app", "PHALA")
	h.do("GET", base+"/teepods/available?v03x_only=1", "").want(t, 200, "nodes.0.teepod_id", 5, "nodes.0.name", "node-5",
		"nodes.0.images.0.version", []any{0, 5, 5}, "nodes.0.support_onchain_kms", true, "nodes.0.default_kms", "off",
		"nodes.0.kms_list", []any{"off", "on"}, "nodes.0.remaining_cvm_slots", 99, "nodes.0.remaining_vcpu", 99,
		"kms_list.1.id", "kms_on", "capacity.max_vcpu", nil)
}

func TestPathsAsClientsSendThem(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	for _, path := range []string{
		base + "/cvms/" + id, base + "//cvms/" + id, "//api/v1//cvms//" + id, base + "/cvms/" + id + "/", base + "/cvms/my%2dapp",
	} {
		if got := h.rawGet(path); got.status != 200 {
			t.Errorf("GET %s: status %d, Location %q", path, got.status, got.header.Get("Location"))
		}
	}
	for _, path := range []string{
		"/", "//", "/api", "/api/v1", base + "/nothing", base + "/cvms/" + id + "/nothing", "/api/v2/cvms/" + id, "/cvms/" + id,
		base + "/../v1/cvms/" + id, base + "/./cvms/" + id, "/healthz/more", base + "/CVMS/" + id,
	} {
		got := h.rawGet(path)
		if got.status != 404 || got.header.Get("Content-Type") != "application/json" || got.text(t, "detail") == "" {
			t.Errorf("GET %s: status %d: %s", path, got.status, got.body)
		}
	}
	h.do("GET", base+"/nothing", "").want(t, 404)
	h.do("GET", "/"+strings.Repeat("x", 10_000), "").want(t, 404)
}

func TestMethods(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	for _, tt := range []struct{ method, path, allow string }{
		{"POST", base + "/cvms/" + id, "DELETE, GET, HEAD, OPTIONS"},
		{"DELETE", base + "/cvms/" + id + "/docker-compose", "OPTIONS, PATCH"},
		{"GET", base + "/cvms/provision", "OPTIONS, POST"},
		{"PUT", "/healthz", "GET, HEAD, OPTIONS"},
		{"BREW", base + "/kms", "GET, HEAD, OPTIONS"},
	} {
		got := h.do(tt.method, tt.path, "").want(t, 405)
		if got.header.Get("Allow") != tt.allow || got.text(t, "detail") == "" {
			t.Errorf("%s %s: Allow is %q, want %q", tt.method, tt.path, got.header.Get("Allow"), tt.allow)
		}
	}
	for _, path := range []string{base + "/cvms/" + id, base + "/cvms/" + id + "/compose_file", base + "/cvms/" + id + "/state?target=stopped", "/healthz"} {
		if got := h.do("HEAD", path, ""); got.status != 200 || len(got.body) != 0 {
			t.Errorf("HEAD %s: status %d, %d bytes", path, got.status, len(got.body))
		}
	}
	if got := h.do("HEAD", base+"/cvms/nobody-here", ""); got.status != 404 {
		t.Errorf("HEAD of nothing: status %d", got.status)
	}
}

func TestRequestIDs(t *testing.T) {
	h := newHarness(t)
	for _, tt := range []struct {
		sent string
		kept bool
	}{
		{"abc-DEF_123.4", true}, {strings.Repeat("a", 64), true},
		{"", false}, {strings.Repeat("a", 65), false}, {"two words", false}, {"é", false}, {"<script>", false},
	} {
		got := h.do("GET", "/healthz", "", api.HeaderRequestID, tt.sent).want(t, 200).header.Get(api.HeaderRequestID)
		if (got == tt.sent) != tt.kept || !strings.HasPrefix(got, "req_") && !tt.kept {
			t.Errorf("sent %q, got %q", tt.sent, got)
		}
	}
	first := h.do("GET", "/healthz", "").header.Get(api.HeaderRequestID)
	if second := h.do("GET", "/healthz", "").header.Get(api.HeaderRequestID); first == second {
		t.Errorf("two requests have the id %s", first)
	}
}

func TestBrowsersOfAnyOrigin(t *testing.T) {
	h := newHarness(t)
	preflight := h.do("OPTIONS", base+"/cvms/x/docker-compose", "", api.HeaderAPIKey, "", "Origin", "https://app.example.org",
		"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "x-api-key,x-compose-hash").header
	if preflight.Get("Access-Control-Allow-Origin") != "*" || preflight.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("headers are %v", preflight)
	}
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		if !strings.Contains(preflight.Get("Access-Control-Allow-Methods"), method) {
			t.Errorf("%s is not allowed: %v", method, preflight)
		}
	}
	for _, name := range []string{
		"X-API-Key", "X-Phala-Version", "Content-Type", "Accept", "Cache-Control", "X-Compose-Hash", "X-Transaction-Hash", "X-Prepare-Only",
	} {
		if !strings.Contains(preflight.Get("Access-Control-Allow-Headers"), name) {
			t.Errorf("%s is not allowed: %v", name, preflight)
		}
	}
	// A page must be able to read errors too.
	for _, path := range []string{base + "/auth/me", base + "/nothing"} {
		got := h.do("GET", path, "", api.HeaderAPIKey, "", "Origin", "https://app.example.org")
		if got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("GET %s: headers are %v", path, got.header)
		}
	}
	if got := h.do("GET", "/healthz", "").header; got.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without an origin: %v", got)
	}
	if got := h.do("OPTIONS", base+"/kms", "").header; got.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("OPTIONS that is no preflight: %v", got)
	}
}

func TestBrowsersOfNamedOrigins(t *testing.T) {
	h := newHarness(t, "https://app.example.org")
	for origin, want := range map[string]string{"https://app.example.org": "https://app.example.org", "https://evil.example.org": "", "": ""} {
		for _, method := range []string{"GET", "OPTIONS"} {
			got := h.do(method, base+"/auth/me", "", "Origin", origin, "Access-Control-Request-Method", "GET").header
			credentials := ""
			if want != "" {
				credentials = "true"
			}
			if got.Get("Access-Control-Allow-Origin") != want || got.Get("Access-Control-Allow-Credentials") != credentials || got.Get("Vary") != "Origin" {
				t.Errorf("%s from %q: headers are %v", method, origin, got)
			}
			if (got.Get("Access-Control-Allow-Methods") != "") != (want != "" && method == "OPTIONS") {
				t.Errorf("%s from %q: headers are %v", method, origin, got)
			}
		}
	}
}

func TestHealth(t *testing.T) {
	h := newHarness(t)
	h.do("GET", "/healthz", "", api.HeaderAPIKey, "").want(t, 200, "status", "ok")
	h.do("GET", "/readyz", "", api.HeaderAPIKey, "").want(t, 200, "status", "ready")
	h.domain.ready = func() error { return errSecret }
	if got := h.do("GET", "/readyz", "").want(t, 503, "detail", "not ready"); strings.Contains(string(got.body), "secret") {
		t.Errorf("the cause leaks: %s", got.body)
	}
	h.domain.ready = nil
	h.server.Shutdown()
	h.do("GET", "/readyz", "").want(t, 503, "detail", "shutting down")
	h.do("GET", "/healthz", "").want(t, 200)
}

func TestMetrics(t *testing.T) {
	h := newHarness(t)
	h.do("GET", base+"/cvms/one", "").want(t, 404)
	h.do("GET", base+"/cvms/two", "").want(t, 404)
	h.do("GET", base+"/one/two/three", "").want(t, 404)
	h.do("BREW", base+"/kms", "").want(t, 405)
	page := string(h.do("GET", "/metrics", "", api.HeaderAPIKey, "").want(t, 200).body)
	for _, line := range []string{
		`lockstep_http_requests_total{method="GET",route="/api/v1/cvms/{id}",status="404"} 2`,
		`lockstep_http_requests_total{method="GET",route="none",status="404"} 1`,
		`lockstep_http_requests_total{method="other",route="none",status="405"} 1`,
		`lockstep_http_request_duration_seconds_count{method="GET",route="/api/v1/cvms/{id}"} 2`,
		`lockstep_http_requests_in_flight 1`,
		`lockstep_http_event_streams 0`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no line %s in\n%s", line, page)
		}
	}
}

func TestOpenAPIIsServed(t *testing.T) {
	h := newHarness(t)
	got := h.do("GET", "/openapi.json", "", api.HeaderAPIKey, "").want(t, 200, "openapi", "3.0.3")
	if got.at(t, "paths") == nil {
		t.Errorf("no paths in %.100s", got.body)
	}
}

// What one key may read must not stay in a cache that another may reach.
func TestAnswersAreNotCached(t *testing.T) {
	h := newHarness(t)
	if got := h.do("GET", base+"/auth/me", "").header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
}

// The limits are those of HTTPServer.
func TestHeadersThatAreTooLarge(t *testing.T) {
	h := newHarness(t)
	response, err := http.DefaultClient.Do(func() *http.Request {
		r := h.request(t.Context(), "GET", "/healthz")
		r.Header.Set("X-Large", strings.Repeat("x", 64<<10))
		return r
	}())
	must(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	must(t, err)
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", response.StatusCode)
	}
}
