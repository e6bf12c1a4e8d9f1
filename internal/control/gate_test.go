package control

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/gateway"
	"github.com/lockstep-cvm/lockstep/internal/problem"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// fakeGateway answers what a test says, and notes what it was asked.
type fakeGateway struct {
	asked  []string
	answer func(n int) error
}

func (g *fakeGateway) Reach(_ context.Context, e gateway.Endpoint, path string) error {
	g.asked = append(g.asked, e.Label()+path)
	return g.answer(len(g.asked))
}

const yamlProbed = "services:\n  web:\n    image: nginx:1.28\nx-lockstep:\n  gateway_probe: {port: 8080, path: /healthz}\n"

// behind puts a gateway in front of the node.
func (h *harness) behind(answer func(n int) error) *fakeGateway {
	g := &fakeGateway{answer: answer}
	h.service.catalog.Nodes()[0].Gateway = g
	return g
}

func TestAnUpdateSucceedsOnceTheGatewayAnswers(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("gated", api.KMSPhala)
	g := h.behind(func(n int) error {
		if n < 4 {
			return errors.New("502 Bad Gateway")
		}
		return nil
	})
	out, err := h.update(cvm, ComposeUpdate{YAML: []byte(yamlProbed)})
	must(t, err)
	id := out.Accepted.Update.ID
	for len(g.asked) == 0 {
		h.step(id)
		h.node.tick()
	}
	if u := h.get(id); u.State != column.Verifying || !strings.Contains(u.Reason, "port 8080") || !strings.Contains(u.Reason, "502 Bad Gateway") {
		t.Errorf("it waits as %s: %s", u.State, u.Reason)
	}
	if u := h.settle(id); u.State != column.Succeeded {
		t.Errorf("update is %s: %s", u.State, u.Reason)
	}
	if want := strings.Repeat("1", 40) + "-8080/healthz"; len(g.asked) != 4 || g.asked[0] != want {
		t.Errorf("asked %q, want %s four times", g.asked, want)
	}
}

func TestAnAppThatTheGatewayDoesNotReachIsTakenBack(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("unreached", api.KMSPhala)
	h.behind(func(int) error { return errors.New("connection refused") })
	out, err := h.update(cvm, ComposeUpdate{YAML: []byte(yamlProbed)})
	must(t, err)
	u := h.settle(out.Accepted.Update.ID)
	if u.State != column.RolledBack || !strings.Contains(u.Error, "connection refused") || !strings.Contains(u.Error, "port 8080") {
		t.Errorf("update is %s: %s: %s", u.State, u.Reason, u.Error)
	}
	h.wantRuns(cvm, cvm.Document.Hash())
}

func TestOnlyWhatADocumentNamesIsAsked(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("ungated", api.KMSPhala)
	g := h.behind(func(int) error { return errors.New("not asked") })
	out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	if u := h.settle(out.Accepted.Update.ID); u.State != column.Succeeded || len(g.asked) != 0 {
		t.Errorf("update is %s: %s; asked %q", u.State, u.Reason, g.asked)
	}
	// And a node without a gateway asks nobody.
	h.service.catalog.Nodes()[0].Gateway = nil
	out, err = h.update(cvm, ComposeUpdate{YAML: []byte(yamlProbed)})
	must(t, err)
	if u := h.settle(out.Accepted.Update.ID); u.State != column.Succeeded {
		t.Errorf("update is %s: %s", u.State, u.Reason)
	}
}

func TestAGateThatCannotBeReadIsRefused(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("mistyped", api.KMSPhala)
	_, err := h.update(cvm, ComposeUpdate{YAML: []byte(strings.Replace(yamlProbed, "8080", "80800", 1))})
	if !problem.Is(err, problem.KindUnprocessable) || !strings.Contains(err.Error(), "80800") {
		t.Errorf("got %v", err)
	}
}
