package control

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// crashScenario is a story that must end the same wherever in it the process dies. Add one for every kind
// of work that is made of more than one transaction or call.
type crashScenario struct {
	name  string
	kms   api.KMSType
	cvms  int // running before the story begins, all of one app
	story func(w *crashWorld)

	prepares bool // the node is a runtime.Preparer

	want  column.UpdateState // of the newest update of the first CVM, undisturbed
	fleet column.RolloutState
}

var crashScenarios = slices.Concat(updateScenarios, operationScenarios)

var updateScenarios = []crashScenario{
	{name: "good update", kms: api.KMSEthereum, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.approved(2)
		w.work()
	}},
	{name: "off-chain", kms: api.KMSPhala, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.offChain(2)
		w.work()
	}},
	{name: "nothing to change", kms: api.KMSPhala, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		w.offChain(27) // what runs
		w.work()
	}},
	{name: "boot denied", kms: api.KMSEthereum, cvms: 1, want: column.RolledBack, story: func(w *crashWorld) {
		need := w.approved(2)
		w.node.onStop = func(string) { w.chain.remove(w.cvms[0].Row.AppID, need.Update.ComposeHash) }
		w.work()
	}},
	{name: "unhealthy", kms: api.KMSEthereum, cvms: 1, want: column.RolledBack, story: func(w *crashWorld) {
		need := w.approved(2)
		w.node.sick[need.Update.ComposeHash] = true
		w.work()
	}},
	{name: "refused by the node", kms: api.KMSPhala, cvms: 1, want: column.RolledBack, story: func(w *crashWorld) {
		w.node.refuseApply = errors.New("disk full")
		w.offChain(2)
		w.work()
	}},
	{name: "approval lost before the stop", kms: api.KMSEthereum, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		need := w.approved(2)
		w.chain.remove(w.cvms[0].Row.AppID, need.Update.ComposeHash)
		w.work()
		w.approve(need, 2, w.chain.add(w.cvms[0].Row.AppID, need.Update.ComposeHash)) // the owner allows it again
		w.work()
	}},
	{name: "approval lost before it is deep enough", kms: api.KMSEthereum, cvms: 1, want: column.Succeeded, story: func(w *crashWorld) {
		need := w.propose(2)
		tx := w.chain.addDeep(w.cvms[0].Row.AppID, need.Update.ComposeHash, 1)
		w.approve(need, 2, tx)
		w.chain.reorg(tx)
		w.work()
		tx = w.chain.addDeep(w.cvms[0].Row.AppID, need.Update.ComposeHash, 1)
		w.approve(need, 2, tx)
		w.chain.mine(tx)
		w.work()
	}},
	{name: "rollback forbidden", kms: api.KMSEthereum, cvms: 1, want: column.Failed, story: func(w *crashWorld) {
		need := w.approved(2)
		w.node.sick[need.Update.ComposeHash] = true
		w.chain.remove(w.cvms[0].Row.AppID, w.cvms[0].Document.Hash())
		w.work()
	}},
	{name: "first boot off-chain", kms: api.KMSPhala, want: column.Succeeded, story: func(w *crashWorld) {
		w.deploy()
		w.work()
	}},
	{name: "first boot", kms: api.KMSEthereum, want: column.Succeeded, story: func(w *crashWorld) {
		w.deploy()
		w.work()
	}},
	{name: "first boot whose approval is lost", kms: api.KMSEthereum, want: column.Failed, story: func(w *crashWorld) {
		cvm := w.deploy()
		w.chain.remove(cvm.Row.AppID, cvm.Document.Hash())
		w.work()
	}},
	{name: "first boot that gets not healthy", kms: api.KMSPhala, want: column.Failed, story: func(w *crashWorld) {
		w.node.sick[w.deploy().Document.Hash()] = true
		w.work()
	}},
	{name: "candidate superseded, then expired", kms: api.KMSEthereum, cvms: 1, want: column.Expired, story: func(w *crashWorld) {
		w.propose(2)
		w.clock.advance(time.Hour)
		w.propose(3)
		w.clock.advance(15 * 24 * time.Hour)
		w.sweep()
		w.work()
	}},
	{name: "fleet of three", kms: api.KMSEthereum, cvms: 3, want: column.Succeeded, fleet: column.RolloutSucceeded, story: func(w *crashWorld) {
		w.rollOut(2)
		w.work()
	}},
	{name: "fleet of three that goes back", kms: api.KMSEthereum, cvms: 3, want: column.Succeeded, fleet: column.RolloutRolledBack, story: func(w *crashWorld) {
		w.spoilAfter(w.rollOut(2), 1)
		w.work()
	}},
	{name: "fleet whose approval is lost", kms: api.KMSEthereum, cvms: 2, want: column.Cancelled, fleet: column.RolloutRolledBack, story: func(w *crashWorld) {
		hash := w.rollOut(2)
		w.chain.remove(w.cvms[0].Row.AppID, hash)
		w.work()
	}},
	{name: "fleet that a person ends", kms: api.KMSEthereum, cvms: 2, want: column.Cancelled, fleet: column.RolloutRolledBack, story: func(w *crashWorld) {
		w.rollOut(2)
		w.request(func() { // the first update begins, but does nothing yet
			_, err := w.service.AdvanceRollout(context.Background(), w.rollout)
			must(w.t, err)
		})
		w.request(func() {
			_, err := w.service.AbortRollout(context.Background(), w.alice, w.cvms[0].Row.AppID, w.rollout)
			must(w.t, err)
		})
		w.request(func() {
			_, err := w.service.AdvanceRollout(context.Background(), w.rollout)
			must(w.t, err)
		})
		w.work()
	}},
}

