package server_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// createWith makes a running CVM whose document has these members too.
func (h *harness) createWith(name string, members map[string]any) string {
	h.t.Helper()
	file := map[string]any{"docker_compose_file": yamlOne, "name": ""}
	for name, value := range members {
		file[name] = value
	}
	body, err := json.Marshal(map[string]any{"name": name, "kms": "PHALA", "compose_file": file})
	must(h.t, err)
	id := fmt.Sprint(h.commit(h.do("POST", base+"/cvms/provision", string(body)).want(h.t, 200)).at(h.t, "id"))
	h.settle(id)
	return id
}

var webService = runtime.Service{
	Name: "web", Container: "dstack-web-1", ID: strings.Repeat("c0", 32), Image: "nginx:1.27", ImageID: "sha256:" + strings.Repeat("1a", 32),
	State: "running", Status: "Up 3 seconds", CreatedAt: time.Unix(1_700_000_000, 0),
}

func TestComposition(t *testing.T) {
	h := newHarness(t)
	id := h.createWith("my-app", map[string]any{"public_logs": true})
	h.node.set(func(s *runtime.Status) { s.Services = []runtime.Service{webService} })
	c := h.do("GET", base+"/cvms/"+id+"/composition", "").want(t, 200, "is_online", true, "is_public", true, "error", nil,
		"docker_compose_file", yamlOne, "manifest_version", 2, "runner", "docker-compose", "containers.0.id", webService.ID,
		"containers.0.names.0", "/dstack-web-1", "containers.0.image", "nginx:1.27", "containers.0.created", 1.7e+09,
		"containers.0.state", "running", "containers.0.status", "Up 3 seconds", "containers.0.command", nil)
	if address, err := url.Parse(c.text(t, "containers.0.log_endpoint")); err != nil || address.Host != strings.TrimPrefix(h.url, "http://") || address.Query().Get("token") == "" {
		t.Errorf("log_endpoint is %v, %v", address, err)
	}

	h.node.set(func(s *runtime.Status) { s.State, s.BootError = runtime.StateExited, "failed to start containers" })
	h.do("GET", base+"/cvms/"+id+"/composition", "").want(t, 200, "is_online", false, "containers", nil, "docker_compose_file", yamlOne,
		"error", "the CVM is exited: failed to start containers")

	h.node.say(func(n *fakeNode) { n.down = fmt.Errorf("%w: connection refused", runtime.ErrUnreachable) })
	c = h.do("GET", base+"/cvms/"+id+"/composition", "").want(t, 200, "is_online", false, "containers", nil)
	if why := c.text(t, "error"); !strings.Contains(why, "node-5") || !strings.Contains(why, "connection refused") {
		t.Errorf("error is %q", why)
	}
	h.do("GET", base+"/cvms/none/composition", "").want(t, 404)
	h.do("GET", base+"/cvms/"+id+"/composition", "", api.HeaderAPIKey, h.bob).want(t, 404)
}

func TestCompositionKeepsPrivateLogs(t *testing.T) {
	h := newHarness(t)
	id := h.createWith("my-app", map[string]any{"public_logs": false})
	h.node.set(func(s *runtime.Status) { s.Services = []runtime.Service{webService} })
	h.do("GET", base+"/cvms/"+id+"/composition", "").want(t, 200, "is_online", true, "is_public", false,
		"containers.0.names.0", "/dstack-web-1", "containers.0.log_endpoint", nil)
	h.do("GET", base+"/cvms/"+id+"/containers/web/logs", "").want(t, 409, "error_code", "ERR-02-009", "details.0.field", "public_logs")
}

func TestStats(t *testing.T) {
	h := newHarness(t)
	id := h.createWith("my-app", map[string]any{"public_sysinfo": true})
	stats := func() answer { return h.do("GET", base+"/cvms/"+id+"/stats", "") }
	stats().want(t, 200, "is_online", true, "is_public", true, "sysinfo", nil, "error", "a node of driver fake cannot tell this", "status", "running")
	h.node.say(func(n *fakeNode) {
		n.guests.system = &runtime.SystemInfo{
			OSName: "DStack", CPUs: 2, TotalMemory: 4096, UsedMemory: 1024, Uptime: 90 * time.Second, LoadOne: 12,
			Disks: []runtime.Disk{{Name: "zfs", MountPoint: "/data", Total: 100, Free: 40}},
		}
	})
	stats().want(t, 200, "error", nil, "sysinfo.os_name", "DStack", "sysinfo.num_cpus", 2, "sysinfo.total_memory", 4096, "sysinfo.used_memory", 1024,
		"sysinfo.uptime", 90, "sysinfo.loadavg_one", 12, "sysinfo.disks.0.mount_point", "/data", "sysinfo.disks.0.free_size", 40)
	h.node.say(func(n *fakeNode) {
		n.guests = inspector{err: fmt.Errorf("%w: connection reset", runtime.ErrConflict)}
	})
	if why := stats().want(t, 200, "is_online", true, "sysinfo", nil).text(t, "error"); !strings.Contains(why, "connection reset") {
		t.Errorf("error is %q", why)
	}
	h.node.set(func(s *runtime.Status) { s.State = runtime.StateStopped })
	stats().want(t, 200, "is_online", false, "sysinfo", nil, "error", "the CVM is stopped", "status", "stopped")

	h.node.say(func(n *fakeNode) { n.guests = inspector{system: &runtime.SystemInfo{OSName: "DStack"}} })
	id = h.createWith("private", map[string]any{"public_sysinfo": false})
	if why := stats().want(t, 200, "is_online", true, "is_public", false, "sysinfo", nil).text(t, "error"); !strings.Contains(why, "public_sysinfo") {
		t.Errorf("error is %q", why)
	}
}

