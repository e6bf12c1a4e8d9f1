package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

const replayed = "Idempotent-Replayed"

func TestRepeatedRequestIsAnsweredAsBefore(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "off")
	key := []string{api.HeaderIdempotencyKey, "deploy-1"}
	first := h.patch(id, yamlTwo, key...).want(t, http.StatusAccepted)
	h.settle(id)
	h.patch(id, yamlThree).want(t, http.StatusAccepted) // somebody else goes on
	h.settle(id)
	again := h.patch(id, yamlTwo, key...).want(t, http.StatusAccepted)
	if string(again.body) != string(first.body) || again.header.Get(replayed) != "true" || first.header.Get(replayed) != "" {
		t.Errorf("the repeated request: %s %v\nwas before %s", again.body, again.header, first.body)
	}
	if yaml := h.do("GET", base+"/cvms/"+id+"/docker-compose.yml", "").body; string(yaml) != yamlThree {
		t.Errorf("the repeated request changed something: %s", yaml)
	}
	for name, answer := range map[string]answer{
		"another file":  h.patch(id, yamlThree, key...),
		"another proof": h.patch(id, yamlTwo, append(key, api.HeaderComposeHash, strings.Repeat("1", 64))...),
		"another CVM":   h.patch("nobody", yamlTwo, key...),
	} {
		answer.want(t, http.StatusUnprocessableEntity)
		if !strings.Contains(string(answer.body), "another request") {
			t.Errorf("%s: %s", name, answer.body)
		}
	}
	// A key of another workspace is another key.
	h.patch(id, yamlTwo, append(key, api.HeaderAPIKey, h.bob)...).want(t, http.StatusNotFound)

	h.clock.advance(24 * time.Hour)
	h.patch(id, yamlTwo, key...).want(t, http.StatusAccepted) // still within its time
	h.clock.advance(time.Hour)
	must(t, h.domain.Sweep(t.Context()))
	fresh := h.patch(id, yamlTwo, key...).want(t, http.StatusAccepted)
	if fresh.header.Get(replayed) != "" {
		t.Error("a key whose time is over was remembered")
	}
}

func TestRefusedRequestIsDecidedAnew(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "on")
	key := []string{api.HeaderIdempotencyKey, "deploy-1"}
	hash := h.patch(id, yamlTwo, key...).want(t, api.StatusHashRegistrationRequired).detail(t, "compose_hash").(string)
	h.patch(id, yamlTwo, key...).want(t, api.StatusHashRegistrationRequired)
	confirm := []string{api.HeaderIdempotencyKey, "deploy-2", api.HeaderComposeHash, hash, api.HeaderTransactionHash, goodTx}
	h.patch(id, yamlTwo, confirm...).want(t, api.StatusTxVerificationFailed)
	h.patch(id, yamlThree, confirm...).want(t, http.StatusUnprocessableEntity) // still the key of the first
	h.chain.register(hash, goodTx)
	h.patch(id, yamlTwo, confirm...).want(t, http.StatusAccepted)
}

func TestBadIdempotencyKeys(t *testing.T) {
	h := newHarness(t)
	for _, key := range []string{"a key", "ключ", strings.Repeat("x", 256)} {
		answer := h.do("POST", base+"/cvms", "{}", api.HeaderIdempotencyKey, key).want(t, http.StatusBadRequest)
		if !strings.Contains(string(answer.body), api.HeaderIdempotencyKey) {
			t.Errorf("%.20q: %s", key, answer.body)
		}
	}
	// Reading is not affected.
	h.do("GET", base+"/auth/me", "", api.HeaderIdempotencyKey, "a key").want(t, http.StatusOK)
}

// TestSameRequestAtOnce holds one request in the domain while the same one comes again.
func TestSameRequestAtOnce(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "off")
	var calls int
	inside, goOn := make(chan struct{}), make(chan struct{})
	h.domain.update = func(control.ComposeUpdate) (control.Outcome, error) {
		calls++
		close(inside)
		<-goOn
		return control.Outcome{Accepted: &control.Accepted{Update: store.Update{CorrelationID: "6b1f0000-0000-4000-8000-000000000000"}}}, nil
	}
	key := []string{api.HeaderIdempotencyKey, "deploy-1"}
	var group sync.WaitGroup
	group.Go(func() { h.patch(id, yamlTwo, key...).want(t, http.StatusAccepted) })
	<-inside
	busy := h.patch(id, yamlTwo, key...).want(t, http.StatusConflict)
	if strings.Contains(string(busy.body), "error_code") {
		t.Errorf("a 409 that may be repeated has a code: %s", busy.body)
	}
	close(goOn)
	group.Wait()
	if answer := h.patch(id, yamlTwo, key...).want(t, http.StatusAccepted); answer.header.Get(replayed) != "true" || calls != 1 {
		t.Errorf("carried out %d times", calls)
	}
}

