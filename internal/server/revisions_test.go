package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
)

func TestRevisionsAndRedeployOverHTTP(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "on")
	app := h.do("GET", base+"/cvms/"+id, "").want(t, http.StatusOK).text(t, "app_id")
	h.clock.advance(time.Second) // the newest comes first
	hash := h.patch(id, yamlTwo).want(t, api.StatusHashRegistrationRequired).detail(t, "compose_hash").(string)
	h.chain.register(hash, goodTx)
	h.patch(id, yamlTwo, api.HeaderComposeHash, hash, api.HeaderTransactionHash, goodTx).want(t, http.StatusAccepted)
	h.settle(id)

	list := h.do("GET", base+"/apps/"+app+"/revisions?page_size=1", "").want(t, http.StatusOK)
	newest := list.at(t, "revisions").([]any)[0].(map[string]any)
	if list.at(t, "total") != 2.0 || list.at(t, "total_pages") != 2.0 || newest["compose_hash"] != hash || newest["status"] != "succeeded" {
		t.Errorf("listing: %s", list.body)
	}
	if approval, _ := newest["approval"].(map[string]any); approval["transaction_hash"] != goodTx || approval["block_number"] != 7.0 {
		t.Errorf("approval: %v", newest["approval"])
	}
	first := h.do("GET", base+"/apps/"+app+"/revisions?page_size=1&page=2", "").want(t, http.StatusOK).
		at(t, "revisions").([]any)[0].(map[string]any)["revision_id"].(string)

	path := base + "/apps/" + app + "/revisions/" + newest["revision_id"].(string)
	raw := h.do("GET", path+"?raw_compose_file=true", "").want(t, http.StatusOK).text(t, "compose_file")
	if appcompose.Hash([]byte(raw)).String() != hash {
		t.Error("the raw document does not have the compose hash")
	}
	if object, ok := h.do("GET", path, "").want(t, http.StatusOK).at(t, "compose_file").(map[string]any); !ok || object["docker_compose_file"] != yamlTwo {
		t.Errorf("compose_file = %v", object)
	}
	h.do("GET", path+"?raw_compose_file=perhaps", "").want(t, http.StatusUnprocessableEntity)
	h.do("GET", base+"/apps/"+app+"/revisions/rev_none", "").want(t, http.StatusNotFound)
	h.do("GET", base+"/apps/"+app+"/revisions?page_size=1001", "").want(t, http.StatusUnprocessableEntity)
	h.do("GET", base+"/apps/"+app+"/revisions", "", api.HeaderAPIKey, h.bob).want(t, http.StatusNotFound)

	redeploy := base + "/cvms/" + id + "/revisions/" + first + "/redeploy"
	h.do("POST", redeploy, "", api.HeaderAPIKey, h.reader).want(t, http.StatusForbidden)
	done := h.do("POST", redeploy, "").want(t, http.StatusAccepted)
	if done.text(t, "status") != "in_progress" || done.text(t, "correlation_id") == "" {
		t.Errorf("redeploy: %s", done.body)
	}
	busy := h.do("POST", base+"/cvms/"+id+"/revisions/"+newest["revision_id"].(string)+"/redeploy", "").want(t, http.StatusConflict)
	if strings.Contains(string(busy.body), "error_code") {
		t.Errorf("a 409 that may be repeated has a code: %s", busy.body)
	}
	h.settle(id)
	if yaml := h.do("GET", base+"/cvms/"+id+"/docker-compose.yml", "").want(t, http.StatusOK); string(yaml.body) != yamlOne {
		t.Errorf("it runs %q", yaml.body)
	}
	same := h.do("POST", base+"/apps/"+app+"/revisions/"+first+"/redeploy", "").want(t, http.StatusAccepted)
	if cvms := same.at(t, "cvms").([]any); cvms[0].(map[string]any)["unchanged"] != true {
		t.Errorf("redeploy of what runs: %s", same.body)
	}
	h.do("POST", base+"/apps/"+app+"/revisions/"+first+"/redeploy", `{"vm_uuids": "all"}`).want(t, http.StatusUnprocessableEntity)

	h.chain.forbid(hash)
	refused := h.do("POST", base+"/cvms/"+id+"/revisions/"+newest["revision_id"].(string)+"/redeploy", "").want(t, api.StatusHashRegistrationRequired)
	if refused.detail(t, "compose_hash") != hash {
		t.Errorf("what to register: %s", refused.body)
	}
	h.do("POST", base+"/cvms/"+id+"/revisions/"+newest["revision_id"].(string)+"/redeploy?transaction_hash="+otherTx, "").want(t, api.StatusTxVerificationFailed)
}
