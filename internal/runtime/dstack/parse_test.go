package dstack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

func progress(words ...string) []vmmrpc.GuestEvent {
	var events []vmmrpc.GuestEvent
	for _, w := range words {
		event, body := vmmrpc.EventBootProgress, w
		if text, isError := strings.CutPrefix(w, "!"); isError {
			event, body = vmmrpc.EventBootError, text
		}
		events = append(events, vmmrpc.GuestEvent{Event: event, Body: body})
	}
	return events
}

func TestBootFailed(t *testing.T) {
	const denied, passing = "App not allowed: Boot denied: Compose hash not allowed", "connection refused"
	for name, test := range map[string]struct {
		progress, bootError string
		events              []vmmrpc.GuestEvent
		want                bool
	}{
		"no error":                       {"requesting app keys", "", nil, false},
		"denied":                         {"requesting app keys", denied, progress("requesting app keys", "!"+denied), true},
		"denied, boots again":            {"requesting app keys", denied, progress("requesting app keys", "!"+denied, "requesting app keys"), true},
		"denied, then allowed":           {"setting up docker", denied, progress("requesting app keys", "!"+denied, "requesting app keys", "setting up docker"), false},
		"denied, then up":                {"done", denied, progress("requesting app keys", "!"+denied, "done"), false},
		"keys, once":                     {"requesting app keys", passing, progress("requesting app keys", "!"+passing), false},
		"keys, three times":              {"requesting app keys", passing, progress("requesting app keys", "!"+passing, "requesting app keys", "!"+passing, "requesting app keys", "!"+passing), true},
		"keys, after an old other error": {"requesting app keys", passing, progress("starting containers", "!x", "requesting app keys", "!"+passing), false},
		"gateway, just now":              {"setting up dstack-gateway", "no gateway", progress("setting up dstack-gateway", "!no gateway"), false},
		"gateway, went on":               {"starting containers", "no gateway", progress("setting up dstack-gateway", "!no gateway", "setting up docker", "starting containers"), false},
		"containers":                     {"starting containers", "failed to start containers", progress("starting containers", "!failed to start containers"), true},
		"containers, after the gateway":  {"starting containers", "failed to start containers", progress("setting up dstack-gateway", "!no gateway", "starting containers", "!failed to start containers"), true},
		"pre-launch":                     {"pre-launch", "exit status 1", progress("pre-launch", "!exit status 1"), true},
		"events are gone":                {"starting containers", "failed", nil, true},
		"denied, events are gone":        {"requesting app keys", denied, nil, true},
		"image without progress":         {"N/A", "failed", nil, true},
		"words from the future":          {"warming up", "failed", progress("warming up", "!failed"), true},
	} {
		if got := bootFailed(vmmrpc.VMInfo{BootProgress: test.progress, BootError: test.bootError, Events: test.events}); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}

func TestMeasuredHash(t *testing.T) {
	run, pending := []byte(`{"name":"run"}`), []byte(`{"name":"pending"}`)
	silentDoc := []byte(`{"public_tcbinfo":false}`)
	hash := appcompose.Hash(run)
	tcb := func(change func(*vmmrpc.TCBInfo)) vmmrpc.GuestInfo {
		info := vmmrpc.TCBInfo{ComposeHash: hash.String(), AppCompose: string(run), EventLog: []vmmrpc.EventEntry{{Event: "compose-hash", Payload: hash.String()}}}
		change(&info)
		text, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		return vmmrpc.GuestInfo{TCBInfo: string(text)}
	}
	for name, test := range map[string]struct {
		info    vmmrpc.GuestInfo
		disk    []byte
		want    appcompose.ComposeHash
		problem string
	}{
		"all the same":               {tcb(func(*vmmrpc.TCBInfo) {}), pending, hash, ""},
		"without document":           {tcb(func(i *vmmrpc.TCBInfo) { i.AppCompose = "" }), pending, hash, ""},
		"without event log":          {tcb(func(i *vmmrpc.TCBInfo) { i.EventLog = nil }), pending, hash, ""},
		"another document":           {tcb(func(i *vmmrpc.TCBInfo) { i.AppCompose = string(pending) }), run, appcompose.ComposeHash{}, "shows a document"},
		"another event":              {tcb(func(i *vmmrpc.TCBInfo) { i.EventLog[0].Payload = "00" }), run, appcompose.ComposeHash{}, "event log"},
		"a short hash":               {tcb(func(i *vmmrpc.TCBInfo) { i.ComposeHash = "00" }), run, appcompose.ComposeHash{}, "64 hex digits"},
		"no JSON":                    {vmmrpc.GuestInfo{TCBInfo: "{"}, run, appcompose.ComposeHash{}, "does not parse"},
		"silent by its document":     {vmmrpc.GuestInfo{}, silentDoc, appcompose.Hash(silentDoc), ""},
		"silent without a reason":    {vmmrpc.GuestInfo{}, run, appcompose.ComposeHash{}, ""},
		"silent by a name it is not": {vmmrpc.GuestInfo{}, []byte(`{"Public_TCBInfo":false}`), appcompose.ComposeHash{}, ""},
	} {
		got, _, problem := measuredHash(test.info, test.disk)
		if got != test.want || (problem == "") != (test.problem == "") || !strings.Contains(problem, test.problem) {
			t.Errorf("%s: %s, %q; want %s, %q", name, got, problem, test.want, test.problem)
		}
	}
}

func TestMatchContainers(t *testing.T) {
	document := []byte(`{"docker_compose_file":"services:\n  web: {image: a, command: [run, it]}\n  my-web: {image: b}\n  named: {image: c, container_name: the-one, command: go}\n  gone: {image: d, profiles: [x]}\n"}`)
	containers := []vmmrpc.Container{
		{Names: []string{"/the-one"}, State: "running", Status: "Up 2 minutes (healthy)"},
		{Names: []string{"/dstack-my-web-1"}, State: "Running", Status: "Up 2 minutes (unhealthy)"},
		{Names: []string{"/dstack-web-2"}, State: "exited", Status: "Exited (137) 3 seconds ago"},
		{Names: []string{"/dstack_web_1"}, State: "running", Status: "Up 1 second (health: starting)"},
		{Names: []string{"/somebody-else"}, State: "exited", Status: "Exited (1) 3 seconds ago"},
		{Names: nil, State: "running"},
	}
	services := parseServices(document)
	var got []string
	for _, s := range match(services, containers) {
		got = append(got, fmt.Sprintf("%s=%s[%s]%s:%s:%d", s.Name, s.Container, s.Command, s.State, s.Health, s.ExitCode))
	}
	want := "web=dstack-web-2[run it]exited::137 web=dstack_web_1[run it]running:starting:0 my-web=dstack-my-web-1[]running:unhealthy:0 named=the-one[go]running:healthy:0"
	if strings.Join(got, " ") != want {
		t.Errorf("services %s\nwant     %s", strings.Join(got, " "), want)
	}
}

func TestHealthOf(t *testing.T) {
	one := []composeService{{name: "web"}}
	for name, test := range map[string]struct {
		services   []composeService
		containers []runtime.Service
		want       runtime.Health
	}{
		"no containers yet":      {one, nil, runtime.HealthStarting},
		"nothing to run":         {nil, nil, runtime.HealthHealthy},
		"runs":                   {one, []runtime.Service{{State: "running"}}, runtime.HealthHealthy},
		"job well done":          {one, []runtime.Service{{State: "exited"}}, runtime.HealthHealthy},
		"failed":                 {one, []runtime.Service{{State: "running"}, {State: "exited", ExitCode: 1}}, runtime.HealthUnhealthy},
		"dead":                   {one, []runtime.Service{{State: "dead"}}, runtime.HealthUnhealthy},
		"restarting":             {one, []runtime.Service{{State: "restarting"}}, runtime.HealthStarting},
		"starting, then a fault": {one, []runtime.Service{{State: "running", Health: runtime.HealthStarting}, {State: "running", Health: runtime.HealthUnhealthy}}, runtime.HealthUnhealthy},
	} {
		if got := healthOf(test.services, test.containers); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestTimes checks what a driver tells of a VM that is powered on and off at random, against the truth.
func TestTimes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		now := time.Unix(1_790_000_000, 0)
		var started, exited time.Time
		up := false
		var m times
		var last [2]time.Time
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(1, int64(20*time.Second)).Draw(r, "pause")))
			changed := false
			switch rapid.IntRange(0, 3).Draw(r, "what") {
			case 0:
				if !up {
					started, exited, up, changed = now, time.Time{}, true, true
					if rapid.Bool().Draw(r, "by us") {
						m.began(now)
					}
				}
			case 1:
				if up {
					exited, up, changed = now, false, true
				}
			}
			age := func(at time.Time) string {
				if at.IsZero() {
					return vmmrpc.Never
				}
				return vmmrpc.FormatElapsed(now.Sub(at))
			}
			gone := age(exited)
			gotStarted, gotExited := m.observe(vmmrpc.VMInfo{Uptime: age(started), ExitedAt: &gone}, !up, now)
			for what, pair := range map[string][2]time.Time{"started": {gotStarted, started}, "exited": {gotExited, exited}} {
				if pair[0].IsZero() != pair[1].IsZero() || pair[0].Sub(pair[1]).Abs() > slack+20*time.Second {
					r.Fatalf("%s is %s, in truth %s", what, pair[0], pair[1])
				}
			}
			if !gotExited.IsZero() && gotExited.Before(gotStarted) {
				r.Fatalf("exited at %s, before it started at %s", gotExited, gotStarted)
			}
			if !changed && last != [2]time.Time{} && last != [2]time.Time{gotStarted, gotExited} {
				r.Fatalf("nothing happened, and the times went from %v to %v", last, [2]time.Time{gotStarted, gotExited})
			}
			last = [2]time.Time{gotStarted, gotExited}
		}
	})
}

