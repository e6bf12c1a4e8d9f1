// Package problem is the one error type of the domain. Every error that a person can do something
// about carries a code, the field it is about with the value seen and expected, its cause, and what
// to do next. The HTTP edge (internal/server) turns it into an answer in one place.
package problem

import (
	"errors"
	"fmt"

	"github.com/lockstep-cvm/lockstep/api"
)

// Kind is the class of an error; the edge derives the HTTP status from it.
type Kind string

// Kinds of errors. The comment names the HTTP status that the edge answers.
const (
	KindInvalid          Kind = "invalid"           // 400: the request is wrong
	KindUnprocessable    Kind = "unprocessable"     // 422: the document does not parse or validate
	KindTooLarge         Kind = "too_large"         // 413
	KindUnsupportedMedia Kind = "unsupported_media" // 400 on the raw doors, as the hosted API answers
	KindUnauthenticated  Kind = "unauthenticated"   // 401, without code: clients class it as AuthError
	KindForbidden        Kind = "forbidden"         // 403, without code
	KindNotFound         Kind = "not_found"         // 404
	KindBusy             Kind = "busy"              // 409 without code: another operation runs, try again
	KindConflict         Kind = "conflict"          // 409 with code: final
	KindHashRequired     Kind = "hash_required"     // 465
	KindHashInvalid      Kind = "hash_invalid"      // 466
	KindTxUnverified     Kind = "tx_unverified"     // 467
	KindHashNotAllowed   Kind = "hash_not_allowed"  // 468
	KindUnavailable      Kind = "unavailable"       // 503: a part we depend on does not answer
	KindInternal         Kind = "internal"          // 500
)

// Detail is one fact about an error, as the wire has it.
type Detail struct {
	Field   string
	Value   any // any JSON value; never a secret
	Message string
}

// Error is an error of the domain.
type Error struct {
	Kind        Kind
	Code        api.ErrorCode // catalogue code; empty where the contract wants a bare error
	Message     string        // one sentence for a person
	Details     []Detail
	Suggestions []string // what the user can do next
	Err         error    // cause; logged, never sent
}

// New makes an error of a kind with a catalogue code (may be empty).
func New(kind Kind, code api.ErrorCode, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Message: fmt.Sprintf(format, args...)}
}

// With adds a fact to the error and returns it.
func (e *Error) With(field string, value any, message string) *Error {
	e.Details = append(e.Details, Detail{Field: field, Value: value, Message: message})
	return e
}

// Suggest adds what the user can do next and returns the error.
func (e *Error) Suggest(format string, args ...any) *Error {
	e.Suggestions = append(e.Suggestions, fmt.Sprintf(format, args...))
	return e
}

// Because sets the cause and returns the error.
func (e *Error) Because(err error) *Error {
	e.Err = err
	return e
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first *Error in the chain, and KindInternal for any other error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return KindInternal
}

// Is reports whether err is a domain error of this kind.
func Is(err error, kind Kind) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == kind
}
