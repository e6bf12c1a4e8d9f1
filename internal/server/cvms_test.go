package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

func TestProvisionAndCommitOffChain(t *testing.T) {
	h := newHarness(t)
	p := h.provision("my-app", "PHALA").want(t, 200, "kms_id", "kms_off", "teepod_id", 5, "node_id", 5, "instance_type", "tdx.small",
		"kms_info.slug", "off", "kms_info.chain_id", nil, "os_image_hash", strings.Repeat("ff", 32))
	if len(p.text(t, "app_id")) != 40 || len(p.text(t, "app_env_encrypt_pubkey")) != 64 {
		t.Errorf("app id and env key are missing in %s", p.body)
	}
	c := h.commit(p).want(t, 200, "name", "my-app", "status", "provisioning", "app_id", p.text(t, "app_id"), "teepod.name", "node-5",
		"vcpu", 1, "memory", 2048, "disk_size", 20, "runner", "docker-compose", "docker_compose_file", yamlOne,
		"encrypted_env_pubkey", p.text(t, "app_env_encrypt_pubkey"), "app_auth_contract_address", nil, "user_id", nil, "instance_id", nil)
	if again := h.commit(p); again.at(t, "id") != c.at(t, "id") {
		t.Errorf("a repeated commit made another CVM: %s", again.body)
	}
}

func TestProvisionAndCommitOnChain(t *testing.T) {
	h := newHarness(t)
	p := h.provision("my-app", "ETHEREUM").want(t, 200, "app_id", nil, "app_env_encrypt_pubkey", nil, "kms_info.chain_id", 1337,
		"kms_info.chain.contracts.multicall3.address", "0xcA11bde05977b3631167028862bE2a173976CA11",
		"kms_info.chain.rpcUrls.default.http.0", "http://127.0.0.1:8545", "device_id", "de"+strings.Repeat("00", 31))
	if got := p.text(t, "kms_info.kms_contract_address"); !strings.EqualFold(got, "0xcc"+strings.Repeat("00", 19)) {
		t.Errorf("kms_contract_address = %s", got)
	}
	c := h.commit(p).want(t, 200, "app_id", strings.Repeat("a", 40))
	if got := c.text(t, "app_auth_contract_address"); !strings.EqualFold(got, onChainApp) {
		t.Errorf("app_auth_contract_address = %s", got)
	}
}

func TestBodiesThatAreNotTheRequest(t *testing.T) {
	h := newHarness(t)
	for _, tt := range []struct {
		name, path, body string
		values           []any
	}{
		{"nothing", "/cvms", "", []any{"detail.0.loc.0", "body", "detail.0.type", "missing"}},
		{"no JSON", "/cvms", "{", []any{"detail.0.loc.0", "body", "detail.0.type", "json_invalid"}},
		{"two values", "/cvms", "{} {}", []any{"detail.0.type", "json_invalid"}},
		{"an array", "/cvms/provision", "[]", []any{"detail.0.loc.0", "body", "detail.0.type", "type_error"}},
		{"a wrong member", "/cvms/provision", `{"name":"my-app","compose_file":{"docker_compose_file":7}}`,
			[]any{"detail.0.loc.1", "compose_file", "detail.0.loc.2", "docker_compose_file", "detail.0.type", "type_error"}},
	} {
		t.Run(tt.name, func(t *testing.T) { h.do("POST", base+tt.path, tt.body).want(t, 422, tt.values...) })
	}
	h.do("POST", base+"/cvms/provision", `{"name":"x","compose_file":{}}`).want(t, 400, "error_code", "ERR-02-008", "details.0.field", "name")
	h.do("POST", base+"/cvms/provision", `{"name":"`+strings.Repeat("a", 5<<20)+`"}`).want(t, 413, "error_code", "ERR-01-003")
	h.do("POST", base+"/cvms/provision", `{"name":"my-app","unknown":{"a":[1]},"compose_file":{"docker_compose_file":"services: {web: {image: a}}","more":1}}`).want(t, 200)
}

