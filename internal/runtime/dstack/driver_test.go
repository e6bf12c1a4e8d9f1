package dstack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/runtimetest"
)

const cvm = "0b0c7a43-91a5-4c39-bd0c-0f1d1c2b3a49"

// bench is a driver on a host, with a record of what it called.
type bench struct {
	*host
	*dstack.Driver
	t      *testing.T
	config dstack.Config

	mu    sync.Mutex
	calls []string
}

func newBench(t *testing.T, config vmmtest.Config) *bench {
	t.Helper()
	b := &bench{host: newHost(t, config), t: t}
	handler := b.vmm.Handler()
	b.config = dstack.Config{AgentURL: b.serveTCP(t, b.vmm.AgentHandler())}
	b.config.URL = b.serveTCP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.calls = append(b.calls, r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
		b.mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	b.Driver = open(t, b.config)
	return b
}

// called are the calls since it was last asked, without those that only look.
func (b *bench) called() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changes []string
	for _, c := range b.calls {
		switch c {
		case vmmrpc.Status, vmmrpc.GuestInfoMethod, vmmrpc.GuestListContainers:
		default:
			changes = append(changes, c)
		}
	}
	b.calls = nil
	return strings.Join(changes, " ")
}

func document(app runtimetest.App, version int, fields string) []byte {
	text, err := json.Marshal(compose(app, version))
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return fmt.Appendf(nil, `{"manifest_version":2,"name":"app","runner":"docker-compose",%s"docker_compose_file":%s}`, fields, text)
}

func healthy(version int) []byte { return document(runtimetest.Healthy, version, "") }

func spec(document []byte) runtime.Spec {
	return runtime.Spec{
		ID: cvm, Name: "Größe/1", AppID: strings.Repeat("0a", 20), Image: "dstack-0.5.5",
		Resources: runtime.Resources{VCPU: 1, MemoryMB: 128, DiskGB: 1}, Config: runtime.Config{Document: document},
	}
}

func (b *bench) create(document []byte) {
	b.t.Helper()
	if err := b.Create(b.t.Context(), spec(document)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) until(done func(runtime.Status) bool) runtime.Status {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	status, err := runtime.Await(ctx, b.Driver, cvm, time.Millisecond, done)
	if err != nil {
		b.t.Fatalf("%v; last seen %+v", err, status)
	}
	return status
}

func (b *bench) boot() runtime.Status {
	b.t.Helper()
	if err := b.Start(b.t.Context(), cvm); err != nil {
		b.t.Fatal(err)
	}
	return b.until(func(s runtime.Status) bool {
		return s.State == runtime.StateExited || s.State == runtime.StateRunning && s.Health != runtime.HealthStarting
	})
}

func (b *bench) halt() {
	b.t.Helper()
	if err := b.Stop(b.t.Context(), cvm, runtime.StopOptions{}); err != nil {
		b.t.Fatal(err)
	}
	b.until(func(s runtime.Status) bool { return s.State == runtime.StateStopped })
}

// vms are the VMs that the host has.
func (b *bench) vms() []vmmrpc.VMInfo {
	b.t.Helper()
	response, err := http.Get(b.config.URL + "/prpc/Status")
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer vmmrpc.StatusResponse
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		b.t.Fatal(err)
	}
	return answer.VMs
}

func (b *bench) fault(f vmmtest.Fault) *vmmtest.Armed { return b.vmm.Faults().Add(f) }

func TestCreateWithoutAnswer(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	b.fault(vmmtest.Fault{Method: vmmrpc.CreateVM, Drop: true, After: true})
	if err := b.Create(t.Context(), spec(healthy(1))); !errors.Is(err, runtime.ErrUnreachable) {
		t.Errorf("Create without an answer: %v, want ErrUnreachable", err)
	}
	b.called()
	again := open(t, b.config) // another process, which remembers nothing
	if err := again.Create(t.Context(), spec(healthy(1))); err != nil {
		t.Fatal(err)
	}
	if calls := b.called(); calls != "" || len(b.vms()) != 1 {
		t.Errorf("Create of what is there called %q; %d VMs", calls, len(b.vms()))
	}
	if name := b.vms()[0].Name; name != "Gr__e_1-"+cvm {
		t.Errorf("name is %q", name)
	}
}

// TestCreateTwiceAtOnce plays two servers that both find nothing and both create.
func TestCreateTwiceAtOnce(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	other := open(t, b.config)
	first := b.fault(vmmtest.Fault{Method: vmmrpc.CreateVM, Hold: true})
	result := make(chan error, 1)
	go func() { result <- b.Create(t.Context(), spec(healthy(1))) }()
	<-first.Struck()
	if err := other.Create(t.Context(), spec(healthy(2))); err != nil {
		t.Fatal(err)
	}
	if err := other.Start(t.Context(), cvm); err != nil {
		t.Fatal(err)
	}
	first.Release()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	status, err := b.Status(t.Context(), cvm)
	if err != nil || status.NextHash != appcompose.Hash(healthy(2)) {
		t.Errorf("status %+v, %v; want the VM that was there first", status, err)
	}
	b.until(func(runtime.Status) bool { return len(b.vms()) == 1 })
}

