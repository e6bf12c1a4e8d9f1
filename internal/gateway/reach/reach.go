// Package reach asks for endpoints of CVMs through the gateway of a node, over HTTPS, as a user of the app
// would. It is the control.Gateway of a server.
package reach

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/gateway"
)

// Config says how a gateway is reached. Domain is needed.
type Config struct {
	// Domain is the gateway's base domain, with its port where that is not 443.
	Domain string
	// URL leads to the gateway from here, as http(s)://HOST:PORT, where the host names of CVMs do not. They
	// are still what is asked for, in SNI and in the header Host.
	URL string
	// TLS says whom to trust. The default trusts the roots of the system.
	TLS *tls.Config
	// Timeout bounds one request. 0 means 5 s.
	Timeout time.Duration
}

const (
	defaultTimeout = 5 * time.Second
	maxBody        = 64 << 10 // of an answer; what it says does not matter
)

// Gateway asks one gateway. It is safe for concurrent use.
type Gateway struct {
	domain  string
	scheme  string
	client  *http.Client
	timeout time.Duration
}

// New makes a Gateway. It calls nobody.
func New(config Config) (*Gateway, error) {
	if config.Domain == "" || strings.ContainsAny(config.Domain, "/@ ") {
		return nil, fmt.Errorf("reach: the domain is %q, want the base domain of the gateway, such as apps.example.org", config.Domain)
	}
	if config.Timeout < 0 {
		return nil, fmt.Errorf("reach: the timeout is %s, want a positive duration, or 0 for %s", config.Timeout, defaultTimeout)
	}
	g := &Gateway{domain: config.Domain, scheme: "https", timeout: config.Timeout}
	if g.timeout == 0 {
		g.timeout = defaultTimeout
	}
	transport := &http.Transport{
		TLSClientConfig: config.TLS.Clone(),
		// Each request is to find out whether a connection can be made now.
		DisableKeepAlives: true,
		ForceAttemptHTTP2: true,
	}
	if config.URL != "" {
		at, err := url.Parse(config.URL)
		if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || strings.Trim(at.Path, "/") != "" || at.RawQuery != "" || at.User != nil {
			return nil, fmt.Errorf("reach: the URL of the gateway is %q, want http://HOST:PORT or https://HOST:PORT", config.URL)
		}
		g.scheme = at.Scheme
		address := at.Host
		if at.Port() == "" {
			address = net.JoinHostPort(at.Hostname(), at.Scheme) // the names of the two ports
		}
		dialer := &net.Dialer{}
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		}
	}
	g.client = &http.Client{
		Transport: transport,
		// Where an app sends its users is its own business; that it sends them anywhere is an answer.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return g, nil
}

// Reach implements control.Gateway. A status below 400 counts as an answer of the app. The gateway itself
// answers for an app that it does not reach, and an app that is not ready says so, with a status above.
func (g *Gateway) Reach(ctx context.Context, endpoint gateway.Endpoint, path string) error {
	if err := endpoint.Check(); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	address := strings.Replace(endpoint.URL(g.domain), "https", g.scheme, 1) + path
	request, err := http.NewRequestWithContext(limited, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("reach %s: %w", address, err)
	}
	response, err := g.client.Do(request)
	if err != nil {
		if ctx.Err() == nil && limited.Err() != nil {
			return fmt.Errorf("GET %s: no answer in %s", address, g.timeout)
		}
		return fmt.Errorf("GET %s: %w", address, cause(err))
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxBody)); err != nil {
		return fmt.Errorf("GET %s: the answer broke off: %w", address, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("GET %s: %s", address, response.Status)
	}
	return nil
}

// cause takes away the URL, which the caller names.
func cause(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
