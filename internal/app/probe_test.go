package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// probed is a driver that can be asked.
type probed struct {
	runtime.Runtime
	machine runtime.Machine
	err     error
}

func (p probed) Probe(context.Context) (runtime.Machine, error) { return p.machine, p.err }

func TestProbeNode(t *testing.T) {
	newNode := func() *control.Node {
		return &control.Node{
			Name: "tdx-1", GatewayDomain: "apps.test", Images: []control.Image{{Name: "dstack-0.5.5"}}, Capacity: control.Capacity{CVMs: 10, VCPU: 8, MemoryMB: 1024},
		}
	}
	good := runtime.Machine{Version: "0.6.0", Images: []string{"dstack-0.5.5"}, GatewayDomain: "apps.test", Limits: runtime.Limits{CVMs: 10, VCPU: 8, MemoryMB: 1024}}
	for name, test := range map[string]struct {
		change func(*runtime.Machine)
		err    error
		want   []string
	}{
		"as configured": {func(*runtime.Machine) {}, nil, nil},
		"says little":   {func(m *runtime.Machine) { m.Limits, m.GatewayDomain = runtime.Limits{}, "" }, nil, nil},
		"image":         {func(m *runtime.Machine) { m.Images = nil }, nil, []string{"lacks an OS image", "dstack-0.5.5"}},
		"gateway":       {func(m *runtime.Machine) { m.GatewayDomain = "other.test" }, nil, []string{"gateway_domain", "other.test"}},
		"capacity":      {func(m *runtime.Machine) { m.Limits.VCPU = 4 }, nil, []string{"capacity is more", "limit=vcpu", "says=4"}},
		"simulated":     {func(m *runtime.Machine) { m.Simulated = true }, nil, []string{"no TEE"}},
		"no OS images":  {func(m *runtime.Machine) { m.Simulated, m.Images = true, nil }, nil, []string{"no TEE"}},
		"no answer":     {func(*runtime.Machine) {}, errors.New("dial failed"), []string{"does not answer", "dial failed"}},
	} {
		machine := good
		test.change(&machine)
		var logged bytes.Buffer
		node := newNode()
		node.Runtime = probed{machine: machine, err: test.err}
		look(t.Context(), node, time.Now, slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelWarn})))
		text := logged.String()
		if (text == "") != (test.want == nil) {
			t.Errorf("%s: logged %q", name, text)
		}
		if name == "no OS images" && strings.Contains(text, "lacks") {
			t.Errorf("%s: logged %q about images of a machine that has no use for them", name, text)
		}
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: logged %q, want %q in it", name, text, want)
			}
		}
	}
}
