package api

import (
	"encoding/json"
	"fmt"
)

// ErrorEnvelope is the body of a structured error. Clients recognise it when both error_code and
// message are there and not empty, at the top level or as the value of detail. A server sends it
// at the top level and never beside a member detail, which would hide it.
type ErrorEnvelope struct {
	ErrorCode   ErrorCode     `json:"error_code"`
	Message     string        `json:"message"`
	RequestID   string        `json:"request_id,omitempty"`
	Details     []ErrorDetail `json:"details,omitempty"`
	Suggestions []string      `json:"suggestions,omitempty"`
	Links       []ErrorLink   `json:"links,omitempty"`
}

// ErrorDetail is one fact of a structured error.
type ErrorDetail struct {
	Field string `json:"field"`
	// Value is any JSON: in 465 answers objects are sent as objects, not as text.
	Value   json.RawMessage `json:"value"`
	Message string          `json:"message,omitempty"`
}

// NewErrorDetail returns a detail whose value is the JSON of value. What JSON cannot express (a
// channel, a NaN) is given as text: a detail never turns one error into another.
func NewErrorDetail(field string, value any) ErrorDetail {
	b, err := json.Marshal(value)
	if err != nil {
		b, _ = json.Marshal(fmt.Sprint(value)) // a string always has a JSON form
	}
	return ErrorDetail{Field: field, Value: b}
}

// ErrorLink is where to read on.
type ErrorLink struct {
	URL   string `json:"url"`
	Label string `json:"label"`
}

// ErrorMessage is the plain form of an error: {"detail": "text"}. Answers with 401 and 403 and a 409
// that may be retried use it: a code would make clients treat them otherwise.
type ErrorMessage struct {
	Detail string `json:"detail"`
}

// ValidationErrors is the body of a 422: {"detail": [{loc, msg, type}, …]}. Clients understand a 422
// only in this form.
type ValidationErrors struct {
	Detail List[ValidationItem] `json:"detail"`
}

// ValidationItem is one thing wrong with a request.
type ValidationItem struct {
	// Loc is the way to the value: "body", "query", "path" or "header", then names (strings) and
	// indexes (numbers).
	Loc  List[any] `json:"loc"`
	Msg  string    `json:"msg"`
	Type string    `json:"type"`
}

// FieldError says that a value breaks a rule of the API, before anything was sent.
type FieldError struct {
	// Field names the value, in the words of the API.
	Field string
	// Seen and Expected describe the value and the rule.
	Seen, Expected string
}

// Error implements error.
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: got %s, want %s", e.Field, e.Seen, e.Expected)
}
