package server

import (
	"net/http"
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
)

// corsRequestHeaders are the headers that the SDK sends in a browser. Every one of its GETs needs a
// preflight because of them.
var corsRequestHeaders = strings.Join([]string{
	api.HeaderAPIKey, "Authorization", api.HeaderVersion, "Content-Type", "Accept", "Cache-Control",
	api.HeaderComposeHash, api.HeaderTransactionHash, api.HeaderPrepareOnly, api.HeaderWorkspace, api.HeaderRequestID,
	api.HeaderIdempotencyKey,
}, ", ")

const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
	corsMaxAge  = "7200" // seconds; browsers cut longer ones to this
)

// allowOrigin adds the headers that let a page of another origin read the answer.
func (s *Server) allowOrigin(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	header := w.Header()
	if len(s.origins) == 0 {
		if origin != "" {
			header.Set("Access-Control-Allow-Origin", "*")
			header.Set("Access-Control-Expose-Headers", api.HeaderRequestID)
		}
		return
	}
	header.Add("Vary", "Origin")
	if s.origins[origin] {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Credentials", "true")
		header.Set("Access-Control-Expose-Headers", api.HeaderRequestID)
	}
}

// options answers OPTIONS: a browser's preflight, or the question which methods there are.
func (s *Server) options(w http.ResponseWriter, r *http.Request, at *node) {
	header := w.Header()
	header.Set("Allow", at.allow())
	if r.Header.Get("Access-Control-Request-Method") != "" && header.Get("Access-Control-Allow-Origin") != "" {
		header.Set("Access-Control-Allow-Methods", corsMethods)
		header.Set("Access-Control-Allow-Headers", corsRequestHeaders)
		header.Set("Access-Control-Max-Age", corsMaxAge)
	}
	w.WriteHeader(http.StatusNoContent)
}
