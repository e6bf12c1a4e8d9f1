package dstack

import (
	"context"
	"errors"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
)

// Status implements runtime.Runtime.
func (d *Driver) Status(ctx context.Context, id string) (runtime.Status, error) {
	m, err := d.find(ctx, id)
	if err != nil {
		return runtime.Status{}, err
	}
	status := runtime.Status{
		State: d.stateOf(m), InstanceID: optional(m.info.InstanceID), NextHash: m.nextHash(),
		BootProgress: m.info.BootProgress, BootError: m.info.BootError, ShutdownProgress: m.info.ShutdownProgress,
	}
	if m.info.Status == vmmrpc.StatusRunning && status.State != runtime.StateExited && m.agentMayAnswer() {
		if err := d.askGuest(ctx, m, &status); err != nil {
			return runtime.Status{}, err
		}
	}
	down := status.State == runtime.StateStopped || status.State == runtime.StateExited
	d.remember(id, func(seen *memory) {
		status.StartedAt, status.ExitedAt = seen.times.observe(m.info, down, d.config.Now())
	})
	if status.State == runtime.StateExited && m.info.Status == vmmrpc.StatusRunning {
		status.ExitedAt = bootErrorTime(m.info.Events, status.StartedAt) // its process goes on, and its boot ended
	}
	return status, nil
}

// bootErrorTime is when a guest gave up. The VMM dates events to the millisecond.
func bootErrorTime(events []vmmrpc.GuestEvent, started time.Time) time.Time {
	if at, _ := lastBootError(events); at >= 0 {
		if told := time.UnixMilli(int64(events[at].Timestamp)); told.After(started) {
			return told
		}
	}
	return started
}

// askGuest adds what only the guest knows. One that does not answer is not up yet, or not any more; that is no
// error.
func (d *Driver) askGuest(ctx context.Context, m *machine, status *runtime.Status) error {
	if status.State == runtime.StateRunning {
		status.Health = runtime.HealthStarting // until the containers are known to be well
	}
	var info vmmrpc.GuestInfo
	if err := d.client.guest(ctx, vmmrpc.GuestInfoMethod, m.info.ID, &info); err != nil {
		return ignoreRefusal(err)
	}
	measured, document, problem := measuredHash(info, m.config().Document)
	if problem != "" {
		status.BootError = join(status.BootError, problem)
	}
	status.RunningHash = measured
	var list vmmrpc.ListContainersResponse
	if err := d.client.guest(ctx, vmmrpc.GuestListContainers, m.info.ID, &list); err != nil {
		return ignoreRefusal(err)
	}
	services := d.servicesOf(m.id, measured, document)
	status.Services = match(services, list.Containers)
	if status.State == runtime.StateStarting && m.progressUnknown() && (len(status.Services) > 0 || len(services) == 0) {
		// The VMM forgot how far it is. Compose has made the containers, so it is past their start.
		status.State = runtime.StateRunning
	}
	if status.State == runtime.StateRunning {
		status.Health = healthOf(services, status.Services)
	}
	return nil
}

// ignoreRefusal passes on only the errors after which nothing is known about the host.
func ignoreRefusal(err error) error {
	if refused := new(RPCError); errors.As(err, &refused) {
		return nil
	}
	return err
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// servicesOf parses the compose text of a document, once for each document of a CVM.
func (d *Driver) servicesOf(id string, hash appcompose.ComposeHash, document []byte) (services []composeService) {
	known := false
	d.remember(id, func(m *memory) {
		if known = !hash.IsZero() && m.servicesHash == hash; known {
			services = m.services
		}
	})
	if known {
		return services
	}
	services = parseServices(document)
	d.remember(id, func(m *memory) { m.services, m.servicesHash = services, hash })
	return services
}
