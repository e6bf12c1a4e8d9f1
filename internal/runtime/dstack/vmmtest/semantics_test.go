package vmmtest_test

import (
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

func hashOf(document string) string { return appcompose.Hash([]byte(document)).String() }

func TestUpdateOnlyRewritesFiles(t *testing.T) {
	h := newHost(t, nil)
	one, two := document(1, "", ""), document(2, "", "")+"\n\n"
	id := h.create("app", one, false)
	h.until(id, "the boot", done)
	var answer vmmrpc.ID
	h.must("/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: id, ComposeFile: two}, &answer)
	if answer.ID != hashOf(two)[:40] {
		t.Errorf("id in the answer is %q, want the beginning of the hash %s", answer.ID, hashOf(two))
	}
	if info := h.info(id); info.Configuration.ComposeFile != two || info.Status != "running" || h.measured(id) != hashOf(one) {
		t.Errorf("after UpdateVm: %+v, measured %s", info, h.measured(id))
	}
	h.must("/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: id, UserConfig: "user"}, &answer)
	if answer.ID != "" {
		t.Errorf("id in the answer without a document is %q, want none", answer.ID)
	}
	h.must("/prpc/StopVm", vmmrpc.ID{ID: id}, nil)
	h.until(id, "the stop", in("stopped"))
	h.must("/prpc/StartVm", vmmrpc.ID{ID: id}, nil)
	info := h.until(id, "the boot", done)
	if h.measured(id) != hashOf(two) || info.Configuration.UserConfig != "user" {
		t.Errorf("measured %s after a restart, want %s", h.measured(id), hashOf(two))
	}
	var list vmmrpc.ListContainersResponse
	h.must("/guest/ListContainers", vmmrpc.ID{ID: id}, &list)
	if len(list.Containers) != 1 || list.Containers[0].Names[0] != "/dstack-web-1" || list.Containers[0].Image != "web:2" {
		t.Errorf("containers: %+v", list)
	}
}

func TestUpdateHasNoTransaction(t *testing.T) {
	h := newHost(t, nil)
	id := h.create("app", document(1, "", ""), false)
	two, cpus := document(2, "", ""), uint32(4)
	code, text := h.call("/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: id, ComposeFile: two, EncryptedEnv: []byte{1}, VCPU: &cpus}, nil)
	if code != http.StatusBadRequest || !strings.Contains(text, "should be stopped before resize") {
		t.Errorf("resize of a running VM: %d %s", code, text)
	}
	if c := h.info(id).Configuration; c.ComposeFile != two || len(c.EncryptedEnv) != 1 || c.VCPU != 1 {
		t.Errorf("after a refused update: %+v", c)
	}
	h.must("/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: id, EncryptedEnv: []byte{}}, nil)
	if c := h.info(id).Configuration; len(c.EncryptedEnv) != 1 {
		t.Errorf("an empty environment replaced one: %+v", c)
	}
	if code, text := h.call("/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: id, ComposeFile: `{"name":1}`}, nil); code != 400 || !strings.Contains(text, "Invalid compose file") {
		t.Errorf("a document that is none: %d %s", code, text)
	}
}

func TestStartFindsTheOldProcess(t *testing.T) {
	h := newHost(t, nil)
	id := h.create("app", document(1, "", ""), false)
	h.until(id, "the boot", done)
	slow := h.vmm.Faults().Add(vmmtest.Fault{Method: vmmtest.EffectStop, VM: id, Hold: true})
	h.must("/prpc/StopVm", vmmrpc.ID{ID: id}, nil)
	if info := h.info(id); info.Status != "stopping" {
		t.Fatalf("status after StopVm is %s, want stopping", info.Status)
	}
	h.must("/prpc/StartVm", vmmrpc.ID{ID: id}, nil)
	if info := h.info(id); info.Status != "running" || info.BootProgress != "running" {
		t.Errorf("status is %s, %s; want running, running: the old process is still there", info.Status, info.BootProgress)
	}
	<-slow.Struck()
	slow.Release()
	h.until(id, "the end of the old process", in("exited"))
}

func TestShutdownIsToldByTheGuest(t *testing.T) {
	h := newHost(t, nil)
	id := h.create("app", document(1, "", ""), false)
	h.until(id, "the boot", done)
	h.must("/prpc/ShutdownVm", vmmrpc.ID{ID: id}, nil)
	info := h.until(id, "the shutdown", in("stopped"))
	last := info.Events[len(info.Events)-1]
	if info.ShutdownProgress != "powering off" || last.Event != "shutdown.progress" || last.Body != "powering off" || *info.ExitedAt == "never" {
		t.Errorf("after a shutdown: %+v", info)
	}
	if code, text := h.call("/prpc/ShutdownVm", vmmrpc.ID{ID: id}, nil); code != 400 || !strings.Contains(text, "guest agent") {
		t.Errorf("shutdown of one that is down: %d %s", code, text)
	}
}

// TestDeniedGuestBootsAgainInPlace plays a compose hash that is allowed only after the first try, and one that was
// rewritten meanwhile.
func TestDeniedGuestBootsAgainInPlace(t *testing.T) {
	h := newHost(t, func(c *vmmtest.Config) { c.RebootDelay = time.Millisecond })
	h.kms.deny("Compose hash not allowed")
	id := h.create("app", document(1, "", ""), false)
	info := h.until(id, "a boot error", func(i vmmrpc.VMInfo) bool { return i.BootError != "" })
	if info.Status != "running" || !strings.Contains(info.BootError, "App not allowed: Boot denied: Compose hash not allowed") || info.BootProgress != "requesting app keys" {
		t.Errorf("a denied VM: %+v", info)
	}
	asked := h.kms.times()
	h.until(id, "another try", func(vmmrpc.VMInfo) bool { return h.kms.times() > asked+1 })
	two := document(2, "", "")
	h.must("/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: id, ComposeFile: two}, nil)
	asked = h.kms.times()
	h.until(id, "a try with the new file", func(vmmrpc.VMInfo) bool { return h.kms.times() > asked+1 })
	h.kms.deny("")
	info = h.until(id, "the boot", done)
	if h.measured(id) != hashOf(two) || info.BootError == "" {
		t.Errorf("measured %s with boot error %q; want the file of now, and an error that is kept", h.measured(id), info.BootError)
	}
	h.must("/prpc/StartVm", vmmrpc.ID{ID: id}, nil)
	if info := h.info(id); info.BootError != "" || info.BootProgress != "running" {
		t.Errorf("after StartVm: %+v", info)
	}
	if len(info.Events) > 20 {
		t.Errorf("%d events are kept, want at most 20", len(info.Events))
	}
}

func TestFailedContainersStay(t *testing.T) {
	h := newHost(t, func(c *vmmtest.Config) { c.RebootDelay = time.Millisecond })
	id := h.create("app", document(1, `lockstep.sim.boot-error: "pull access denied"`, ""), false)
	info := h.until(id, "a boot error", func(i vmmrpc.VMInfo) bool { return i.BootError != "" })
	if info.Status != "running" || info.BootProgress != "starting containers" || !strings.Contains(info.BootError, "failed to start containers") {
		t.Errorf("VM: %+v", info)
	}
	if h.kms.times() != 1 {
		t.Errorf("the guest booted %d times, want once", h.kms.times())
	}
	h.must("/prpc/StopVm", vmmrpc.ID{ID: id}, nil)
	if info := h.until(id, "the stop", in("stopped")); info.BootError == "" {
		t.Error("the boot error is gone, want it kept until the next start")
	}
}

func TestRestartsOfTheVMM(t *testing.T) {
	h := newHost(t, func(c *vmmtest.Config) { c.RestartBackoff = time.Millisecond })
	id := h.create("app", document(1, "", ""), false)
	for range 5 {
		h.until(id, "the boot", done)
		asked := h.kms.times()
		if err := h.vmm.PowerLoss(id); err != nil {
			t.Fatal(err)
		}
		h.until(id, "a restart", func(vmmrpc.VMInfo) bool { return h.kms.times() > asked })
	}
	h.until(id, "the boot", done)
	if err := h.vmm.PowerLoss(id); err != nil {
		t.Fatal(err)
	}
	info := h.until(id, "the end", in("exited"))
	if !slices.ContainsFunc(info.Events, func(e vmmrpc.GuestEvent) bool { return e.Event == "vmm.auto_restart.exhausted" }) {
		t.Errorf("events %+v do not tell that the VMM gave up", info.Events)
	}
}

func TestReopen(t *testing.T) {
	h := newHost(t, nil)
	one, two := document(1, "", ""), document(2, "", "")
	up, down := h.create("up", one, false), h.create("down", one, true)
	removed := h.create("removed", one, true)
	first := h.until(up, "the boot", done)
	h.must("/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: up, ComposeFile: two}, nil)
	hold := h.vmm.Faults().Add(vmmtest.Fault{Method: vmmtest.EffectRemove, Hold: true})
	h.must("/prpc/RemoveVm", vmmrpc.ID{ID: removed}, nil)
	<-hold.Struck()
	if info := h.info(removed); info.Status != "removing" {
		t.Errorf("status is %s, want removing", info.Status)
	}
	if err := h.vmm.Close(); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(h.config.Dir, "vm", "0b0c7a43-91a5-4c39-bd0c-0f1d1c2b3a49", "shared")
	if err := os.MkdirAll(half, 0o700); err != nil { // what a killed process leaves of a VM it was creating
		t.Fatal(err)
	}
	h.open()
	again := h.until(up, "the boot", done)
	if *again.InstanceID != *first.InstanceID || again.Configuration.ComposeFile != two || h.measured(up) != hashOf(one) {
		t.Errorf("opened again: %+v, measured %s; want what ran, and the pending file", again, h.measured(up))
	}
	if info := h.info(down); info.Status != "stopped" || info.Uptime != "never" {
		t.Errorf("one that was never started: %+v", info)
	}
	for h.find(removed) {
	}
	if _, err := os.Stat(filepath.Dir(half)); !os.IsNotExist(err) {
		t.Errorf("a VM that was never whole is there: %v", err)
	}
	var list vmmrpc.StatusResponse
	h.must("/prpc/Status", vmmrpc.StatusRequest{}, &list)
	if len(list.VMs) != 2 || list.VMs[0].ID != up || list.VMs[1].ID != down {
		t.Errorf("VMs are not in the order of their creation: %+v", list.VMs)
	}
}

func (h *host) find(id string) bool {
	var answer vmmrpc.GetInfoResponse
	h.must("/prpc/GetInfo", vmmrpc.ID{ID: id}, &answer)
	return answer.Found
}

func TestStatusRequests(t *testing.T) {
	h := newHost(t, nil)
	a, b := h.create("alpha", document(1, "", ""), true), h.create("beta", document(2, "", ""), true)
	for _, test := range []struct {
		name    string
		request vmmrpc.StatusRequest
		want    []string
		total   uint32
	}{
		{"all", vmmrpc.StatusRequest{}, []string{a, b}, 2},
		{"by id", vmmrpc.StatusRequest{IDs: []string{b}}, []string{b}, 1},
		{"by ids", vmmrpc.StatusRequest{IDs: []string{b, a, "x"}}, []string{a, b}, 2},
		{"by unknown id", vmmrpc.StatusRequest{IDs: []string{"x"}}, nil, 0},
		{"by name", vmmrpc.StatusRequest{Keyword: "eta"}, []string{b}, 1},
		{"by part of an id", vmmrpc.StatusRequest{Keyword: a[3:20]}, []string{a}, 1},
		{"by app", vmmrpc.StatusRequest{Keyword: hashOf(document(2, "", ""))[:40]}, []string{b}, 1},
		{"page", vmmrpc.StatusRequest{Page: 2, PageSize: 1}, []string{b}, 2},
		{"page beyond", vmmrpc.StatusRequest{Page: 3, PageSize: 1}, nil, 2},
	} {
		var answer vmmrpc.StatusResponse
		h.must("/prpc/Status", test.request, &answer)
		var got []string
		for _, vm := range answer.VMs {
			got = append(got, vm.ID)
		}
		if !slices.Equal(got, test.want) || answer.Total != test.total {
			t.Errorf("%s: %v of %d, want %v of %d", test.name, got, answer.Total, test.want, test.total)
		}
	}
	var brief vmmrpc.StatusResponse
	h.must("/prpc/Status", vmmrpc.StatusRequest{IDs: []string{a}, Brief: true}, &brief)
	if brief.VMs[0].Configuration != nil {
		t.Error("a brief status has the configuration")
	}
}

func TestRefusals(t *testing.T) {
	h := newHost(t, func(c *vmmtest.Config) {
		c.Ports = vmmtest.PortPolicy{Enabled: true, From: 10000, To: 10010}
		c.GPUs = []vmmrpc.GPUInfo{{Slot: "18:00.0", ProductID: "10de:2335", IsFree: true}}
	})
	good := vmmrpc.VMConfiguration{Name: "app", Image: "dstack-0.5.5", ComposeFile: document(1, "", ""), Stopped: true}
	taken := good
	taken.Ports = []vmmrpc.Port{{Protocol: "tcp", HostPort: 10000, VMPort: 80}}
	var first vmmrpc.ID
	h.must("/prpc/CreateVm", taken, &first)
	for name, test := range map[string]struct {
		change func(*vmmrpc.VMConfiguration)
		want   string
	}{
		"name":     {func(c *vmmrpc.VMConfiguration) { c.Name = "a/b" }, "Invalid name: a/b"},
		"image":    {func(c *vmmrpc.VMConfiguration) { c.Image = "dstack-9" }, "Failed to load image"},
		"document": {func(c *vmmrpc.VMConfiguration) { c.ComposeFile = "{" }, "Failed to read compose file"},
		"runner":   {func(c *vmmrpc.VMConfiguration) { c.ComposeFile = `{"manifest_version":2,"name":"a"}` }, "missing field `runner`"},
		"version": {func(c *vmmrpc.VMConfiguration) {
			c.ComposeFile = `{"manifest_version":"03","name":"a","runner":"bash"}`
		}, "manifest_version"},
		"port range": {func(c *vmmrpc.VMConfiguration) { c.Ports = []vmmrpc.Port{{Protocol: "tcp", HostPort: 80}} }, "Port mapping is not allowed for tcp:80"},
		"port conflict": {func(c *vmmrpc.VMConfiguration) {
			c.Ports = []vmmrpc.Port{{Protocol: "tcp", HostPort: 10000, HostAddress: "0.0.0.0"}}
		}, "already used"},
		"protocol": {func(c *vmmrpc.VMConfiguration) { c.Ports = []vmmrpc.Port{{Protocol: "sctp", HostPort: 10001}} }, "Invalid protocol"},
		"address": {func(c *vmmrpc.VMConfiguration) {
			c.Ports = []vmmrpc.Port{{Protocol: "udp", HostPort: 10001, HostAddress: "here"}}
		}, "Invalid host address"},
		"GPU attach mode": {func(c *vmmrpc.VMConfiguration) { c.GPUs = &vmmrpc.GPUConfig{AttachMode: "some"} }, "Invalid GPU attach mode: some"},
		"all GPUs":        {func(c *vmmrpc.VMConfiguration) { c.GPUs = &vmmrpc.GPUConfig{AttachMode: "all"} }, "not allowed"},
	} {
		request := good
		test.change(&request)
		if code, text := h.call("/prpc/CreateVm", request, nil); code != 400 || !strings.Contains(text, test.want) {
			t.Errorf("%s: %d %q, want 400 with %q", name, code, text, test.want)
		}
	}
	smaller := uint32(1)
	for name, test := range map[string]struct {
		path    string
		request any
		want    string
	}{
		"start":    {"/prpc/StartVm", vmmrpc.ID{ID: "x"}, "VM not found"},
		"update":   {"/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: "x", ComposeFile: good.ComposeFile}, "The instance x not found"},
		"shrink":   {"/prpc/ResizeVm", vmmrpc.ResizeVMRequest{ID: h.create("big", good.ComposeFile, true), DiskSize: &smaller}, "Cannot shrink disk size"},
		"guest":    {"/guest/Info", vmmrpc.ID{ID: "x"}, "vm not found"},
		"app id":   {"/prpc/GetAppEnvEncryptPubKey", vmmrpc.AppID{AppID: []byte{1}}, "Invalid app id"},
		"method":   {"/prpc/Frobnicate", nil, "Method not found: Frobnicate"},
		"types":    {"/prpc/StartVm", map[string]int{"id": 1}, "Failed to decode request"},
		"hex":      {"/prpc/GetAppEnvEncryptPubKey", map[string]string{"app_id": "0x00"}, "hex"},
		"conflict": {"/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: first.ID, UpdatePorts: true, Ports: []vmmrpc.Port{{Protocol: "tcp", HostPort: 99999}}}, "Invalid host port"},
	} {
		if code, text := h.call(test.path, test.request, nil); code != 400 || !strings.Contains(text, test.want) {
			t.Errorf("%s: %d %q, want 400 with %q", name, code, text, test.want)
		}
	}
	h.must("/prpc/RemoveVm", vmmrpc.ID{ID: "x"}, nil) // idempotent
	// An update is not bound to the range.
	h.must("/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: first.ID, UpdatePorts: true, Ports: []vmmrpc.Port{{Protocol: "tcp", HostPort: 80, VMPort: 80}}}, nil)
}

func TestEnvironmentKey(t *testing.T) {
	h := newHost(t, nil)
	var answer vmmrpc.PublicKeyResponse
	app := [20]byte{7}
	h.must("/prpc/GetAppEnvEncryptPubKey", vmmrpc.AppID{AppID: app[:]}, &answer)
	key := kms.EnvKey{PublicKey: [32]byte(answer.PublicKey), Signature: [65]byte(answer.SignatureV1)}
	signer, err := key.SignerAt(app, time.Unix(int64(answer.Timestamp), 0))
	root := h.config.Keys.K256PublicKey()
	if err != nil || signer != root {
		t.Errorf("signed by %s, %v; want %s", hex.EncodeToString(signer[:]), err, hex.EncodeToString(root[:]))
	}
}

func TestAnotherImageIsMeasured(t *testing.T) {
	h := newHost(t, nil)
	id := h.create("app", document(1, "", ""), false)
	h.until(id, "the boot", done)
	before := h.kms.image()
	h.must("/prpc/StopVm", vmmrpc.ID{ID: id}, nil)
	h.until(id, "the stop", in("stopped"))
	image := "dstack-dev-0.5.5"
	h.must("/prpc/UpdateVm", vmmrpc.UpdateVMRequest{ID: id, Image: &image}, nil)
	h.must("/prpc/StartVm", vmmrpc.ID{ID: id}, nil)
	h.until(id, "the boot", done)
	if after := h.kms.image(); before != sim.SimulatedImageHash("dstack-0.5.5") || after != sim.SimulatedImageHash(image) {
		t.Errorf("image hashes %x, then %x", before, after)
	}
}

func TestOneVMMToADisk(t *testing.T) {
	h := newHost(t, nil)
	if _, err := vmmtest.New(h.config); err == nil || !strings.Contains(err.Error(), "another VMM") {
		t.Errorf("a second VMM on one disk: %v", err)
	}
}
