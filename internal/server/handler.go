package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := s.clock.Now()
	out := &recorder{ResponseWriter: w}
	c := &call{params: map[string]string{}, version: api.ParseVersion(r.Header.Get(api.HeaderVersion))}
	s.metrics.inFlight.Inc()
	defer s.metrics.inFlight.Dec()
	r, span := s.beginSpan(r)
	defer endSpan(span, r, out, c)
	defer s.answered(r, out, c, started)
	defer func() { s.recovered(out, r, c, recover()) }()
	var err error
	if c.requestID, err = s.requestID(r); err == nil {
		out.Header().Set(api.HeaderRequestID, c.requestID)
		err = s.serve(out, r, c)
	}
	if err != nil {
		s.fail(out, r, c, err)
	}
}

// answered counts and logs a request.
func (s *Server) answered(r *http.Request, out *recorder, c *call, started time.Time) {
	elapsed := s.clock.Now().Sub(started)
	s.metrics.observe(c.pattern, r.Method, out.status(), elapsed)
	level := slog.LevelInfo
	if !strings.HasPrefix(c.pattern, Base) && out.status() < http.StatusBadRequest {
		level = slog.LevelDebug // probes and scrapes come every few seconds
	}
	s.log.LogAttrs(r.Context(), level, "request", slog.String("method", r.Method), slog.String("route", c.pattern),
		slog.Int("status", out.status()), slog.Duration("duration", elapsed), slog.Int64("bytes", out.bytes),
		slog.String("request_id", c.requestID), slog.String("key", c.principal.KeyID))
}

// recovered answers a request whose handler panicked. When the answer had begun it is cut off, so that
// the client does not take half of it for all.
func (s *Server) recovered(out *recorder, r *http.Request, c *call, v any) {
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.log.ErrorContext(r.Context(), "panic", "request_id", c.requestID, "route", c.pattern, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	if out.code != 0 {
		panic(http.ErrAbortHandler)
	}
	s.fail(out, r, c, problem.New(problem.KindInternal, "", "panic"))
}

// serve finds the operation and checks the key.
func (s *Server) serve(w *recorder, r *http.Request, c *call) error {
	s.allowOrigin(w, r)
	at := s.routes.find(segments(r.URL.EscapedPath()), c.params)
	if at == nil {
		return problem.New(problem.KindNotFound, "", "there is no %s", clip(r.URL.Path))
	}
	if r.Method == http.MethodOptions {
		s.options(w, r, at)
		return nil
	}
	o := at.operation(r.Method)
	if o == nil {
		w.Header().Set("Allow", at.allow())
		return errMethodNotAllowed
	}
	c.pattern = o.Pattern
	if !o.open {
		var err error
		if c.principal, err = s.domain.Authenticate(r.Context(), apiKey(r)); err != nil {
			return err
		}
		w.Header().Set("Cache-Control", "no-store") // what one key may see is nobody else's
	}
	if key := r.Header.Get(api.HeaderIdempotencyKey); key != "" && !o.open && changes(r.Method) {
		return s.once(w, r, c, o, key)
	}
	return o.handle(s, w, r, c)
}

// clip bounds what an answer repeats of a request.
func clip(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	code  int
	bytes int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}
