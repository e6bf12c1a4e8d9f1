package lockstep

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// Environment variables that [NewClient] reads; the official clients use the same.
const (
	EnvAPIKey    = "PHALA_CLOUD_API_KEY"
	EnvAPIPrefix = "PHALA_CLOUD_API_PREFIX"
)

// defaultTimeout is that of the official clients, and covers the confirming PATCH, during which the
// server talks to a chain.
const defaultTimeout = 30 * time.Second

// defaultRetries is how often a request is repeated: with the waits between them about 15 seconds.
const defaultRetries = 4

// Client calls the API. Make one with [NewClient]; it is safe for concurrent use.
type Client struct {
	apiKey    string
	baseURL   string
	version   api.Version
	userAgent string
	header    http.Header
	timeout   time.Duration
	retries   int
	clock     Clock
	http      *http.Client
}

// NewClient returns a client. Without [WithAPIKey] the key is taken from PHALA_CLOUD_API_KEY, without
// [WithBaseURL] the address from PHALA_CLOUD_API_PREFIX. A missing key and options with bad values
// are a *[FieldError].
func NewClient(opts ...Option) (*Client, error) {
	s := settings{
		apiKey:    os.Getenv(EnvAPIKey),
		baseURL:   os.Getenv(EnvAPIPrefix),
		version:   api.DefaultVersion,
		userAgent: "lockstep-go",
		header:    http.Header{},
		timeout:   defaultTimeout,
		retries:   defaultRetries,
		clock:     systemClock{},
		http:      http.DefaultClient,
	}
	for _, opt := range opts {
		opt(&s)
	}
	if err := checkKey(s.apiKey); err != nil {
		return nil, err
	}
	base, err := parseBaseURL(s.baseURL)
	if err != nil {
		return nil, err
	}
	if s.version != api.ParseVersion(string(s.version)) {
		return nil, &FieldError{Field: "API version", Seen: fmt.Sprintf("%q", s.version), Expected: fmt.Sprintf("%q or %q", api.Version20260121, api.Version20251028)}
	}
	c := &Client{
		apiKey:    s.apiKey,
		baseURL:   base,
		version:   s.version,
		userAgent: s.userAgent,
		header:    s.header,
		timeout:   s.timeout,
		retries:   max(s.retries, 0),
		clock:     s.clock,
	}
	c.http = c.ownHTTPClient(s.http)
	return c, nil
}

// BaseURL returns the address that the client calls, without a slash at the end.
func (c *Client) BaseURL() string { return c.baseURL }

// String implements fmt.Stringer without the API key.
func (c *Client) String() string { return "lockstep client of " + c.baseURL }

// GoString implements fmt.GoStringer without the API key.
func (c *Client) GoString() string { return c.String() }

// ownHTTPClient returns a copy of the caller's client that never sends the API key to another host
// and never turns a write into a GET, both of which the standard redirect rules would do. Timeouts
// are set per request: one for the whole exchange would cut event streams off.
func (c *Client) ownHTTPClient(given *http.Client) *http.Client {
	own := *given
	own.Timeout = 0
	if given.Timeout > 0 && (c.timeout <= 0 || given.Timeout < c.timeout) {
		c.timeout = given.Timeout
	}
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0]
		if req.Method != first.Method || req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host {
			return http.ErrUseLastResponse
		}
		if given.CheckRedirect != nil {
			return given.CheckRedirect(req, via)
		}
		if len(via) >= 10 {
			return fmt.Errorf("stopped after %d redirects", len(via))
		}
		return nil
	}
	return &own
}

func checkKey(key string) error {
	if key == "" {
		return &FieldError{Field: "API key", Seen: "nothing", Expected: "WithAPIKey or " + EnvAPIKey}
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] >= 0x7f {
			return &FieldError{Field: "API key", Seen: "a character that no header may carry (the key is not shown)", Expected: "printable ASCII without spaces"}
		}
	}
	return nil
}

func parseBaseURL(raw string) (string, error) {
	if raw == "" {
		raw = api.DefaultBaseURL
	}
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		// The value is not shown: it may hold a password.
		return "", &FieldError{Field: "base URL", Seen: "something else", Expected: "an http or https URL without user, query and fragment, such as " + api.DefaultBaseURL}
	}
	return strings.TrimRight(u.String(), "/"), nil
}
