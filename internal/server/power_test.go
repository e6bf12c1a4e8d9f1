package server_test

import (
	"strings"
	"testing"
	"time"
)

func TestPowerOperations(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	path := base + "/cvms/" + id
	for _, tt := range []struct{ action, body, during, target, then string }{
		{"stop", "", "stopping", "stopped", "stopped"},
		{"start", "", "starting", "running", "running"},
		{"shutdown", "", "shutting_down", "stopped", "stopped"},
		{"start", "", "starting", "running", "running"},
		{"restart", `{"force":false}`, "restarting", "running", "running"},
		{"restart", "", "restarting", "running", "running"},
		{"restart", `{"force":true,"shutdown_timeout":null,"allow_force_stop":true}`, "restarting", "running", "running"},
		{"shutdown", `{"shutdown_timeout":10}`, "shutting_down", "stopped", "stopped"},
	} {
		h.do("POST", path+"/"+tt.action, tt.body).want(t, 200, "id", id, "status", tt.during, "name", "my-app")
		shown := h.do("GET", path, "").want(t, 200, "status", tt.during, "in_progress", true, "progress.target", tt.target)
		correlation := shown.text(t, "progress.correlation_id")
		h.do("GET", path+"/operation-status", "").want(t, 200, "status", "in_progress", "correlation_id", correlation, "cancellable", true)
		for _, other := range []string{"start", "shutdown", "restart"} {
			h.do("POST", path+"/"+other, "").want(t, 409, "error_code", nil, "correlation_id", correlation)
		}
		h.patch(id, yamlTwo).want(t, 409, "error_code", nil, "correlation_id", correlation)
		h.settle(id)
		h.do("GET", path, "").want(t, 200, "status", tt.then, "in_progress", false, "progress", nil)
		h.do("GET", path+"/state", "").want(t, 200, "status", tt.then)
		h.do("GET", base+"/cvms/paginated", "").want(t, 200, "items.0.status", tt.then)
		h.do("GET", path+"/operation-status", "").want(t, 200, "status", "idle", "correlation_id", nil, "cancellable", false)
	}
}

func TestPowerRequestsThatAreWrong(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	path := base + "/cvms/" + id
	for _, body := range []string{`{"shutdown_timeout":9}`, `{"shutdown_timeout":0}`, `{"shutdown_timeout":-1}`, `{"shutdown_timeout":1201}`, `{"shutdown_timeout":99999999999}`} {
		h.do("POST", path+"/shutdown", body).want(t, 422, "error_code", "ERR-02-008")
		h.do("POST", path+"/restart", body).want(t, 422, "error_code", "ERR-02-008")
	}
	for _, body := range []string{`{"shutdown_timeout":"soon"}`, `{"force":1}`, `[]`, `{`} {
		h.do("POST", path+"/restart", body).want(t, 422, "error_code", nil)
	}
	h.do("POST", path+"/start", "", "X-API-Key", h.reader).want(t, 403)
	h.do("POST", path+"/start", "", "X-API-Key", h.bob).want(t, 404)
	h.do("POST", base+"/cvms/nothing-here/stop", "").want(t, 404, "error_code", "ERR-03-001")
	for query, status := range map[string]int{
		"?shutdown_timeout=5": 422, "?shutdown_timeout=soon": 422, "?allow_force_stop=perhaps": 422,
		"?shutdown_timeout=10&allow_force_stop=true": 202,
	} {
		h.do("PATCH", path+"/docker-compose"+query, yamlTwo, "Content-Type", "text/yaml").want(t, status)
	}
}

func TestStartThatIsNotAllowed(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "ETHEREUM")
	path := base + "/cvms/" + id
	h.do("POST", path+"/stop", "").want(t, 200)
	h.settle(id)
	h.chain.mu.Lock()
	clear(h.chain.allowed)
	h.chain.mu.Unlock()
	h.do("POST", path+"/start", "").want(t, 468, "error_code", "ERR-01-008")
	h.do("POST", path+"/restart", "").want(t, 468, "error_code", "ERR-01-008")
	h.do("GET", path, "").want(t, 200, "status", "stopped")
}

func TestDelete(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	path := base + "/cvms/" + id
	h.patch(id, yamlTwo).want(t, 202) // an update is under way
	h.do("DELETE", path, "", "X-API-Key", h.reader).want(t, 403)
	if got := h.do("DELETE", path, ""); got.status != 204 || len(got.body) != 0 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	h.do("GET", path, "").want(t, 404)
	h.do("DELETE", path, "").want(t, 404)
	h.do("GET", base+"/cvms/paginated", "").want(t, 200, "total", 0)
	h.create("my-app", "PHALA") // the name is free
}

func TestBatchStop(t *testing.T) {
	h := newHarness(t)
	first, second := h.create("first-app", "PHALA"), h.create("second-app", "PHALA")
	h.do("POST", base+"/cvms/"+first+"/stop", "").want(t, 200)
	h.settle(first)
	h.do("POST", base+"/cvms/batch-stop", `{"cvm_ids":["`+first+`","`+second+`","cvm_00000000000000000000"]}`).
		want(t, 200, "total", 3, "stopped", 1, "skipped", 1, "errors.0.cvm_id", "cvm_00000000000000000000", "errors.0.error", "CVM not found", "errors.1", nil)
	h.do("POST", base+"/cvms/batch-stop", `{"cvm_ids":["`+first+`"]}`).want(t, 200, "skipped", 1, "errors", "[]")
	h.do("POST", base+"/cvms/batch-stop", `{"cvm_ids":[]}`).want(t, 400, "error_code", "ERR-02-008")
	h.do("POST", base+"/cvms/batch-stop", `{"cvm_ids":[`+strings.Repeat(`"x",`, 50)+`"x"]}`).want(t, 400)
	h.do("POST", base+"/cvms/batch-stop", `{"cvm_ids":"x"}`).want(t, 422)
}

