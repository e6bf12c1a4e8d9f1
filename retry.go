package lockstep

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// Waits between retries double from the first to the second.
const (
	minRetryWait = 1 * time.Second
	maxRetryWait = 20 * time.Second
	// maxRetryAfter is the longest wait a server may ask for; beyond it the error is returned and
	// its RetryAfter says how long.
	maxRetryAfter = 2 * time.Minute
)

// retryAfter decides whether a failed request is sent again, and when. once tells that the server carries it
// out once however often it comes.
func (c *Client) retryAfter(ctx context.Context, method string, once bool, attempt int, err error) (wait time.Duration, again bool) {
	if attempt >= c.retries || ctx.Err() != nil {
		return 0, false
	}
	wait = backoff(attempt)
	var transport *TransportError
	if errors.As(err, &transport) {
		// The server may have done what a write asked for; nobody knows.
		return wait, once || method == http.MethodGet
	}
	var apiErr *APIError
	if !errors.As(err, &apiErr) || !retryable(method, apiErr) {
		return 0, false
	}
	if asked := apiErr.RetryAfter(); asked > 0 {
		return asked, asked <= maxRetryAfter
	}
	return wait, true
}

// backoff returns the wait before repetition number attempt, counted from 0.
func backoff(attempt int) time.Duration {
	if attempt > 10 {
		return maxRetryWait
	}
	return min(minRetryWait<<attempt, maxRetryWait)
}

func retryable(method string, e *APIError) bool {
	if method != http.MethodGet {
		return e.IsRetryable()
	}
	switch e.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.StatusCode >= 500
}

// parseRetryAfter reads a Retry-After header: seconds, or a date.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
