package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrorBody is what [DecodeError] understood of an answer with status 400 or above.
type ErrorBody struct {
	// Status is the HTTP status.
	Status int
	// ErrorEnvelope holds the structured error. When the body had another form only Message is set,
	// and is never empty.
	ErrorEnvelope
	// Validation are the items of a detail that is an array.
	Validation []ValidationItem
	// Detail is the raw value of the member detail, or the whole body of a structured error at the
	// top level; nil when the body is not JSON.
	Detail json.RawMessage
}

// maxErrorText bounds a message made from a body that is not JSON: a proxy's error page is not one.
const maxErrorText = 512

// DecodeError reads the body of an answer with status 400 or above. It understands a structured
// error at the top level or inside detail, a detail that is a string, an array of validation items
// or an object with a message, and text that is not JSON. It never fails: what it does not
// understand becomes a message that names the status.
func DecodeError(status int, body []byte) *ErrorBody {
	e := &ErrorBody{Status: status}
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil || top == nil {
		e.Message = plainText(body)
	} else if detail, ok := top["detail"]; ok {
		// detail wins over a code beside it, as in the official clients.
		e.Detail = detail
		e.decodeDetail(detail)
	} else if e.decodeStructured(top) {
		e.Detail = json.RawMessage(strings.TrimSpace(string(body)))
	} else {
		e.Message = firstText(top, "message", "error_description", "error")
	}
	if e.Message == "" {
		e.Message = fmt.Sprintf("the server answered with status %d", status)
	}
	return e
}

// Structured reports whether the body had an error code.
func (e *ErrorBody) Structured() bool { return e.ErrorCode != "" }

// Lookup returns the value of the detail with the given field name.
func (e *ErrorBody) Lookup(field string) (json.RawMessage, bool) {
	for _, d := range e.Details {
		if d.Field == field {
			return d.Value, true
		}
	}
	return nil, false
}

func (e *ErrorBody) decodeDetail(detail json.RawMessage) {
	if s, ok := text(detail); ok {
		e.Message = s
		return
	}
	var items []json.RawMessage
	if json.Unmarshal(detail, &items) == nil {
		e.decodeValidation(items)
		return
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(detail, &object) != nil || object == nil {
		return
	}
	if !e.decodeStructured(object) {
		e.Message = firstText(object, "message", "error_description", "error")
	}
}

// decodeStructured fills the envelope and reports whether the object is a structured error. A 465
// is one even without a code: the official client looks only for its details there.
func (e *ErrorBody) decodeStructured(object map[string]json.RawMessage) bool {
	code, _ := text(object["error_code"])
	message, _ := text(object["message"])
	if code == "" || message == "" {
		if e.Status != StatusHashRegistrationRequired {
			return false
		}
	}
	e.ErrorCode, e.Message = ErrorCode(code), message
	e.RequestID, _ = text(object["request_id"])
	var items []json.RawMessage
	if json.Unmarshal(object["details"], &items) == nil {
		for _, item := range items {
			var m map[string]json.RawMessage
			if json.Unmarshal(item, &m) != nil || m == nil {
				continue
			}
			d := ErrorDetail{Value: m["value"]}
			d.Field, _ = text(m["field"])
			d.Message, _ = text(m["message"])
			e.Details = append(e.Details, d)
		}
	}
	items = nil
	if json.Unmarshal(object["suggestions"], &items) == nil {
		for _, item := range items {
			if s, ok := text(item); ok {
				e.Suggestions = append(e.Suggestions, s)
			}
		}
	}
	items = nil
	if json.Unmarshal(object["links"], &items) == nil {
		for _, item := range items {
			var m map[string]json.RawMessage
			if json.Unmarshal(item, &m) != nil || m == nil {
				continue
			}
			var l ErrorLink
			l.URL, _ = text(m["url"])
			l.Label, _ = text(m["label"])
			e.Links = append(e.Links, l)
		}
	}
	return true
}

func (e *ErrorBody) decodeValidation(items []json.RawMessage) {
	for _, raw := range items {
		var m map[string]json.RawMessage
		if json.Unmarshal(raw, &m) != nil || m == nil {
			if s, ok := text(raw); ok {
				e.Validation = append(e.Validation, ValidationItem{Msg: s})
			}
			continue
		}
		var item ValidationItem
		item.Msg, _ = text(m["msg"])
		item.Type, _ = text(m["type"])
		var loc []any
		if json.Unmarshal(m["loc"], &loc) == nil {
			item.Loc = loc
		}
		e.Validation = append(e.Validation, item)
	}
	switch n := len(e.Validation); n {
	case 0:
	case 1:
		e.Message = "validation failed: " + e.Validation[0].describe()
	default:
		e.Message = fmt.Sprintf("validation failed: %s (and %d more)", e.Validation[0].describe(), n-1)
	}
}

// Field returns the place of the value without the part of the request that it is in, joined with
// dots: loc ["body", "ports", 0] is "ports.0". It is empty when only the part is known.
func (v ValidationItem) Field() string {
	var parts []string
	for _, p := range v.Loc {
		switch s := fmt.Sprint(p); s {
		case "body", "query", "path", "header":
		default:
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ".")
}

func (v ValidationItem) describe() string {
	if f := v.Field(); f != "" {
		return f + ": " + v.Msg
	}
	return v.Msg
}

// text decodes a JSON string; ok is false for any other value.
func text(raw json.RawMessage) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

func firstText(object map[string]json.RawMessage, keys ...string) string {
	for _, k := range keys {
		if s, _ := text(object[k]); s != "" {
			return s
		}
	}
	return ""
}

// plainText makes a message of a body that is not a JSON object. HTML is left out.
func plainText(body []byte) string {
	s := strings.TrimSpace(strings.ToValidUTF8(string(body[:min(len(body), 4*maxErrorText)]), ""))
	if strings.HasPrefix(s, "<") {
		return ""
	}
	if quoted, ok := text(json.RawMessage(s)); ok {
		s = quoted
	}
	if len(s) <= maxErrorText {
		return s
	}
	cut := maxErrorText
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
