package lockstep

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
)

// maxResponse bounds an answer: an app-compose document is at most some hundred KiB, a page of CVMs
// with all their services a few MiB.
const maxResponse = 32 << 20

// request is one call of the API.
type request struct {
	method string
	// path follows the base URL; its variable segments are escaped.
	path  string
	query url.Values
	// version overrides the client's.
	version     api.Version
	contentType string
	accept      string
	body        []byte
	header      map[string]string
}

// response is an answer with a status below 300.
type response struct {
	status int
	header http.Header
	body   []byte
}

// do sends a request, repeats it where that is safe, and returns the answer with all of its body.
func (c *Client) do(ctx context.Context, r request) (*response, error) {
	key := idempotencyKeyOf(ctx, r.method)
	if err := checkIdempotencyKey(key); err != nil {
		return nil, err
	}
	for attempt := 0; ; attempt++ {
		resp, err := c.once(ctx, r)
		if err == nil {
			return resp, nil
		}
		wait, again := c.retryAfter(ctx, r.method, key != "", attempt, err)
		if !again {
			return nil, err
		}
		if sleepErr := c.clock.Sleep(ctx, wait); sleepErr != nil {
			return nil, fmt.Errorf("%w while waiting to repeat after: %w", sleepErr, err)
		}
	}
}

// once sends a request one time.
func (c *Client) once(ctx context.Context, r request) (*response, error) {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	httpResp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer httpResp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(httpResp.Body, maxResponse+1))
	if err != nil {
		return nil, &TransportError{Operation: r.name(), Err: err}
	}
	if len(body) > maxResponse {
		return nil, &ResponseError{Operation: r.name(), StatusCode: httpResp.StatusCode, Reason: fmt.Sprintf("the answer is larger than %d bytes", maxResponse)}
	}
	if httpResp.StatusCode >= 300 {
		return nil, c.apiError(r, httpResp, body)
	}
	return &response{httpResp.StatusCode, httpResp.Header, body}, nil
}

// send makes the HTTP request. The caller closes the body.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	target := c.baseURL + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, &TransportError{Operation: r.name(), Err: err}
	}
	req.Header = c.header.Clone()
	set := func(key, value string) {
		if value != "" {
			req.Header.Set(key, value)
		}
	}
	for key, value := range r.header {
		set(key, value)
	}
	set(api.HeaderIdempotencyKey, idempotencyKeyOf(ctx, r.method))
	set("Content-Type", r.contentType)
	if r.accept == "" {
		r.accept = api.MediaTypeJSON
	}
	set("Accept", r.accept)
	set("User-Agent", c.userAgent)
	if r.version == "" {
		r.version = c.version
	}
	set(api.HeaderVersion, string(r.version))
	set(api.HeaderAPIKey, c.apiKey)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &TransportError{Operation: r.name(), Err: unwrapURLError(err)}
	}
	return resp, nil
}

// name is how errors call the request.
func (r request) name() string { return r.method + " " + r.path }

// unwrapURLError takes the URL away, which the operation names already.
func unwrapURLError(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// call sends a request with a JSON body, when in is not nil, and decodes the answer into out.
func (c *Client) call(ctx context.Context, r request, in, out any) error {
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("lockstep: encode the request of %s: %w", r.name(), err)
		}
		r.body, r.contentType = b, api.MediaTypeJSON
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	return decode(r, resp, out)
}

// decode reads a JSON object.
func decode(r request, resp *response, out any) error {
	if !strings.HasPrefix(string(bytes.TrimSpace(resp.body)), "{") {
		return &ResponseError{Operation: r.name(), StatusCode: resp.status, Reason: "the answer is not a JSON object"}
	}
	if err := json.Unmarshal(resp.body, out); err != nil {
		return &ResponseError{Operation: r.name(), StatusCode: resp.status, Reason: err.Error()}
	}
	return nil
}

// segment returns a path segment for a CVM identifier.
func segment(id string) (string, error) {
	if id == "" {
		return "", &FieldError{Field: "cvm", Seen: "nothing", Expected: "a CVM identifier"}
	}
	return api.PathID(id), nil
}

// isJSON reports whether a Content-Type is JSON; a missing one is.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return contentType == "" || err == nil && (media == api.MediaTypeJSON || strings.HasSuffix(media, "+json"))
}

// escape makes one path segment of a value that is no CVM identifier.
func escape(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	return url.PathEscape(s)
}
