package server

import (
	"encoding/json"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// Sizes of a page of GET /apps/{app_id}/revisions.
const (
	defaultRevisionPage = 50
	maxRevisionPage     = 1000
)

// listRevisions is GET /apps/{app_id}/revisions.
func (s *Server) listRevisions(w http.ResponseWriter, r *http.Request, c *call) error {
	p, err := queryPage(r.URL.Query(), defaultRevisionPage, maxRevisionPage)
	if err != nil {
		return err
	}
	revisions, total, err := s.domain.Revisions(r.Context(), c.principal, c.params["app_id"], p.number, p.size)
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, api.Revisions{
		Revisions: each(revisions, func(r *control.RevisionDetail) api.Revision { return revisionOf(r, c.principal) }),
		Total:     int(total), Page: p.number, PageSize: p.size, TotalPages: (int(total) + p.size - 1) / p.size,
	})
	return nil
}

// getRevision is GET /apps/{app_id}/revisions/{revision_id}.
func (s *Server) getRevision(w http.ResponseWriter, r *http.Request, c *call) error {
	raw, err := queryBool(r.URL.Query(), "raw_compose_file")
	if err != nil {
		return err
	}
	revision, err := s.domain.Revision(r.Context(), c.principal, c.params["app_id"], c.params["revision_id"])
	if err != nil {
		return err
	}
	document := revision.Document
	if raw != nil && *raw {
		// As a string every byte comes through; an object goes through the JSON encoder of both sides.
		if document, err = json.Marshal(string(document)); err != nil {
			return err
		}
	}
	s.json(w, http.StatusOK, api.RevisionDetail{Revision: revisionOf(revision, c.principal), ComposeFile: document})
	return nil
}

func revisionOf(r *control.RevisionDetail, p control.Principal) api.Revision {
	row := &r.Row
	shown := api.Revision{
		RevisionID: row.ID, AppID: row.AppID, VMUUID: r.CVM.VMUUID, ComposeHash: row.ComposeHash.String(),
		CreatedAt: *timestamp(row.CreatedAt.Time), TraceID: optional(r.Update.CorrelationID), OperationType: row.OperationType,
		TriggeredBy: &api.UserRef{ID: &row.CreatedBy, Username: &r.Creator},
		CVM:         &api.CVMRef{ID: &r.CVM.HashID, Name: &r.CVM.Name, AppID: &r.CVM.AppID, VMUUID: &r.CVM.VMUUID},
		Workspace:   &api.WorkspaceRef{ID: p.Workspace.ID, Name: p.Workspace.Name, Slug: &p.Workspace.Slug},
		Status:      string(r.Update.State), Reason: r.Update.Reason, Error: r.Update.Error,
	}
	if r.Update.FinishedAt != nil {
		shown.FinishedAt = timestamp(r.Update.FinishedAt.Time)
	}
	if row.TxHash != "" || row.Owner != "" {
		shown.Approval = &api.RevisionApproval{TransactionHash: optional(row.TxHash), Owner: optional(row.Owner)}
		if row.BlockNumber > 0 {
			shown.Approval.BlockNumber = &row.BlockNumber
		}
	}
	return shown
}

// redeploy is POST /cvms/{id}/revisions/{revision_id}/redeploy.
func (s *Server) redeploy(w http.ResponseWriter, r *http.Request, c *call) error {
	done, err := s.domain.Redeploy(r.Context(), c.principal, c.params["id"], c.params["revision_id"], r.URL.Query().Get("transaction_hash"))
	if err != nil {
		return err
	}
	s.json(w, http.StatusAccepted, redeployedOf([]control.Redeployed{done}))
	return nil
}

// redeployApp is POST /apps/{app_id}/revisions/{revision_id}/redeploy.
func (s *Server) redeployApp(w http.ResponseWriter, r *http.Request, c *call) error {
	var request api.RedeployRequest
	if r.ContentLength != 0 {
		if err := decodeJSON(w, r, &request); err != nil {
			return err
		}
	}
	done, err := s.domain.RedeployApp(r.Context(), c.principal, c.params["app_id"], c.params["revision_id"],
		r.URL.Query().Get("transaction_hash"), request.VMUUIDs)
	if err != nil {
		return err
	}
	s.json(w, http.StatusAccepted, redeployedOf(done))
	return nil
}

func redeployedOf(done []control.Redeployed) api.Redeployed {
	message := "The CVM runs this revision already; nothing was restarted"
	for _, one := range done {
		if !one.Unchanged {
			message = "The revision is being rolled out"
		}
	}
	return api.Redeployed{
		Status: api.UpdateStatusInProgress, Message: message, CorrelationID: done[0].Update.CorrelationID,
		CVMs: each(done, func(one control.Redeployed) api.RedeployedCVM {
			return api.RedeployedCVM{VMUUID: one.CVM.VMUUID, CorrelationID: one.Update.CorrelationID, Unchanged: one.Unchanged}
		}),
	}
}