func TestNetwork(t *testing.T) {
	h := newHarness(t)
	id := h.createWith("my-app", map[string]any{"gateway_enabled": true})
	network := func() answer { return h.do("GET", base+"/cvms/"+id+"/network", "") }
	network().want(t, 200, "is_online", true, "internal_ip", nil, "error", "a node of driver fake cannot tell this")
	h.node.say(func(n *fakeNode) { n.guests.network = &runtime.NetworkInfo{InternalIP: "10.4.0.7"} })
	instance := "https://" + instanceID + "-80.apps.example.org"
	network().want(t, 200, "is_online", true, "error", nil, "internal_ip", "10.4.0.7", "latest_handshake", nil, "public_urls.0.instance", instance)
	h.node.say(func(n *fakeNode) { n.down = runtime.ErrUnreachable })
	network().want(t, 200, "is_online", false, "internal_ip", nil, "public_urls.0.instance", instance)
}

func TestUserConfig(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	h.do("GET", base+"/cvms/"+id+"/user_config", "").want(t, 200, "hostname", nil, "ssh_authorized_keys", "[]", "default_gateway_domain", "apps.example.org")
}

func TestStatusBatch(t *testing.T) {
	h := newHarness(t)
	first, second := h.create("first", "PHALA"), h.create("second", "PHALA")
	h.node.set(func(s *runtime.Status) { s.StartedAt = h.clock.Now().Add(-90 * time.Second) })
	uuid := func(id string) string { return h.do("GET", base+"/cvms/"+id, "").text(t, "vm_uuid") }
	one, bare := uuid(first), strings.ReplaceAll(strings.ToUpper(uuid(second)), "-", "")
	batch := func(names ...string) answer {
		body, err := json.Marshal(map[string]any{"vm_uuids": names})
		must(t, err)
		return h.do("POST", base+"/status/batch", string(body))
	}
	batch(one, bare, "00000000-0000-4000-8000-000000000000", "?").want(t, 200, one+".status", "running", one+".uptime", "1m30s",
		one+".in_progress", false, one+".vm_uuid", one, bare+".status", "running", "?", nil, "00000000-0000-4000-8000-000000000000", nil)
	h.node.say(func(n *fakeNode) { n.down = runtime.ErrUnreachable })
	batch(one).want(t, 200, one+".status", "running", one+".uptime", nil)
	h.node.say(func(n *fakeNode) { n.down = nil })
	h.patch(first, yamlTwo).want(t, 202)
	batch(one).want(t, 200, one+".status", "updating", one+".in_progress", true, one+".operation_type", "update")
	batch().want(t, 200)
	batch(make([]string, 101)...).want(t, 422, "details.0.field", "vm_uuids")
	h.do("POST", base+"/status/batch", `{"vm_uuids":["`+one+`"]}`, api.HeaderAPIKey, h.bob).want(t, 200, one, nil)
}

func TestAppList(t *testing.T) {
	h := newHarness(t)
	h.create("first", "PHALA")
	h.clock.advance(time.Second)
	h.create("second", "ETHEREUM")
	for _, version := range []string{"2026-01-21", "2025-10-28"} {
		h.do("GET", base+"/apps?page=1&page_size=50", "", api.HeaderVersion, version).want(t, 200, "total", 2, "page", 1, "page_size", 50, "total_pages", 1,
			"dstack_apps.0.current_cvm.name", "second", "dstack_apps.1.current_cvm.name", "first", "dstack_apps.1.cvm_count", 1)
	}
	h.do("GET", base+"/apps?page=2&page_size=1", "").want(t, 200, "total", 2, "dstack_apps.0.current_cvm.name", "first", "dstack_apps.1", nil)
	h.do("GET", base+"/apps?page=9", "").want(t, 200, "total", 2, "dstack_apps", "[]")
	for query, want := range map[string]int{
		"search=FIR": 1, "search=app_" + strings.Repeat("a", 40): 1, "search=nothing": 0, "status=running": 2, "status=stopped&status=running": 2,
		"status=stopped": 0, "kms_type=ethereum": 1, "kms_slug=off": 1, "node=node-5&region=local": 2, "region=moon": 0, "listed=true": 2,
		"listed=false": 0, "base_image=dstack-0.5.5": 2, "instance_type=tdx.small": 2, "instance_type=tdx.large": 0,
	} {
		h.do("GET", base+"/apps?"+query, "").want(t, 200, "total", want)
	}
	h.do("GET", base+"/apps", "", api.HeaderAPIKey, h.bob).want(t, 200, "total", 0)
	h.do("GET", base+"/apps?listed=perhaps", "").want(t, 422, "detail.0.loc.1", "listed")
	h.do("GET", base+"/apps?page_size=101", "").want(t, 422, "detail.0.loc.1", "page_size")
}
