package server

import (
	"net/http"
	"net/url"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// getComposition is GET /cvms/{id}/composition, which `phala ps` and `phala logs` read.
func (s *Server) getComposition(w http.ResponseWriter, r *http.Request, c *call) error {
	cvm, err := s.domain.CVM(r.Context(), c.principal, c.params["id"])
	if err != nil {
		return err
	}
	document := cvm.Document
	compose, manifest, version, runner := document.DockerComposeFile(), document.ManifestVersion(), documentVersion, document.Runner()
	shown := api.Composition{
		IsPublic: document.PublicLogs(), DockerComposeFile: &compose, ManifestVersion: &manifest, Version: &version, Runner: &runner,
		Features: document.Features(),
	}
	if why := cvm.Offline(); why != "" {
		shown.Error = &why
		s.json(w, http.StatusOK, shown)
		return nil
	}
	shown.IsOnline, shown.Containers = true, []api.Container{}
	for i := range cvm.Live.Services {
		service := &cvm.Live.Services[i]
		one := container(service)
		if shown.IsPublic {
			one.LogEndpoint = optional(s.logAddress(r, c, cvm, service.Container))
		}
		shown.Containers = append(shown.Containers, one)
	}
	s.json(w, http.StatusOK, shown)
	return nil
}

func container(s *runtime.Service) api.Container {
	return api.Container{
		ID: s.ID, Names: []string{"/" + s.Container}, Image: s.Image, ImageID: s.ImageID, Command: optional(s.Command),
		Created: s.CreatedAt.Unix(), State: s.State, Status: s.Status,
	}
}

// getStats is GET /cvms/{id}/stats.
func (s *Server) getStats(w http.ResponseWriter, r *http.Request, c *call) error {
	guest, err := s.domain.GuestSystem(r.Context(), c.principal, c.params["id"])
	if err != nil {
		return err
	}
	state := cvmState(guest.CVM, s.clock.Now())
	status := string(state.Status)
	s.json(w, http.StatusOK, api.SystemStats{
		IsOnline: guest.Offline() == "", IsPublic: guest.Document.PublicSysinfo(), Error: optional(guest.Why), Sysinfo: systemInfo(guest.System),
		Status: &status, InProgress: guest.Active != nil, BootProgress: state.BootProgress, BootError: state.BootError,
	})
	return nil
}

func systemInfo(i *runtime.SystemInfo) *api.SystemInfo {
	if i == nil {
		return nil
	}
	shown := &api.SystemInfo{
		OSName: i.OSName, OSVersion: i.OSVersion, KernelVersion: i.KernelVersion, CPUModel: i.CPUModel, NumCPUs: i.CPUs,
		TotalMemory: i.TotalMemory, AvailableMemory: i.AvailableMemory, UsedMemory: i.UsedMemory, FreeMemory: i.FreeMemory,
		TotalSwap: i.TotalSwap, UsedSwap: i.UsedSwap, FreeSwap: i.FreeSwap, Uptime: int64(i.Uptime.Seconds()),
		LoadavgOne: i.LoadOne, LoadavgFive: i.LoadFive, LoadavgFifteen: i.LoadFifteen,
	}
	for _, d := range i.Disks {
		shown.Disks = append(shown.Disks, api.Disk{Name: d.Name, MountPoint: d.MountPoint, TotalSize: d.Total, FreeSize: d.Free})
	}
	return shown
}

// getNetwork is GET /cvms/{id}/network.
func (s *Server) getNetwork(w http.ResponseWriter, r *http.Request, c *call) error {
	guest, err := s.domain.GuestNetwork(r.Context(), c.principal, c.params["id"])
	if err != nil {
		return err
	}
	shown := api.Network{IsOnline: guest.Offline() == "", IsPublic: true, Error: optional(guest.Why), PublicURLs: endpoints(guest.CVM)}
	if guest.Network != nil {
		shown.InternalIP = optional(guest.Network.InternalIP)
	}
	s.json(w, http.StatusOK, shown)
	return nil
}

// getUserConfig is GET /cvms/{id}/user_config. This server hands no user_config to guests, so there is
// neither a host name nor an SSH key in it.
func (s *Server) getUserConfig(w http.ResponseWriter, r *http.Request, c *call) error {
	cvm, err := s.domain.CVM(r.Context(), c.principal, c.params["id"])
	if err != nil {
		return err
	}
	s.json(w, http.StatusOK, api.UserConfig{DefaultGatewayDomain: optional(cvm.Node.GatewayDomain)})
	return nil
}

// statusBatch is POST /status/batch, with which `phala cvms list` fills its table.
func (s *Server) statusBatch(w http.ResponseWriter, r *http.Request, c *call) error {
	var request api.StatusBatchRequest
	if err := decodeJSON(w, r, &request); err != nil {
		return err
	}
	cvms, err := s.domain.Statuses(r.Context(), c.principal, request.VMUUIDs)
	if err != nil {
		return err
	}
	answer := api.StatusBatch{}
	for name, cvm := range cvms {
		answer[name] = s.vmStatus(cvm)
	}
	s.json(w, http.StatusOK, answer)
	return nil
}

func (s *Server) vmStatus(cvm *control.CVM) api.VMStatus {
	state := cvmState(cvm, s.clock.Now())
	shown := api.VMStatus{
		VMUUID: cvm.Row.VMUUID, Status: state.Status, Uptime: state.Uptime, InProgress: cvm.Active != nil,
		BootProgress: state.BootProgress, BootError: state.BootError, ShutdownProgress: state.ShutdownProgress,
	}
	if progress := progress20260121(cvm); progress != nil {
		kind := string(cvm.Active.Kind)
		shown.OperationType, shown.OperationStartedAt, shown.CorrelationID = &kind, progress.StartedAt, progress.CorrelationID
	}
	return shown
}

// Sizes of a page of GET /apps.
const (
	defaultAppPage = 20
	maxAppPage     = 100
)

// listApps is GET /apps, which `phala cvms list` reads.
func (s *Server) listApps(w http.ResponseWriter, r *http.Request, c *call) error {
	query := r.URL.Query()
	p, err := queryPage(query, defaultAppPage, maxAppPage)
	if err != nil {
		return err
	}
	filter, err := appFilter(query)
	if err != nil {
		return err
	}
	apps, total, err := s.domain.Apps(r.Context(), c.principal, filter, p.number, p.size)
	if err != nil {
		return err
	}
	if c.version == api.Version20251028 {
		s.json(w, http.StatusOK, appList(p, total, apps, basic20251028))
		return nil
	}
	s.json(w, http.StatusOK, appList(p, total, apps, func(cvm *control.CVM) api.CVM { return cvm20260121(cvm, c.principal) }))
	return nil
}

func appFilter(query url.Values) (control.AppFilter, error) {
	listed, err := queryBool(query, "listed")
	if err != nil {
		return control.AppFilter{}, err
	}
	statuses := query["status"]
	if len(statuses) == 0 {
		statuses = query["status[]"] // how some clients write a list
	}
	return control.AppFilter{
		Search: query.Get("search"), Statuses: statuses, Listed: listed, BaseImage: query.Get("base_image"),
		InstanceType: query.Get("instance_type"), KMSSlug: query.Get("kms_slug"), KMSType: query.Get("kms_type"),
		Node: query.Get("node"), Region: query.Get("region"),
	}, nil
}

func appList[T any](p page, total int, apps []*control.App, shape func(*control.CVM) T) api.AppList[T] {
	whole := pageOf(p, each(apps, func(app *control.App) api.App[T] { return appOf(app, shape) }), total)
	return api.AppList[T]{Apps: whole.Items, Page: whole.Page, PageSize: whole.PageSize, Total: whole.Total, TotalPages: whole.Pages}
}

// logAddress is where the log of a container, or of the console when it has no name, can be fetched without
// the API key. It always has a query: the official CLI appends to one.
func (s *Server) logAddress(r *http.Request, c *call, cvm *control.CVM, containerName string) string {
	token := s.domain.GrantLog(c.principal, cvm.Row.VMUUID, containerName)
	if token == "" {
		return ""
	}
	path := Base + "/cvms/" + cvm.Row.VMUUID + "/logs"
	if containerName != "" {
		path = Base + "/cvms/" + cvm.Row.VMUUID + "/containers/" + url.PathEscape(containerName) + "/logs"
	}
	return s.baseURL(r) + path + "?token=" + url.QueryEscape(token)
}

// baseURL is where the client reaches this server: as configured, or as it got here. What it sends in Host
// comes back to itself alone, in an answer that nobody may keep.
func (s *Server) baseURL(r *http.Request) string {
	if s.publicURL != "" {
		return s.publicURL
	}
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: r.Host}).String()
}

// consoleURLs are the addresses of the logs of a CVM for its object in version 2026-01-21.
func (s *Server) consoleURLs(r *http.Request, c *call, cvm *control.CVM) *api.CVMLogURLs {
	address := s.logAddress(r, c, cvm, "")
	if address == "" {
		return nil
	}
	channel := func(name string) *string { return optional(address + "&ch=" + name) }
	return &api.CVMLogURLs{Serial: channel(api.LogChannelSerial), Stdout: channel(api.LogChannelStdout), Stderr: channel(api.LogChannelStderr)}
}
