package server

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// call is what is known of a request besides the request itself.
type call struct {
	requestID string
	pattern   string // of the route; empty when there is none
	params    map[string]string
	version   api.Version
	principal control.Principal
}

// maxRequestID is the most characters of a request id that is taken over from a client.
const maxRequestID = 64

// requestID takes over the id that a client or a proxy chose, when it is one that cannot do harm in a
// log or a header, and makes one otherwise.
func (s *Server) requestID(r *http.Request) (string, error) {
	if id := r.Header.Get(api.HeaderRequestID); validRequestID(id) {
		return id, nil
	}
	b := make([]byte, 12)
	if _, err := io.ReadFull(s.rand, b); err != nil {
		return "", fmt.Errorf("random request id: %w", err)
	}
	return "req_" + hex.EncodeToString(b), nil
}

func validRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// apiKey finds the API key of a request: X-API-Key, which the official clients send, or a bearer token.
func apiKey(r *http.Request) string {
	if key := r.Header.Get(api.HeaderAPIKey); key != "" {
		return key
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}
