package control

import (
	"context"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

func (h *harness) provision(request api.ProvisionRequest, composeFile string) (*Provisioned, error) {
	var raw []byte
	if composeFile != "" {
		raw = []byte(composeFile)
	}
	if request.ComposeFile.DockerComposeFile == "" {
		request.ComposeFile.DockerComposeFile = yamlOne
	}
	return h.service.Provision(context.Background(), h.alice, request, raw)
}

func (h *harness) commit(p *Provisioned, appID string) (*CVM, error) {
	return h.service.Commit(context.Background(), h.alice, api.CommitRequest{AppID: appID, ComposeHash: p.Row.ComposeHash.String()})
}

func TestUnknownMembersOfAComposeFileAreKept(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	p, err := h.provision(api.ProvisionRequest{Name: "unknown-members"}, `{"docker_compose_file":"services:\n  a:\n    image: b\n","swap_size":"4G","x_new":{"b":1,"a":[2]}}`)
	must(t, err)
	document, err := h.service.document(context.Background(), h.store.Read(), p.Row.ComposeHash)
	must(t, err)
	for _, want := range []string{`"swap_size":"4G"`, `"x_new":{"a":[2],"b":1}`, `"name":"unknown-members"`} {
		if !strings.Contains(string(document.Bytes()), want) {
			t.Errorf("document %s lacks %s", document.Bytes(), want)
		}
	}
	canonical, err := appcompose.CanonicalHash(document.Bytes())
	if err != nil || canonical != document.Hash() {
		t.Errorf("a first document must be in canonical form: %v, %v", canonical, err)
	}
}

func TestCommitMayBeRepeatedButNotForSomethingElse(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	p, err := h.provision(api.ProvisionRequest{Name: "repeated"}, "")
	must(t, err)
	first, err := h.commit(p, p.Row.AppID)
	must(t, err)
	again, err := h.commit(p, "0x"+strings.ToUpper(p.Row.AppID))
	must(t, err)
	if again.Row.ID != first.Row.ID {
		t.Errorf("a repeated commit made another CVM")
	}
	other, err := h.provision(api.ProvisionRequest{Name: "other-one"}, "")
	must(t, err)
	_, err = h.service.Commit(context.Background(), h.alice, api.CommitRequest{AppID: p.Row.AppID, ComposeHash: other.Row.ComposeHash.String()})
	if e := wantKind(t, err, problem.KindConflict); e.Code != api.CodeCVMAppIDConflict {
		t.Errorf("code = %s", e.Code)
	}
	late, err := h.provision(api.ProvisionRequest{Name: "other-one"}, "")
	must(t, err)
	_, err = h.commit(other, other.Row.AppID)
	must(t, err)
	_, err = h.commit(late, late.Row.AppID) // the name was free when it was provisioned
	if e := wantKind(t, err, problem.KindConflict); e.Code != api.CodeDuplicateCVMName {
		t.Errorf("code = %s", e.Code)
	}
	_, err = h.provision(api.ProvisionRequest{Name: "repeated"}, "")
	if e := wantKind(t, err, problem.KindConflict); e.Code != api.CodeDuplicateCVMName {
		t.Errorf("code = %s", e.Code)
	}
	old, err := h.provision(api.ProvisionRequest{Name: "old-one"}, "")
	must(t, err)
	h.clock.advance(h.service.timeouts.Provision)
	_, err = h.commit(old, old.Row.AppID)
	if e := wantKind(t, err, problem.KindInvalid); !strings.Contains(e.Message, "expired") {
		t.Errorf("message = %q", e.Message)
	}
}

func TestOnChainCommitChecksTheContract(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	kind := "BASE" // upper case, as the official client sends it; this server has ethereum only
	_, err := h.provision(api.ProvisionRequest{Name: "wrong-kms", KMS: &kind}, "")
	if e := wantKind(t, err, problem.KindInvalid); e.Code != api.CodeKMSNotFound {
		t.Errorf("code = %s", e.Code)
	}
	kind = "ETHEREUM"
	p, err := h.provision(api.ProvisionRequest{Name: "on-chain-one", KMS: &kind}, "")
	must(t, err)
	if p.Row.AppID != "" || p.EnvKey != "" {
		t.Errorf("an on-chain provision gave app id %q before its contract is there", p.Row.AppID)
	}
	_, err = h.commit(p, strings.Repeat("ab", 20))
	wantKind(t, err, problem.KindInvalid) // a contract that the KMS does not know
	app := h.chain.deploy(appcompose.Hash([]byte("another document")), p.Node.DeviceID)
	_, err = h.commit(p, app)
	if e := wantKind(t, err, problem.KindHashNotAllowed); e.Code != api.CodeHashNotAllowed {
		t.Errorf("code = %s", e.Code)
	}
	h.chain.add(app, p.Row.ComposeHash)
	cvm, err := h.commit(p, app)
	must(t, err)
	h.settle(cvm.Row.ActiveUpdateID)
	h.wantRuns(cvm, p.Row.ComposeHash)
}

func TestPredictedAppIDs(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	next, err := h.service.NextAppIDs(ctx, h.alice, 3)
	must(t, err)
	p, err := h.provision(api.ProvisionRequest{Name: "predicted", AppID: &next[1].AppID, Nonce: &next[1].Nonce}, "")
	must(t, err)
	if p.Row.AppID != next[1].AppID {
		t.Errorf("app id = %s, want the predicted %s", p.Row.AppID, next[1].AppID)
	}
	_, err = h.provision(api.ProvisionRequest{Name: "mismatch", AppID: &next[0].AppID, Nonce: &next[2].Nonce}, "")
	wantKind(t, err, problem.KindInvalid)
	for _, count := range []int{0, 21} {
		if _, err := h.service.NextAppIDs(ctx, h.alice, count); err == nil {
			t.Errorf("NextAppIDs(%d) was answered", count)
		}
	}
}

func TestBadProvisions(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	text := func(s string) *string { return &s }
	number := func(n int) *int { return &n }
	node := int64(99)
	for name, test := range map[string]struct {
		request     api.ProvisionRequest
		composeFile string
		kind        problem.Kind
		code        api.ErrorCode
	}{
		"short name":         {api.ProvisionRequest{Name: "abc"}, "", problem.KindInvalid, api.CodeInvalidRequest},
		"reserved name":      {api.ProvisionRequest{Name: "paginated"}, "", problem.KindInvalid, api.CodeInvalidRequest},
		"unknown type":       {api.ProvisionRequest{Name: "valid-name", InstanceType: text("h100.huge")}, "", problem.KindInvalid, api.CodeInstanceTypeNotFound},
		"no such node":       {api.ProvisionRequest{Name: "valid-name", TeepodID: &node}, "", problem.KindNotFound, api.CodeNodeNotFound},
		"too many CPUs":      {api.ProvisionRequest{Name: "valid-name", VCPU: number(250), MemoryMB: number(1 << 21)}, "", "", ""},
		"negative memory":    {api.ProvisionRequest{Name: "valid-name", MemoryMB: number(-1)}, "", problem.KindInvalid, api.CodeInvalidRequest},
		"unknown image":      {api.ProvisionRequest{Name: "valid-name", Image: text("windows")}, "", problem.KindInvalid, api.CodeImageNotFound},
		"no compose":         {api.ProvisionRequest{Name: "valid-name"}, `{}`, problem.KindInvalid, api.CodeComposeFileRequired},
		"broken compose":     {api.ProvisionRequest{Name: "valid-name"}, `{"docker_compose_file":"services: ["}`, problem.KindInvalid, api.CodeInvalidComposeFile},
		"bad member":         {api.ProvisionRequest{Name: "valid-name"}, `{"docker_compose_file":7}`, problem.KindInvalid, api.CodeInvalidComposeFile},
		"bad manifest":       {api.ProvisionRequest{Name: "valid-name"}, `{"docker_compose_file":"services: {a: {image: b}}","manifest_version":4}`, problem.KindInvalid, api.CodeInvalidComposeFile},
		"not even an object": {api.ProvisionRequest{Name: "valid-name"}, `[]`, problem.KindInvalid, api.CodeInvalidComposeFile},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.provision(test.request, test.composeFile)
			if test.kind == "" {
				must(t, err)
				return
			}
			if e := wantKind(t, err, test.kind); e.Code != test.code {
				t.Errorf("code = %s, want %s", e.Code, test.code)
			}
		})
	}
}

