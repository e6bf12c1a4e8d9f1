package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// Sizes of a page of GET /apps/{app_id}/history.
const (
	defaultHistoryPage = 100
	maxHistoryPage     = 1000
)

// getHistory is GET /apps/{app_id}/history. It needs no key when the history is public, but one that is sent
// must be good.
func (s *Server) getHistory(w http.ResponseWriter, r *http.Request, c *call) error {
	var reader *control.Principal
	if key := apiKey(r); key != "" {
		var err error
		if c.principal, err = s.domain.Authenticate(r.Context(), key); err != nil {
			return err
		}
		reader = &c.principal
	}
	w.Header().Set("Cache-Control", "no-store") // it grows, and may stop being public
	query := r.URL.Query()
	limit, err := queryInt(query, "limit", defaultHistoryPage, 1, maxHistoryPage)
	if err != nil {
		return err
	}
	after, err := querySeq(query, "after")
	if err != nil {
		return err
	}
	page, err := s.domain.History(r.Context(), reader, c.params["app_id"], after, limit)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, page)
	return nil
}

// querySeq reads the number of an entry from the query; absent means 0.
func querySeq(query url.Values, name string) (uint64, error) {
	if !query.Has(name) {
		return 0, nil
	}
	n, err := strconv.ParseUint(query.Get(name), 10, 63)
	if err != nil {
		return 0, invalidAt("int_parsing", fmt.Sprintf("got %q, want the number of an entry, or 0", clip(query.Get(name))), "query", name)
	}
	return n, nil
}

// setHistory is PATCH /apps/{app_id}/history.
func (s *Server) setHistory(w http.ResponseWriter, r *http.Request, c *call) error {
	var settings api.HistorySettings
	if err := decodeJSON(w, r, &settings); err != nil {
		return err
	}
	page, err := s.domain.SetHistory(r.Context(), c.principal, c.params["app_id"], settings)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, page)
	return nil
}
