package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockstep-cvm/lockstep/internal/gateway"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// Gateway asks for endpoints through the gateway of a node, as a user of the app does.
type Gateway interface {
	// Reach asks once, and within a bounded time. nil says that the endpoint answered; the error what came
	// instead.
	Reach(ctx context.Context, endpoint gateway.Endpoint, path string) error
}

// errNoGate says that a document asks for what it can never get.
var errNoGate = errors.New("the document asks for " + gateway.Extension + ".gateway_probe, and does not enable the gateway (gateway_enabled)")

// passGate tells what still keeps a CVM that is healthy from counting as updated: an endpoint that its
// document names and that does not answer through the gateway. Only nodes with a Gateway are asked. The
// error is errNoGate, or one of the database.
func (r *rollout) passGate(ctx context.Context, status *runtime.Status) (waits string, err error) {
	node := r.cvm.node
	if node.Gateway == nil {
		return "", nil
	}
	document, err := r.document(ctx, r.store.Read(), r.u.ComposeHash)
	if err != nil {
		return "", err
	}
	probe, err := gateway.ProbeOf(document.DockerComposeFile())
	if err != nil || probe == nil {
		// A document that came here in another way than through checkCompose keeps what it always had.
		return "", nil //nolint:nilerr // as the comment says
	}
	if !document.GatewayEnabled() {
		return "", errNoGate
	}
	endpoint := gateway.Endpoint{ID: status.InstanceID, Port: probe.Port}
	if endpoint.ID == "" {
		endpoint.ID = r.cvm.row.AppID // no_instance_id: the gateway knows it by its app alone
	}
	if err := node.Gateway.Reach(ctx, endpoint, probe.Path); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return fmt.Sprintf("port %d does not answer through the gateway: %v", probe.Port, err), nil
	}
	return "", nil
}
