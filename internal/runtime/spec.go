package runtime

import (
	"errors"
	"fmt"
	"regexp"
)

// ErrInvalid says that a spec or an option is malformed; repeating the call cannot help. It is what
// errors.Is finds in a *FieldError.
var ErrInvalid = errors.New("runtime: invalid argument")

// FieldError names the field of a call's argument that no driver can accept.
type FieldError struct {
	Field string // as in the Go type, such as "Spec.AppID"
	Seen  string
	Want  string
}

// Error says the field, what was seen and what is expected.
func (e *FieldError) Error() string {
	return fmt.Sprintf("runtime: %s is %q, want %s", e.Field, e.Seen, e.Want)
}

// Unwrap makes errors.Is(err, ErrInvalid) true.
func (e *FieldError) Unwrap() error { return ErrInvalid }

var (
	uuidPattern  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	appIDPattern = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Validate checks the form of what every driver relies on: drivers use the id in paths and project
// names, so nothing but a UUID may get that far. The error is a *FieldError.
func (s Spec) Validate() error {
	switch {
	case !uuidPattern.MatchString(s.ID):
		return &FieldError{Field: "Spec.ID", Seen: s.ID, Want: "a lower-case UUID with dashes"}
	case !appIDPattern.MatchString(s.AppID):
		return &FieldError{Field: "Spec.AppID", Seen: s.AppID, Want: "40 lower-case hex digits"}
	}
	return nil
}
