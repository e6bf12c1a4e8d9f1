package vmmtest_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
)

// secretHash is bcrypt of "secret".
const secretHash = "$2a$04$bVoW7IcnfKVUsrnrjT25suHAhZ2gf32vLff1Q8dfop9JRoH6mOUay"

// send sends a request as it is.
func (h *host) send(method, path, body string, header map[string]string) (*http.Response, string) {
	h.t.Helper()
	r, err := http.NewRequest(method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response, string(text)
}

func TestAuthForms(t *testing.T) {
	h := newHost(t, func(c *vmmtest.Config) {
		c.Tokens, c.Users = []string{"t1", "t2"}, map[string]string{"operator": secretHash}
	})
	basic := func(user, password string) map[string]string {
		r, _ := http.NewRequest(http.MethodGet, "http://x", nil)
		r.SetBasicAuth(user, password)
		return map[string]string{"Authorization": r.Header.Get("Authorization")}
	}
	for name, test := range map[string]struct {
		method, path string
		header       map[string]string
		want         int
	}{
		"nothing":                 {"POST", "/prpc/Version?json", nil, 401},
		"admin token":             {"POST", "/prpc/Version?json", map[string]string{"X-Admin-Token": "t2"}, 200},
		"wrong admin token":       {"POST", "/prpc/Version?json", map[string]string{"X-Admin-Token": "t3"}, 401},
		"bearer":                  {"POST", "/prpc/Version?json", map[string]string{"Authorization": "Bearer t1"}, 200},
		"bearer in lower case":    {"POST", "/prpc/Version?json", map[string]string{"Authorization": "bearer t1"}, 200},
		"empty bearer":            {"POST", "/prpc/Version?json", map[string]string{"Authorization": "Bearer "}, 401},
		"user and password":       {"POST", "/prpc/Version?json", basic("operator", "secret"), 200},
		"user, wrong password":    {"POST", "/prpc/Version?json", basic("operator", "wrong"), 401},
		"user, no password":       {"POST", "/prpc/Version?json", basic("operator", ""), 401},
		"token as password":       {"POST", "/prpc/Version?json", basic("anybody", "t1"), 200},
		"token as user":           {"POST", "/prpc/Version?json", basic("t1", ""), 200},
		"token in a GET":          {"GET", "/prpc/Version?token=t1", nil, 200},
		"token in a POST":         {"POST", "/prpc/Version?json&token=t1", nil, 401},
		"logs need it too":        {"GET", "/logs?id=x", nil, 401},
		"faults need it too":      {"DELETE", "/vmm-sim/faults", nil, 401},
		"guests need it too":      {"POST", "/guest/Info?json", nil, 401},
		"something else entirely": {"POST", "/prpc/Version?json", map[string]string{"Authorization": "Digest t1"}, 401},
	} {
		response, _ := h.send(test.method, test.path, "{}", test.header)
		if response.StatusCode != test.want {
			t.Errorf("%s: %d, want %d", name, response.StatusCode, test.want)
		}
		if challenge := response.Header.Get("WWW-Authenticate"); (challenge != "") != (test.want == 401) {
			t.Errorf("%s: challenge %q with %d", name, challenge, test.want)
		}
	}
}

func TestEncodings(t *testing.T) {
	h := newHost(t, nil)
	id := h.create("app", document(1, "", ""), true)
	const protobufError = "\n\x15Method not found: Foo"
	for name, test := range map[string]struct {
		method, path, kind, body string
		want                     int
		text                     string
	}{
		"content type":          {"POST", "/prpc/Version", "application/json", "", 200, `{"version":"0.6.0"`},
		"content type, charset": {"POST", "/prpc/Version", "application/json; charset=utf-8", "{}", 200, `{"version":"0.6.0"`},
		"query":                 {"POST", "/prpc/Version?json", "", "", 200, `{"version":"0.6.0"`},
		"query with a value":    {"POST", "/prpc/Version?json=1", "", "", 200, `{"version":"0.6.0"`},
		"query says no":         {"POST", "/prpc/Version?json=0", "", "", 400, "JSON only"},
		"old prefix":            {"POST", "/prpc/Teepod.Version?json", "", "", 200, `{"version":"0.6.0"`},
		"GET":                   {"GET", "/prpc/Version", "", "", 200, `{"version":"0.6.0"`},
		"GET with a request":    {"GET", "/prpc/GetInfo?id=" + id, "", "", 200, `{"found":true`},
		"GET with all kinds":    {"GET", "/prpc/Status?ids=" + id + "&brief=true&page=1&page_size=5&keyword=", "", "", 200, `"configuration":null`},
		"GET, wrong kind":       {"GET", "/prpc/Status?page=x", "", "", 400, "Failed to decode request"},
		"protobuf error":        {"POST", "/prpc/Foo", "", "", 400, protobufError},
		"JSON error":            {"POST", "/prpc/Foo?json", "", "", 400, `{"error":"Method not found: Foo"}`},
		"no answer":             {"POST", "/prpc/StopVm?json", "", `{"id":"` + id + `"}`, 200, "null"},
		"another HTTP method":   {"PUT", "/prpc/Version?json", "", "{}", 405, "Method Not Allowed"},
		"unknown fields":        {"POST", "/prpc/GetInfo?json", "", `{"id":"x","future":[1]}`, 200, `{"found":false`},
		"body beyond the limit": {"POST", "/prpc/GetInfo?json", "", `{"id":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "Too Large"},
	} {
		response, text := h.send(test.method, test.path, test.body, map[string]string{"Content-Type": test.kind})
		if response.StatusCode != test.want || !strings.Contains(text, test.text) {
			t.Errorf("%s: %d %.200q, want %d with %q", name, response.StatusCode, text, test.want, test.text)
		}
		if got := response.Header.Get("X-App-Version"); !strings.HasPrefix(got, "v0.6.0 ") {
			t.Errorf("%s: X-App-Version is %q", name, got)
		}
	}
}

func TestConsole(t *testing.T) {
	h := newHost(t, nil)
	id := h.create("app", document(1, "", ""), false)
	h.until(id, "the boot", done)
	for query, want := range map[string]string{
		"id=" + id:                          "dstack: booting",
		"id=" + id + "&ch=serial&lines=1":   "dstack: done",
		"id=" + id + "&ch=carrier+pigeon":   "Unknown channel carrier pigeon",
		"id=nobody":                         "NotFound",
		"id=" + id + "&ch=stderr&follow=no": "",
	} {
		response, text := h.send(http.MethodGet, "/logs?"+query, "", nil)
		if response.StatusCode != 200 || !strings.Contains(text, want) || strings.Contains(query, "lines=1") && strings.Count(text, "\n") != 1 {
			t.Errorf("%s: %d %q, want %q in it", query, response.StatusCode, text, want)
		}
	}
}

func TestFaultsOverHTTP(t *testing.T) {
	h := newHost(t, nil)
	id := h.create("app-1", document(1, "", ""), true)
	arm := func(fault vmmtest.Fault) uint64 {
		t.Helper()
		var armed struct{ ID uint64 }
		h.must("/vmm-sim/faults", fault, &armed)
		return armed.ID
	}
	arm(vmmtest.Fault{Method: "UpdateVm", VM: "app-1", Drop: true})
	arm(vmmtest.Fault{Method: "UpdateVm", VM: id, Drop: true, After: true})
	request := vmmrpc.UpdateVMRequest{ID: id, ComposeFile: document(2, "", "")}
	if code, _ := h.call("/prpc/UpdateVm", request, nil); code != 0 || h.info(id).Configuration.ComposeFile == request.ComposeFile {
		t.Errorf("dropped before: status %d, want none and no effect", code)
	}
	// The one before was dropped in place of this one's turn; the second fault strikes this call after its effect.
	if code, _ := h.call("/prpc/UpdateVm", request, nil); code != 0 || h.info(id).Configuration.ComposeFile != request.ComposeFile {
		t.Errorf("dropped after: status %d, want none and the effect", code)
	}
	arm(vmmtest.Fault{Method: "StartVm", Error: "Failed to start VM: no memory"})
	if code, text := h.call("/prpc/StartVm", vmmrpc.ID{ID: id}, nil); code != 400 || text != "Failed to start VM: no memory" {
		t.Errorf("%d %q", code, text)
	}
	arm(vmmtest.Fault{Method: "Version", Code: 502, Error: "bad gateway", Times: 2})
	for _, want := range []int{502, 502, 200} {
		if code, _ := h.call("/prpc/Version", nil, nil); code != want {
			t.Errorf("status %d, want %d", code, want)
		}
	}
	arm(vmmtest.Fault{VM: "app-1", Stale: true})
	h.must("/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: id, ComposeFile: document(3, "", "")}, nil)
	var status vmmrpc.StatusResponse
	h.must("/prpc/Status", vmmrpc.StatusRequest{IDs: []string{id}}, &status)
	if status.VMs[0].Configuration.ComposeFile != document(2, "", "") {
		t.Errorf("a stale status shows %q", status.VMs[0].Configuration.ComposeFile)
	}
	held := arm(vmmtest.Fault{Method: "Version", Hold: true})
	answered := make(chan int, 1)
	go func() {
		code, _ := h.call("/prpc/Version", nil, nil)
		answered <- code
	}()
	if code, text := h.call("/vmm-sim/faults/9999/release", nil, nil); code != 400 {
		t.Errorf("release of no fault: %d %s", code, text)
	}
	h.must("/vmm-sim/faults/"+strconv.FormatUint(held, 10)+"/release", nil, nil)
	if code := <-answered; code != 200 {
		t.Errorf("a released call: %d", code)
	}
	h.must("/vmm-sim/guest-faults", map[string]any{"vm": id, "stage": "setting up docker", "error": "no space left"}, nil)
	h.must("/prpc/StartVm", vmmrpc.ID{ID: id}, nil)
	h.until(id, "a boot error", func(i vmmrpc.VMInfo) bool { return strings.Contains(i.BootError, "no space left") })
	arm(vmmtest.Fault{Error: "everything fails", Times: -1})
	response, _ := h.send(http.MethodDelete, "/vmm-sim/faults", "", nil)
	if code, _ := h.call("/prpc/Version", nil, nil); response.StatusCode != 200 || code != 200 {
		t.Errorf("taking all faults back: %d, then %d", response.StatusCode, code)
	}
}