// TestRequestThatBrokeOff lets requests end in ways that leave no answer.
func TestRequestThatBrokeOff(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "off")
	service := h.domain.Service
	for name, broken := range map[string]func() (control.Outcome, error){
		"panic": func() (control.Outcome, error) { panic("bug") },
		"error": func() (control.Outcome, error) { return control.Outcome{}, errors.New("disk full") },
	} {
		h.domain.update = func(control.ComposeUpdate) (control.Outcome, error) { return broken() }
		key := []string{api.HeaderIdempotencyKey, name}
		h.patch(id, yamlTwo, key...).want(t, http.StatusInternalServerError)
		h.domain.update = nil
		h.patch(id, yamlTwo, key...).want(t, http.StatusAccepted)
		h.settle(id)
	}
	// A process that dies has neither answered nor given the claim back.
	p, err := service.Authenticate(t.Context(), h.alice)
	must(t, err)
	_, answer, err := service.ClaimRequest(t.Context(), p, "died", "fingerprint")
	if err != nil || answer != nil {
		t.Fatal(answer, err)
	}
	_, _, err = service.ClaimRequest(t.Context(), p, "died", "fingerprint")
	if err == nil {
		t.Fatal("two have the claim")
	}
	h.clock.advance(2 * time.Minute)
	if claim, _, err := service.ClaimRequest(t.Context(), p, "died", "fingerprint"); err != nil || claim == nil {
		t.Errorf("the key of a request that died cannot be used again: %v", err)
	}
}

// TestRequestThatDiedAfterItsWork takes the answer away that was kept, as if the process had died right
// before. What was made is noted with it, so nothing is made twice.
func TestRequestThatDiedAfterItsWork(t *testing.T) {
	h := newHarness(t)
	id := h.create("my-app", "off")
	app := h.do("GET", base+"/cvms/"+id, "").want(t, http.StatusOK).text(t, "app_id")
	revision := h.do("GET", base+"/apps/"+app+"/revisions", "").at(t, "revisions").([]any)[0].(map[string]any)["revision_id"].(string)
	for i, test := range []struct{ method, path, body, same string }{
		{"PATCH", "/cvms/" + id + "/docker-compose", yamlTwo, "correlation_id"},
		{"POST", "/cvms/" + id + "/revisions/" + revision + "/redeploy", "", "correlation_id"},
		{"POST", "/apps/" + app + "/rollouts", fmt.Sprintf(`{"revision_id": %q, "min_ready": 0}`, revision), "rollout_id"},
		{"POST", "/cvms/" + id + "/replicas", "", "vm_uuid"},
	} {
		headers := []string{api.HeaderIdempotencyKey, fmt.Sprint("key-", i)}
		if test.method == "PATCH" {
			headers = append(headers, "Content-Type", api.MediaTypeYAML)
		}
		died := &dying{Service: h.domain.Service}
		h.domain.answer = died.answer
		first := h.do(test.method, base+test.path, test.body, headers...)
		h.domain.answer = nil
		h.settle(id)
		if !died.asked || first.status >= 300 {
			t.Fatalf("%s: %d %s", test.path, first.status, first.body)
		}
		h.do(test.method, base+test.path, test.body, headers...).want(t, http.StatusConflict) // nobody knows yet that it died
		h.clock.advance(2 * time.Minute)
		again := h.do(test.method, base+test.path, test.body, headers...)
		if again.status != first.status || again.text(t, test.same) != first.text(t, test.same) {
			t.Errorf("%s: made twice:\n%s\n%s", test.path, first.body, again.body)
		}
		h.settle(id)
	}
	if cvms := h.do("GET", base+"/cvms/paginated", "").at(t, "total"); cvms != 2.0 {
		t.Errorf("%v CVMs, want 2", cvms)
	}
}

// dying is a process that dies when it is to keep an answer.
type dying struct {
	*control.Service
	asked bool
}

func (d *dying) answer(context.Context, control.Principal, *control.Claim, control.Answer) error {
	d.asked = true
	return errors.New("killed")
}
