package docker

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/guest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
)

// Progress of a boot, in dstack's words.
const (
	progressBooting    = "booting"
	progressKeys       = "requesting app keys"
	progressDocker     = "setting up docker"
	progressPreLaunch  = "pre-launch"
	progressContainers = "starting containers"
	progressDone       = "done"
)

// boot is one boot under way.
type boot struct {
	driver *Driver
	cvm    *cvm
	job    *job
	record hostdisk.Record // as it was at the start
	app    *app
}

// runBoot takes a CVM from the start to a running app. It is the goroutine of a job.
func (d *Driver) runBoot(c *cvm, j *job) {
	c.mu.Lock()
	b := &boot{driver: d, cvm: c, job: j, record: c.record}
	c.mu.Unlock()
	err := b.run(j.context)
	switch {
	case err == nil:
		d.config.Logger.Info("CVM is up", "cvm", c.id, "compose_hash", b.app.hash)
	case j.context.Err() != nil, errors.Is(err, errSuperseded):
		// Stopped or cut off: whoever did it says what became of the CVM. Or the driver was closed, and it
		// boots again at the next open.
	default:
		b.fail(j.context, err)
	}
}

func (b *boot) run(ctx context.Context) error {
	if err := b.progress(progressBooting); err != nil {
		return err
	}
	config, err := b.cvm.folder().ReadConfig(b.record.Config)
	if err != nil {
		return fmt.Errorf("failed to read host shared files: %w", err)
	}
	if err := b.measure(config); err != nil {
		return err
	}
	instanceID, err := b.identity()
	if err != nil {
		return err
	}
	if err := b.progress(progressKeys); err != nil {
		return err
	}
	if err := b.app.unlock(ctx, instanceID, config.EncryptedEnv); err != nil {
		return err
	}
	if err := b.progress(progressDocker); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(b.cvm.home(), 0o700), b.cvm.sweepLogins()); err != nil {
		return fmt.Errorf("failed to make the working folder: %w", err)
	}
	environment := b.app.environment()
	if b.app.document.PreLaunch != "" {
		if err := b.progress(progressPreLaunch); err != nil {
			return err
		}
		if environment, err = b.driver.preLaunch(ctx, b.cvm, b.app.document.PreLaunch, environment); err != nil {
			return err
		}
	}
	if err := b.progress(progressContainers); err != nil {
		return err
	}
	if err := b.startContainers(ctx, environment); err != nil {
		return err
	}
	return b.done()
}

// measure reads the document once: from here on nothing that is written to the disk matters to this boot.
func (b *boot) measure(config runtime.Config) error {
	hash := appcompose.Hash(config.Document)
	// On disk before anything of it runs, so that what runs is known after a crash.
	if err := b.cvm.persist(b.job, func(r *hostdisk.Record) { r.Measured = hash }); err != nil {
		return err
	}
	b.cvm.console("compose-hash: %s", hash)
	app, err := b.driver.parse(b.cvm, b.record, config.Document)
	if err != nil {
		return err
	}
	b.app = app
	if !b.cvm.update(b.job, func(v *view) { v.runningHash, v.services = hash, app.services }) {
		return errSuperseded
	}
	return nil
}

// identity draws the seed of the instance at its first boot, and keeps it.
func (b *boot) identity() ([]byte, error) {
	seed, err := hex.DecodeString(b.record.Seed)
	if b.record.Seed == "" {
		seed, err = b.driver.random(guest.SeedSize)
	}
	if err != nil {
		return nil, fmt.Errorf("failed to get the instance id seed: %w", err)
	}
	id := guest.InstanceID(b.app.document, seed, b.app.id)
	if instance := hex.EncodeToString(id); b.record.Seed == "" || instance != b.record.Instance {
		err = b.cvm.persist(b.job, func(r *hostdisk.Record) { r.Seed, r.Instance = hex.EncodeToString(seed), instance })
	}
	return id, err
}

func (b *boot) progress(words string) error {
	b.cvm.console("dstack: %s", words)
	if !b.cvm.update(b.job, func(v *view) { v.progress = words }) {
		return errSuperseded
	}
	return nil
}

// startContainers brings the services up. An engine that goes away in between is waited for: that says
// nothing about the document.
func (b *boot) startContainers(ctx context.Context, environment []string) error {
	for {
		err := b.driver.composeUp(ctx, b.app, environment)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if b.driver.answers(ctx) {
			return fmt.Errorf("failed to start containers: %w", err)
		}
		b.cvm.console("waits for the docker engine: %v", err)
		if err := pause(ctx, engineRetry); err != nil {
			return err
		}
	}
}

func (b *boot) done() error {
	if err := b.cvm.persist(b.job, func(r *hostdisk.Record) { r.Up = true }); err != nil {
		return err
	}
	b.cvm.console("dstack: %s", progressDone)
	if !b.cvm.finish(b.job, func(v *view) { v.state, v.progress = runtime.StateRunning, progressDone }) {
		return errSuperseded
	}
	return nil
}

// fail ends the boot as exited, with what the failed containers said, and takes down what came up.
func (b *boot) fail(ctx context.Context, cause error) {
	c, d := b.cvm, b.driver
	text := cause.Error()
	if c.look().progress == progressContainers {
		text += d.lastWords(ctx, c)
	}
	c.console("boot error: %s", text)
	for err := d.stop(ctx, c); err != nil; err = d.stop(ctx, c) {
		c.console("taking down what came up: %v", err)
		if pause(ctx, engineRetry) != nil {
			return
		}
	}
	now := d.config.Now()
	if err := c.persist(b.job, func(r *hostdisk.Record) {
		r.Up, r.Down, r.ExitedAt, r.BootError = false, true, now, text
	}); err != nil {
		if !errors.Is(err, errSuperseded) {
			d.config.Logger.Error("CVM did not boot and its record does not say so", "cvm", c.id, "error", err)
		}
		return
	}
	d.config.Logger.Warn("CVM does not boot", "cvm", c.id, "error", firstLine(text))
	c.finish(b.job, func(v *view) {
		*v = view{state: runtime.StateExited, bootError: text, progress: v.progress}
	})
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
