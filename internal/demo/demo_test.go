package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/devcloud"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// allChecks is what every run has to report, in this order. A check that vanishes is a claim that nobody
// makes sure of any more.
var allChecks = []string{
	"the cloud starts: control plane, SQLite on disk, chain with contracts, node",
	"API and JSON-RPC answer over HTTP",
	"both CVMs run the Compose file from examples/, byte for byte",
	"off-chain: the update is accepted at once (202 in_progress)",
	"off-chain: it is rolled out",
	"off-chain: what runs is what was sent, byte for byte",
	"off-chain: the same document again restarts nothing",
	"on-chain: phase 1 asks for the owner's approval (465) and changes nothing",
	"on-chain: the owner registers the hash with addComposeHash",
	"on-chain: phase 2 is accepted with that transaction (202 in_progress)",
	"on-chain: it is rolled out",
	"on-chain: what runs is what the owner approved, byte for byte",
	"on-chain: phase 2 repeated changes nothing",
	"on-chain: the same document again needs no approval and restarts nothing",
	"proof: version 3 is proposed (465)",
	"proof: a hash that is not registered is refused (468)",
	"proof: YAML that changed between the phases is refused (466)",
	"proof: a transaction that registered it for another app is refused (467)",
	"proof: a transaction that was reverted is refused (467)",
	"proof: a transaction that nobody knows is refused (467)",
	"proof: none of that touched the CVM or its contract",
	"proof: with the right transaction the same proposal goes through (SDK: Apply)",
	"proof: what runs is what the owner approved, byte for byte",
	"request: broken YAML is refused (422), with the line",
	"request: an empty body is refused (400)",
	"request: 200 KiB and one byte are refused (413)",
	"request: an unknown CVM is not found (404)",
	"request: no API key is no access (401)",
	"request: a key of another workspace finds no such CVM (404)",
	"request: none of that touched the CVM",
	"one at a time: while an update boots, the CVM shows it as in progress",
	"one at a time: another update meanwhile is refused (409)",
	"one at a time: the first one is rolled out all the same",
	"one at a time: what runs is what was sent, byte for byte",
	"bad version: it is approved and accepted like any other",
	"bad version: it does not boot, and the guest says why",
	"bad version: the previous version runs again by itself",
	"the cloud stops in order and leaves nothing behind",
}

// atOnce is a cloud whose boots take no time.
var atOnce = Config{Pace: -1}

func names(checks []Check) []string {
	out := make([]string, len(checks))
	for i, c := range checks {
		out[i] = c.Name
	}
	return out
}

