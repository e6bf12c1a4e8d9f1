package vmmtest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// method is an RPC method: it takes the JSON of its request.
type method func(ctx context.Context, v *VMM, request []byte) (any, error)

// call makes a method of a function with a request of type T.
func call[T any](do func(ctx context.Context, v *VMM, request T) (any, error)) method {
	return func(ctx context.Context, v *VMM, text []byte) (any, error) {
		var request T
		if len(text) > 0 {
			if err := json.Unmarshal(text, &request); err != nil {
				return nil, refuse("Failed to decode request: %v", err)
			}
		}
		return do(ctx, v, request)
	}
}

// Handler serves the RPC, the guests' RPC, the logs, and the faults.
func (v *VMM) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(vmmrpc.RPCPath+"{method}", func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.PathValue("method"), "Teepod.")
		v.serve(w, r, name, methods[name])
	})
	mux.HandleFunc(vmmrpc.GuestAPIPath+"{method}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("method")
		v.serve(w, r, "guest/"+name, guestMethods[name])
	})
	mux.HandleFunc("GET /logs", v.serveLogs)
	v.serveAdmin(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-App-Version", appVersion)
		w.Header().Set("X-Accel-Buffering", "no")
		if !v.authorized(r) {
			refuseEntry(w)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// serve answers one call.
func (v *VMM) serve(w http.ResponseWriter, r *http.Request, name string, do method) {
	request, asJSON, err := readRequest(w, r, do)
	var answer any
	switch {
	case err != nil:
	case do == nil:
		err = refuse("Method not found: %s", strings.TrimPrefix(name, "guest/"))
	case !asJSON:
		err = refuse("this server takes JSON only")
	default:
		answer, err = v.perform(r.Context(), name, do, request)
	}
	if errors.Is(err, errDropped) {
		panic(http.ErrAbortHandler) // ends the connection without an answer
	}
	if err != nil {
		writeError(w, err, asJSON)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if answer == nil {
		_, _ = w.Write([]byte("null")) // nothing to say
		return
	}
	_ = json.NewEncoder(w).Encode(answer) // a client that went away is its own business
}

// perform does a call with the faults that strike before and after it.
func (v *VMM) perform(ctx context.Context, name string, do method, request []byte) (any, error) {
	if do == nil {
		return nil, refuse("Method not found: %s", name)
	}
	names := v.targets(request)
	stale, err := v.faults.at(ctx, name, names, false)
	if err != nil || stale != nil {
		return stale, err
	}
	answer, err := do(context.WithoutCancel(ctx), v, request)
	if err != nil {
		return nil, err
	}
	stale, err = v.faults.at(ctx, name, names, true)
	if stale != nil {
		answer = stale
	}
	return answer, err
}

// targets are the names by which a fault may know the VM that a call is about.
func (v *VMM) targets(request []byte) []string {
	v.faults.mu.Lock()
	quiet := len(v.faults.armed) == 0
	v.faults.mu.Unlock()
	if quiet {
		return nil
	}
	var about struct {
		ID, Name, Keyword string
		IDs               []string
	}
	if json.Unmarshal(request, &about) != nil {
		return nil
	}
	names := append(about.IDs, about.ID, about.Name, about.Keyword)
	for _, id := range names {
		if machine, ok := v.find(id); ok {
			names = append(names, machine.snapshot().Name)
		}
	}
	return names
}

// readRequest gives the JSON of a request, and whether the client speaks JSON.
func readRequest(w http.ResponseWriter, r *http.Request, do method) ([]byte, bool, error) {
	query := r.URL.Query()
	switch r.Method {
	case http.MethodGet:
		return queryJSON(query), true, nil
	case http.MethodPost:
	default:
		return nil, true, codedError{http.StatusMethodNotAllowed, "Method Not Allowed"}
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	asJSON := kind == "application/json"
	if query.Has("json") {
		switch query.Get("json") {
		case "", "1", "true":
			asJSON = true
		}
	}
	if do == nil {
		return nil, asJSON, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, vmmrpc.MaxBody))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return nil, asJSON, codedError{http.StatusRequestEntityTooLarge, "Payload Too Large"}
	}
	return body, asJSON, err
}

// queryJSON makes a request of a query string, in which only a few fields are not text.
func queryJSON(query url.Values) []byte {
	request := map[string]any{}
	for name, values := range query {
		switch name {
		case "token", "json":
		case "ids":
			request[name] = values
		case "brief", "page", "page_size":
			request[name] = json.RawMessage(values[0])
		default:
			request[name] = values[0]
		}
	}
	text, err := json.Marshal(request)
	if err != nil {
		return []byte("?") // a number that is none: decoding says so
	}
	return text
}

// writeError answers with the VMM's error body: JSON, or a protobuf message with the text in field 1.
func writeError(w http.ResponseWriter, err error, asJSON bool) {
	code, text := http.StatusBadRequest, err.Error()
	if coded := (codedError{}); errors.As(err, &coded) {
		code, text = coded.code, coded.text
	}
	if !asJSON {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.WriteHeader(code)
		body := appendVarint([]byte{1<<3 | 2}, uint64(len(text)))
		_, _ = w.Write(append(body, text...)) // a client that went away is its own business
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(vmmrpc.Error{Error: text}) // as above
}

func appendVarint(b []byte, n uint64) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}
