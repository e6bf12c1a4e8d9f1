// Package dstackkms is a client of dstack-kms: the environment encryption key of an app as a real KMS gives it,
// taken only with the signature of the root key that the operator or the KMS contract names.
//
// The transport need not be trusted for that. What TLS adds is that nobody else sees which apps are asked about.
package dstackkms

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/prpc"
)

// Anchor gives the root key of the KMS that is trusted: its secp256k1 public key in SEC1 form, compressed or
// not. Fresh asks for a look that is not older than the call.
type Anchor func(ctx context.Context, fresh bool) ([]byte, error)

// Config says how a KMS is reached and whom to believe. URL and Anchor are needed.
type Config struct {
	URL    string // https://HOST:PORT
	Anchor Anchor
	TLS    *tls.Config // default: the roots of the system
	// AllowUnstamped takes keys of a KMS that is too old to sign the time. Then an old answer cannot be
	// told from a new one.
	AllowUnstamped bool

	MaxAge     time.Duration // of the time that was signed; 0 means 300 s, as in dstack's SDKs
	FutureSkew time.Duration // how far it may be ahead; 0 means 60 s, as in dstack's SDKs
	Timeout    time.Duration // of a call; 0 means 15 s
	Now        func() time.Time
}

// Errors that make an answer of a KMS worthless. Test with errors.Is.
var (
	// ErrUnreachable says that the KMS did not answer.
	ErrUnreachable = errors.New("dstackkms: KMS is unreachable")
	// ErrRefused says that the KMS answered with an error, whose words are in the text.
	ErrRefused = errors.New("dstackkms: KMS refused the call")
	// ErrWrongSigner says that a key is not signed by the root key that is trusted.
	ErrWrongSigner = errors.New("dstackkms: key is not signed by the trusted root key of the KMS")
	// ErrStale says that a key was signed too long ago, or in the future.
	ErrStale = errors.New("dstackkms: signature of the key is not from now")
	// ErrMalformed says that an answer is not one of a dstack-kms.
	ErrMalformed = errors.New("dstackkms: answer is malformed")
)

// Client speaks to one KMS. It is safe for concurrent use.
type Client struct {
	config Config
	base   string
	http   *http.Client
}

var _ kms.EnvKeys = (*Client)(nil)

// maxAnswer is in bytes: the longest carries certificates and a quote.
const maxAnswer = 4 << 20

// New makes a client. It does not call the KMS.
func New(config Config) (*Client, error) {
	u, err := url.Parse(config.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("dstackkms: URL is %q, want https://HOST:PORT without user and query", config.URL)
	}
	if config.Anchor == nil {
		return nil, errors.New("dstackkms: config needs an Anchor")
	}
	if config.MaxAge <= 0 {
		config.MaxAge = 300 * time.Second
	}
	if config.FutureSkew <= 0 {
		config.FutureSkew = 60 * time.Second
	}
	if config.Timeout <= 0 {
		config.Timeout = 15 * time.Second
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	base := strings.TrimSuffix(strings.TrimRight(config.URL, "/"), "/prpc") // some write the path of the RPC too
	return &Client{config: config, base: base, http: &http.Client{
		Transport: &http.Transport{TLSClientConfig: config.TLS.Clone(), MaxIdleConnsPerHost: 8, IdleConnTimeout: 90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close ends the connections that are kept open.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// AppEnvKey implements kms.EnvKeys: GetAppEnvEncryptPubKey, with both signatures checked. The one that it returns
// is the one without the time, which clients of the API verify.
func (c *Client) AppEnvKey(ctx context.Context, appID [20]byte) (kms.EnvKey, error) {
	var answer PublicKeyResponse
	if err := c.call(ctx, methodEnvKey, AppID{AppID: appID[:]}, &answer); err != nil {
		return kms.EnvKey{}, err
	}
	key, stamped, err := answer.keys(c.config.AllowUnstamped)
	if err != nil {
		return kms.EnvKey{}, err
	}
	signer, err := key.Signer(appID)
	if err != nil {
		return kms.EnvKey{}, fmt.Errorf("%w: %w", ErrWrongSigner, err)
	}
	if stamped != nil {
		at := time.Unix(int64(answer.Timestamp), 0)
		again, err := stamped.SignerAt(appID, at)
		if err != nil || again != signer {
			return kms.EnvKey{}, fmt.Errorf("%w: the signature over the time %d is by another key than the one without", ErrWrongSigner, answer.Timestamp)
		}
		if err := c.checkTime(at); err != nil {
			return kms.EnvKey{}, err
		}
	}
	return key, c.checkSigner(ctx, signer)
}

// checkTime bounds how old a signature may be.
func (c *Client) checkTime(at time.Time) error {
	now := c.config.Now()
	switch age := now.Sub(at); {
	case age > c.config.MaxAge:
		return fmt.Errorf("%w: it was made at %s, %s ago; at most %s are taken. Look at the clocks of the KMS and of this server",
			ErrStale, at.UTC().Format(time.RFC3339), age.Round(time.Second), c.config.MaxAge)
	case -age > c.config.FutureSkew:
		return fmt.Errorf("%w: it was made at %s, %s from now; at most %s are taken. Look at the clocks of the KMS and of this server",
			ErrStale, at.UTC().Format(time.RFC3339), (-age).Round(time.Second), c.config.FutureSkew)
	}
	return nil
}

// checkSigner compares with the key that is trusted, and looks a second time, afresh, before it refuses: the owner
// may have published another one since the last look.
func (c *Client) checkSigner(ctx context.Context, signer [33]byte) error {
	var trusted [33]byte
	for _, fresh := range []bool{false, true} {
		encoded, err := c.config.Anchor(ctx, fresh)
		if err != nil {
			return fmt.Errorf("dstackkms: the trusted root key cannot be had: %w", err)
		}
		if trusted, err = CompressKey(encoded); err != nil {
			return err
		}
		if trusted == signer {
			return nil
		}
	}
	return fmt.Errorf("%w: it is signed by %x, trusted is %x", ErrWrongSigner, signer, trusted)
}

// Meta asks the KMS what it is. Nothing of the answer is proven.
func (c *Client) Meta(ctx context.Context) (Meta, error) {
	var answer Meta
	err := c.call(ctx, methodMeta, struct{}{}, &answer)
	return answer, err
}

func (c *Client) call(ctx context.Context, method string, request, answer any) error {
	text, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("dstackkms: encode request of %s: %w", method, err)
	}
	bound, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(bound, http.MethodPost, c.base+rpcPath+method+"?json", bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("dstackkms: %s: %w", method, err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(r)
	if err != nil {
		return unreachable(ctx, method, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return unreachable(ctx, method, err)
	}
	return parseAnswer(method, response.StatusCode, body, answer)
}

func unreachable(ctx context.Context, method string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %s: %w", ErrUnreachable, method, err)
}

func parseAnswer(method string, code int, body []byte, answer any) error {
	switch {
	case code == http.StatusOK && len(body) > maxAnswer:
		return fmt.Errorf("%w: %s: longer than %d bytes", ErrMalformed, method, maxAnswer)
	case code == http.StatusOK:
		if err := json.Unmarshal(body, answer); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrMalformed, method, err)
		}
		return nil
	case code == http.StatusBadRequest:
		return fmt.Errorf("%w: %s: %s", ErrRefused, method, prpc.ErrorText(body))
	}
	return fmt.Errorf("%w: %s: status %d: %s", ErrUnreachable, method, code, prpc.ErrorText(body))
}
