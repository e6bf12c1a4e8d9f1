package server_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// A node that takes no CVM is still listed, since clients find names here, but has no room. Its CVMs say how it is.
func TestConditionOfANode(t *testing.T) {
	h := newHarness(t)
	h.create("an-app", "phala")
	node := h.domain.Catalog().Nodes()[0]
	limits := runtime.Limits{CVMs: 10, VCPU: 8, MemoryMB: 8192}
	for _, step := range []struct {
		name   string
		change func(*control.Node)
		listed bool
		slots  int
		status any
		up     string
	}{
		{"nobody looked", func(*control.Node) {}, true, 99, nil, ""},
		{"online, with less than configured", func(n *control.Node) { n.Observe(runtime.Machine{Limits: limits}, nil, h.clock.Now()) }, true, 9, "ONLINE", "1"},
		{"draining", func(n *control.Node) { n.SetDraining(true, "new kernel") }, false, 0, "MAINTENANCE", "1"},
		{"cut off", func(n *control.Node) { n.Observe(runtime.Machine{}, errors.New("no route"), h.clock.Now()) }, false, 0, "OFFLINE", "0"},
		{"back", func(n *control.Node) {
			n.SetDraining(false, "")
			n.Observe(runtime.Machine{Limits: limits}, nil, h.clock.Now())
		}, true, 9, "ONLINE", "1"},
	} {
		step.change(node)
		h.do("GET", base+"/teepods/available", "").want(t, 200, "nodes.0.name", node.Name, "nodes.0.listed", step.listed, "nodes.0.remaining_cvm_slots", step.slots)
		h.do("GET", base+"/cvms/paginated", "", api.HeaderVersion, string(api.Version20260121)).want(t, 200, "items.0.node_info.status", step.status)
		h.do("GET", base+"/workspaces/alice/nodes", "").want(t, 200, "items.0.object_type", "node", "items.0.name", node.Name, "items.0.status", step.status, "total", 1)
		page := string(h.do("GET", "/metrics", "").body)
		if line := `lockstep_node_up{node="node-5"} ` + step.up + "\n"; strings.Contains(page, "lockstep_node_up{") != (step.up != "") || step.up != "" && !strings.Contains(page, line) {
			t.Errorf("%s: the metrics lack %q", step.name, line)
		}
	}
}

func TestNodesOfAWorkspace(t *testing.T) {
	h := newHarness(t)
	h.do("GET", base+"/workspaces/alice/nodes?page=2&page_size=1", "").want(t, 200, "items.0", nil, "total", 1, "page", 2, "pages", 1)
	h.do("GET", base+"/workspaces/bob/nodes", "").want(t, 404)
	h.do("GET", base+"/workspaces/alice/nodes?page_size=101", "").want(t, 422)
	h.do("GET", base+"/workspaces/alice/nodes", "", api.HeaderAPIKey, "").want(t, 401)
}
