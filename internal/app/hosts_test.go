package app

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
	"github.com/lockstep-cvm/lockstep/internal/store"
)

// hostsHarness is what of a server keeps the catalog, and a second process that administers its nodes.
type hostsHarness struct {
	t      *testing.T
	dir    string
	config Config
	hosts  *hosts
	admin  *Nodes
	now    time.Time
}

const staticNode = `nodes:
  - {id: 1, name: static, driver: sim, dir: %DIR%/static, images: [{name: dstack-0.5.5, version: [0, 5, 5]}], capacity: {cvms: 1, vcpu: 1, memory_mb: 2048}}
`

func newHostsHarness(t *testing.T) *hostsHarness {
	t.Helper()
	h := &hostsHarness{t: t, dir: t.TempDir(), now: time.Now().UTC().Truncate(time.Second)}
	var err error
	h.config, err = load(t, strings.ReplaceAll(staticNode, "%DIR%", h.dir)+"database_url: sqlite:"+filepath.Join(h.dir, "lockstep.db"), nil)
	check(t, err)
	db, err := store.Open(t.Context(), h.config.DatabaseURL)
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	b := newBuilder(h.config, db, slog.New(slog.DiscardHandler), sim.Config{})
	check(t, b.build(t.Context()))
	t.Cleanup(func() { check(t, b.platform.close()) })
	service, err := control.New(control.Config{Store: db, Queue: noQueue{}, Catalog: b.platform.catalog, Clock: wallClock{}})
	check(t, err)
	h.hosts = newHosts(b, service, func() time.Time { return h.now })
	t.Cleanup(func() { check(t, h.hosts.close()) })
	h.admin, err = OpenNodes(t.Context(), h.config)
	check(t, err)
	t.Cleanup(func() { check(t, h.admin.Close()) })
	return h
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// simNode are the settings of another simulated host.
func (h *hostsHarness) simNode(name string, cvms string) []byte {
	return []byte(strings.NewReplacer("NAME", name, "DIR", filepath.Join(h.dir, name), "CVMS", cvms).Replace(
		`{name: NAME, driver: sim, dir: "DIR", images: [{name: dstack-0.5.5, version: [0, 5, 5]}], capacity: {cvms: CVMS, vcpu: 9, memory_mb: 9000}}`))
}

// reread takes up what is in the database, looks at every machine and returns the nodes by name.
func (h *hostsHarness) reread() map[string]*control.Node {
	h.t.Helper()
	check(h.t, h.hosts.reread(h.t.Context()))
	for _, node := range h.hosts.due() {
		h.hosts.lookAt(h.t.Context(), node)
	}
	nodes := map[string]*control.Node{}
	for _, node := range h.hosts.catalog.Nodes() {
		nodes[node.Name] = node
	}
	return nodes
}

func (h *hostsHarness) report(name string) NodeReport {
	h.t.Helper()
	reports, err := h.admin.List(h.t.Context())
	check(h.t, err)
	for _, r := range reports {
		if r.Row.Name == name {
			return r
		}
	}
	h.t.Fatalf("node %s is not listed: %+v", name, reports)
	return NodeReport{}
}

func TestHostsTakeUpWhatAnotherProcessChanges(t *testing.T) {
	h := newHostsHarness(t)
	ctx := t.Context()
	if nodes := h.reread(); len(nodes) != 1 || nodes["static"].Accepts() != nil {
		t.Fatalf("at first: %v", nodes)
	}
	row, err := h.admin.Add(ctx, h.simNode("second", "5"))
	check(t, err)
	second := h.reread()["second"]
	if second == nil || second.ID != row.ID || second.Limit().CVMs != 5 || second.Condition().Word() != control.NodeOnline {
		t.Fatalf("after add: %+v", second)
	}
	if again := h.reread()["second"]; again != second {
		t.Error("a node that did not change was made anew")
	}
	_, err = h.admin.Replace(ctx, h.simNode("second", "7"))
	check(t, err)
	if changed := h.reread()["second"]; changed == second || changed.ID != second.ID || changed.Limit().CVMs != 7 {
		t.Errorf("after a change: %+v", changed)
	}
	for _, name := range []string{"static", "second"} {
		_, err = h.admin.Drain(ctx, name, "new kernel")
		check(t, err)
		if c := h.reread()[name].Condition(); !c.Draining || c.Why != "new kernel" {
			t.Errorf("%s is drained: %+v", name, c)
		}
		if r := h.report(name); r.Row.State != control.NodeStateDraining || r.Health == nil || !r.Health.Reachable {
			t.Errorf("%s is listed as %+v", name, r)
		}
		_, err = h.admin.Undrain(ctx, name)
		check(t, err)
		if err := h.reread()[name].Accepts(); err != nil {
			t.Errorf("%s after undrain: %v", name, err)
		}
	}
	_, _, err = h.admin.Remove(ctx, "second", false)
	check(t, err)
	if nodes := h.reread(); len(nodes) != 1 || len(h.hosts.built) != 0 {
		t.Errorf("after remove: %v", nodes)
	}
}

func TestHostThatCannotBeMadeIsShownWithTheReason(t *testing.T) {
	h := newHostsHarness(t)
	token := filepath.Join(h.dir, "token")
	check(t, os.WriteFile(token, []byte("secret"), 0o600))
	settings := `{name: tdx, driver: dstack, device_id: "` + strings.Repeat("ab", 32) + `", images: [{name: dstack-0.5.5, version: [0, 5, 5]}],
		dstack: {url: "http://127.0.0.1:1", token_file: "` + token + `"}}`
	_, err := h.admin.Add(t.Context(), []byte(settings))
	check(t, err)
	check(t, os.Remove(token))
	broken := h.reread()["tdx"]
	if broken == nil || !strings.Contains(broken.Broken, "token_file") || broken.Accepts() == nil || broken.Condition().Word() != control.NodeUnreachable {
		t.Fatalf("without its token: %+v", broken)
	}
	if r := h.report("tdx"); r.Health == nil || r.Health.Reachable || !strings.Contains(r.Health.Error, "token_file") {
		t.Errorf("listed as %+v", r.Health)
	}
	if again := h.reread()["tdx"]; again != broken {
		t.Error("since when it is broken was forgotten")
	}
	check(t, os.WriteFile(token, []byte("secret"), 0o600))
	if node := h.reread()["tdx"]; node.Broken != "" || node.Runtime.Info().Driver != "dstack" {
		t.Errorf("with its token again: %+v", node)
	}
}

func TestHealthAndCapacityOfAHost(t *testing.T) {
	h := newHostsHarness(t)
	vmm, err := vmmtest.New(vmmtest.Config{Dir: t.TempDir(), Authorizer: kms.AuthorizerFunc(func(context.Context, kms.BootInfo) (kms.Decision, error) {
		return kms.Decision{Allowed: true}, nil
	}), Meta: vmmrpc.GetMetaResponse{Resources: &vmmrpc.ResourcesSettings{MaxCVMNumber: 3, MaxAllocableVCPU: 6, MaxAllocableMemoryInMB: 6000}}})
	check(t, err)
	t.Cleanup(func() { check(t, vmm.Close()) })
	front := httptest.NewServer(vmm.Handler())
	t.Cleanup(front.Close)
	_, err = h.admin.Add(t.Context(), []byte(`{name: tdx, driver: dstack, device_id: "`+strings.Repeat("ab", 32)+`", images: [{name: dstack-0.5.5, version: [0, 5, 5]}],
		capacity: {cvms: 20, vcpu: 4}, dstack: {url: "`+front.URL+`"}}`))
	check(t, err)
	node := h.reread()["tdx"]
	want := control.Capacity{CVMs: 3, VCPU: 4, MemoryMB: 6000} // configured, bounded by the machine; what is not configured is the machine's
	if got := node.Limit(); got != want || node.Accepts() != nil {
		t.Errorf("limit %+v, want %+v; accepts: %v", got, want, node.Accepts())
	}
	if r := h.report("tdx"); r.Limit != want || !r.Health.Reachable {
		t.Errorf("listed as %+v", r)
	}
	front.CloseClientConnections()
	front.Close()
	h.now = h.now.Add(hostLook - time.Second)
	h.reread()
	if node.Condition().Word() != control.NodeOnline {
		t.Error("looked at before its time")
	}
	h.now = h.now.Add(time.Second)
	h.reread()
	c := node.Condition()
	if c.Word() != control.NodeUnreachable || !c.Since.Equal(h.now) || node.Accepts() == nil {
		t.Errorf("cut off: %+v", c)
	}
	r := h.report("tdx")
	if r.Health.Reachable || r.Health.Error == "" || !r.Health.StateSince.Equal(h.now) || r.Limit != want {
		t.Errorf("listed as %+v, %+v", r, r.Health)
	}
	// What is nothing new is written down once a minute.
	since := h.now
	h.now = since.Add(hostSave - time.Second)
	h.reread()
	if r = h.report("tdx"); !r.Health.UpdatedAt.Equal(since) {
		t.Errorf("written down at %s", r.Health.UpdatedAt)
	}
	h.now = since.Add(hostSave + hostLook)
	h.reread()
	if r = h.report("tdx"); !r.Health.UpdatedAt.Equal(h.now) || !r.Health.StateSince.Equal(since) {
		t.Errorf("written down at %s, since %s", r.Health.UpdatedAt, r.Health.StateSince)
	}
}

func TestNodeOfTheDatabaseAndOneOfTheConfigurationClash(t *testing.T) {
	h := newHostsHarness(t)
	_, err := h.admin.Add(t.Context(), h.simNode("second", "5"))
	check(t, err)
	for name, change := range map[string]func(*control.Node){
		"name": func(n *control.Node) { n.Name = "second" }, "id": func(n *control.Node) { n.ID = 2 },
	} {
		clashing := &control.Node{ID: 77, Name: "static", Images: h.hosts.static[0].Images, Runtime: h.hosts.static[0].Runtime}
		change(clashing)
		other := newHosts(h.hosts.builder, h.hosts.service, h.hosts.now)
		other.static = []*control.Node{clashing}
		if err := other.reread(t.Context()); err == nil || !strings.Contains(err.Error(), "second") {
			t.Errorf("%s: %v, want an error that names both", name, err)
		}
		if nodes := other.catalog.Nodes(); len(nodes) != 1 || nodes[0] != clashing {
			t.Errorf("%s: nodes %v, want the configuration's alone", name, nodes)
		}
	}
	_, err = h.admin.Add(t.Context(), h.simNode("static", "5"))
	if err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a second node named static: %v", err)
	}
}

