package devcloud

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/examples"
	"github.com/lockstep-cvm/lockstep/internal/server/openapitest"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
	"github.com/lockstep-cvm/lockstep/onchain"
)

// fleetCloud is an app with several replicas on a cloud of its own, seen through the SDK.
type fleetCloud struct {
	t      *testing.T
	cloud  *Cloud
	client *lockstep.Client
	app    string
	cvms   []string // vm_uuids
}

const replicas = 6

func newFleetCloud(t *testing.T, databaseURL string) *fleetCloud {
	t.Helper()
	ctx := t.Context()
	cloud, err := Start(ctx, Config{Listen: "127.0.0.1:0", RPCListen: "127.0.0.1:0", DataDir: t.TempDir(), DatabaseURL: databaseURL, Pace: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	f := &fleetCloud{t: t, cloud: cloud}
	f.client, err = lockstep.NewClient(lockstep.WithBaseURL(cloud.Ready.APIURL), lockstep.WithAPIKey(cloud.Ready.APIKey),
		lockstep.WithHTTPClient(&http.Client{Transport: openapitest.Transport(t, nil)}))
	if err != nil {
		t.Fatal(err)
	}
	for _, cvm := range cloud.Ready.CVMs {
		if cvm.Name == OnChainCVM {
			f.app, f.cvms = cvm.AppID, []string{cvm.VMUUID}
		}
	}
	for len(f.cvms) < replicas {
		replica, err := f.client.CreateReplica(ctx, f.cvms[0], api.ReplicateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		f.cvms = append(f.cvms, *replica.VMUUID)
	}
	for _, id := range f.cvms {
		for _, err := range f.client.WatchCVMState(ctx, id, lockstep.WatchOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return f
}

// approved proposes a Compose file for the first CVM and registers its hash: one approval for all.
func (f *fleetCloud) approved(compose string, minReady int) api.RolloutRequest {
	f.t.Helper()
	ctx := f.t.Context()
	result, err := f.client.UpdateDockerCompose(ctx, f.cvms[0], compose)
	if err != nil {
		f.t.Fatal(err)
	}
	need, ok := result.(*lockstep.Precondition)
	if !ok {
		f.t.Fatalf("got %T, want a precondition", result)
	}
	request := api.RolloutRequest{ComposeHash: need.ComposeHash, MinReady: &minReady}
	_, err = f.client.StartRollout(ctx, f.app, request)
	if missing := lockstep.MissingApprovals(err); len(missing) != 1 || missing[0].Value != need.ComposeHash {
		f.t.Fatalf("before the approval: %v, missing %+v", err, missing)
	}
	tx, err := onchain.AddComposeHash(ctx, onchain.AddComposeHashRequest{
		WriteOptions: f.cloud.write(), AppID: common.HexToAddress(f.app), ComposeHash: common.HexToHash(need.ComposeHash),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	request.TransactionHash = tx.TransactionHash.Hex()
	return request
}

func (f *fleetCloud) wait(rollout *api.Rollout, err error) (*api.Rollout, error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	return f.client.WaitRollout(f.t.Context(), f.app, rollout.RolloutID, 50*time.Millisecond)
}

// wantAll checks what every CVM has and that it runs.
func (f *fleetCloud) wantAll(hash string) {
	f.t.Helper()
	cvms, err := f.client.GetAppCVMs(f.t.Context(), f.app)
	if err != nil {
		f.t.Fatal(err)
	}
	if len(cvms) != replicas {
		f.t.Errorf("the app has %d CVMs, want %d", len(cvms), replicas)
	}
	for _, cvm := range cvms {
		document, err := f.client.GetCVMComposeFile(f.t.Context(), *cvm.VMUUID)
		if err != nil {
			f.t.Fatal(err)
		}
		if document.Hash() != hash || *cvm.ComposeHash != hash || cvm.Status != api.StatusRunning {
			f.t.Errorf("%s is %s with %s, want %s", cvm.Name, cvm.Status, document.Hash(), hash)
		}
		node := f.cloud.Server.Control.Catalog().Nodes()[0]
		if status, err := node.Runtime.Status(f.t.Context(), *cvm.VMUUID); err != nil || status.RunningHash.String() != hash {
			f.t.Errorf("the guest of %s measured %s (%v), want %s", cvm.Name, status.RunningHash, err, hash)
		}
	}
}

// TestFleet takes an app of six replicas through its life: over HTTP with the SDK, with contracts on a
// chain and simulated CVMs, with one approval for each document.
func TestFleet(t *testing.T) { storetest.Each(t, rollOutToAFleet) }

func rollOutToAFleet(t *testing.T, databaseURL string) {
	f := newFleetCloud(t, databaseURL)
	ctx := t.Context()

	// A canary, a person, the rest.
	good := f.approved(examples.ComposeV2, 1)
	good.Strategy, good.MaxUnavailable = api.RolloutCanary, api.Percent(34)
	rollout, err := f.wait(f.client.StartRollout(ctx, f.app, good))
	if err != nil || rollout.State != api.RolloutPaused {
		t.Fatalf("%+v, %v", rollout, err)
	}
	if again, err := f.client.StartRollout(ctx, f.app, good); err != nil || again.RolloutID != rollout.RolloutID {
		t.Errorf("asked again: %+v, %v", again, err)
	}
	rollout, err = f.wait(f.client.ResumeRollout(ctx, f.app, rollout.RolloutID))
	if err != nil || rollout.State != api.RolloutSucceeded || rollout.MaxUnavailable != 2 {
		t.Fatalf("%+v, %v", rollout, err)
	}
	f.wantAll(good.ComposeHash)

	// A version that does not boot goes back by itself, and says what the guest said.
	bad := f.approved(strings.Replace(examples.ComposeV2, "services:\n", "services:\n  broken:\n    image: busybox\n    labels:\n      lockstep.sim.boot-error: out of cheese\n", 1), 0)
	rollout, err = f.wait(f.client.StartRollout(ctx, f.app, bad))
	failed, ok := errors.AsType[*lockstep.FleetError](err)
	if !ok || failed.Rollout.State != api.RolloutRolledBack || !strings.Contains(rollout.Targets[0].Reason, "out of cheese") {
		t.Fatalf("%+v, %v", rollout, err)
	}
	f.wantAll(good.ComposeHash)

	// Aborted after the canary.
	third := f.approved(strings.Replace(examples.ComposeV2, "services:\n", "services:\n  more:\n    image: busybox\n", 1), 0)
	third.Strategy, third.Canary, third.MaxUnavailable = api.RolloutCanary, api.Count(2), api.Count(2)
	rollout, err = f.wait(f.client.StartRollout(ctx, f.app, third))
	if err != nil || rollout.State != api.RolloutPaused {
		t.Fatalf("%+v, %v", rollout, err)
	}
	rollout, err = f.wait(f.client.AbortRollout(ctx, f.app, rollout.RolloutID))
	if failed, ok := errors.AsType[*lockstep.FleetError](err); !ok || failed.Rollout.State != api.RolloutRolledBack {
		t.Fatalf("%+v, %v", rollout, err)
	}
	f.wantAll(good.ComposeHash)
	all, err := f.client.Rollouts(ctx, f.app, 0)
	if err != nil || len(all) != 3 || all[0].RolloutID != rollout.RolloutID {
		t.Errorf("%d rollouts, %v", len(all), err)
	}
}