func TestScopes(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	cvm := h.create("scoped-one", api.KMSPhala)
	ctx := context.Background()
	with := func(scope Scope) Principal {
		t.Helper()
		key, err := h.service.CreateKey(ctx, "alice", "k", []Scope{scope}, 0)
		must(t, err)
		p, err := h.service.Authenticate(ctx, key.Key)
		must(t, err)
		return p
	}
	for _, test := range []struct {
		scope                Scope
		read, update, create bool
	}{{ScopeRead, true, false, false}, {ScopeUpdate, true, true, false}, {ScopeAdmin, true, true, true}} {
		p := with(test.scope)
		_, readErr := h.service.CVM(ctx, p, cvm.Row.Name)
		_, updateErr := h.service.UpdateCompose(ctx, p, cvm.Row.Name, ComposeUpdate{YAML: []byte(yamlOne)})
		_, createErr := h.service.Provision(ctx, p, api.ProvisionRequest{Name: "valid-name", ComposeFile: api.ComposeFile{DockerComposeFile: yamlOne}}, nil)
		for what, got := range map[string]struct {
			err  error
			want bool
		}{"read": {readErr, test.read}, "update": {updateErr, test.update}, "create": {createErr, test.create}} {
			if (got.err == nil) != got.want || got.err != nil && !problem.Is(got.err, problem.KindForbidden) {
				t.Errorf("%s with scope %s: %v, want allowed %v", what, test.scope, got.err, got.want)
			}
		}
	}
}

func TestKeysEnd(t *testing.T) {
	h := newHarness(t)
	defer h.close()
	ctx := context.Background()
	key, err := h.service.CreateKey(ctx, "alice", "short", []Scope{ScopeRead}, 10)
	must(t, err)
	h.clock.advance(11)
	for name, secret := range map[string]string{"expired": key.Key, "unknown": "lsk_nobody", "empty": ""} {
		_, err := h.service.Authenticate(ctx, secret)
		if e := wantKind(t, err, problem.KindUnauthenticated); e.Code != "" || strings.Contains(e.Error(), "lsk_") {
			t.Errorf("%s: %v: want no code, and never the key", name, e)
		}
	}
	key, err = h.service.CreateKey(ctx, "alice", "revoked", []Scope{ScopeRead}, 0)
	must(t, err)
	_, err = h.service.Authenticate(ctx, key.Key)
	must(t, err)
	must(t, h.service.RevokeKey(ctx, key.Info.ID))
	must(t, h.service.RevokeKey(ctx, key.Info.ID))
	_, err = h.service.Authenticate(ctx, key.Key)
	wantKind(t, err, problem.KindUnauthenticated)
	wantKind(t, h.service.RevokeKey(ctx, "key_nobody"), problem.KindNotFound)
	for _, info := range func() []KeyInfo { keys, err := h.service.Keys(ctx); must(t, err); return keys }() {
		if strings.Contains(info.Hint, "lsk_") || len(info.Hint) != 4 {
			t.Errorf("hint = %q gives the key away", info.Hint)
		}
	}
}
