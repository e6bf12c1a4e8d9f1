package app_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/api"
	"github.com/lockstep-cvm/lockstep/internal/app"
	"github.com/lockstep-cvm/lockstep/internal/store/storetest"
)

const gatewayDomain = "gateway.vmm.test"

// gatewayOf serves what lies behind the gateway of the dstack host: the agents of its guests, and for any
// other port of a CVM what the test says.
func gatewayOf(t *testing.T, h *host, apps http.Handler) *httptest.Server {
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Host, "-8090.") {
			apps.ServeHTTP(w, r)
			return
		}
		h.mu.Lock()
		vmm := h.vmm
		h.mu.Unlock()
		vmm.AgentHandler().ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front
}

const composeThatTalks = "services:\n  web:\n    image: nginx:1.27\n    container_name: web\n    labels: {lockstep.sim.log: web says hello}\n"

// TestInsideOfEveryDriver looks into CVMs of both drivers with the same calls.
func TestInsideOfEveryDriver(t *testing.T) {
	f := prepareFleet(t)
	front := gatewayOf(t, f.host, http.NotFoundHandler())
	f.change = func(c *app.Config) { c.Nodes[1].Dstack.AgentURL = front.URL }
	f.open(storetest.SQLite(t))
	f.create("sim-inside", simNode, api.KMSPhala)
	f.create("tdx-inside", dstackNode, api.KMSPhala)
	ctx := t.Context()
	for _, name := range []string{"sim-inside", "tdx-inside"} {
		if err := f.update(ctx, name, composeThatTalks); err != nil {
			t.Fatalf("update of %s: %v", name, err)
		}
		found, err := f.client.GetCVMComposition(ctx, name)
		if err != nil || !found.IsOnline || len(found.Containers) != 1 || found.Containers[0].Names[0] != "/web" || found.Containers[0].State != "running" {
			t.Errorf("%s: composition %+v, %v", name, found, err)
		}
		stats, err := f.client.GetCVMStats(ctx, name)
		if err != nil || stats.Sysinfo == nil || stats.Sysinfo.NumCPUs < 1 || stats.Sysinfo.TotalMemory == 0 {
			t.Errorf("%s: stats %+v, %v", name, stats, err)
		}
		network, err := f.client.GetCVMNetwork(ctx, name)
		if err != nil || !network.IsOnline || (network.InternalIP != nil) != (name == "tdx-inside") {
			t.Errorf("%s: network %+v, %v", name, network, err)
		}
		log, err := f.client.ContainerLog(ctx, name, "web", lockstep.LogOptions{Tail: 10})
		if err != nil {
			t.Errorf("%s: log: %v", name, err)
			continue
		}
		text, err := io.ReadAll(log)
		if closeErr := log.Close(); err != nil || closeErr != nil || !bytes.Contains(text, []byte("web says hello\n")) {
			t.Errorf("%s: log is %q, %v", name, text, err)
		}
		console, err := f.client.ConsoleLog(ctx, name, api.LogChannelSerial, lockstep.LogOptions{Tail: 2})
		if err != nil {
			t.Errorf("%s: console: %v", name, err)
			continue
		}
		text, err = io.ReadAll(console)
		if closeErr := console.Close(); err != nil || closeErr != nil || bytes.Count(text, []byte("\n")) != 2 {
			t.Errorf("%s: console is %q, %v", name, text, err)
		}
	}

	// What a host that is away would have said is left out, with the reason.
	f.host.cut(true)
	found, err := f.client.GetCVMComposition(ctx, "tdx-inside")
	if err != nil || found.IsOnline || found.Containers != nil || found.Error == nil || !strings.Contains(*found.Error, "tdx-1") {
		t.Errorf("composition %+v, %v", found, err)
	}
	if stats, err := f.client.GetCVMStats(ctx, "tdx-inside"); err != nil || stats.IsOnline || stats.Sysinfo != nil || stats.Error == nil {
		t.Errorf("stats %+v, %v", stats, err)
	}
	uuid := f.cvm("tdx-inside").Row.VMUUID
	if statuses, err := f.client.GetCVMStatusBatch(ctx, uuid); err != nil || statuses[uuid].Status != api.StatusRunning || statuses[uuid].Uptime != nil {
		t.Errorf("statuses %+v, %v", statuses, err)
	}
	f.host.cut(false)
}

// TestGatewayGate updates an app that asks for the gate, through the gateway of its node, where it answers after
// a while.
func TestGatewayGate(t *testing.T) {
	f := prepareFleet(t)
	var asked, good atomic.Int32
	front := gatewayOf(t, f.host, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.Host, "-8080."+gatewayDomain) || r.URL.Path != "/healthz" || asked.Add(1) < good.Load() {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	f.change = func(c *app.Config) {
		c.Nodes[1].GatewayDomain = gatewayDomain
		c.Nodes[1].GatewayProbe = app.GatewayProbeConfig{Enabled: true, URL: front.URL}
	}
	f.open(storetest.SQLite(t))
	f.create("tdx-inside", dstackNode, api.KMSPhala)
	gated := version("2") + "x-lockstep:\n  gateway_probe: {port: 8080, path: /healthz}\n"
	good.Store(3)
	if err := f.update(t.Context(), "tdx-inside", gated); err != nil {
		t.Fatal(err)
	}
	if asked.Load() != 3 {
		t.Errorf("asked %d times, want 3", asked.Load())
	}
	f.check("tdx-inside", gated, dstackNode)
}
