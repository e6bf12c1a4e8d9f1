package lockstep

import (
	"context"
	"fmt"
)

// SafeResult is the outcome of an operation as a value: either Success with Data, or not, with Error.
type SafeResult[T any] struct {
	Success bool
	// Data is the zero value unless Success.
	Data T
	// Error is nil exactly when Success.
	Error error
}

// Unwrap returns the outcome the usual way.
func (r SafeResult[T]) Unwrap() (T, error) { return r.Data, r.Error }

// PanicError is a panic of code that the caller gave to the client (an HTTP transport, a clock).
type PanicError struct{ Value any }

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("lockstep: panic: %v", e.Value) }

// SafeUpdateDockerCompose is [Client.UpdateDockerCompose] with its outcome as a value. It never
// panics, not even when an HTTP transport given by the caller does.
func (c *Client) SafeUpdateDockerCompose(ctx context.Context, cvmID, compose string, opts ...UpdateOption) SafeResult[UpdateResult] {
	return safely(func() (UpdateResult, error) { return c.UpdateDockerCompose(ctx, cvmID, compose, opts...) })
}

func safely[T any](f func() (T, error)) (r SafeResult[T]) {
	defer func() {
		if v := recover(); v != nil {
			r = SafeResult[T]{Error: &PanicError{v}}
		}
	}()
	data, err := f()
	if err != nil {
		return SafeResult[T]{Error: err}
	}
	return SafeResult[T]{Success: true, Data: data}
}