// TestDuplicatesAreRemovedTogether plays a second VM that nobody saw come: its creator died.
func TestDuplicatesAreRemovedTogether(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	b.create(healthy(1))
	text, err := json.Marshal(vmmrpc.VMConfiguration{Name: "late-" + cvm, Image: "dstack-0.5.5", ComposeFile: string(healthy(2)), Stopped: true})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(b.config.URL+"/prpc/CreateVm", "application/json", bytes.NewReader(text))
	if err != nil || response.StatusCode != 200 {
		t.Fatal(err, response.Status)
	}
	response.Body.Close()
	fresh := open(t, b.config)
	if status, err := fresh.Status(t.Context(), cvm); err != nil || status.NextHash != appcompose.Hash(healthy(1)) {
		t.Errorf("status %+v, %v; want the VM that was created first", status, err)
	}
	if err := fresh.Remove(t.Context(), cvm); err != nil {
		t.Fatal(err)
	}
	b.eventually(func() bool { return len(b.vms()) == 0 })
}

// eventually looks until something is so.
func (b *bench) eventually(done func() bool) {
	b.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			b.t.Fatal("it did not come")
		}
	}
}

func TestApplyOrder(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	b.create(healthy(1))
	b.called()
	env := []byte("an environment of some length, which no guest could open; it is only stored")
	two := runtime.Config{Document: healthy(2), EncryptedEnv: env}
	b.fault(vmmtest.Fault{Method: vmmrpc.UpdateVM, Drop: true, After: true})
	if err := b.Apply(t.Context(), cvm, two); !errors.Is(err, runtime.ErrUnreachable) {
		t.Errorf("Apply whose first answer is lost: %v", err)
	}
	// The environment went first: a document that is seen on the host has its environment with it.
	if c := b.vms()[0].Configuration; c.ComposeFile != string(healthy(1)) || !bytes.Equal(c.EncryptedEnv, env) {
		t.Errorf("after half an Apply: %q, environment %q", c.ComposeFile, c.EncryptedEnv)
	}
	if err := b.Apply(t.Context(), cvm, two); err != nil {
		t.Fatal(err)
	}
	if calls := b.called(); calls != "UpdateVm UpdateVm" {
		t.Errorf("calls: %s", calls)
	}
	// Cleared, there is one that a guest can open and that holds nothing.
	if err := b.Apply(t.Context(), cvm, runtime.Config{Document: healthy(2)}); err != nil {
		t.Fatal(err)
	}
	if calls, stored := b.called(), b.vms()[0].Configuration.EncryptedEnv; calls != "GetAppEnvEncryptPubKey UpdateVm" || len(stored) != 70 {
		t.Errorf("calls: %s; environment of %d bytes", calls, len(stored))
	}
	if s := b.boot(); s.State != runtime.StateRunning {
		t.Errorf("with a cleared environment: %+v", s)
	}
}

func TestClearWithoutKMS(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	withEnv := spec(healthy(1))
	withEnv.Config.EncryptedEnv = []byte("something")
	if err := b.Create(t.Context(), withEnv); err != nil {
		t.Fatal(err)
	}
	b.fault(vmmtest.Fault{Method: vmmrpc.GetAppEnvEncryptPubKey, Error: "KMS is not configured"})
	err := b.Apply(t.Context(), cvm, runtime.Config{Document: healthy(2)})
	if err == nil || !strings.Contains(err.Error(), "cannot be cleared") || !strings.Contains(err.Error(), "KMS is not configured") {
		t.Errorf("clearing without a KMS: %v", err)
	}
	if c := b.vms()[0].Configuration; c.ComposeFile != string(healthy(1)) {
		t.Error("the document was replaced without its environment")
	}
}

// TestWrittenIsReadBack plays a host that takes a document and goes on holding another.
func TestWrittenIsReadBack(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	b.create(healthy(1))
	if _, err := b.vmm.AddStale(vmmtest.Fault{VM: cvm, Times: -1}); err != nil {
		t.Fatal(err)
	}
	err := b.Apply(t.Context(), cvm, runtime.Config{Document: healthy(2)})
	if err == nil || !strings.Contains(err.Error(), appcompose.Hash(healthy(1)).String()) || !strings.Contains(err.Error(), appcompose.Hash(healthy(2)).String()) {
		t.Errorf("Apply to a host that holds something else: %v, want both hashes named", err)
	}
}