// untold are the transitions that no scenario goes along, and why.
var untold = map[[2]column.UpdateState]string{
	{column.Proposed, column.Cancelled}: "a proposal is never left in this state",
}

// crashStride is 1 for all points of all stories. With n each story is told with the first and every n-th point of each
// kind: all of them take longer than `make test` has.
var crashStride = flag.Int("crash.stride", 5, "die at one in so many points of each kind in each story; 1 for all of them")

// TestEveryCrashPoint stops the process right before and right after every commit, every job that is
// enqueued and every call of the node, one at a time. Each story must end as it does undisturbed, whether
// the next process finds the jobs of the dead one or has only its sweep. `make property` runs it whole.
func TestEveryCrashPoint(t *testing.T) {
	if CheckDatabase == nil {
		t.Fatal("fsck is not connected")
	}
	undisturbed := make([]string, len(crashScenarios))
	points, benches := make([][]string, len(crashScenarios)), make([]*crashBench, len(crashScenarios))
	told, toldPower, called := map[[2]column.UpdateState]bool{}, map[[2]column.PowerState]bool{}, map[string]bool{}
	for i, s := range crashScenarios {
		benches[i] = newCrashBench(t)
		t.Run("undisturbed "+s.name, func(t *testing.T) {
			var w *crashWorld
			w, undisturbed[i] = s.play(t, benches[i], -1, false)
			points[i] = w.fuse.passed
			for edge := range w.transitions() {
				told[edge] = true
			}
			maps.Copy(toldPower, w.powerTransitionsSeen())
			for call := range w.node.calls {
				called[call] = true
			}
			s.checkEnd(t, undisturbed[i])
		})
	}
	for from, targets := range transitions {
		for _, to := range targets {
			edge := [2]column.UpdateState{from, to}
			if _, known := untold[edge]; told[edge] == known {
				t.Errorf("from %s to %s: gone along %v, listed as untold %v", from, to, told[edge], known)
			}
		}
	}
	for from, targets := range powerTransitions {
		for _, to := range targets {
			edge := [2]column.PowerState{from, to}
			if _, known := untoldPower[edge]; toldPower[edge] == known {
				t.Errorf("power from %s to %s: gone along %v, listed as untold %v", from, to, toldPower[edge], known)
			}
		}
	}
	for _, call := range []string{"create", "apply", "start", "stop", "remove", "prepare"} {
		if !called[call] {
			t.Errorf("no story calls %s of the node", call)
		}
	}
	for i, s := range crashScenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			seen := map[string]int{}
			for k, point := range points[i] {
				for _, forget := range []bool{false, true} {
					if forget && strings.HasPrefix(point, "before") {
						continue // nothing has happened since the point before
					}
					kind := fmt.Sprint(point, forget)
					if seen[kind]++; (seen[kind]-1)%*crashStride != 0 {
						continue
					}
					t.Run(fmt.Sprintf("%d %s, jobs lost %v", k, point, forget), func(t *testing.T) {
						if _, got := s.play(t, benches[i], k, forget); got != undisturbed[i] {
							t.Errorf("it ended so:\n%s\n\nundisturbed:\n%s", got, undisturbed[i])
						}
					})
				}
			}
			benches[i].check(t)
		})
	}
}

// checkEnd makes sure that the story is about what its name says.
func (s crashScenario) checkEnd(t *testing.T, picture string) {
	t.Helper()
	found := false
	for line := range strings.Lines(picture) {
		line = strings.TrimSpace(line)
		found = found || strings.HasPrefix(line, "cvm-1 ") && strings.Contains(line, " failed: ") && strings.HasSuffix(line, " "+string(s.want))
		if strings.HasPrefix(line, "booted") && !strings.HasSuffix(line, "true") {
			t.Errorf("a document that nobody allowed: %s", line)
		}
	}
	if !found {
		t.Errorf("no update of the first CVM ends %s:\n%s", s.want, picture)
	}
	if s.fleet != "" && !strings.Contains(picture, "the rollout is "+string(s.fleet)) {
		t.Errorf("the rollout is not %s:\n%s", s.fleet, picture)
	}
}

// deploy makes a CVM: provision, contract, commit.
func (w *crashWorld) deploy() *CVM {
	w.t.Helper()
	ctx := context.Background()
	kind := string(w.kms)
	var provisioned *Provisioned
	w.request(func() {
		var err error
		provisioned, err = w.service.Provision(ctx, w.alice, api.ProvisionRequest{
			Name: "cvm-1", KMS: &kind, ComposeFile: api.ComposeFile{DockerComposeFile: yamlOne},
		}, nil)
		must(w.t, err)
	})
	appID := provisioned.Row.AppID
	if w.kms.OnChain() {
		appID = w.chain.deploy(provisioned.Row.ComposeHash, provisioned.Node.DeviceID)
	}
	var cvm *CVM
	w.request(func() {
		var err error
		cvm, err = w.service.Commit(ctx, w.alice, api.CommitRequest{AppID: appID, ComposeHash: provisioned.Row.ComposeHash.String()})
		must(w.t, err)
	})
	w.cvms = append(w.cvms, cvm)
	return cvm
}

// rollOut proposes a document, which the owner allows, and starts a rollout of it to the whole app.
func (w *crashWorld) rollOut(n int) appcompose.ComposeHash {
	w.t.Helper()
	hash := w.propose(n).Update.ComposeHash
	w.chain.add(w.cvms[0].Row.AppID, hash)
	seconds := 1
	w.request(func() {
		view, err := w.service.StartRollout(context.Background(), w.alice, w.cvms[0].Row.AppID, api.RolloutRequest{ComposeHash: hash.String(), MinReady: &seconds})
		must(w.t, err)
		w.rollout = view.Row.ID
	})
	return hash
}
