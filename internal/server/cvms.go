package server

import (
	"encoding/json"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// Sizes of a page of GET /cvms/paginated.
const (
	defaultCVMPage = 30
	maxCVMPage     = 100
)

// provision is POST /cvms/provision.
func (s *Server) provision(w http.ResponseWriter, r *http.Request, c *call) error {
	var request provisionBody
	if err := decodeJSON(w, r, &request); err != nil {
		return err
	}
	provisioned, err := s.domain.Provision(r.Context(), c.principal, request.ProvisionRequest, request.composeFile)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, provisionResponse(provisioned))
	return nil
}

// provisionBody is an api.ProvisionRequest with its compose_file as it came: members that are unknown
// here are part of what the owner approves and must not get lost.
type provisionBody struct {
	api.ProvisionRequest
	composeFile json.RawMessage
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *provisionBody) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &b.ProvisionRequest); err != nil {
		return err
	}
	var raw struct {
		ComposeFile json.RawMessage `json:"compose_file"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	b.composeFile = raw.ComposeFile
	return nil
}

// commit is POST /cvms.
func (s *Server) commit(w http.ResponseWriter, r *http.Request, c *call) error {
	var request api.CommitRequest
	if err := decodeJSON(w, r, &request); err != nil {
		return err
	}
	cvm, err := s.domain.Commit(r.Context(), c.principal, request)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, commitResponse(cvm))
	return nil
}

// listCVMs is GET /cvms/paginated.
func (s *Server) listCVMs(w http.ResponseWriter, r *http.Request, c *call) error {
	query := r.URL.Query()
	p, err := queryPage(query, defaultCVMPage, maxCVMPage)
	if err != nil {
		return err
	}
	// A filter that is not known must not look as if it had matched everything.
	for _, filter := range []string{"node_id", "teepod_id", "user_id"} {
		if query.Get(filter) != "" {
			return invalidAt("unsupported", "this server lists the CVMs of the key's workspace without filters", "query", filter)
		}
	}
	cvms, total, err := s.domain.CVMs(r.Context(), c.principal, p.number, p.size)
	if err != nil {
		return err
	}
	if c.version == api.Version20251028 {
		s.json(w, http.StatusOK, pageOf(p, each(cvms, info20251028), int(total)))
		return nil
	}
	s.json(w, http.StatusOK, pageOf(p, each(cvms, func(cvm *control.CVM) api.CVM { return cvm20260121(cvm, c.principal) }), int(total)))
	return nil
}

func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, len(in))
	for i, a := range in {
		out[i] = f(a)
	}
	return out
}

// getCVM is GET /cvms/{id}.
func (s *Server) getCVM(w http.ResponseWriter, r *http.Request, c *call) error {
	cvm, err := s.domain.CVM(r.Context(), c.principal, c.params["id"])
	if err != nil {
		return err
	}
	if c.version == api.Version20251028 {
		shown := detail20251028(cvm)
		shown.SyslogEndpoint = optional(s.logAddress(r, c, cvm, ""))
		s.json(w, http.StatusOK, shown)
		return nil
	}
	shown := api.CVMDetail{CVM: cvm20260121(cvm, c.principal), ComposeFile: cvm.Document.Bytes()}
	shown.Logs = s.consoleURLs(r, c, cvm)
	s.json(w, http.StatusOK, shown)
	return nil
}

// getComposeFile is GET /cvms/{id}/compose_file: the stored bytes, whose SHA-256 is the compose hash.
// They are valid JSON, so a client that wants an object reads one; ?raw gives them as text.
func (s *Server) getComposeFile(w http.ResponseWriter, r *http.Request, c *call) error {
	document, err := s.domain.Document(r.Context(), c.principal, c.params["id"])
	if err != nil {
		return err
	}
	media := api.MediaTypeJSON
	if r.URL.Query().Has("raw") {
		media = textUTF8
	}
	s.bytes(w, http.StatusOK, media, document.Bytes())
	return nil
}

// textUTF8 is how documents are sent: the official SDK makes a Blob of application/yaml.
const textUTF8 = api.MediaTypeText + "; charset=utf-8"

// getDockerCompose is GET /cvms/{id}/docker-compose.yml.
func (s *Server) getDockerCompose(w http.ResponseWriter, r *http.Request, c *call) error {
	document, err := s.domain.Document(r.Context(), c.principal, c.params["id"])
	if err != nil {
		return err
	}
	s.bytes(w, http.StatusOK, textUTF8, []byte(document.DockerComposeFile()))
	return nil
}
