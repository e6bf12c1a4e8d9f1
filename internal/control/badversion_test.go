package control

import (
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// An update that is rolled back carries what the guest said: its boot error, and the last lines of the
// containers that failed or else of the console.
func TestRolledBackUpdateCarriesTheGuestsWords(t *testing.T) {
	for name, test := range map[string]struct {
		services []runtime.Service
		logs     map[string]string
		want     []string
		not      string
	}{
		"a container failed": {
			services: []runtime.Service{
				{Name: "web", Container: "app-web-1", State: "exited", ExitCode: 3, Status: "Exited (3)", Health: runtime.HealthUnhealthy},
				{Name: "db", Container: "app-db-1", State: "running", Status: "Up", Health: runtime.HealthHealthy},
			},
			logs: map[string]string{"app-web-1": "starting\npanic: no such table\n", "app-db-1": "ready", "": "kernel: hello"},
			want: []string{"unhealthy", "service web: Exited (3), last lines:\nstarting\npanic: no such table"},
			not:  "ready",
		},
		"no container came as far": {
			logs: map[string]string{"": "dhcp ok\ndockerd: no space left on device\n"},
			want: []string{"unhealthy", "last lines of the console:\ndhcp ok\ndockerd: no space left on device"},
		},
		"long lines and odd bytes": {
			logs: map[string]string{"": strings.Repeat("x", 5000) + "\nthe end \xff\x00 says why\n"},
			want: []string{"the end \uFFFD says why"},
			not:  strings.Repeat("x", logBytesKept),
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			cvm := h.create("bad-version", api.KMSPhala)
			out, err := h.update(cvm, ComposeUpdate{YAML: yamlNumber(28)})
			must(t, err)
			h.node.sick[out.Accepted.Update.ComposeHash] = true
			h.node.services, h.node.logs = test.services, test.logs
			u := h.settle(out.Accepted.Update.ID)
			if u.State != column.RolledBack {
				t.Fatalf("update ended %s: %s", u.State, u.Reason)
			}
			for _, want := range test.want {
				if !strings.Contains(u.Error, want) {
					t.Errorf("error = %q, want %q in it", u.Error, want)
				}
			}
			if test.not != "" && strings.Contains(u.Error, test.not) {
				t.Errorf("error = %q, which has too much", u.Error)
			}
		})
	}
}

// A revision that cannot go back says so, and what the owner can do.
func TestPreviousRevisionThatIsNotAllowedAnyMore(t *testing.T) {
	h := newHarness(t)
	ctx := t.Context()
	cvm := h.create("no-way-back", api.KMSEthereum)
	old := cvm.Document.Hash()
	yaml := yamlNumber(28)
	hash := h.hashOf(cvm, yaml)
	_, err := h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, ComposeUpdate{YAML: yaml})
	must(t, err)
	out, err := h.service.UpdateCompose(ctx, h.alice, cvm.Row.HashID, ComposeUpdate{
		YAML: yaml, ComposeHash: hash.String(), TransactionHash: h.chain.add(cvm.Row.AppID, hash),
	})
	must(t, err)
	h.chain.remove(cvm.Row.AppID, old)
	h.node.sick[hash] = true
	u := h.settle(out.Accepted.Update.ID)
	if u.State != column.Failed || !strings.Contains(u.Reason, "the previous revision may not run any more") {
		t.Fatalf("update ended %s: %s", u.State, u.Reason)
	}
	for _, want := range []string{"unhealthy", "revision " + cvm.Row.RevisionID + " may not run", "addComposeHash(0x" + old.String() + ")", "redeploy"} {
		if !strings.Contains(u.Error, want) {
			t.Errorf("error = %q, want %q in it", u.Error, want)
		}
	}
	// The owner allows it again; then it comes back.
	h.chain.add(cvm.Row.AppID, old)
	done, err := h.service.Redeploy(ctx, h.alice, cvm.Row.HashID, cvm.Row.RevisionID, "")
	must(t, err)
	if u := h.settle(done.Update.ID); u.State != column.Succeeded || h.read(cvm).Document.Hash() != old {
		t.Errorf("the redeploy ended %s: %s", u.State, u.Error)
	}
}
