package server

import (
	"encoding/hex"
	"net/http"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

// availableNodes is GET /teepods/available.
func (s *Server) availableNodes(w http.ResponseWriter, r *http.Request, _ *call) error {
	catalog := s.domain.Catalog()
	answer := api.AvailableNodes{Tier: selfHosted, KMSList: kmsInfos(catalog.KMSs(), nil)}
	for _, n := range catalog.Nodes() {
		free, err := s.domain.Free(r.Context(), n)
		if err != nil {
			return err
		}
		if n.Accepts() != nil {
			free = control.Capacity{} // shown, because clients find the names of nodes here, but without room
		}
		answer.Nodes = append(answer.Nodes, availableNode(n, free, catalog.KMSs()))
	}
	s.json(w, http.StatusOK, answer)
	return nil
}

// Sizes of a page of GET /workspaces/{slug}/nodes.
const (
	defaultNodePage = 20
	maxNodePage     = 100
)

// workspaceNodes is GET /workspaces/{slug}/nodes. Every node serves every workspace; a key sees its own one.
func (s *Server) workspaceNodes(w http.ResponseWriter, r *http.Request, c *call) error {
	if slug := c.params["slug"]; slug != c.principal.Workspace.Slug {
		return problem.New(problem.KindNotFound, api.CodeInvalidRequest, "workspace not found").With("slug", slug, "the workspace of the API key")
	}
	p, err := queryPage(r.URL.Query(), defaultNodePage, maxNodePage)
	if err != nil {
		return err
	}
	nodes := s.domain.Catalog().Nodes()
	first := min((p.number-1)*p.size, len(nodes))
	last := min(first+p.size, len(nodes))
	items := make([]api.NodeRef, 0, last-first)
	for _, n := range nodes[first:last] {
		items = append(items, nodeRef(n))
	}
	s.json(w, http.StatusOK, pageOf(p, items, len(nodes)))
	return nil
}

func nodeRef(n *control.Node) api.NodeRef {
	device := hex.EncodeToString(n.DeviceID[:])
	return api.NodeRef{ID: &n.ID, Name: &n.Name, Region: optional(n.Region), DeviceID: &device, Status: nodeStatus(n), Version: optional(n.Version)}
}

func availableNode(n *control.Node, free control.Capacity, services []*control.KMS) api.AvailableNode {
	device := hex.EncodeToString(n.DeviceID[:])
	shown := api.AvailableNode{
		TeepodID: n.ID, Name: n.Name, Listed: n.Accepts() == nil,
		RemainingVCPU: float64(free.VCPU), RemainingMemory: float64(free.MemoryMB), RemainingCVMSlots: float64(free.CVMs),
		DeviceID: &device, RegionIdentifier: optional(n.Region),
	}
	if limit := n.Limit(); limit.MemoryMB > 0 {
		shown.ResourceScore = float64(free.MemoryMB) / float64(limit.MemoryMB) // memory is what placement looks at
	}
	for _, i := range n.Images {
		shown.Images = append(shown.Images, api.NodeOSImage{
			Name: i.Name, Slug: i.Name, IsDev: i.Dev, OSImageHash: optional(i.Hash),
			Version: api.List[int]{int(i.Version[0]), int(i.Version[1]), int(i.Version[2])},
		})
	}
	for _, k := range services {
		shown.KMSList = append(shown.KMSList, k.Slug)
		shown.SupportOnchainKMS = shown.SupportOnchainKMS || k.OnChain()
	}
	if len(services) > 0 {
		shown.DefaultKMS = &services[0].Slug
	}
	return shown
}

// nodeStatus is the status of a node in the words of the reference; nil while nobody has looked at it.
func nodeStatus(n *control.Node) *string {
	switch n.Condition().Word() {
	case control.NodeUnreachable:
		return optional("OFFLINE")
	case control.NodeDraining:
		return optional("MAINTENANCE")
	case control.NodeOnline:
		return optional(nodeOnline)
	default:
		return nil
	}
}

// optional is nil for an empty string: null on the wire.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
