package docker

import (
	"context"
	"fmt"

	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// Probe implements runtime.Prober. A Docker Engine is never a TEE, it has no images of operating systems, and
// it sets nothing aside for a CVM that it could run out of.
func (d *Driver) Probe(ctx context.Context) (runtime.Machine, error) {
	var m runtime.Machine
	err := d.call(ctx, "", "probe", func(ctx context.Context) error {
		info, err := d.engine.Info(ctx, client.InfoOptions{})
		if err != nil {
			return engineError(ctx, "info", err)
		}
		_, compose, err := d.plugin.locate(ctx)
		if err != nil {
			return fmt.Errorf("docker engine %s answers, but: %w", info.Info.ServerVersion, err)
		}
		m = runtime.Machine{
			Version:   fmt.Sprintf("Docker Engine %s, Compose %s", info.Info.ServerVersion, compose),
			Simulated: true,
		}
		return nil
	})
	return m, err
}
