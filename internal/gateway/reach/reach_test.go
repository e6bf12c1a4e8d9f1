package reach_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/gateway"
	"github.com/lockstep-cvm/lockstep/internal/gateway/reach"
)

var _ control.Gateway = (*reach.Gateway)(nil)

var endpoint = gateway.Endpoint{ID: strings.Repeat("0a", 20), Port: 8080}

// domain fits the certificate that httptest makes, which is for *.example.com among others.
const domain = "example.com"

func newGateway(t *testing.T, front *httptest.Server, change func(*reach.Config)) *reach.Gateway {
	t.Helper()
	config := reach.Config{Domain: domain, URL: front.URL}
	if front.Certificate() != nil {
		roots := x509.NewCertPool()
		roots.AddCert(front.Certificate())
		config.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	if change != nil {
		change(&config)
	}
	g, err := reach.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestReach(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		want   string // in the error; empty for none
	}{
		{"answers", 200, ""},
		{"sends its users elsewhere", 302, ""},
		{"wants a sign-in", 401, "401 Unauthorized"},
		{"is not ready", 503, "503 Service Unavailable"},
		{"is not reached by the gateway", 502, "502 Bad Gateway"},
	} {
		for _, secure := range []bool{true, false} {
			var asked, sni string
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Host + r.URL.RequestURI()
				if r.TLS != nil {
					sni = r.TLS.ServerName
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
			})
			front := httptest.NewServer(handler)
			if secure {
				front.Close()
				front = httptest.NewTLSServer(handler)
			}
			err := newGateway(t, front, nil).Reach(t.Context(), endpoint, "/healthz?deep=1")
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
			}
			host := endpoint.Label() + "." + domain
			if asked != host+"/healthz?deep=1" || secure && sni != host {
				t.Errorf("%s: asked for %s with SNI %q, want %s", tt.name, asked, sni, host)
			}
			front.Close()
		}
	}
}

func TestReachNobody(t *testing.T) {
	front := httptest.NewTLSServer(http.NotFoundHandler())
	g := newGateway(t, front, nil)
	stranger := newGateway(t, front, func(c *reach.Config) { c.TLS = nil })
	if err := stranger.Reach(t.Context(), endpoint, "/"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody: %v", err)
	}
	front.Close()
	if err := g.Reach(t.Context(), endpoint, "/"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a gateway that is down: %v", err)
	}
	if err := g.Reach(t.Context(), gateway.Endpoint{ID: "x"}, "/"); err == nil {
		t.Error("an endpoint that is none was asked for")
	}
}

func TestReachIsBounded(t *testing.T) {
	stop := make(chan struct{})
	front := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer front.Close()
	defer close(stop)
	g := newGateway(t, front, func(c *reach.Config) { c.Timeout = time.Millisecond })
	if err := g.Reach(t.Context(), endpoint, "/"); err == nil || !strings.Contains(err.Error(), "no answer in 1ms") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newGateway(t, front, nil).Reach(ctx, endpoint, "/"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v", err)
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	for _, config := range []reach.Config{
		{}, {Domain: "https://x"}, {Domain: "x", URL: "x:1"}, {Domain: "x", URL: "https://x/path"}, {Domain: "x", URL: "ftp://x"}, {Domain: "x", Timeout: -1},
	} {
		if _, err := reach.New(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
}
