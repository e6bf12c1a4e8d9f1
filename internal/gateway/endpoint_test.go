package gateway_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lockstep-cvm/lockstep/internal/gateway"
)

var id = strings.Repeat("0a", 20)

func TestHostNames(t *testing.T) {
	for _, tt := range []struct {
		host, domain string
		want         gateway.Endpoint
	}{
		{id + ".apps.example.org", "apps.example.org", gateway.Endpoint{ID: id}},
		{id + "-80.apps.example.org", "apps.example.org", gateway.Endpoint{ID: id, Port: 80}},
		{id + "-8443s.apps.example.org", "apps.example.org", gateway.Endpoint{ID: id, Port: 8443, Passthrough: true}},
		{id + "-50051g.apps.example.org", "apps.example.org", gateway.Endpoint{ID: id, Port: 50051, HTTP2: true}},
		{id + "s.apps.example.org", "apps.example.org", gateway.Endpoint{ID: id, Passthrough: true}},
		{id + "g.apps.example.org", "apps.example.org", gateway.Endpoint{ID: id, HTTP2: true}},
		{id + "-s.apps.example.org", "apps.example.org", gateway.Endpoint{ID: id, Passthrough: true}},
		{strings.ToUpper(id) + "-22.Apps.Example.org:8443", "apps.example.org:443", gateway.Endpoint{ID: id, Port: 22}},
		{id + "-65535.x", "x", gateway.Endpoint{ID: id, Port: 65535}},
	} {
		if got, err := gateway.ParseHost(tt.host, tt.domain); err != nil || got != tt.want {
			t.Errorf("%s: got %+v, %v, want %+v", tt.host, got, err, tt.want)
		}
	}
}

func TestHostNamesThatAreNone(t *testing.T) {
	for _, host := range []string{
		"", ".x", "x", id, id + ".y", id + "-.x", id + "-0.x", id + "-65536.x", id + "-80sg.x", id + "-80gs.x", id + "-80-81.x",
		id + "-+80.x", id[:39] + ".x", id + "0.x", "0x" + id[2:] + ".x", "a." + id + ".x", id + "-80z.x", id + "ss.x",
	} {
		if got, err := gateway.ParseHost(host, "x"); err == nil {
			t.Errorf("%q is taken as %+v", host, got)
		}
	}
	if _, err := gateway.ParseHost(id+".", ""); err == nil {
		t.Error("a domain is needed")
	}
}

func TestURL(t *testing.T) {
	for _, tt := range []struct {
		endpoint gateway.Endpoint
		domain   string
		want     string
	}{
		{gateway.Endpoint{ID: id}, "x.org", "https://" + id + "-80.x.org"},
		{gateway.Endpoint{ID: id, Passthrough: true}, "x.org", "https://" + id + "-443s.x.org"},
		{gateway.Endpoint{ID: id, Port: 50051, HTTP2: true}, "x.org:8443", "https://" + id + "-50051g.x.org:8443"},
	} {
		if got := tt.endpoint.URL(tt.domain); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
	if err := (gateway.Endpoint{ID: id, Passthrough: true, HTTP2: true}).Check(); err == nil {
		t.Error("both flags are taken")
	}
}

// Every endpoint has one name, and the name leads back to it.
func TestNameAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flag := rapid.IntRange(0, 2).Draw(t, "flag")
		e := gateway.Endpoint{
			ID: rapid.StringMatching("[0-9a-f]{40}").Draw(t, "id"), Port: rapid.IntRange(1, 65535).Draw(t, "port"),
			Passthrough: flag == 1, HTTP2: flag == 2,
		}
		if err := e.Check(); err != nil {
			t.Fatal(err)
		}
		got, err := gateway.ParseHost(e.Label()+".apps.example.org", "apps.example.org")
		if err != nil || got != e {
			t.Fatalf("%s: got %+v, %v, want %+v", e.Label(), got, err, e)
		}
	})
}

func FuzzParseHost(f *testing.F) {
	for _, host := range []string{id + "-80.x", id + "s.x", id + "-443s.x:8443", "[::1]:80", "-.x"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		e, err := gateway.ParseHost(host, "x")
		if err != nil {
			return
		}
		if err := e.Check(); err != nil {
			t.Fatalf("%q is taken, and %v", host, err)
		}
		again, err := gateway.ParseHost(e.Label()+".x", "x")
		if err != nil || again.ID != e.ID || again.PortInside() != e.PortInside() || again.Passthrough != e.Passthrough || again.HTTP2 != e.HTTP2 {
			t.Fatalf("%q is %+v and its name leads to %+v, %v", host, e, again, err)
		}
	})
}