// TestQuickRestartBySomebodyElse is what TestTimes once found: a second boot so soon after the first that its age
// fits both.
func TestQuickRestartBySomebodyElse(t *testing.T) {
	var m times
	now := time.Unix(1_790_000_000, 0)
	never, zero := vmmrpc.Never, "0s"
	first, _ := m.observe(vmmrpc.VMInfo{Uptime: "0s", ExitedAt: &never}, false, now)
	m.observe(vmmrpc.VMInfo{Uptime: "0s", ExitedAt: &zero}, true, now)
	now = now.Add(1070 * time.Millisecond)
	second, _ := m.observe(vmmrpc.VMInfo{Uptime: "0s", ExitedAt: &never}, false, now)
	again, _ := m.observe(vmmrpc.VMInfo{Uptime: "0s", ExitedAt: &never}, false, now.Add(900*time.Millisecond))
	if !second.After(first) || again != second {
		t.Errorf("started at %s, then %s, then %s; want the second boot's time twice", first, second, again)
	}
}

func TestTimeFilter(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 500, time.UTC)
	line := at.Format(time.RFC3339Nano) + " said something\n"
	for name, test := range map[string]struct {
		options runtime.LogOptions
		want    string
	}{
		"stamped":          {runtime.LogOptions{Timestamps: true}, line},
		"since itself":     {runtime.LogOptions{Since: at}, "said something\n"},
		"since just after": {runtime.LogOptions{Since: at.Add(1)}, ""},
		"until itself":     {runtime.LogOptions{Until: at}, ""},
		"until just after": {runtime.LogOptions{Until: at.Add(1)}, "said something\n"},
	} {
		got, _ := newTimeFilter(test.options).keep(line)
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	query := newTimeFilter(runtime.LogOptions{Since: at, Until: at, Tail: 3}).query()
	if query.Get("tail") != "all" || query.Get("since") != strconv.FormatInt(at.Unix(), 10) || query.Get("until") != strconv.FormatInt(at.Unix()+1, 10) {
		t.Errorf("query %v", query)
	}
}

