// Package openapitest checks in tests that the server says only what its OpenAPI document allows.
//
// It is stricter than a client has to be: a member, a status or a media type that the document does not
// list is an error, so that the document cannot fall behind the code.
package openapitest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/server"
)

// TB is the part of testing.TB that is needed.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Document is the OpenAPI document of the server, validated, with every object closed that does not say
// that it is open.
func Document() (*openapi3.T, error) { return document() }

var document = sync.OnceValues(func() (*openapi3.T, error) {
	b, err := server.OpenAPI()
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	closeDocument(doc)
	return doc, nil
})

// Transport returns a transport that passes requests on to base (nil: http.DefaultTransport) and fails
// the test for every response that the document does not allow. Event streams are checked while they
// are read.
func Transport(t TB, base http.RoundTripper) http.RoundTripper {
	t.Helper()
	doc, err := Document()
	if err != nil {
		t.Fatalf("openapi.yaml: %v", err)
	}
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{t: t, base: base, doc: doc}
}

type transport struct {
	t    TB
	base http.RoundTripper
	doc  *openapi3.T
}

// RoundTrip implements http.RoundTripper.
func (tr *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := tr.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if mediaType(response.Header) == api.MediaTypeEventStream {
		if err := tr.checkStream(request, response); err != nil {
			tr.t.Errorf("%s %s: %v", request.Method, request.URL.Path, err)
		}
		return response, nil
	}
	body, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if err := check(tr.doc, request, response.StatusCode, response.Header, body); err != nil {
		tr.t.Errorf("%s %s (%d): %v\nbody: %s", request.Method, request.URL.Path, response.StatusCode, err, body)
	}
	return response, nil
}

// Check says what is wrong with a response, if anything.
func Check(request *http.Request, status int, header http.Header, body []byte) error {
	doc, err := Document()
	if err != nil {
		return err
	}
	return check(doc, request, status, header, body)
}

func check(doc *openapi3.T, request *http.Request, status int, header http.Header, body []byte) error {
	item := findPath(doc, request.URL.EscapedPath())
	if item == nil {
		return checkRefusal(doc, request, status, http.StatusNotFound, header, body)
	}
	if request.Method == http.MethodOptions {
		if status != http.StatusNoContent || len(body) > 0 {
			return fmt.Errorf("OPTIONS: got status %d and %d bytes, want 204 and none", status, len(body))
		}
		return nil
	}
	operation := findOperation(item, request.Method)
	if operation == nil {
		if header.Get("Allow") == "" {
			return fmt.Errorf("there is no header Allow")
		}
		return checkRefusal(doc, request, status, http.StatusMethodNotAllowed, header, body)
	}
	media, err := findMedia(operation, status, header)
	if err != nil || request.Method == http.MethodHead {
		return err
	}
	if media == nil {
		if len(body) > 0 {
			return fmt.Errorf("%s: got %d bytes, want none for status %d", operation.OperationID, len(body), status)
		}
		return nil
	}
	if mediaType(header) != api.MediaTypeJSON {
		return nil // text; every string is one
	}
	value, err := decode(body)
	if err != nil {
		return err
	}
	if err := visit(media.Schema.Value, value); err != nil {
		return err
	}
	if names, ok := media.Extensions["x-by-version"].(map[string]any); ok {
		version := string(api.ParseVersion(request.Header.Get(api.HeaderVersion)))
		return visitNamed(doc, fmt.Sprint(names[version]), value)
	}
	return nil
}

// checkRefusal checks the answer to what the document does not have.
func checkRefusal(doc *openapi3.T, request *http.Request, status, want int, header http.Header, body []byte) error {
	if status != want {
		return fmt.Errorf("the document does not have this operation: got status %d, want %d", status, want)
	}
	if got := mediaType(header); got != api.MediaTypeJSON {
		return fmt.Errorf("media type is %q, want %s", got, api.MediaTypeJSON)
	}
	if request.Method == http.MethodHead {
		return nil
	}
	value, err := decode(body)
	if err != nil {
		return err
	}
	return visitNamed(doc, "PlainError", value)
}

// findPath returns the path of the document that a request means; literal segments go before parameters.
func findPath(doc *openapi3.T, path string) *openapi3.PathItem {
	want := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	var best *openapi3.PathItem
	bestLiterals := -1
	for pattern, item := range doc.Paths.Map() {
		have := strings.FieldsFunc(pattern, func(r rune) bool { return r == '/' })
		if literals, ok := matchPath(have, want); ok && literals > bestLiterals {
			best, bestLiterals = item, literals
		}
	}
	return best
}

func matchPath(pattern, path []string) (literals int, ok bool) {
	if len(pattern) != len(path) {
		return 0, false
	}
	for i, segment := range pattern {
		switch {
		case segment == path[i]:
			literals++
		case !strings.HasPrefix(segment, "{"):
			return 0, false
		}
	}
	return literals, true
}

func findOperation(item *openapi3.PathItem, method string) *openapi3.Operation {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	return item.Operations()[method]
}

// findMedia checks status, headers and media type, and returns what the body must be.
func findMedia(operation *openapi3.Operation, status int, header http.Header) (*openapi3.MediaType, error) {
	ref := operation.Responses.Value(strconv.Itoa(status))
	if ref == nil {
		return nil, fmt.Errorf("%s: status %d is not documented", operation.OperationID, status)
	}
	for name, h := range ref.Value.Headers {
		value := header.Get(name)
		if value == "" {
			if h.Value.Required {
				return nil, fmt.Errorf("there is no header %s", name)
			}
			continue
		}
		if err := visit(h.Value.Schema.Value, value); err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
	}
	if len(ref.Value.Content) == 0 && header.Get("Content-Type") == "" {
		return nil, nil //nolint:nilnil // an answer without a body has no media type
	}
	media := ref.Value.Content[mediaType(header)]
	if media == nil {
		return nil, fmt.Errorf("%s: media type %q is not documented for status %d", operation.OperationID, header.Get("Content-Type"), status)
	}
	return media, nil
}

func mediaType(header http.Header) string {
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

func decode(body []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("the body is not JSON: %w", err)
	}
	if decoder.More() {
		return nil, fmt.Errorf("the body is more than one JSON value")
	}
	return value, nil
}

func visit(schema *openapi3.Schema, value any) error {
	return schema.VisitJSON(value, openapi3.VisitAsResponse(), openapi3.MultiErrors(), openapi3.EnableFormatValidation(),
		openapi3.SetSchemaErrorMessageCustomizer(func(e *openapi3.SchemaError) string {
			// The default text repeats schema and value, which nobody can read.
			return "/" + strings.Join(e.JSONPointer(), "/") + ": " + e.Reason
		}))
}

func visitNamed(doc *openapi3.T, name string, value any) error {
	ref := doc.Components.Schemas[name]
	if ref == nil {
		return fmt.Errorf("openapi.yaml: there is no schema %s", name)
	}
	return visit(ref.Value, value)
}
