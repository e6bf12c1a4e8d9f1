package server

import (
	"net/http"
	"strings"

	"github.com/lockstep-cvm/lockstep/api"
)

// replicate is POST /cvms/{id}/replicas.
func (s *Server) replicate(w http.ResponseWriter, r *http.Request, c *call) error {
	request, err := readReplicate(w, r)
	if err != nil {
		return err
	}
	cvm, err := s.domain.Replicate(r.Context(), c.principal, c.params["id"], request, prepareOnly(r))
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, commitResponse(cvm))
	return nil
}

// replicateOfApp is POST /apps/{app_id}/cvms/{vm_uuid}/replicas.
func (s *Server) replicateOfApp(w http.ResponseWriter, r *http.Request, c *call) error {
	request, err := readReplicate(w, r)
	if err != nil {
		return err
	}
	cvm, err := s.domain.ReplicateOfApp(r.Context(), c.principal, c.params["app_id"], c.params["vm_uuid"], request, prepareOnly(r))
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, commitResponse(cvm))
	return nil
}

// readReplicate reads the body, which may be left out.
func readReplicate(w http.ResponseWriter, r *http.Request) (api.ReplicateRequest, error) {
	var request api.ReplicateRequest
	if r.ContentLength == 0 {
		return request, nil
	}
	return request, decodeJSON(w, r, &request)
}

func prepareOnly(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get(api.HeaderPrepareOnly), "true")
}
