package server

import (
	"encoding/hex"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// Sizes of a page of GET /kms.
const (
	defaultKMSPage = 20
	maxKMSPage     = 100
)

// listKMS is GET /kms.
func (s *Server) listKMS(w http.ResponseWriter, r *http.Request, _ *call) error {
	query := r.URL.Query()
	p, err := queryPage(query, defaultKMSPage, maxKMSPage)
	if err != nil {
		return err
	}
	onChain, err := queryBool(query, "is_onchain")
	if err != nil {
		return err
	}
	all := kmsInfos(s.domain.Catalog().KMSs(), onChain)
	first := min((p.number-1)*p.size, len(all))
	last := min(first+p.size, len(all))
	s.json(w, http.StatusOK, pageOf(p, all[first:last], len(all)))
	return nil
}

// kmsInfos describes key management services: all of them, or those that ask a chain or do not.
func kmsInfos(services []*control.KMS, onChain *bool) []api.KMSInfo {
	infos := make([]api.KMSInfo, 0, len(services))
	for _, k := range services {
		if onChain == nil || *onChain == k.OnChain() {
			infos = append(infos, k.Info())
		}
	}
	return infos
}

// getKMS is GET /kms/{kms}, by id, slug or type.
func (s *Server) getKMS(w http.ResponseWriter, _ *http.Request, c *call) error {
	k, err := s.domain.Catalog().FindKMS(c.params["kms"])
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, k.Info())
	return nil
}

// getPubKey is GET /kms/{kms}/pubkey/{app_id}. The clients reject an answer with any further member.
func (s *Server) getPubKey(w http.ResponseWriter, r *http.Request, c *call) error {
	key, err := s.domain.EnvKey(r.Context(), c.params["kms"], c.params["app_id"])
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, api.AppPubKey{
		PublicKey: hex.EncodeToString(key.PublicKey[:]), Signature: hex.EncodeToString(key.Signature[:]),
	})
	return nil
}

// nextAppIDs is GET /kms/phala/next_app_id.
func (s *Server) nextAppIDs(w http.ResponseWriter, r *http.Request, c *call) error {
	count, err := queryInt(r.URL.Query(), "counts", 1, 1, control.MaxNextAppIDs)
	if err != nil {
		return err
	}
	ids, err := s.domain.NextAppIDs(r.Context(), c.principal, count)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, api.NextAppIDs{AppIDs: ids})
	return nil
}