func TestEveryCheckHolds(t *testing.T) {
	var out bytes.Buffer
	config := atOnce
	config.Out = &out
	report := Run(t.Context(), config)
	if got := names(report.Checks); !slices.Equal(got, allChecks) {
		t.Errorf("checks are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(allChecks, "\n"))
	}
	if !report.OK || len(report.Failed()) > 0 {
		t.Errorf("the report is not ok: %+v", report.Failed())
	}
	for _, c := range report.Checks {
		if c.Detail == "" {
			t.Errorf("%s: no detail", c.Name)
		}
	}
	story := out.String()
	if strings.IndexFunc(story, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' }) >= 0 {
		t.Error("the story is not plain ASCII")
	}
	for _, want := range []string{
		"465 ERR-01-005", "466 ERR-01-006", "467 ERR-01-007", "468 ERR-01-008", "409 (no code)", "401 (no code)",
		"422 ERR-01-003", "400 ERR-01-002", "413 ERR-01-003", "404 ERR-03-001", "-> ", guestWords[:20], "All 38 checks ok",
	} {
		if !strings.Contains(story, want) {
			t.Errorf("the story does not have %q", want)
		}
	}
	if strings.Contains(story, "FAIL") || strings.Contains(story, "OTHER") {
		t.Error("the story tells of a failure")
	}
}

// TestSabotage breaks the cloud and makes sure that the demo says so, and goes on with what does not
// depend on it.
func TestSabotage(t *testing.T) {
	for _, tt := range []struct {
		name     string
		sabotage func(t *testing.T, c *cloud)
		fails    []string // at least these do not hold
		holds    []string // at least these still do
	}{
		{
			name: "documents change on their way to the client, and a workspace is not closed",
			sabotage: func(t *testing.T, c *cloud) {
				c.ready.SecondAPIKey = c.ready.APIKey
				if err := c.connect(editing{http.DefaultTransport, "/compose_file", "nginx:1.29.0", "nginx:1.29.9"}); err != nil {
					t.Error(err)
				}
			},
			fails: []string{offChainSame, onChainSame, foreignKey},
			holds: []string{offChainRolled, onChainRolled, unknownCVM, noKey, cloudStops},
		},
		{
			name:     "the guest measures something else",
			sabotage: func(_ *testing.T, c *cloud) { c.node = lying{c.node} },
			fails:    []string{offChainSame, onChainSame},
			holds:    []string{bothRun, offChainRolled, onChainRolled, hugeBody, secondRefused, badFails, cloudStops},
		},
		{
			name: "the approved version does not come up",
			sabotage: func(_ *testing.T, c *cloud) {
				for _, cvm := range c.ready.CVMs {
					if cvm.Name == devcloud.OnChainCVM {
						c.faults.FailStage(cvm.VMUUID, sim.StageDocker, errors.New("no space left on device"))
					}
				}
			},
			fails: []string{onChainRolled, onChainSame, proposed, throughApply, badApproved},
			holds: []string{offChainSame, phaseTwo, brokenBody, firstSame, cloudStops},
		},
		{
			name:     "somebody else has the owner's key",
			sabotage: func(_ *testing.T, c *cloud) { c.owner = c.stranger },
			fails:    []string{ownerApproves, phaseTwo, onChainRolled},
			holds:    []string{offChainSame, phaseOne, foreignKey, firstSame, cloudStops},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			report := newStory(atOnce.withDefaults(), func(ctx context.Context) (*cloud, error) {
				c, err := open(ctx, atOnce.withDefaults())
				if err == nil {
					tt.sabotage(t, c)
				}
				return c, err
			}).tell(t.Context())
			if report.OK {
				t.Error("the report is ok")
			}
			if got := names(report.Checks); !slices.Equal(got, allChecks) {
				t.Errorf("checks are\n%s", strings.Join(got, "\n"))
			}
			for _, name := range tt.fails {
				if report.holds(name) {
					t.Errorf("%s: holds", name)
				}
			}
			for _, c := range report.Failed() {
				if slices.Contains(tt.holds, c.Name) {
					t.Errorf("%s: %s", c.Name, c.Detail)
				}
			}
		})
	}
}

func TestNoCloud(t *testing.T) {
	report := newStory(Config{}.withDefaults(), func(context.Context) (*cloud, error) {
		return nil, errors.New("no port is free")
	}).tell(t.Context())
	if report.OK || len(report.Failed()) != len(allChecks) {
		t.Errorf("%d of %d checks failed, want all", len(report.Failed()), len(allChecks))
	}
	if got := report.Checks[0].Detail; got != "no port is free" {
		t.Errorf("detail is %q", got)
	}
	if got, want := report.Checks[1].Detail, "not tried, because this did not hold: "+cloudStarts; got != want {
		t.Errorf("detail is %q, want %q", got, want)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	report := Run(ctx, atOnce)
	if report.OK || !strings.Contains(report.Checks[0].Detail, context.Canceled.Error()) {
		t.Errorf("report is ok: %t, first check %+v", report.OK, report.Checks[0])
	}
}

func TestReportJSON(t *testing.T) {
	var report Report
	report.add(Check{Name: "a", OK: true, Detail: "seen", Milliseconds: 7})
	if !report.OK {
		t.Error("a report of checks that hold is not ok")
	}
	report.add(checkOf("b", "ignored", errors.New("wrong"), 0))
	report.add(Check{Name: "c", OK: true})
	got, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"ok":false,"checks":[{"name":"a","ok":true,"detail":"seen","ms":7},` +
		`{"name":"b","ok":false,"detail":"wrong","ms":0},{"name":"c","ok":true,"detail":"","ms":0}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// editing replaces text in answers, as a server would that encodes documents again.
type editing struct {
	http.RoundTripper
	suffix, old, new string
}

func (e editing) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := e.RoundTripper.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, e.suffix) {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(strings.NewReader(strings.ReplaceAll(string(body), e.old, e.new)))
	return response, nil
}

// lying is a node whose guest measured something else since the first update.
type lying struct{ runtime.Runtime }

func (l lying) Status(ctx context.Context, id string) (runtime.Status, error) {
	status, err := l.Runtime.Status(ctx, id)
	if slices.ContainsFunc(status.Services, func(s runtime.Service) bool { return s.Image == "nginx:1.29.0" }) {
		status.RunningHash[0] ^= 1
	}
	return status, err
}
