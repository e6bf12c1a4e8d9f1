package server

import (
	"net/http"

	"github.com/lockstep-cvm/lockstep/internal/problem"
)

type health struct {
	Status string `json:"status"`
}

// healthz is GET /healthz: the process answers. It asks nothing that may be slow, so that a supervisor
// does not restart the server because the database is.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request, _ *call) error {
	s.json(w, http.StatusOK, health{"ok"})
	return nil
}

// readyz is GET /readyz: requests can be served now. A server that shuts down is not ready, so that a
// balancer stops sending to it.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request, _ *call) error {
	select {
	case <-s.stop:
		return problem.New(problem.KindUnavailable, "", "shutting down")
	default:
	}
	if err := s.domain.Ready(r.Context()); err != nil {
		return problem.New(problem.KindUnavailable, "", "not ready").Because(err)
	}
	s.json(w, http.StatusOK, health{"ready"})
	return nil
}
