package docker

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/guest"
)

// Prepare implements runtime.Preparer: the KMS is asked, Compose checks the text with its environment, and the
// images are pulled, all while the old document runs. What a pre-launch script would still change of the
// environment is not known here.
func (d *Driver) Prepare(ctx context.Context, id string, config runtime.Config) error {
	return d.call(ctx, id, "prepare", func(ctx context.Context) error {
		c, err := d.find(id)
		if err != nil {
			return err
		}
		err = d.prepare(ctx, c, config)
		if err == nil || ctx.Err() != nil || errors.Is(err, runtime.ErrUnreachable) {
			return err
		}
		if !d.answers(ctx) {
			return fmt.Errorf("%w: docker engine: %w", runtime.ErrUnreachable, err)
		}
		return err
	})
}

func (d *Driver) prepare(ctx context.Context, c *cvm, config runtime.Config) error {
	c.mu.Lock()
	record := c.record
	c.mu.Unlock()
	a, err := d.parse(c, record, config.Document)
	if err != nil {
		return err
	}
	seed, err := hex.DecodeString(record.Seed)
	if err != nil {
		return fmt.Errorf("docker: instance id seed: %w", err)
	}
	if err := a.unlock(ctx, guest.InstanceID(a.document, seed, a.id), config.EncryptedEnv); err != nil {
		return err
	}
	if err := os.MkdirAll(c.home(), 0o700); err != nil {
		return fmt.Errorf("docker: working folder: %w", err)
	}
	environment := a.environment()
	services, err := d.resolve(ctx, a, environment)
	if err != nil {
		if a.document.PreLaunch != "" {
			c.console("prepare: %v", err)
			return nil // the script may export what is missing
		}
		return err
	}
	return d.pull(ctx, a, environment, services)
}
