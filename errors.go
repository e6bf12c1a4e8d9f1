package lockstep

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
)

// Sentinels for [errors.Is]. They match an *[APIError] by its status.
var (
	// ErrHashRegistrationRequired (465): the compose hash must be registered on chain first.
	ErrHashRegistrationRequired = errors.New("lockstep: the compose hash must be registered on chain first")
	// ErrHashInvalidOrExpired (466): the compose hash is unknown, older than 14 days, superseded, or
	// not that of the file sent. Start again with phase 1.
	ErrHashInvalidOrExpired = errors.New("lockstep: the compose hash is unknown, expired or superseded")
	// ErrTxVerificationFailed (467): the transaction is missing, reverted, or of another app or hash.
	ErrTxVerificationFailed = errors.New("lockstep: the transaction does not prove the registration")
	// ErrHashNotAllowed (468): the contract does not allow the compose hash now.
	ErrHashNotAllowed = errors.New("lockstep: the contract does not allow the compose hash")
	// ErrNotFound (404).
	ErrNotFound = errors.New("lockstep: not found")
	// ErrUnauthorized (401, 403).
	ErrUnauthorized = errors.New("lockstep: the API key is missing, wrong or not allowed to do this")
	// ErrConflict (409): without an error code another operation is running on the CVM.
	ErrConflict = errors.New("lockstep: conflict")
)

// FieldError says that a value breaks a rule, before anything was sent.
type FieldError = api.FieldError

// APIError is an answer that refuses a request.
type APIError struct {
	// Operation is the method and path.
	Operation  string
	StatusCode int
	// Message is for people and never empty.
	Message string
	// ErrorCode is empty when the answer had none.
	ErrorCode   api.ErrorCode
	RequestID   string
	Details     []api.ErrorDetail
	Suggestions []string
	Links       []api.ErrorLink
	// Validation are the items of a 422.
	Validation []api.ValidationItem
	// Detail is the JSON value of the member detail, or the whole structured error.
	Detail json.RawMessage
	// Body is the answer as it came, or its first 64 KiB.
	Body    string
	Headers http.Header

	retryAfter time.Duration
}

// maxErrorBody bounds what an error keeps of an answer.
const maxErrorBody = 64 << 10

func (c *Client) apiError(r request, resp *http.Response, body []byte) *APIError {
	body = c.hideKey(body)
	b := api.DecodeError(resp.StatusCode, body)
	e := &APIError{
		Operation:   r.name(),
		StatusCode:  resp.StatusCode,
		Message:     b.Message,
		ErrorCode:   b.ErrorCode,
		RequestID:   b.RequestID,
		Details:     b.Details,
		Suggestions: b.Suggestions,
		Links:       b.Links,
		Validation:  b.Validation,
		Detail:      b.Detail,
		Body:        string(body[:min(len(body), maxErrorBody)]),
		Headers:     resp.Header,
		retryAfter:  parseRetryAfter(resp.Header.Get("Retry-After"), c.clock.Now()),
	}
	if e.RequestID == "" {
		e.RequestID = resp.Header.Get(api.HeaderRequestID)
	}
	if resp.StatusCode < 400 {
		e.Message = fmt.Sprintf("the server redirects (%d) to another host or with another method, which is not followed; check the base URL", resp.StatusCode)
	}
	return e
}

// minHiddenKey is the shortest key that hideKey looks for: a shorter one is no secret, and may be part
// of a word of the answer.
const minHiddenKey = 12

// hideKey keeps a server that echoes requests from putting the API key into an error.
func (c *Client) hideKey(body []byte) []byte {
	if len(c.apiKey) < minHiddenKey || !strings.Contains(string(body), c.apiKey) {
		return body
	}
	return []byte(strings.ReplaceAll(string(body), c.apiKey, "[API key]"))
}

// Error implements error: one line with operation, status, code and message.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lockstep: %s: %d", e.Operation, e.StatusCode)
	if e.ErrorCode != "" {
		fmt.Fprintf(&b, " %s", e.ErrorCode)
	}
	fmt.Fprintf(&b, ": %s", e.Message)
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request %s)", e.RequestID)
	}
	return b.String()
}

