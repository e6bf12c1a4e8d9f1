package appcompose

import (
	"errors"
	"fmt"
	"strings"
)

// Sentinels for errors.Is. The error in hand is a [FieldError], [SyntaxError],
// [SizeError] or [ComposeError] and says more.
var (
	// ErrInvalidDocument is matched by every reason why bytes are not an
	// app-compose document that a guest would boot.
	ErrInvalidDocument = errors.New("appcompose: invalid app-compose document")
	// ErrInvalidCompose is matched by every [ComposeError].
	ErrInvalidCompose = errors.New("appcompose: invalid compose file")
	// ErrTooLarge is matched by every [SizeError].
	ErrTooLarge = errors.New("appcompose: too large")
)

// FieldError says which field of a document is wrong.
// It matches [ErrInvalidDocument].
type FieldError struct {
	// Field is the JSON path, such as "allowed_envs[2]".
	Field string
	// Seen is the value found, as JSON cut to 80 bytes, or "absent".
	Seen string
	// Expected says what the value should have been.
	Expected string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("app-compose field %s: got %s, expected %s", e.Field, e.Seen, e.Expected)
}

// Is reports whether target is [ErrInvalidDocument].
func (e *FieldError) Is(target error) bool { return target == ErrInvalidDocument }

// Is reports whether target is [ErrInvalidDocument].
func (e *SyntaxError) Is(target error) bool { return target == ErrInvalidDocument }

// SizeError says that something is longer than its limit.
// It matches [ErrTooLarge].
type SizeError struct {
	// Field names what was measured.
	Field string
	// Seen and Limit are in bytes.
	Seen, Limit int
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s: got %d bytes, expected at most %d", e.Field, e.Seen, e.Limit)
}

// Is reports whether target is [ErrTooLarge].
func (e *SizeError) Is(target error) bool { return target == ErrTooLarge }

// ComposeError says what is wrong with a Docker Compose text, and where.
// It matches [ErrInvalidCompose].
type ComposeError struct {
	// Line and Column count from 1; 0 means that the whole text is meant.
	Line, Column int
	// Field is the path of the field, such as "services.web.ports[0]", or empty.
	Field string
	// Message says what was found and what was expected.
	Message string
}

func (e *ComposeError) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Field != "" && !strings.Contains(e.Message, e.Field) {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Is reports whether target is [ErrInvalidCompose].
func (e *ComposeError) Is(target error) bool { return target == ErrInvalidCompose }
