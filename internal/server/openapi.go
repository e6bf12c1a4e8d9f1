package server

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/lockstep-cvm/lockstep/api"
)

//go:embed openapi.yaml
var openAPISource []byte

var openAPIDocument = sync.OnceValues(func() ([]byte, error) {
	var document map[string]any
	if err := yaml.Unmarshal(openAPISource, &document); err != nil {
		return nil, fmt.Errorf("server: openapi.yaml: %w", err)
	}
	b, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("server: openapi.yaml: %w", err)
	}
	return b, nil
})

// OpenAPI returns the OpenAPI 3.0 document of the server as JSON. The bytes must not be changed.
func OpenAPI() ([]byte, error) { return openAPIDocument() }

// serveOpenAPI is GET /openapi.json.
func (s *Server) serveOpenAPI(w http.ResponseWriter, _ *http.Request, _ *call) error {
	b, err := OpenAPI()
	if err != nil {
		return err
	}
	s.bytes(w, http.StatusOK, api.MediaTypeJSON, b)
	return nil
}
