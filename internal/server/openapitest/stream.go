package openapitest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// checkStream checks the head of an event stream and lets its body check itself while it is read.
func (tr *transport) checkStream(request *http.Request, response *http.Response) error {
	item := findPath(tr.doc, request.URL.EscapedPath())
	if item == nil {
		return fmt.Errorf("the document does not have this path")
	}
	operation := findOperation(item, request.Method)
	if operation == nil {
		return fmt.Errorf("the document does not have this operation")
	}
	media, err := findMedia(operation, response.StatusCode, response.Header)
	if err != nil {
		return err
	}
	events, ok := media.Extensions["x-events"].(map[string]any)
	if !ok {
		return fmt.Errorf("openapi.yaml: the event stream does not list its events")
	}
	response.Body = &checkedStream{ReadCloser: response.Body, t: tr.t, doc: tr.doc, events: events, path: request.URL.Path}
	return nil
}

// checkedStream checks each event that passes through it.
type checkedStream struct {
	io.ReadCloser
	t      TB
	doc    *openapi3.T
	events map[string]any
	path   string
	buffer []byte
}

// Read implements io.Reader.
func (s *checkedStream) Read(b []byte) (int, error) {
	n, err := s.ReadCloser.Read(b)
	s.buffer = append(s.buffer, b[:n]...)
	for {
		frame, rest, ok := bytes.Cut(s.buffer, []byte("\n\n"))
		if !ok {
			return n, err
		}
		s.buffer = rest
		if err := s.checkFrame(string(frame)); err != nil {
			s.t.Errorf("event stream of %s: %v\nframe: %s", s.path, err, frame)
		}
	}
}

func (s *checkedStream) checkFrame(frame string) error {
	var event, data string
	for line := range strings.Lines(frame) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "": // a comment
		case name == "event" && event == "":
			event = value
		case name == "data" && data == "":
			data = value
		default:
			return fmt.Errorf("line %q: want one event and one data line", line)
		}
	}
	if event == "" && data == "" {
		return nil
	}
	schema, ok := s.events[event].(string)
	if !ok {
		return fmt.Errorf("event %q is not documented", event)
	}
	value, err := decode([]byte(data))
	if err != nil {
		return err
	}
	return visitNamed(s.doc, schema, value)
}
