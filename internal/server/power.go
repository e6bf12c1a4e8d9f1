package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// power is POST /cvms/{id}/start and stop, which have no body. The official clients send a content type all
// the same.
func power(kind column.PowerKind) func(*Server, http.ResponseWriter, *http.Request, *call) error {
	return func(s *Server, w http.ResponseWriter, r *http.Request, c *call) error {
		return s.power(w, r, c, control.PowerRequest{Kind: kind})
	}
}

func (s *Server) power(w http.ResponseWriter, r *http.Request, c *call, request control.PowerRequest) error {
	cvm, err := s.domain.Power(r.Context(), c.principal, c.params["id"], request)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, vmOf(cvm))
	return nil
}

// shutdown is POST /cvms/{id}/shutdown.
func (s *Server) shutdown(w http.ResponseWriter, r *http.Request, c *call) error {
	var body api.ShutdownOptions
	if err := decodeOptional(w, r, &body); err != nil {
		return err
	}
	return s.power(w, r, c, control.PowerRequest{Kind: column.PowerShutdown, Shutdown: shutdownOf(body)})
}

// restart is POST /cvms/{id}/restart.
func (s *Server) restart(w http.ResponseWriter, r *http.Request, c *call) error {
	var body api.RestartRequest
	if err := decodeOptional(w, r, &body); err != nil {
		return err
	}
	return s.power(w, r, c, control.PowerRequest{Kind: column.PowerRestart, Force: body.Force, Shutdown: shutdownOf(body.ShutdownOptions)})
}

// deleteCVM is DELETE /cvms/{id}.
func (s *Server) deleteCVM(w http.ResponseWriter, r *http.Request, c *call) error {
	if err := s.domain.DeleteCVM(r.Context(), c.principal, c.params["id"]); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// batchStop is POST /cvms/batch-stop.
func (s *Server) batchStop(w http.ResponseWriter, r *http.Request, c *call) error {
	var body api.BatchStopRequest
	if err := decodeJSON(w, r, &body); err != nil {
		return err
	}
	done, err := s.domain.BatchStop(r.Context(), c.principal, body.CVMIDs)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, api.BatchStopResponse{
		Total: done.Total, Stopped: done.Stopped, Skipped: done.Skipped,
		Errors: each(done.Errors, func(e control.StopError) api.BatchStopError {
			return api.BatchStopError{CVMID: clip(e.CVM), Error: s.inBatch(r, c, e.Err)}
		}),
	})
	return nil
}

// inBatch is an error inside an answer: what the domain says to people, and of the rest nothing.
func (s *Server) inBatch(r *http.Request, c *call, err error) string {
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Kind != problem.KindInternal {
		return p.Message
	}
	s.log.ErrorContext(r.Context(), "request failed in part", "request_id", c.requestID, "route", c.pattern, "error", err)
	return "internal error"
}

// rename is PATCH /cvms/{id}/name.
func (s *Server) rename(w http.ResponseWriter, r *http.Request, c *call) error {
	var body api.NameRequest
	if err := decodeJSON(w, r, &body); err != nil {
		return err
	}
	if err := s.domain.Rename(r.Context(), c.principal, c.params["id"], body.Name); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// setListed is PATCH /cvms/{id}/listed.
func (s *Server) setListed(w http.ResponseWriter, r *http.Request, c *call) error {
	var body struct {
		Listed *bool `json:"listed"`
	}
	if err := decodeJSON(w, r, &body); err != nil {
		return err
	}
	if body.Listed == nil {
		return invalidAt("missing", "got nothing, want true or false", "body", "listed")
	}
	cvm, err := s.domain.SetListed(r.Context(), c.principal, c.params["id"], *body.Listed)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, vmOf(cvm))
	return nil
}

// shutdownOf is nil when the request leaves the shutdown to the server's settings.
func shutdownOf(o api.ShutdownOptions) *control.Shutdown {
	if !o.ShutdownTimeout.Given && o.AllowForceStop == nil {
		return nil
	}
	d := &control.Shutdown{AllowForceStop: !o.ShutdownTimeout.Given}
	if o.AllowForceStop != nil {
		d.AllowForceStop = *o.AllowForceStop
	}
	switch {
	case o.ShutdownTimeout.None:
		d.Timeout = control.NoTimeout
	case o.ShutdownTimeout.Given:
		// 0 would mean the server's setting, and is no timeout that the API knows.
		d.Timeout = max(time.Duration(min(o.ShutdownTimeout.Seconds, maxSeconds))*time.Second, time.Second)
	}
	return d
}

// maxSeconds keeps a number of seconds inside a duration; what is allowed is far below.
const maxSeconds = 1 << 20

// shutdownQuery reads the same options from the query, for requests whose body is a document.
func shutdownQuery(query url.Values) (*control.Shutdown, error) {
	var o api.ShutdownOptions
	var err error
	if query.Has("shutdown_timeout") {
		o.ShutdownTimeout.Given = true
		switch text := query.Get("shutdown_timeout"); text {
		case "null", "none":
			o.ShutdownTimeout.None = true
		default:
			if o.ShutdownTimeout.Seconds, err = strconv.Atoi(text); err != nil {
				return nil, invalidAt("int_parsing", fmt.Sprintf("got %q, want %d to %d seconds, or null", clip(text), api.MinShutdownTimeout, api.MaxShutdownTimeout), "query", "shutdown_timeout")
			}
		}
	}
	if o.AllowForceStop, err = queryBool(query, "allow_force_stop"); err != nil {
		return nil, err
	}
	return shutdownOf(o), nil
}

// vmOf is the answer of the operations on a whole CVM.
func vmOf(cvm *control.CVM) api.VM {
	r := commitResponse(cvm)
	return api.VM{
		ID: r.ID, Name: r.Name, Status: r.Status, TeepodID: r.TeepodID, Teepod: r.Teepod, UserID: r.UserID, AppID: cvm.Row.AppID,
		VMUUID: r.VMUUID, InstanceID: r.InstanceID, AppURL: r.AppURL, BaseImage: r.BaseImage, VCPU: r.VCPU, MemoryMB: r.MemoryMB,
		DiskGB: r.DiskGB, ManifestVersion: r.ManifestVersion, Version: r.Version, Runner: r.Runner, DockerCompose: r.DockerCompose,
		Features: r.Features, CreatedAt: r.CreatedAt, EnvPubkey: r.EnvPubkey,
	}
}