func TestCVMInBothVersions(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "ETHEREUM")
	h.node.set(func(s *runtime.Status) { s.StartedAt = h.clock.Now().Add(-90 * time.Second) })
	document := h.do("GET", base+"/cvms/"+id+"/compose_file", "").want(t, 200)
	hash := sum(document.body)

	endpoint := "https://" + strings.Repeat("a", 40) + "-80.apps.example.org"
	detail := h.do("GET", base+"/cvms/"+id, "", api.HeaderVersion, "2026-01-21").want(t, 200,
		"name", "my-app", "app_id", strings.Repeat("a", 40), "instance_id", instanceID, "status", "running",
		"resource.memory_in_gb", 2, "resource.vcpu", 1, "resource.disk_in_gb", 20, "resource.instance_type", "tdx.small",
		"node_info.object_type", "node", "node_info.id", 5, "node_info.status", "ONLINE", "os.name", "dstack-0.5.5", "os.version", "0.5.5",
		"kms_type", "ethereum", "kms_info.chain_id", 1337, "kms_info.rpc_endpoint", "http://127.0.0.1:8545",
		"progress", nil, "in_progress", false, "compose_hash", hash, "docker_compose_hash", sum([]byte(yamlOne)),
		"gateway.base_domain", "apps.example.org", "gateway.cname", "_.apps.example.org", "endpoints.0.app", endpoint,
		"workspace.object_type", "workspace", "workspace.slug", "alice", "creator.object_type", "user", "creator.username", "alice-admin",
		"compose_file.docker_compose_file", yamlOne)
	if got := detail.text(t, "kms_info.dstack_app_address"); !strings.EqualFold(got, onChainApp) {
		t.Errorf("dstack_app_address = %s", got)
	}
	// No version, or one that nobody knows, means the newest.
	for _, version := range []string{"", "2024-01-01", "nonsense"} {
		h.do("GET", base+"/cvms/"+id, "", api.HeaderVersion, version).want(t, 200, "id", detail.text(t, "id"))
	}
	h.do("GET", base+"/cvms/"+id, "", api.HeaderVersion, "2025-10-28").want(t, 200,
		"id", id, "name", "my-app", "status", "running", "in_progress", false, "teepod_id", 5, "teepod.region_identifier", "local",
		"app_id", strings.Repeat("a", 40), "vm_uuid", detail.text(t, "vm_uuid"), "memory", 2048, "disk_size", 20, "base_image", "dstack-0.5.5",
		"kms_info.slug", "on", "kms_info.chain.id", 1337, "gateway_domain", "apps.example.org", "public_urls.0.app", endpoint,
		"machine_info.memory", 2048)

	h.do("GET", base+"/cvms/paginated?page=1&page_size=10", "").want(t, 200, "total", 1, "page", 1, "page_size", 10, "pages", 1,
		"items.0.id", detail.text(t, "id"), "items.0.node_info.status", nil)
	h.do("GET", base+"/cvms/paginated", "", api.HeaderVersion, "2025-10-28").want(t, 200, "total", 1, "page_size", 30,
		"items.0.hosted.id", detail.text(t, "vm_uuid"), "items.0.node.id", 5, "items.0.vcpu", 1, "items.0.managed_user", nil)
	h.do("GET", base+"/cvms/paginated", "", api.HeaderAPIKey, h.bob).want(t, 200, "total", 0, "pages", 0, "items.0", nil)
	h.do("GET", base+"/cvms/"+id+"/state", "").want(t, 200, "name", "my-app", "status", "running", "uptime", "1m30s", "instance_id", instanceID)
}

func TestMembersThatMustNotBeNull(t *testing.T) {
	h := newHarness(t)
	p := h.provision("my-app", "PHALA")
	id := h.commit(p).at(t, "id")
	path := base + "/cvms/" + fmt.Sprint(id)
	// Before the first boot there is no instance, no node status and no gateway answer.
	h.do("GET", path, "").want(t, 200, "status", "provisioning", "instance_id", nil, "progress.target", "running",
		"progress.started_at", "2026-01-21T12:00:00Z", "in_progress", true, "kms_type", "phala", "kms_info.chain_id", nil)
	h.do("GET", path, "", api.HeaderVersion, "2025-10-28").want(t, 200, "in_progress", true, "instance_id", nil)
	state := h.do("GET", path+"/state", "").want(t, 200, "status", "provisioning")
	if strings.Contains(string(state.body), "null") {
		t.Errorf("null in %s", state.body)
	}
}

