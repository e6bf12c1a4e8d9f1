package compat

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/onchain"
)

func compose(marker string) string {
	return "services:\n  web:\n    image: nginx:1.27\n    environment:\n      MARKER: \"" + marker + "\"\n"
}

// TestGoSDK runs the Go SDK against a real server, with every response validated.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	cloud := startCloud(t)
	client := cloud.client(t)
	t.Run("reads", func(t *testing.T) { testReads(t, cloud, client) })
	t.Run("both phases", func(t *testing.T) { testBothPhases(t, cloud, client) })
	t.Run("apply", func(t *testing.T) { testApply(t, cloud, client) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, cloud, client) })
	t.Run("provision", func(t *testing.T) { testProvision(t, cloud, client) })
}

func testReads(t *testing.T, cloud *cloud, client *lockstep.Client) {
	ctx := withPatience(t)
	me, err := client.GetCurrentUser(ctx)
	if err != nil || me.Workspace.Slug == nil || *me.Workspace.Slug != cloud.Workspace {
		t.Errorf("GetCurrentUser: %+v, %v", me, err)
	}
	found := map[string]bool{}
	for cvm, err := range client.ListCVMs(ctx, lockstep.ListOptions{PageSize: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		found[cvm.Name] = true
	}
	for _, cvm := range cloud.CVMs {
		if !found[cvm.Name] {
			t.Errorf("ListCVMs does not have %s", cvm.Name)
		}
		old, err := client.GetCVM20251028(ctx, cvm.VMUUID)
		if err != nil || old.AppID != cvm.AppID {
			t.Errorf("GetCVM20251028: %+v, %v", old, err)
		}
		state, err := client.GetCVMState(ctx, "0x"+cvm.AppID)
		if err != nil || state.Status != api.StatusRunning {
			t.Errorf("GetCVMState: %+v, %v", state, err)
		}
		awaitRunning(t, client, cvm.ID)
	}
	services := 0
	for service, err := range client.GetKMSList(ctx, lockstep.KMSListOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		services++
		if again, err := client.GetKMSInfo(ctx, service.ID); err != nil || again.URL != service.URL {
			t.Errorf("GetKMSInfo: %+v, %v", again, err)
		}
		if _, err := client.GetAppEnvEncryptPubKey(ctx, service.ID, cloud.CVMs[0].AppID); err != nil && !errors.Is(err, lockstep.ErrNotFound) {
			t.Errorf("GetAppEnvEncryptPubKey: %v", err)
		}
	}
	if services != 3 {
		t.Errorf("GetKMSList has %d, want 3", services)
	}
	if ids, err := client.NextAppIDs(ctx, 3); err != nil || len(ids) != 3 {
		t.Errorf("NextAppIDs: %v, %v", ids, err)
	}
	if nodes, err := client.GetAvailableNodes(ctx); err != nil || len(nodes.Nodes) != 1 {
		t.Errorf("GetAvailableNodes: %+v, %v", nodes, err)
	}
}

func testBothPhases(t *testing.T, cloud *cloud, client *lockstep.Client) {
	ctx := withPatience(t)
	result, err := client.UpdateDockerCompose(ctx, offChain, compose("off chain"))
	inProgress(t, result, err)
	awaitRunning(t, client, offChain)
	mustRun(t, client, offChain, "", compose("off chain"))

	need := propose(t, client, onChain, compose("on chain"))
	tx := cloud.owner(t).approve(t, need.AppID, need.ComposeHash)
	proof := []lockstep.UpdateOption{lockstep.WithComposeHash(need.ComposeHash), lockstep.WithTransactionHash(tx)}
	safe := client.SafeUpdateDockerCompose(ctx, onChain, compose("on chain"), proof...)
	first := inProgress(t, safe.Data, safe.Error)
	result, err = client.UpdateDockerCompose(ctx, onChain, compose("on chain"), proof...)
	if again := inProgress(t, result, err); again != first {
		t.Errorf("phase 2 repeated has correlation id %s, want %s", again, first)
	}
	awaitRunning(t, client, onChain)
	mustRun(t, client, onChain, need.ComposeHash, compose("on chain"))
}

func testApply(t *testing.T, cloud *cloud, client *lockstep.Client) {
	owner := cloud.owner(t)
	approvals := 0
	request := lockstep.ApplyRequest{
		CVM: onChain, Compose: compose("applied"), Wait: true,
		Checkpoint: lockstep.NewFileCheckpoint(filepath.Join(t.TempDir(), "update.json")),
		Approver: lockstep.ApproverFunc(func(ctx context.Context, a lockstep.Approval) (string, error) {
			approvals++
			allowed, err := onchain.IsComposeHashAllowed(ctx, owner.chain, parseApp(t, a.AppID), parseHash(t, a.ComposeHash))
			if err != nil || allowed {
				return lockstep.AlreadyRegistered, err
			}
			return owner.approve(t, a.AppID, a.ComposeHash), nil
		}),
	}
	result, err := client.Apply(withPatience(t), request)
	if err != nil {
		t.Fatal(err)
	}
	if approvals != 1 || result.TransactionHash == "" || result.CorrelationID == "" {
		t.Errorf("after %d approvals: %+v", approvals, result)
	}
	mustRun(t, client, onChain, result.ComposeHash, request.Compose)
	if _, err := client.Apply(withPatience(t), request); err != nil || approvals != 1 {
		t.Errorf("applied again: %v after %d approvals, want nothing to do", err, approvals)
	}

	request.CVM, request.Compose, request.Approver = offChain, compose("applied off chain"), nil
	if _, err := client.Apply(withPatience(t), request); err != nil {
		t.Fatal(err)
	}
	mustRun(t, client, offChain, "", request.Compose)

	request.CVM = onChain
	if _, err := client.Apply(withPatience(t), request); !errors.Is(err, lockstep.ErrHashRegistrationRequired) {
		t.Errorf("without an approver: %v", err)
	}
}

// refusal is one way in which phase 2 or a whole request is turned down.
type refusal struct {
	name   string
	cvm    string
	file   string
	client *lockstep.Client
	proof  []lockstep.UpdateOption
	status int
	code   api.ErrorCode
	is     error
}

func testRefusals(t *testing.T, cloud *cloud, client *lockstep.Client) {
	owner := cloud.owner(t)
	need := propose(t, client, onChain, compose("refused"))
	proof := func(hash, tx string) []lockstep.UpdateOption {
		return []lockstep.UpdateOption{lockstep.WithComposeHash(hash), lockstep.WithTransactionHash(tx)}
	}
	elsewhere := owner.approve(t, need.AppID, strings.Repeat("11", 32)) // it proves another hash
	stranger := cloud.client(t, lockstep.WithAPIKey(cloud.SecondAPIKey))
	unknownKey := cloud.client(t, lockstep.WithAPIKey("lsk_nobody"))
	known := compose("refused")
	for _, r := range []refusal{
		{"unknown hash", onChain, known, client, proof(strings.Repeat("ab", 32), lockstep.AlreadyRegistered), 466, api.CodeHashInvalidOrExpired, lockstep.ErrHashInvalidOrExpired},
		{"YAML changed", onChain, compose("other"), client, proof(need.ComposeHash, lockstep.AlreadyRegistered), 466, api.CodeHashInvalidOrExpired, lockstep.ErrHashInvalidOrExpired},
		{"unknown transaction", onChain, known, client, proof(need.ComposeHash, "0x"+strings.Repeat("cd", 32)), 467, api.CodeTxVerificationFailed, lockstep.ErrTxVerificationFailed},
		{"transaction of another hash", onChain, known, client, proof(need.ComposeHash, elsewhere), 467, api.CodeTxVerificationFailed, lockstep.ErrTxVerificationFailed},
		{"not registered", onChain, known, client, proof(need.ComposeHash, lockstep.AlreadyRegistered), 468, api.CodeHashNotAllowed, lockstep.ErrHashNotAllowed},
		{"broken YAML", onChain, "services: [", client, nil, 422, api.CodeInvalidComposeFile, nil},
		{"unknown CVM", "cvm_00000000000000000000", known, client, nil, 404, api.CodeCVMNotFound, lockstep.ErrNotFound},
		{"another workspace's key", onChain, known, stranger, nil, 404, api.CodeCVMNotFound, lockstep.ErrNotFound},
		{"unknown key", onChain, known, unknownKey, nil, 401, "", lockstep.ErrUnauthorized},
	} {
		t.Run(r.name, func(t *testing.T) { r.check(t, client) })
	}
	t.Run("removed after it was added", func(t *testing.T) {
		tx := owner.approve(t, need.AppID, need.ComposeHash)
		owner.remove(t, need.AppID, need.ComposeHash)
		removed := refusal{"", onChain, known, client, proof(need.ComposeHash, tx), 468, api.CodeHashNotAllowed, lockstep.ErrHashNotAllowed}
		removed.check(t, client)
	})
	t.Run("too large", func(t *testing.T) {
		result := client.SafeUpdateDockerCompose(withPatience(t), onChain, known+strings.Repeat("#", api.MaxComposeSize))
		if field, ok := errors.AsType[*lockstep.FieldError](result.Error); !ok || result.Success {
			t.Errorf("got %v, %v, want a *FieldError before anything is sent", field, result.Error)
		}
	})
	t.Run("busy", func(t *testing.T) {
		impatient := cloud.client(t, lockstep.WithRetries(0))
		result, err := impatient.UpdateDockerCompose(withPatience(t), offChain, compose("first"))
		inProgress(t, result, err)
		second := impatient.SafeUpdateDockerCompose(withPatience(t), offChain, compose("second"))
		refused, ok := errors.AsType[*lockstep.APIError](second.Error)
		if !ok || refused.StatusCode != 409 || !refused.IsConflict() || refused.ErrorCode != "" {
			t.Errorf("got %v", second.Error)
		}
		awaitRunning(t, client, offChain)
		mustRun(t, client, offChain, "", compose("first"))
	})
}

// check makes the request and demands that it is refused and changed nothing.
func (r refusal) check(t *testing.T, reader *lockstep.Client) {
	t.Helper()
	before, err := reader.GetCVM(withPatience(t), onChain)
	if err != nil {
		t.Fatal(err)
	}
	result := r.client.SafeUpdateDockerCompose(withPatience(t), r.cvm, r.file, r.proof...)
	refused, ok := errors.AsType[*lockstep.APIError](result.Error)
	if !ok || result.Success {
		t.Fatalf("got %+v, want an *APIError", result)
	}
	if refused.StatusCode != r.status || refused.ErrorCode != r.code || r.is != nil && !errors.Is(refused, r.is) {
		t.Errorf("got %d %q %v, want %d %q %v", refused.StatusCode, refused.ErrorCode, refused, r.status, r.code, r.is)
	}
	after, err := reader.GetCVM(withPatience(t), onChain)
	if err != nil || after.Status != api.StatusRunning || *after.ComposeHash != *before.ComposeHash {
		t.Errorf("the CVM is %+v, %v, want it to run %s as before", after, err, *before.ComposeHash)
	}
}

func testProvision(t *testing.T, cloud *cloud, client *lockstep.Client) {
	kms := "ETHEREUM"
	provisioned, err := client.ProvisionCVM(withPatience(t), &api.ProvisionRequest{
		Name: "go-chain", KMS: &kms, ComposeFile: api.ComposeFile{DockerComposeFile: compose("go")},
	})
	if err != nil {
		t.Fatal(err)
	}
	owner := cloud.owner(t)
	contract, err := onchain.DeployAppAuth(withPatience(t), onchain.DeployAppAuthRequest{
		WriteOptions: owner.write, KMSContract: parseApp(t, *provisioned.KMSInfo.KMSContractAddress),
		DeviceID: parseHash(t, *provisioned.DeviceID), ComposeHash: parseHash(t, provisioned.ComposeHash),
	})
	if err != nil {
		t.Fatal(err)
	}
	committed, err := client.CommitCVMProvision(withPatience(t), &api.CommitRequest{AppID: contract.AppID, ComposeHash: provisioned.ComposeHash})
	if err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, client, *committed.VMUUID)
	mustRun(t, client, *committed.VMUUID, provisioned.ComposeHash, compose("go"))
}
