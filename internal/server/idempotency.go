package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

// maxIdempotencyKey is the most characters of an Idempotency-Key.
const maxIdempotencyKey = 255

// headerReplayed marks an answer that is that of an earlier request with the same Idempotency-Key.
const headerReplayed = "Idempotent-Replayed"

// once carries out a request that has an Idempotency-Key, or answers as before. It knows nothing of the
// operation: a refusal changed nothing and is decided anew when the request is repeated, a success is kept.
func (s *Server) once(w http.ResponseWriter, r *http.Request, c *call, o *operation, key string) error {
	if err := checkIdempotencyKey(key); err != nil {
		return err
	}
	body, err := readBody(w, r, maxJSONBody)
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	claim, answer, err := s.domain.ClaimRequest(r.Context(), c.principal, key, fingerprint(r, c, body))
	if err != nil {
		return err
	}
	if answer != nil {
		w.Header().Set(headerReplayed, "true")
		s.bytes(w, answer.Status, answer.MediaType, answer.Body)
		return nil
	}
	c.principal.Claim = claim
	// The client may be gone by now; what becomes of its request must be known all the same.
	ctx := context.WithoutCancel(r.Context())
	kept := false
	defer func() { // also after a panic
		if kept {
			return
		}
		if err := s.domain.ReleaseRequest(ctx, c.principal, claim); err != nil {
			s.log.ErrorContext(ctx, "release idempotency key", "request_id", c.requestID, "error", err)
		}
	}()
	held := &heldAnswer{header: w.Header()}
	if err := o.handle(s, held, r, c); err != nil {
		return err
	}
	if held.code < http.StatusMultipleChoices {
		kept = true // whatever follows: what was done must not be done again by one who comes at once
		err := s.domain.AnswerRequest(ctx, c.principal, claim, control.Answer{
			Status: held.code, MediaType: held.header.Get("Content-Type"), Body: held.body.Bytes(),
		})
		if err != nil {
			s.log.ErrorContext(ctx, "keep answer for its idempotency key", "request_id", c.requestID, "error", err)
		}
	}
	w.WriteHeader(held.code)
	_, _ = w.Write(held.body.Bytes()) // a client that is gone cannot be told
	return nil
}

func checkIdempotencyKey(key string) error {
	bad := len(key) > maxIdempotencyKey
	for i := range len(key) {
		bad = bad || key[i] <= ' ' || key[i] > '~'
	}
	if !bad {
		return nil
	}
	return problem.New(problem.KindInvalid, api.CodeInvalidRequest, "bad Idempotency-Key").
		With(api.HeaderIdempotencyKey, clip(key), "1 to 255 printable ASCII characters without spaces")
}

// fingerprint is equal exactly for requests that mean the same: same key, operation, proof and body, byte for
// byte. Only its hash is kept, so no content of a request is.
func fingerprint(r *http.Request, c *call, body []byte) string {
	h := sha256.New()
	for _, part := range []string{
		c.principal.KeyID, r.Method, r.URL.EscapedPath(), r.URL.RawQuery, string(c.version), r.Header.Get("Content-Type"),
		r.Header.Get(api.HeaderComposeHash), r.Header.Get(api.HeaderTransactionHash), r.Header.Get(api.HeaderPrepareOnly), string(body),
	} {
		_ = binary.Write(h, binary.BigEndian, uint64(len(part))) // a hash takes everything
		_, _ = io.WriteString(h, part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// changes reports whether a method may change something.
func changes(method string) bool {
	switch method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return true
	default:
		return false
	}
}

// heldAnswer is an answer that is not sent yet.
type heldAnswer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *heldAnswer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *heldAnswer) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
	}
}

// Write implements http.ResponseWriter.
func (a *heldAnswer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}
