package control

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/problem"
)

func TestReplicaIsTheSameAppOnAnotherDisk(t *testing.T) {
	h := newHarness(t)
	ctx := context.Background()
	for _, kind := range []api.KMSType{api.KMSEthereum, api.KMSPhala} {
		source := h.create("web-"+string(kind), kind)
		env := "0102ff"
		replica, err := h.service.Replicate(ctx, h.alice, source.Row.VMUUID, api.ReplicateRequest{EncryptedEnv: &env}, false)
		must(t, err)
		h.settle(replica.Row.ActiveUpdateID)
		replica = h.read(replica)
		row, from := replica.Row, source.Row
		if row.AppID != from.AppID || row.KMSID != from.KMSID || row.Image != from.Image || row.DiskGB != from.DiskGB || row.VCPU != from.VCPU {
			t.Errorf("replica %+v of %+v", row, from)
		}
		if row.VMUUID == from.VMUUID || row.Name == from.Name || !strings.HasPrefix(row.Name, from.Name+"-") {
			t.Errorf("replica %s %s of %s %s", row.VMUUID, row.Name, from.VMUUID, from.Name)
		}
		if !bytes.Equal(row.EncryptedEnv, []byte{1, 2, 0xff}) {
			t.Errorf("environment %x", row.EncryptedEnv)
		}
		if h.running(replica) != source.Document.Hash() || replica.Status() != StatusRunning {
			t.Errorf("the replica is %s and runs %s", replica.Status(), h.running(replica))
		}
		again, err := h.service.ReplicateOfApp(ctx, h.alice, "app_"+row.AppID, strings.ReplaceAll(row.VMUUID, "-", ""), api.ReplicateRequest{}, false)
		must(t, err)
		if !bytes.Equal(again.Row.EncryptedEnv, row.EncryptedEnv) {
			t.Errorf("a replica without an environment of its own has %x", again.Row.EncryptedEnv)
		}
		app, err := h.service.App(ctx, h.alice, row.AppID)
		must(t, err)
		if len(app.CVMs) != 3 {
			t.Errorf("the app has %d CVMs, want 3", len(app.CVMs))
		}
	}
}

func TestReplicaNeedsTheOwner(t *testing.T) {
	h := newHarness(t)
	ctx := context.Background()
	source := h.create("first-cvm", api.KMSEthereum)
	h.chain.forbidDevice(source.Row.AppID, source.Node.DeviceID)
	_, err := h.service.Replicate(ctx, h.alice, source.Row.HashID, api.ReplicateRequest{}, false)
	want465(t, err, []string{"device"})
	h.chain.remove(source.Row.AppID, source.Document.Hash())
	_, err = h.service.Replicate(ctx, h.alice, source.Row.HashID, api.ReplicateRequest{}, false)
	want465(t, err, []string{"compose_hash", "device"})
	if cvms, _, err := h.service.CVMs(ctx, h.alice, 1, 10); err != nil || len(cvms) != 1 {
		t.Errorf("%d CVMs (%v), want the source alone", len(cvms), err)
	}
	h.chain.setDown(true)
	if _, err := h.service.Replicate(ctx, h.alice, source.Row.HashID, api.ReplicateRequest{}, false); !problem.Is(err, problem.KindUnavailable) {
		t.Errorf("without a chain: %v", err)
	}
}

func want465(t *testing.T, err error, missing []string) {
	t.Helper()
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind != problem.KindHashRequired {
		t.Fatalf("got %v, want a 465", err)
	}
	var got []string
	for _, d := range p.Details {
		if list, ok := d.Value.(api.List[api.MissingApproval]); ok {
			for _, m := range list {
				got = append(got, m.Kind)
			}
		}
	}
	if !slices.Equal(got, missing) {
		t.Errorf("missing %v, want %v", got, missing)
	}
}

