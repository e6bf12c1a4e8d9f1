package lockstep

import (
	"net/http"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// Option sets one property of a [Client].
type Option func(*settings)

type settings struct {
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

// WithAPIKey sets the API key. An empty key leaves the one of the environment.
func WithAPIKey(key string) Option {
	return func(s *settings) {
		if key != "" {
			s.apiKey = key
		}
	}
}

// WithBaseURL sets the address of the API up to and including /api/v1. An empty address leaves the
// one of the environment or the default.
func WithBaseURL(url string) Option {
	return func(s *settings) {
		if url != "" {
			s.baseURL = url
		}
	}
}

// WithAPIVersion sets the version that is asked for. Operations whose answer depends on it
// ([Client.GetCVM] and others) ask for the version of the type that they return.
func WithAPIVersion(v api.Version) Option { return func(s *settings) { s.version = v } }

// WithHTTPClient sets the HTTP client. It is copied, never changed; its Timeout counts for each
// request, not for event streams. It must not be nil.
func WithHTTPClient(c *http.Client) Option {
	return func(s *settings) {
		if c != nil {
			s.http = c
		}
	}
}

// WithTimeout bounds each request, not the retries together and not event streams: the context does
// that. The default is 30 seconds, zero is no bound.
func WithTimeout(d time.Duration) Option { return func(s *settings) { s.timeout = d } }

// WithRetries sets how often a request is repeated at most; zero is never. The default is 4. Waits
// double from 1 to 20 seconds.
func WithRetries(n int) Option { return func(s *settings) { s.retries = n } }

// WithUserAgent sets the User-Agent header.
func WithUserAgent(ua string) Option { return func(s *settings) { s.userAgent = ua } }

// WithHeader adds a header to every request. The client's own headers go before it.
func WithHeader(key, value string) Option { return func(s *settings) { s.header.Add(key, value) } }

// WithClock sets the time and the waiting, for tests.
func WithClock(c Clock) Option { return func(s *settings) { s.clock = c } }