func TestEveryFormOfIdentifier(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	cvm := h.do("GET", base+"/cvms/"+id, "").want(t, 200)
	uuid, app, hashID := cvm.text(t, "vm_uuid"), cvm.text(t, "app_id"), cvm.text(t, "id")
	for _, form := range []string{
		id, uuid, strings.ToUpper(uuid), strings.ReplaceAll(uuid, "-", ""), app, "app_" + app, "app_" + strings.ToUpper(app),
		"0x" + app, "0x" + strings.ToUpper(app), "instance_" + instanceID, "app_" + instanceID, instanceID, hashID, "my-app",
		"my%2Dapp",
	} {
		h.do("GET", base+"/cvms/"+form, "").want(t, 200, "id", hashID)
	}
	for _, form := range []string{
		"nobody-here", "99999", "99999999999999999999999", "app_" + strings.Repeat("0", 40), "cvm_nothing", "..", "%2e%2e", "a%2Fb", "%zz", "%00",
		"%F0%9F%92%A9", strings.Repeat("a", 3000),
	} {
		a := h.rawGet(base + "/cvms/" + form)
		if a.status != http.StatusNotFound && a.status != http.StatusBadRequest {
			t.Errorf("GET /cvms/%.40s: status %d: %s", form, a.status, a.body)
		}
	}
	// A CVM of another workspace looks like none.
	mine := h.do("GET", base+"/cvms/my-other", "", api.HeaderAPIKey, h.bob).want(t, 404, "error_code", "ERR-03-001")
	theirs := h.do("GET", base+"/cvms/my-app", "", api.HeaderAPIKey, h.bob).want(t, 404, "error_code", "ERR-03-001")
	if mine.text(t, "message") != theirs.text(t, "message") {
		t.Errorf("%s tells that the CVM exists: %s", theirs.body, mine.body)
	}
}

func TestDocumentsAreServedByteForByte(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	h.patch(id, yamlTwo).want(t, 202)
	h.settle(id)
	path := base + "/cvms/" + id
	detail := h.do("GET", path, "")
	object := h.do("GET", path+"/compose_file", "")
	raw := h.do("GET", path+"/compose_file?raw", "")
	if sum(object.body) != detail.text(t, "compose_hash") || string(raw.body) != string(object.body) {
		t.Errorf("the bytes do not have the compose hash: %s", object.body)
	}
	yaml := h.do("GET", path+"/docker-compose.yml", "")
	if string(yaml.body) != yamlTwo {
		t.Errorf("got %q, want %q", yaml.body, yamlTwo)
	}
	for _, tt := range []struct {
		a    answer
		want string
	}{{object, "application/json"}, {raw, "text/plain; charset=utf-8"}, {yaml, "text/plain; charset=utf-8"}} {
		if got := tt.a.header.Get("Content-Type"); got != tt.want {
			t.Errorf("Content-Type %q, want %q", got, tt.want)
		}
	}
}

func TestQueriesThatAreWrong(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	for _, tt := range []struct{ query, field string }{
		{"/cvms/paginated?page=0", "page"},
		{"/cvms/paginated?page=x", "page"},
		{"/cvms/paginated?page=9999999999999999999999", "page"},
		{"/cvms/paginated?page_size=101", "page_size"},
		{"/cvms/paginated?page_size=", "page_size"},
		{"/cvms/paginated?node_id=5", "node_id"},
		{"/kms?page_size=-1", "page_size"},
		{"/kms?is_onchain=maybe", "is_onchain"},
		{"/kms/phala/next_app_id?counts=21", "counts"},
		{"/kms/phala/next_app_id?counts=0", "counts"},
		{"/cvms/" + id + "/state?target=", "target"},
		{"/cvms/" + id + "/state?target=" + strings.Repeat("x", 33), "target"},
		{"/cvms/" + id + "/state?target=running&interval=4", "interval"},
		{"/cvms/" + id + "/state?target=running&interval=31", "interval"},
		{"/cvms/" + id + "/state?target=running&timeout=9", "timeout"},
		{"/cvms/" + id + "/state?target=running&timeout=601", "timeout"},
	} {
		t.Run(tt.query, func(t *testing.T) {
			h.do("GET", base+tt.query, "").want(t, 422, "detail.0.loc.0", "query", "detail.0.loc.1", tt.field)
		})
	}
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
