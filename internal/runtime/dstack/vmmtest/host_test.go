package vmmtest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
)

// host is a VMM under test behind HTTP.
type host struct {
	t      testing.TB
	vmm    *vmmtest.VMM
	url    string
	config vmmtest.Config
	kms    *switchedKMS
}

func newHost(t testing.TB, change func(*vmmtest.Config)) *host {
	t.Helper()
	keys, err := kms.NewDev(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, kms: &switchedKMS{}}
	h.config = vmmtest.Config{Dir: t.TempDir(), Authorizer: h.kms, Keys: keys}
	if change != nil {
		change(&h.config)
	}
	h.open()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.vmm.Handler().ServeHTTP(w, r) }))
	t.Cleanup(func() { server.CloseClientConnections(); server.Close(); h.vmm.Close() })
	h.url = server.URL
	return h
}

func (h *host) open() {
	h.t.Helper()
	var err error
	if h.vmm, err = vmmtest.New(h.config); err != nil {
		h.t.Fatal(err)
	}
}

// call makes a call in JSON; the text is that of the error body.
func (h *host) call(path string, request, answer any) (code int, text string) {
	h.t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		h.t.Fatal(err)
	}
	response, err := http.Post(h.url+path, "application/json", bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		var refusal vmmrpc.Error
		if err := json.Unmarshal(got, &refusal); err != nil {
			h.t.Fatalf("%s: body of status %d is %q", path, response.StatusCode, got)
		}
		return response.StatusCode, refusal.Error
	}
	if answer != nil {
		if err := json.Unmarshal(got, answer); err != nil {
			h.t.Fatalf("%s: %v in %s", path, err, got)
		}
	}
	return response.StatusCode, ""
}

// must is call for what has to succeed.
func (h *host) must(path string, request, answer any) {
	h.t.Helper()
	if code, text := h.call(path, request, answer); code != http.StatusOK {
		h.t.Fatalf("%s: %d %s", path, code, text)
	}
}

// document is an app whose simulated container behaves as its labels say.
func document(version int, labels, fields string) string {
	compose, err := json.Marshal(fmt.Sprintf("services:\n  web:\n    image: web:%d\n    labels: {%s}\n", version, labels))
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	return fmt.Sprintf(`{"manifest_version":2,"name":"app","runner":"docker-compose",%s"docker_compose_file":%s}`, fields, compose)
}

func (h *host) create(name, compose string, stopped bool) string {
	h.t.Helper()
	var id vmmrpc.ID
	h.must("/prpc/CreateVm", vmmrpc.VMConfiguration{Name: name, Image: "dstack-0.5.5", ComposeFile: compose, VCPU: 1, Memory: 128, DiskSize: 2, Stopped: stopped}, &id)
	return id.ID
}

func (h *host) info(id string) vmmrpc.VMInfo {
	h.t.Helper()
	var answer vmmrpc.GetInfoResponse
	h.must("/prpc/GetInfo", vmmrpc.ID{ID: id}, &answer)
	if !answer.Found {
		h.t.Fatalf("VM %s is not found", id)
	}
	return *answer.Info
}

// until looks until the VM is as wanted.
func (h *host) until(id, what string, done func(vmmrpc.VMInfo) bool) vmmrpc.VMInfo {
	h.t.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		info := h.info(id)
		if done(info) {
			return info
		}
		select {
		case <-ticker.C:
		case <-deadline:
			h.t.Fatalf("waited for %s; VM is %+v", what, info)
		}
	}
}

func done(info vmmrpc.VMInfo) bool { return info.BootProgress == "done" }

func in(status string) func(vmmrpc.VMInfo) bool {
	return func(info vmmrpc.VMInfo) bool { return info.Status == status }
}

// measured is the compose hash that the guest tells.
func (h *host) measured(id string) string {
	h.t.Helper()
	var info vmmrpc.GuestInfo
	h.must("/guest/Info", vmmrpc.ID{ID: id}, &info)
	var tcb vmmrpc.TCBInfo
	if err := json.Unmarshal([]byte(info.TCBInfo), &tcb); err != nil {
		h.t.Fatal(err)
	}
	return tcb.ComposeHash
}

// switchedKMS denies while it has a reason to.
type switchedKMS struct {
	mu     sync.Mutex
	reason string
	asked  int
	last   kms.BootInfo
}

func (k *switchedKMS) deny(reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reason = reason
}

func (k *switchedKMS) times() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

// image is the OS image hash that the last guest measured.
func (k *switchedKMS) image() [32]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last.OSImageHash
}

func (k *switchedKMS) AuthorizeBoot(_ context.Context, info kms.BootInfo) (kms.Decision, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked, k.last = k.asked+1, info
	return kms.Decision{Allowed: k.reason == "", Reason: k.reason}, nil
}
