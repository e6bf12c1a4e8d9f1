package sim_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/runtimetest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

func TestConformance(t *testing.T) {
	runtimetest.Run(t, runtimetest.Harness{Node: func(t *testing.T) runtimetest.Node {
		dir := t.TempDir()
		faults := sim.NewFaults()
		authorizer := &switchedKMS{}
		return runtimetest.Node{
			Open: func(t *testing.T) runtime.Runtime {
				return open(t, sim.Config{Dir: dir, Authorizer: authorizer, Faults: faults})
			},
			Compose: simCompose,
			Deny:    authorizer.deny,
			Interrupt: func(id string, call runtimetest.Call, when runtimetest.When) <-chan struct{} {
				return faults.Add(sim.Fault{
					CVM: id, Call: sim.Call(call), After: when == runtimetest.After, Hold: true,
				}).Struck()
			},
		}
	}})
}

// simCompose makes the apps of the suite from directives.
func simCompose(app runtimetest.App, version int) string {
	labels := map[runtimetest.App]string{
		runtimetest.Healthy:   fmt.Sprintf(`lockstep.sim.log: "version %d"`, version),
		runtimetest.Crash:     `{lockstep.sim.exit: "3", lockstep.sim.log: "about to fail\nboom"}`,
		runtimetest.Unhealthy: `lockstep.sim.unhealthy: "true"`,
		runtimetest.BadBoot:   `lockstep.sim.boot-error: "pull access denied"`,
	}[app]
	if app != runtimetest.Crash {
		labels = "{" + labels + "}"
	}
	return fmt.Sprintf("services:\n  web:\n    image: web:%d\n    healthcheck: {test: [CMD, \"true\"]}\n    labels: %s\n", version, labels)
}

// switchedKMS denies while it has a reason to.
type switchedKMS struct {
	mu     sync.Mutex
	reason string
}

func (k *switchedKMS) deny(reason string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reason = reason
}

func (k *switchedKMS) AuthorizeBoot(context.Context, kms.BootInfo) (kms.Decision, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return kms.Decision{Allowed: k.reason == "", Reason: k.reason}, nil
}