func TestNameAndListed(t *testing.T) {
	h := newHarness(t)
	id, other := h.create("my-app", "PHALA"), h.create("other-app", "PHALA")
	hash := h.do("GET", base+"/cvms/"+id, "").text(t, "compose_hash")
	h.do("PATCH", base+"/cvms/"+id+"/name", `{"name":"a-new-name"}`).want(t, 204)
	h.do("GET", base+"/cvms/a-new-name", "").want(t, 200, "name", "a-new-name", "compose_hash", hash)
	h.do("PATCH", base+"/cvms/"+other+"/name", `{"name":"a-new-name"}`).want(t, 409, "error_code", "ERR-01-004")
	h.do("PATCH", base+"/cvms/"+id+"/name", `{"name":"-"}`).want(t, 400, "error_code", "ERR-02-008")
	h.do("PATCH", base+"/cvms/"+id+"/name", `{"name":"a-new-name"}`).want(t, 204) // its own name
	h.do("PATCH", base+"/cvms/"+id+"/listed", `{"listed":false}`).want(t, 200, "name", "a-new-name")
	h.do("GET", base+"/cvms/"+id, "").want(t, 200, "listed", false)
	h.do("PATCH", base+"/cvms/"+id+"/listed", `{}`).want(t, 422)
	h.do("PATCH", base+"/cvms/"+id+"/listed", `{"listed":true}`, "X-API-Key", h.reader).want(t, 403)
}

func TestCancel(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	path := base + "/cvms/" + id
	h.do("POST", path+"/operations/cancel", "").want(t, 200, "cancelled", false, "correlation_id", nil)
	correlation := h.patch(id, yamlTwo).want(t, 202).text(t, "correlation_id")
	h.do("POST", path+"/operations/cancel", "", "X-API-Key", h.reader).want(t, 403)
	h.do("POST", path+"/operations/cancel", "").want(t, 200, "cancelled", true, "correlation_id", correlation)
	h.do("GET", path, "").want(t, 200, "status", "running", "docker_compose_hash", sum([]byte(yamlOne)))

	// One that goes back already is not cancelled again.
	p, err := h.domain.Authenticate(t.Context(), h.alice)
	must(t, err)
	h.patch(id, yamlThree).want(t, 202)
	cvm, err := h.domain.Service.CVM(t.Context(), p, id)
	must(t, err)
	_, err = h.domain.Advance(t.Context(), cvm.Active.ID)
	must(t, err)
	h.do("POST", path+"/operations/cancel", "").want(t, 200, "cancelled", true)
	h.do("POST", path+"/operations/cancel", "").want(t, 409, "error_code", "ERR-02-008")
	h.settle(id)
	h.do("GET", path, "").want(t, 200, "status", "running", "docker_compose_hash", sum([]byte(yamlOne)))
}

func TestOperations(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "PHALA")
	path := base + "/cvms/" + id + "/operations"
	h.clock.advance(time.Second)
	from := h.clock.Now().Format(time.RFC3339Nano)
	correlation := h.patch(id, yamlTwo).want(t, 202).text(t, "correlation_id")
	h.settle(id)
	h.clock.advance(time.Second)
	h.do("POST", base+"/cvms/"+id+"/stop", "").want(t, 200)
	h.do("GET", path, "").want(t, 200, "total", 3, "next_cursor", nil, "items.0.operation_type", "power_off", "items.0.status", "in_progress",
		"items.0.target_state", "stopped", "items.0.completed_at", nil, "items.0.events.0.event_type", "instance.power_off.start",
		"items.1.operation_type", "compose_update", "items.1.status", "completed", "items.1.correlation_id", correlation,
		"items.1.triggered_by_username", "alice-admin", "items.1.instance_name", "my-app", "items.1.error_message", nil,
		"items.1.events.1.event_type", "instance.compose_update.approved", "items.2.operation_type", "deploy", "items.3", nil)
	first := h.do("GET", path+"?limit=2", "").want(t, 200, "items.1.correlation_id", correlation, "items.2", nil)
	h.do("GET", path+"?limit=2&cursor="+first.text(t, "next_cursor"), "").want(t, 200, "items.0.operation_type", "deploy", "items.1", nil, "next_cursor", nil)
	h.do("GET", path+"?operation_types=deploy&operation_types[]=power_off", "").want(t, 200, "total", 2)
	h.do("GET", path+"?operation_types=deploy,power_on", "").want(t, 200, "total", 1)
	h.do("GET", path+"?start_time="+from, "").want(t, 200, "total", 2)
	h.do("GET", path+"?end_time="+from, "").want(t, 200, "total", 2)
	for _, query := range []string{"limit=0", "limit=501", "limit=x", "start_time=noon", "end_time=2026", "cursor=zz", "operation_types=resize"} {
		h.do("GET", path+"?"+query, "").want(t, 422)
	}
	h.do("GET", path, "", "X-API-Key", h.bob).want(t, 404)
}
