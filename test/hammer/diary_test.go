package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// TestFrontWritesDownWhatChangesAVM sends calls as two processes of a server, and looks into the diary.
func TestFrontWritesDownWhatChangesAVM(t *testing.T) {
	d := &diary{}
	arrived, held := make(chan struct{}), make(chan struct{})
	f := &front{diary: d, behind: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, vmmrpc.StopVM) {
			close(arrived)
			<-held
		}
	})}
	send := func(life, method, body string) {
		r := httptest.NewRequest(http.MethodPost, vmmrpc.RPCPath+method, strings.NewReader(body))
		f.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), lifeKey{}, life)))
	}
	send("a#1", vmmrpc.Status, `{"ids":["vm"]}`)
	send("a#1", vmmrpc.CreateVM, `{"name":"one-uuid"}`)
	send("a#1", vmmrpc.StartVM, `{"id":"vm"}`)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		send("a#1", vmmrpc.StopVM, `{"id":"vm"}`)
	}()
	<-arrived
	d.disturb("a#1", "killed")
	close(held)
	<-stopped
	send("a#2", vmmrpc.StartVM, `{"id":"vm"}`)

	_, calls, disturbances := d.copied()
	if len(disturbances) != 1 {
		t.Fatalf("%d disturbances, want 1", len(disturbances))
	}
	want := []call{
		{life: "a#1", method: vmmrpc.CreateVM, vm: "one-uuid"}, {life: "a#1", method: vmmrpc.StartVM, vm: "vm"},
		{life: "a#1", method: vmmrpc.StopVM, vm: "vm"}, {life: "a#2", method: vmmrpc.StartVM, vm: "vm"},
	}
	if len(calls) != len(want) {
		t.Fatalf("the diary has %v, want %v", calls, want)
	}
	for i, c := range calls {
		if c.life != want[i].life || c.method != want[i].method || c.vm != want[i].vm {
			t.Errorf("call %d is %s %s %s, want %s %s %s", i, c.life, c.method, c.vm, want[i].life, want[i].method, want[i].vm)
		}
		if c.began.IsZero() || c.over.Before(c.began) {
			t.Errorf("call %d lasts from %s to %s", i, c.began, c.over)
		}
	}
	if !calls[2].over.Equal(disturbances[0].at) {
		t.Errorf("the call of the killed server is over at %s, want %s, when it was killed", calls[2].over, disturbances[0].at)
	}
}