func TestDocumentsThatJSONCannotCarry(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	broken := append(healthy(1), 0xff)
	for name, err := range map[string]error{
		"Create": b.Create(t.Context(), spec(broken)),
		"empty":  b.Create(t.Context(), spec(nil)),
		"Apply": func() error {
			b.create(healthy(1))
			return b.Apply(t.Context(), cvm, runtime.Config{Document: broken})
		}(),
	} {
		if !errors.Is(err, runtime.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// TestDeniedGuestIsCutOffFirst checks that nothing is written or started beside a process that boots again and again.
func TestDeniedGuestIsCutOffFirst(t *testing.T) {
	b := newBench(t, vmmtest.Config{RebootDelay: time.Millisecond})
	b.create(healthy(1))
	b.kms.deny("Compose hash not allowed")
	if s := b.boot(); s.State != runtime.StateExited || !strings.Contains(s.BootError, "Boot denied: Compose hash not allowed") || s.ExitedAt.IsZero() {
		t.Fatalf("status of a denied CVM: %+v", s)
	}
	b.called()
	b.kms.deny("")
	slow := b.fault(vmmtest.Fault{Method: vmmtest.EffectStop, Hold: true})
	applied := make(chan error, 1)
	go func() { applied <- b.Apply(t.Context(), cvm, runtime.Config{Document: healthy(2)}) }()
	<-slow.Struck()
	if calls := b.called(); calls != "StopVm" {
		t.Errorf("calls while the process is there: %s", calls)
	}
	slow.Release()
	if err := <-applied; err != nil {
		t.Fatal(err)
	}
	if calls := b.called(); calls != "UpdateVm" {
		t.Errorf("calls once it is gone: %s", calls)
	}
	if s := b.boot(); s.RunningHash != appcompose.Hash(healthy(2)) {
		t.Errorf("status: %+v", s)
	}
}

func TestStartCutsOffWhatDidNotBoot(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	b.create(document(runtimetest.BadBoot, 1, ""))
	b.boot()
	b.called()
	b.boot()
	if calls := b.called(); calls != "StopVm StartVm" {
		t.Errorf("calls: %s", calls)
	}
}

func TestProcessThatDoesNotGo(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	b.config.StopTimeout = time.Nanosecond
	b.Driver = open(t, b.config)
	b.create(document(runtimetest.BadBoot, 1, ""))
	b.boot()
	b.fault(vmmtest.Fault{Method: vmmtest.EffectStop, Hold: true})
	if err := b.Start(t.Context(), cvm); err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("Start beside a process that does not go: %v", err)
	}
}

// TestForgottenProgress plays a VMM that was restarted, or told to start what runs: it says "running" from then on.
func TestForgottenProgress(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	b.create(healthy(1))
	b.boot()
	response, err := http.Post(b.config.URL+"/prpc/StartVm?json", "", strings.NewReader(fmt.Sprintf(`{"id":%q}`, b.vms()[0].ID)))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	s := b.until(func(s runtime.Status) bool { return s.State == runtime.StateRunning })
	if s.BootProgress != "running" || s.Health != runtime.HealthHealthy || s.RunningHash != appcompose.Hash(healthy(1)) {
		t.Errorf("status: %+v", s)
	}
}

// TestPendingDocumentIsNotWhatRuns plays somebody who rewrites the file under a running CVM.
func TestPendingDocumentIsNotWhatRuns(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	b.create(healthy(1))
	b.boot()
	text, err := json.Marshal(vmmrpc.UpdateVMRequest{ID: b.vms()[0].ID, ComposeFile: string(healthy(2))})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(b.config.URL+"/prpc/UpdateVm", "application/json", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	s, err := b.Status(t.Context(), cvm)
	if err != nil || s.RunningHash != appcompose.Hash(healthy(1)) || s.NextHash != appcompose.Hash(healthy(2)) {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestSilentDocument(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	doc := document(runtimetest.Healthy, 1, `"public_tcbinfo":false,`)
	b.create(doc)
	if s := b.boot(); s.RunningHash != appcompose.Hash(doc) || s.Health != runtime.HealthHealthy {
		t.Errorf("status: %+v", s)
	}
}

func TestShutdownOfAGuestThatDoesNotAnswer(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	b.create(healthy(1))
	b.boot()
	b.fault(vmmtest.Fault{Method: vmmrpc.ShutdownVM, Error: "Failed to connect to guest agent"})
	refused := new(dstack.RPCError)
	if err := b.Stop(t.Context(), cvm, runtime.StopOptions{}); !errors.As(err, &refused) || refused.Method != "ShutdownVm" || refused.Text != "Failed to connect to guest agent" {
		t.Errorf("Stop of an app that does not answer: %v, want the VMM's words", err)
	}
	if s, err := b.Status(t.Context(), cvm); err != nil || s.State != runtime.StateRunning {
		t.Errorf("it was cut off: %+v, %v", s, err)
	}
	if err := b.Stop(t.Context(), cvm, runtime.StopOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	b.until(func(s runtime.Status) bool { return s.State == runtime.StateStopped })
}

func TestAnswersOfSomebodyElse(t *testing.T) {
	for name, test := range map[string]struct {
		code int
		body string
		want error
		text string
	}{
		"no entry":      {401, "Unauthorized", runtime.ErrUnreachable, "token"},
		"forbidden":     {403, "", runtime.ErrUnreachable, "token"},
		"gateway":       {502, "<html>bad gateway", runtime.ErrUnreachable, "502"},
		"web page":      {200, "<html>", runtime.ErrUnreachable, "not what a dstack-vmm answers"},
		"wrong types":   {200, `{"vms":{}}`, runtime.ErrUnreachable, "not what a dstack-vmm answers"},
		"redirect":      {302, "", runtime.ErrUnreachable, "302"},
		"another path":  {404, "not found", runtime.ErrUnreachable, "404"},
		"refusal":       {400, `{"error":"VM not found: caused by: everything"}`, nil, "dstack-vmm refused Status: VM not found: caused by: everything"},
		"bare refusal":  {400, "", nil, "no reason given"},
		"long refusal":  {400, strings.Repeat("x", 5000), nil, "…"},
		"strange bytes": {400, "\xff\xfe", nil, "\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.code)
				_, _ = io.WriteString(w, test.body)
			}))
			defer server.Close()
			_, err := open(t, dstack.Config{URL: server.URL}).Status(t.Context(), cvm)
			if err == nil || test.want != nil && !errors.Is(err, test.want) || test.want == nil && errors.Is(err, runtime.ErrUnreachable) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v; want %v with %q", err, test.want, test.text)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for _, config := range []dstack.Config{
		{}, {URL: "host:1"}, {URL: "ftp://host"}, {URL: "http://user@host"}, {URL: "http://host?a=b"}, {URL: "unix:"},
		{URL: "http://host", Token: "t", User: "u"}, {URL: "http://host", AgentURL: "unix:x"},
	} {
		if _, err := dstack.New(config); err == nil {
			t.Errorf("%+v was taken", config)
		}
	}
}

func TestLogsThatThereAreNot(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	ctx := t.Context()
	b.create(healthy(1)) // without gateway
	b.boot()
	for name, test := range map[string]struct {
		options runtime.LogOptions
		want    error
		text    string
	}{
		"no gateway":        {runtime.LogOptions{Container: "web"}, runtime.ErrConflict, "gateway_enabled"},
		"console since":     {runtime.LogOptions{Since: time.Now()}, runtime.ErrInvalid, "no times"},
		"console, stamped":  {runtime.LogOptions{Timestamps: true}, runtime.ErrInvalid, "no times"},
		"unknown container": {runtime.LogOptions{Container: "nobody"}, runtime.ErrNoContainer, "nobody"},
	} {
		if _, err := b.Logs(ctx, cvm, test.options); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v, want %v with %q", name, err, test.want, test.text)
		}
	}
	b.halt()
	if err := b.Apply(ctx, cvm, runtime.Config{Document: document(runtimetest.Healthy, 2, `"gateway_enabled":true,`)}); err != nil {
		t.Fatal(err)
	}
	b.boot()
	if _, err := b.Logs(ctx, cvm, runtime.LogOptions{Container: "web"}); !errors.Is(err, runtime.ErrConflict) || !strings.Contains(err.Error(), "public_logs") {
		t.Errorf("logs that the document keeps inside: %v", err)
	}
}

// TestTimesThroughAnotherProcess checks that a driver that saw nothing never tells later times than one that did.
func TestTimesThroughAnotherProcess(t *testing.T) {
	b := newBench(t, vmmtest.Config{})
	b.create(healthy(1))
	before := time.Now()
	up := b.boot()
	if up.StartedAt.Before(before) || up.StartedAt.After(time.Now()) {
		t.Errorf("started at %s, want after %s", up.StartedAt, before)
	}
	b.halt()
	down, err := b.Status(t.Context(), cvm)
	if err != nil {
		t.Fatal(err)
	}
	other, err := open(t, b.config).Status(t.Context(), cvm)
	if err != nil || other.StartedAt.After(up.StartedAt) || other.ExitedAt.After(down.ExitedAt) || other.ExitedAt.Before(before.Add(-2*time.Second)) {
		t.Errorf("another process says started %s, exited %s; this one %s, %s (%v)", other.StartedAt, other.ExitedAt, up.StartedAt, down.ExitedAt, err)
	}
}
