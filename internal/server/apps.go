package server

import (
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
)

// getApp is GET /apps/{app_id}.
func (s *Server) getApp(w http.ResponseWriter, r *http.Request, c *call) error {
	app, err := s.domain.App(r.Context(), c.principal, c.params["app_id"])
	if err != nil {
		return err
	}
	if c.version == api.Version20251028 {
		s.json(w, http.StatusOK, appOf(app, basic20251028))
		return nil
	}
	s.json(w, http.StatusOK, appOf(app, func(cvm *control.CVM) api.CVM { return cvm20260121(cvm, c.principal) }))
	return nil
}

// getAppCVMs is GET /apps/{app_id}/cvms.
func (s *Server) getAppCVMs(w http.ResponseWriter, r *http.Request, c *call) error {
	app, err := s.domain.App(r.Context(), c.principal, c.params["app_id"])
	if err != nil {
		return err
	}
	if c.version == api.Version20251028 {
		s.json(w, http.StatusOK, each(app.CVMs, info20251028))
		return nil
	}
	s.json(w, http.StatusOK, each(app.CVMs, func(cvm *control.CVM) api.CVM { return cvm20260121(cvm, c.principal) }))
	return nil
}

// appOf is an app whose CVMs have the shape of one version. The current CVM is the oldest.
func appOf[T any](app *control.App, shape func(*control.CVM) T) api.App[T] {
	shown := api.App[T]{
		ID: app.Row.ProjectID, Name: app.Row.Name, AppID: app.Row.AppID, KMSType: string(app.KMS.Type),
		CVMs: each(app.CVMs, shape), CVMCount: len(app.CVMs),
	}
	if created := timestamp(app.Row.CreatedAt.Time); created != nil {
		shown.CreatedAt = *created
	}
	if len(shown.CVMs) > 0 {
		shown.CurrentCVM = &shown.CVMs[0]
	}
	return shown
}

// basic20251028 is a CVM of an app in version 2025-10-28.
func basic20251028(cvm *control.CVM) api.AppCVM20251028 {
	row, kind := &cvm.Row, string(cvm.KMS.Type)
	return api.AppCVM20251028{
		VMUUID: &row.VMUUID, AppID: row.AppID, Name: row.Name, Status: api.CVMStatus(cvm.Status()),
		VCPU: int(row.VCPU), MemoryMB: int(row.MemoryMB), DiskGB: int(row.DiskGB),
		TeepodID: cvm.Node.ID, TeepodName: cvm.Node.Name, RegionIdentifier: optional(cvm.Node.Region), KMSType: &kind,
		InstanceType: optional(row.InstanceType), Listed: &row.Listed, BaseImage: &row.Image, KMSSlug: &cvm.KMS.Slug, KMSID: &cvm.KMS.ID,
		InstanceID: optional(row.InstanceID), MachineInfo: machine20251028(cvm), UpdatedAt: timestamp(row.UpdatedAt.Time),
	}
}
