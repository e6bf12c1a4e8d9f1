package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmtest"
)

// dstackHost is a simulated host that speaks dstack-vmm's RPC. Its guests ask the doorkeeper, who keeps the diary.
type dstackHost struct {
	vmm   *vmmtest.VMM
	front *front
}

func (w *world) newDstackHost() (*dstackHost, error) {
	vmm, err := vmmtest.New(vmmtest.Config{Dir: filepath.Join(w.dir, "host"), Authorizer: w.keeper, DeviceID: device})
	if err != nil {
		return nil, err
	}
	w.closers = append(w.closers, vmm.Close)
	return &dstackHost{vmm: vmm, front: &front{behind: vmm.Handler(), diary: w.diary}}, nil
}

func (h *dstackHost) node(s *server) (settings string, leave func() error) {
	door := h.front.serveFor(s)
	return fmt.Sprintf("driver: dstack, dstack: {url: %q}", door.URL), func() error { door.CloseClientConnections(); door.Close(); return nil }
}

func (h *dstackHost) good(version int64) string {
	return fmt.Sprintf("services:\n  web:\n    image: nginx:1.27\n    environment:\n      VERSION: %q\n", strconv.FormatInt(version, 10))
}

func (h *dstackHost) bad(version int64) string {
	return h.good(version) + "    labels:\n      lockstep.sim.boot-error: no space left on device\n"
}

func (h *dstackHost) expect(int64, grant) {}

func (h *dstackHost) fail(random *rand.Rand) string {
	switch random.IntN(3) {
	case 0:
		h.front.lose.Store(3 + random.Int64N(10))
		return "host loses calls"
	case 1:
		methods := []string{vmmrpc.StartVM, vmmrpc.UpdateVM, vmmrpc.ShutdownVM, vmmrpc.Status}
		h.vmm.Faults().Add(vmmtest.Fault{Method: methods[random.IntN(len(methods))], Error: "the hammer says no", Times: 1 + random.IntN(5)})
		return "host refuses calls"
	default:
		h.vmm.Faults().Add(vmmtest.Fault{Delay: time.Duration(random.Int64N(int64(300 * time.Millisecond))), After: random.IntN(2) == 0, Times: 20})
		return "host is slow"
	}
}

func (h *dstackHost) mend() {
	h.front.lose.Store(0)
	h.vmm.Faults().Clear()
}

func (h *dstackHost) settle(context.Context) error { return nil }

func (h *dstackHost) look(ctx context.Context, vmUUID string) (seen hosted, err error) {
	door := httptest.NewServer(h.vmm.Handler())
	defer door.Close()
	driver, err := dstack.New(dstack.Config{URL: door.URL})
	if err != nil {
		return hosted{}, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	status, err := driver.Status(ctx, vmUUID)
	return seenBy(status), err
}

func seenBy(s runtime.Status) hosted {
	return hosted{state: s.State, runs: s.RunningHash, holds: s.NextHash, error: s.BootError}
}

func (h *dstackHost) names(ctx context.Context) (map[string]string, error) {
	answer := httptest.NewRecorder()
	h.vmm.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodPost, vmmrpc.RPCPath+vmmrpc.Status+"?json", strings.NewReader("{}")))
	var status vmmrpc.StatusResponse
	if err := json.Unmarshal(answer.Body.Bytes(), &status); err != nil {
		return nil, fmt.Errorf("ask the host for its VMs: %w", err)
	}
	names := map[string]string{}
	for _, vm := range status.VMs {
		names[vm.ID] = vm.Name
	}
	return names, nil
}
