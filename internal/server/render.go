package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// rendering is how the errors of one kind are answered.
type rendering struct {
	status int
	// bare errors are {"detail": text} whatever the domain says: clients class a 401 or 403 as a
	// question of rights, and repeat a 409, only without a code.
	bare bool
	// code is given to an error that has none of its own, where clients look for one.
	code api.ErrorCode
}

var renderings = map[problem.Kind]rendering{
	problem.KindInvalid:          {status: http.StatusBadRequest},
	problem.KindUnprocessable:    {status: http.StatusUnprocessableEntity, code: api.CodeInvalidRequest},
	problem.KindTooLarge:         {status: http.StatusRequestEntityTooLarge},
	problem.KindUnsupportedMedia: {status: http.StatusBadRequest},
	problem.KindUnauthenticated:  {status: http.StatusUnauthorized, bare: true},
	problem.KindForbidden:        {status: http.StatusForbidden, bare: true},
	problem.KindNotFound:         {status: http.StatusNotFound},
	problem.KindBusy:             {status: http.StatusConflict, bare: true},
	problem.KindConflict:         {status: http.StatusConflict, code: api.CodeInvalidRequest},
	problem.KindHashRequired:     {status: api.StatusHashRegistrationRequired, code: api.CodeHashRegistrationRequired},
	problem.KindHashInvalid:      {status: api.StatusHashInvalidOrExpired, code: api.CodeHashInvalidOrExpired},
	problem.KindTxUnverified:     {status: api.StatusTxVerificationFailed, code: api.CodeTxVerificationFailed},
	problem.KindHashNotAllowed:   {status: api.StatusHashNotAllowed, code: api.CodeHashNotAllowed},
	problem.KindUnavailable:      {status: http.StatusServiceUnavailable},
	problem.KindInternal:         {status: http.StatusInternalServerError, bare: true},
}

var (
	errMethodNotAllowed = errors.New("method not allowed")
	errTooManyStreams   = errors.New("too many streams for this API key; close one and try again")
)

// statusClientGone marks in log and metrics a request whose client did not wait. Nobody reads the answer.
const statusClientGone = 499

// plainError is the body of an error without a code.
type plainError struct {
	Detail    string `json:"detail"`
	RequestID string `json:"request_id,omitempty"`
	// CorrelationID names the operation that is in the way.
	CorrelationID string `json:"correlation_id,omitempty"`
}

// fail answers with an error. It is the one place where errors become HTTP.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, c *call, err error) {
	if invalid, ok := errors.AsType[*validationError](err); ok {
		s.json(w, http.StatusUnprocessableEntity, api.ValidationErrors{Detail: invalid.items})
		return
	}
	switch {
	case errors.Is(err, errMethodNotAllowed):
		s.json(w, http.StatusMethodNotAllowed, plainError{Detail: r.Method + " is not possible here; see the header Allow"})
		return
	case errors.Is(err, errTooManyStreams):
		w.Header().Set("Retry-After", "5")
		s.json(w, http.StatusTooManyRequests, plainError{Detail: err.Error()})
		return
	case r.Context().Err() != nil && errors.Is(err, context.Canceled):
		s.json(w, statusClientGone, plainError{Detail: "the client closed the request"})
		return
	}
	p, ok := errors.AsType[*problem.Error](err)
	if ok {
		_, ok = renderings[p.Kind]
	} else if store.Away(err) {
		w.Header().Set("Retry-After", "1")
		p, ok = problem.New(problem.KindUnavailable, "", "the database does not answer; try again"), true
	}
	if !ok || p.Kind == problem.KindInternal {
		// What went wrong inside is for the operator; the request id leads from one to the other.
		p = problem.New(problem.KindInternal, "", "internal error")
	}
	how := renderings[p.Kind]
	switch {
	case how.status >= http.StatusInternalServerError:
		s.log.ErrorContext(r.Context(), "request failed", "request_id", c.requestID, "route", c.pattern, "status", how.status, "error", err)
	case p.Err != nil:
		s.log.InfoContext(r.Context(), "request refused", "request_id", c.requestID, "route", c.pattern, "status", how.status, "error", err)
	}
	if how.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	code := p.Code
	if code == "" {
		code = how.code
	}
	if how.bare || code == "" {
		body := plainError{Detail: p.Message}
		if how.status >= http.StatusInternalServerError {
			body.RequestID = c.requestID
		}
		for _, d := range p.Details {
			if id, ok := d.Value.(string); ok && d.Field == "correlation_id" {
				body.CorrelationID = id
			}
		}
		s.json(w, how.status, body)
		return
	}
	s.json(w, how.status, envelope(p, code, c.requestID))
}

func envelope(p *problem.Error, code api.ErrorCode, requestID string) api.ErrorEnvelope {
	e := api.ErrorEnvelope{ErrorCode: code, Message: p.Message, RequestID: requestID, Suggestions: p.Suggestions}
	for _, d := range p.Details {
		detail := api.NewErrorDetail(d.Field, d.Value)
		detail.Message = d.Message
		e.Details = append(e.Details, detail)
	}
	return e
}

// json answers with a JSON value.
func (s *Server) json(w http.ResponseWriter, status int, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		// Only a stored document could do this, and those are parsed when they are read.
		s.log.Error("encode answer", "error", err)
		status, b = http.StatusInternalServerError, []byte(`{"detail":"internal error"}`)
	}
	s.bytes(w, status, api.MediaTypeJSON, b)
}

// bytes answers with a body as it is.
func (s *Server) bytes(w http.ResponseWriter, status int, mediaType string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", mediaType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // a client that is gone cannot be told; nothing is HTML, and nothing may be taken for it
}