// FuzzStatus feeds answers of a VMM that may be anything.
func FuzzStatus(f *testing.F) {
	const id = "0b0c7a43-91a5-4c39-bd0c-0f1d1c2b3a49"
	f.Add(`{"vms":[{"id":"x","name":"a-`+id+`","status":"running","uptime":"1h","exited_at":null,"boot_progress":"done","configuration":{"compose_file":"{}"}}]}`,
		`{"tcb_info":"{\"compose_hash\":\"00\"}"}`, `{"containers":[{"id":"1","names":["/dstack-web-1"],"state":"exited","status":"Exited (1)"}]}`)
	f.Add(`{"vms":[{"id":"x","name":"-`+id+`","status":"running","boot_error":"x","events":[{"event":"boot.error","body":"x"}]}]}`, `{}`, `null`)
	f.Add(`{"vms":[{"id":"x","name":"-`+id+`","status":"odd","uptime":"x","configuration":{"compose_file":"{\"docker_compose_file\":\"services: {a: *b}\"}"}}]}`, `[]`, `{"containers":null}`)
	f.Fuzz(func(t *testing.T, status, info, containers string) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body := status
			switch r.URL.Path {
			case "/guest/Info":
				body = info
			case "/guest/ListContainers":
				body = containers
			}
			_, _ = io.WriteString(w, body)
		}))
		defer server.Close()
		driver, err := New(Config{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		defer driver.Close()
		got, err := driver.Status(context.Background(), id)
		if err != nil {
			if !errors.Is(err, runtime.ErrUnreachable) && !errors.Is(err, runtime.ErrNotFound) {
				t.Errorf("error %v", err)
			}
			return
		}
		if down := got.State == runtime.StateStopped || got.State == runtime.StateExited; down && !got.RunningHash.IsZero() {
			t.Errorf("running hash %s while %s", got.RunningHash, got.State)
		}
		if got.State == runtime.StateRunning && got.Health == runtime.HealthUnknown {
			t.Error("a running app of unknown health would count as well")
		}
	})
}

func FuzzDockerStatus(f *testing.F) {
	f.Add("Exited (1) 2 seconds ago")
	f.Add("Exited (-99999999999) x")
	f.Add("Up 3 seconds (healthy)")
	f.Fuzz(func(t *testing.T, status string) {
		if health, code := parseDockerStatus(status); code != 0 && health != runtime.HealthUnknown {
			t.Errorf("%q: %s, %d", status, health, code)
		}
	})
}

func FuzzServices(f *testing.F) {
	f.Add([]byte(`{"docker_compose_file":"services: {a: {image: b, command: [x]}}"}`), "dstack-a-1")
	f.Add([]byte(`{"docker_compose_file":"a: &x [*x]"}`), "_")
	f.Fuzz(func(t *testing.T, document []byte, name string) {
		services := parseServices(document)
		found := match(services, []vmmrpc.Container{{Names: []string{name, "/" + name}}})
		if len(found) > 1 {
			t.Errorf("one container became %+v", found)
		}
	})
}
