package vmmtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"

	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// serveAdmin adds what a real VMM does not have: faults on demand.
//
//	POST   /vmm-sim/faults               Fault → {"id": n}
//	POST   /vmm-sim/faults/{id}/release  lets go of what it holds
//	DELETE /vmm-sim/faults               takes all back, those of guests too
//	POST   /vmm-sim/guest-faults         {"vm": id, "stage": "requesting app keys", "error": "text", "times": n}
//	POST   /vmm-sim/power-loss           {"vm": id}: its process ends by itself
//	POST   /vmm-sim/crash                {"vm": id, "service": "web", "code": 1}: a container exits
func (v *VMM) serveAdmin(mux *http.ServeMux) {
	mux.HandleFunc("POST /vmm-sim/faults", v.admin(func(body []byte, _ *http.Request) (any, error) {
		var fault Fault
		if err := json.Unmarshal(body, &fault); err != nil {
			return nil, err
		}
		if fault.Stale {
			armed, err := v.AddStale(fault)
			if err != nil {
				return nil, err
			}
			return map[string]uint64{"id": armed.ID}, nil
		}
		return map[string]uint64{"id": v.faults.Add(fault).ID}, nil
	}))
	mux.HandleFunc("POST /vmm-sim/faults/{id}/release", v.admin(func(_ []byte, r *http.Request) (any, error) {
		id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
		if err != nil {
			return nil, err
		}
		armed, ok := v.faults.find(id)
		if !ok {
			return nil, refuse("no fault %d", id)
		}
		armed.Release()
		return nil, nil
	}))
	mux.HandleFunc("DELETE /vmm-sim/faults", v.admin(func([]byte, *http.Request) (any, error) {
		v.faults.Clear()
		v.guestFaults.clear()
		return nil, nil
	}))
	mux.HandleFunc("POST /vmm-sim/guest-faults", v.admin(func(body []byte, _ *http.Request) (any, error) {
		var fault struct {
			VM    string    `json:"vm"`
			Stage sim.Stage `json:"stage"`
			Error string    `json:"error"`
			Times int       `json:"times"`
		}
		if err := json.Unmarshal(body, &fault); err != nil {
			return nil, err
		}
		if fault.Stage == "" || fault.Error == "" {
			return nil, refuse("stage and error are needed")
		}
		armed := v.config.Guests.Add(sim.Fault{CVM: fault.VM, Stage: fault.Stage, Err: refusal(fault.Error), Times: fault.Times})
		v.guestFaults.add(armed)
		return nil, nil
	}))
	mux.HandleFunc("POST /vmm-sim/power-loss", v.admin(func(body []byte, _ *http.Request) (any, error) {
		var about struct {
			VM string `json:"vm"`
		}
		if err := json.Unmarshal(body, &about); err != nil {
			return nil, err
		}
		return nil, v.PowerLoss(about.VM)
	}))
	mux.HandleFunc("POST /vmm-sim/crash", v.admin(func(body []byte, _ *http.Request) (any, error) {
		var about struct {
			VM      string `json:"vm"`
			Service string `json:"service"`
			Code    int    `json:"code"`
		}
		if err := json.Unmarshal(body, &about); err != nil {
			return nil, err
		}
		return nil, v.guests.CrashContainer(about.VM, about.Service, about.Code)
	}))
}

func (v *VMM) admin(do func(body []byte, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, vmmrpc.MaxBody))
		var answer any
		if err == nil {
			answer, err = do(body, r)
		}
		if err != nil {
			writeError(w, err, true)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // a client that went away is its own business
	}
}

// PowerLoss makes the process of a VM end by itself, as one that is killed does.
func (v *VMM) PowerLoss(id string) error {
	machine, err := v.must(id)
	if err != nil {
		return err
	}
	machine.op.Lock()
	defer machine.op.Unlock()
	if err := v.guests.PowerLoss(id); err != nil {
		return err
	}
	machine.processEnded() // a failed guest had no machine to go off
	return nil
}