// FormatError returns the error for a terminal, over several lines: details, suggestions and links too.
func (e *APIError) FormatError() string {
	var b strings.Builder
	b.WriteString(e.Error())
	for _, d := range e.Details {
		fmt.Fprintf(&b, "\n  %s: ", d.Field)
		if len(d.Value) > 0 && string(d.Value) != "null" {
			fmt.Fprintf(&b, "%s", d.Value)
		}
		if d.Message != "" {
			fmt.Fprintf(&b, " (%s)", d.Message)
		}
	}
	for _, v := range e.Validation {
		fmt.Fprintf(&b, "\n  %s: %s", v.Field(), v.Msg)
	}
	for _, s := range e.Suggestions {
		fmt.Fprintf(&b, "\n  → %s", s)
	}
	for _, l := range e.Links {
		fmt.Fprintf(&b, "\n  %s: %s", l.Label, l.URL)
	}
	return b.String()
}

// Is makes [errors.Is] find the sentinels of this package.
func (e *APIError) Is(target error) bool {
	switch target {
	case ErrHashRegistrationRequired:
		return e.StatusCode == api.StatusHashRegistrationRequired
	case ErrHashInvalidOrExpired:
		return e.StatusCode == api.StatusHashInvalidOrExpired
	case ErrTxVerificationFailed:
		return e.StatusCode == api.StatusTxVerificationFailed
	case ErrHashNotAllowed:
		return e.StatusCode == api.StatusHashNotAllowed
	case ErrNotFound:
		return e.StatusCode == http.StatusNotFound
	case ErrUnauthorized:
		return e.IsAuth()
	case ErrConflict:
		return e.IsConflict()
	}
	return false
}

// IsAuth reports a 401 or 403.
func (e *APIError) IsAuth() bool {
	return e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden
}

// IsValidation reports a 422.
func (e *APIError) IsValidation() bool { return e.StatusCode == http.StatusUnprocessableEntity }

// IsConflict reports a 409.
func (e *APIError) IsConflict() bool { return e.StatusCode == http.StatusConflict }

// IsBusiness reports a status from 400 to 499 that is neither IsAuth nor IsValidation.
func (e *APIError) IsBusiness() bool {
	return e.StatusCode >= 400 && e.StatusCode < 500 && !e.IsAuth() && !e.IsValidation()
}

// IsServer reports a status of 500 or above.
func (e *APIError) IsServer() bool { return e.StatusCode >= 500 }

// IsStructured reports whether the answer had an error code.
func (e *APIError) IsStructured() bool { return e.ErrorCode != "" }

// IsComposePrecondition reports a 465.
func (e *APIError) IsComposePrecondition() bool {
	return e.StatusCode == api.StatusHashRegistrationRequired
}

// IsRetryable reports whether the server did nothing and the same request may succeed later: 429,
// 503, and a 409 without an error code. A 409 with a code is final.
func (e *APIError) IsRetryable() bool {
	switch e.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	}
	return e.IsConflict() && !e.IsStructured()
}

// HasErrorCode reports whether the answer had one of these codes.
func (e *APIError) HasErrorCode(codes ...api.ErrorCode) bool {
	for _, c := range codes {
		if e.ErrorCode == c && c != "" {
			return true
		}
	}
	return false
}

// RetryAfter returns how long the server asked to wait, or zero.
func (e *APIError) RetryAfter() time.Duration { return e.retryAfter }

// TransportError says that there was no answer: the connection failed, or the time was up. It is not
// known whether the server did what a write asked for.
type TransportError struct {
	// Operation is the method and path.
	Operation string
	Err       error
}

// Error implements error.
func (e *TransportError) Error() string { return "lockstep: " + e.Operation + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// ResponseError says that an answer is not what the API promises.
type ResponseError struct {
	// Operation is the method and path.
	Operation  string
	StatusCode int
	Reason     string
}

// Error implements error.
func (e *ResponseError) Error() string {
	return fmt.Sprintf("lockstep: %s: unexpected answer (%d): %s", e.Operation, e.StatusCode, e.Reason)
}
