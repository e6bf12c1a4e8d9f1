package dstack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says how a VMM is reached. URL is needed; everything else has a default.
type Config struct {
	// URL is http://HOST:PORT, https://HOST:PORT, or unix:PATH.
	URL string
	// Token is an admin token of the VMM, sent as a bearer token.
	Token string
	// User and Password are for a VMM with a htpasswd file. They do not go together with Token.
	User, Password string
	// TLS is for https, here and to the gateway. The default trusts the roots of the system.
	TLS *tls.Config
	// AgentURL leads to the gateway from here, as http(s)://HOST:PORT, where the host name of a CVM does not.
	AgentURL string

	// KMSURLs and GatewayURLs are given to new CVMs. The default is those of the VMM.
	KMSURLs, GatewayURLs []string

	// CallTimeout bounds one call of the RPC. 0 means 30 s.
	CallTimeout time.Duration
	// StopTimeout bounds how long a call waits for a process that it cut off to be gone. 0 means 30 s.
	StopTimeout time.Duration
	// Poll is the time between two looks at such a process. 0 means 100 ms.
	Poll time.Duration

	// Now gives the time. The default is time.Now.
	Now func() time.Time
	// Logger is told what is odd. The default discards.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.CallTimeout <= 0 {
		c.CallTimeout = 30 * time.Second
	}
	if c.StopTimeout <= 0 {
		c.StopTimeout = 30 * time.Second
	}
	if c.Poll <= 0 {
		c.Poll = 100 * time.Millisecond
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// unixScheme begins the URL of a socket.
const unixScheme = "unix:"

// idleConnections are kept open to a VMM, so that many CVMs can be looked at without dialing each time.
const idleConnections = 64

// transport is how a party on the network is reached.
func (c Config) transport() *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: 90 * time.Second, TLSClientConfig: c.TLS.Clone(),
		TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
	}
}

// base is where calls go: a URL without a slash at its end, and how it is dialed.
func (c Config) base() (string, *http.Transport, error) {
	transport := c.transport()
	if path, ok := strings.CutPrefix(c.URL, unixScheme); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" {
			return "", nil, errors.New("dstack: URL unix: names no socket")
		}
		dialer := &net.Dialer{Timeout: 10 * time.Second}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", path) }
		return "http://vmm", transport, nil
	}
	base, err := httpURL("URL", c.URL)
	return base, transport, err
}

// httpURL checks a URL without query and cuts slashes from its end.
func httpURL(name, text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("dstack: %s is %q, want http://HOST:PORT, https://HOST:PORT or, for the VMM, unix:PATH; without user and query", name, text)
	}
	return strings.TrimRight(text, "/"), nil
}