// A CVM whose node nobody knows any more must not keep its workspace from being listed.
func TestNodesThatAreLost(t *testing.T) {
	rows := []store.Node{
		{ID: 2, Name: "burnt", Origin: control.NodeFromDatabase, Driver: "sim", State: control.NodeStateRemoved, Settings: "{}"},
		{ID: 3, Name: "static", Origin: control.NodeFromConfig, State: control.NodeStateDraining},
	}
	known := []*control.Node{{ID: 1, Name: "here"}}
	for _, node := range lost(known, rows, []store.NodeUse{{NodeID: 1, Cvms: 1}, {NodeID: 2, Cvms: 1}, {NodeID: 3, Cvms: 1}, {NodeID: 4, Cvms: 1}}) {
		err := node.Runtime.Remove(t.Context(), "x")
		if gone := node.ID == 2; !node.Removed || (err == nil) != gone {
			t.Errorf("node %d %q: removed %v; removing a CVM: %v", node.ID, node.Name, node.Removed, err)
		}
		if node.ID == 1 {
			t.Error("a node that is there is lost")
		}
	}
}

func TestParseNode(t *testing.T) {
	h := newHostsHarness(t)
	const images = `images: [{name: dstack-0.5.5, version: [0, 5, 5]}]`
	for name, test := range map[string]struct{ text, want string }{
		"empty":            {"", "no settings"},
		"a list":           {"[1]", "want one entry"},
		"unknown setting":  {"{name: a, driver: sim, dri: x, " + images + "}", "node.dri"},
		"token":            {"{name: a, driver: dstack, dstack: {token: s3cret}, " + images + "}", "dstack.token"},
		"password":         {"{name: a, driver: dstack, dstack: {user: u, password: s3cret}, " + images + "}", "dstack.password"},
		"wrong type":       {"{name: a, driver: sim, capacity: {cvms: many}, " + images + "}", "cvms"},
		"no driver":        {"{name: a, " + images + "}", "driver"},
		"no image":         {"{name: a, driver: sim, dir: x}", "images"},
		"no folder":        {"{name: a, driver: sim, " + images + "}", "dir"},
		"no device":        {"{name: a, driver: dstack, dstack: {url: 'http://127.0.0.1:1'}, " + images + "}", "device_id"},
		"no name":          {"{driver: sim, dir: x, " + images + "}", "bad node"},
		"name of a number": {"{name: '12', driver: sim, dir: x, " + images + "}", "bad node"},
	} {
		_, err := h.admin.Add(t.Context(), []byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error shows the secret: %v", name, err)
		}
	}
}

func FuzzParseNode(f *testing.F) {
	f.Add([]byte(`{name: a, driver: sim, dir: x, images: [{name: i, version: [0, 5, 5]}]}`))
	f.Add([]byte(`{"id": 9223372036854775807, "dstack": {"TOKEN": "x"}}`))
	f.Add([]byte("dstack: [1, {a: b}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, node, err := parseNode(text)
		if err != nil {
			return
		}
		if c.Dstack.Token != "" || c.Dstack.Password != "" {
			t.Fatalf("a secret got through: %q", text)
		}
		// What is kept leads to the same settings again.
		again, err := nodeOfRow(store.Node{ID: node.ID, Name: node.Name, Driver: node.Driver, Settings: node.Settings})
		if err != nil || again.Dir != c.Dir || again.Region != c.Region || len(again.Images) != len(c.Images) {
			t.Fatalf("%q is kept as %s, which reads %+v, %v", text, node.Settings, again, err)
		}
	})
}