func TestPrepareOnlyCreatesNothing(t *testing.T) {
	h := newHarness(t)
	ctx := context.Background()
	on, off := h.create("first-cvm", api.KMSEthereum), h.create("second-cvm", api.KMSPhala)
	_, err := h.service.Replicate(ctx, h.alice, on.Row.HashID, api.ReplicateRequest{}, true)
	want465(t, err, nil)
	if _, err := h.service.Replicate(ctx, h.alice, off.Row.HashID, api.ReplicateRequest{}, true); !problem.Is(err, problem.KindInvalid) {
		t.Errorf("off chain: %v", err)
	}
	if cvms, _, err := h.service.CVMs(ctx, h.alice, 1, 10); err != nil || len(cvms) != 2 {
		t.Errorf("%d CVMs (%v), want 2", len(cvms), err)
	}
}

// An app id names several CVMs: that is fine until they run different documents.
func TestReplicaOfAnApp(t *testing.T) {
	h := newHarness(t)
	ctx := context.Background()
	cvms, hash := h.fleetOf(2, api.KMSEthereum)
	app := cvms[0].Row.AppID
	if _, err := h.service.Replicate(ctx, h.alice, app, api.ReplicateRequest{}, false); err != nil {
		t.Errorf("all run the same: %v", err)
	}
	_, err := h.update(cvms[1], ComposeUpdate{YAML: yamlNumber(2)})
	must(t, err)
	_, err = h.update(cvms[1], ComposeUpdate{YAML: yamlNumber(2), ComposeHash: hash.String()})
	must(t, err)
	h.settle(h.read(cvms[1]).Row.ActiveUpdateID)
	_, err = h.service.Replicate(ctx, h.alice, app, api.ReplicateRequest{}, false)
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != api.CodeReplicaHashRequired {
		t.Errorf("got %v, want %s", err, api.CodeReplicaHashRequired)
	}
	text := hash.String()
	replica, err := h.service.Replicate(ctx, h.alice, app, api.ReplicateRequest{ComposeHash: &text}, false)
	must(t, err)
	if replica.Document.Hash() != hash {
		t.Errorf("the replica is to run %s, want %s", replica.Document.Hash(), hash)
	}
}

func TestReplicaRefusals(t *testing.T) {
	h := newHarness(t)
	source := h.create("first-cvm", api.KMSPhala)
	id := source.Row.HashID
	node, bad, unknown := int64(99), "zz", appcompose.Hash([]byte("x")).String()
	for _, test := range []struct {
		name    string
		who     Principal
		id      string
		request api.ReplicateRequest
		code    api.ErrorCode
	}{
		{"another workspace", h.bob, id, api.ReplicateRequest{}, api.CodeReplicaSourceNotAccessible},
		{"unknown source", h.alice, "nobody", api.ReplicateRequest{}, api.CodeReplicaSourceNotAccessible},
		{"unknown node", h.alice, id, api.ReplicateRequest{NodeID: &node}, api.CodeNodeNotFound},
		{"unknown node, old name", h.alice, id, api.ReplicateRequest{TeepodID: &node}, api.CodeNodeNotFound},
		{"bad environment", h.alice, id, api.ReplicateRequest{EncryptedEnv: &bad}, api.CodeInvalidRequest},
		{"bad hash", h.alice, id, api.ReplicateRequest{ComposeHash: &bad}, api.CodeInvalidRequest},
		{"unknown hash", h.alice, id, api.ReplicateRequest{ComposeHash: &unknown}, api.CodeReplicaHashRequired},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := h.service.Replicate(context.Background(), test.who, test.id, test.request, false)
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != test.code {
				t.Errorf("got %v, want %s", err, test.code)
			}
		})
	}
	reader := h.alice
	reader.Scopes = []Scope{ScopeUpdate}
	if _, err := h.service.Replicate(context.Background(), reader, id, api.ReplicateRequest{}, false); !problem.Is(err, problem.KindForbidden) {
		t.Errorf("with an update key: %v", err)
	}
}

func TestReplicaNamesAreValid(t *testing.T) {
	h := newHarness(t)
	for _, source := range []string{"first", strings.Repeat("a", 63), strings.Repeat("b", 55) + "-" + strings.Repeat("c", 7)} {
		name, err := h.service.replicaName(source)
		if err == nil {
			err = api.ValidateCVMName(name)
		}
		if err != nil {
			t.Errorf("replica of %s: %v", source, err)
		}
	}
}
