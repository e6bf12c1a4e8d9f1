package sim

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/guest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
	"github.com/lockstep-cvm/lockstep/internal/runtime/logbook"
)

// Stage is a step of a boot or shutdown. The text is dstack's boot_progress or shutdown_progress; the
// health check is a step of ours that dstack does not report.
type Stage string

// Stages in their order. A data disk is initialized at the first boot and mounted at later ones; the
// gateway, the scripts and containers come up only where the document has them.
const (
	StageBooting            Stage = "booting"
	StageRequestingAppKeys  Stage = "requesting app keys"
	StageInitializingDisk   Stage = "initializing data disk"
	StageMountingDisk       Stage = "mounting data disk"
	StageDiskReady          Stage = "data disk ready"
	StageGateway            Stage = "setting up dstack-gateway"
	StageDocker             Stage = "setting up docker"
	StageInitScript         Stage = "init-script"
	StagePreLaunch          Stage = "pre-launch"
	StageStartingContainers Stage = "starting containers"
	StageMainScript         Stage = "running main script"
	StageDone               Stage = "done"
	StageHealthCheck        Stage = "health check"
	StagePoweringOff        Stage = "powering off"
)

// boot is one boot under way.
type boot struct {
	node     *Node
	cvm      *cvm
	machine  *machine
	record   hostdisk.Record // as it was at power-on
	appID    [20]byte
	document guest.Document
	hash     appcompose.ComposeHash
	env      []string // names the guest lets through; their values are not kept
}

// runBoot takes the machine from power-on to a running app. It is the machine's boot goroutine.
func (n *Node) runBoot(c *cvm, m *machine) {
	defer close(m.booted)
	defer m.abortBoot() // frees what the context holds
	c.mu.Lock()
	b := &boot{node: n, cvm: c, machine: m, record: c.record}
	c.mu.Unlock()
	err := b.run(m.boot)
	switch {
	case err == nil:
		n.config.Logger.Info("CVM is up", "cvm", c.id, "compose_hash", b.hash)
	case m.boot.Err() != nil:
		// Stopped or cut off: whoever did it says what became of the CVM.
	case errors.Is(err, errSuperseded):
	default:
		c.console("boot error: %v", err)
		n.config.Logger.Warn("CVM does not boot", "cvm", c.id, "compose_hash", b.hash, "error", err)
		c.powerOff(m, runtime.StateExited, err.Error())
	}
}

func (b *boot) run(ctx context.Context) error {
	if err := b.stage(ctx, StageBooting); err != nil {
		return err
	}
	config, err := b.measure()
	if err != nil {
		return err
	}
	instanceID, firstBoot, err := b.identity()
	if err != nil {
		return err
	}
	if err := b.stage(ctx, StageRequestingAppKeys); err != nil {
		return err
	}
	if err := b.requestKeys(ctx, instanceID); err != nil {
		return err
	}
	if err := b.decryptEnv(ctx, config.EncryptedEnv); err != nil {
		return err
	}
	for _, stage := range b.setupStages(firstBoot) {
		if err := b.stage(ctx, stage); err != nil {
			return err
		}
	}
	if err := b.startApp(ctx); err != nil {
		return err
	}
	return b.awaitHealth(ctx)
}

// stage reports that the boot has come to a stage, and stays there as long as it takes.
func (b *boot) stage(ctx context.Context, stage Stage) error {
	if !b.cvm.update(b.machine, func(v *view) {
		v.bootProgress = string(stage)
		b.cvm.tell(eventBootProgress, v.bootProgress)
	}) {
		return errSuperseded
	}
	b.cvm.console("dstack: %s", stage)
	return b.node.stay(ctx, b.cvm.id, stage)
}

// stay is the time a stage takes, and the fault that strikes it.
func (n *Node) stay(ctx context.Context, cvm string, stage Stage) error {
	if err := n.config.Faults.atStage(ctx, cvm, stage); err != nil {
		return err
	}
	return guest.Pause(ctx, n.config.StageDelay(stage))
}

// measure reads the configuration from the disk, once, and hashes what it read: from here on nothing
// that is written to the disk matters to this boot.
func (b *boot) measure() (runtime.Config, error) {
	config, err := b.cvm.folder().ReadConfig(b.record.Config)
	if err != nil {
		return config, fmt.Errorf("failed to read host shared files: %w", err)
	}
	b.hash = appcompose.Hash(config.Document)
	if !b.cvm.update(b.machine, func(v *view) { v.runningHash = b.hash }) {
		return config, errSuperseded
	}
	b.cvm.console("compose-hash: %s", b.hash)
	b.document, err = guest.ParseDocument(config.Document)
	return config, err
}

// identity gives the instance its id: the first 20 bytes of SHA-256(seed ‖ app id), with a seed drawn at
// the first boot and kept on the disk. A document with no_instance_id has none.
func (b *boot) identity() (id []byte, firstBoot bool, err error) {
	if b.appID, err = guest.ParseAppID(b.record.AppID); err != nil {
		return nil, false, err
	}
	firstBoot = b.record.Seed == ""
	seed, err := hex.DecodeString(b.record.Seed)
	if firstBoot {
		seed, err = b.node.random(guest.SeedSize)
	}
	if err != nil {
		return nil, false, fmt.Errorf("failed to get the instance id seed: %w", err)
	}
	id = guest.InstanceID(b.document, seed, b.appID)
	if instance := hex.EncodeToString(id); firstBoot || instance != b.record.Instance {
		err = b.cvm.persist(b.machine, func(r *hostdisk.Record) { r.Seed, r.Instance = hex.EncodeToString(seed), instance })
	}
	if err == nil && !b.cvm.update(b.machine, func(*view) { b.cvm.tell(eventInstanceInfo, hex.EncodeToString(id)) }) {
		err = errSuperseded
	}
	return id, firstBoot, err
}

// requestKeys asks the KMS.
func (b *boot) requestKeys(ctx context.Context, instanceID []byte) error {
	info := guest.BootInfo(b.appID, b.hash, instanceID, b.node.config.DeviceID, b.node.config.OSImageHash(b.record.Image))
	return guest.RequestKeys(ctx, b.node.config.Authorizer, info, guest.Asking{
		Tries: b.node.config.AuthorizeTries, Delay: b.node.config.AuthorizeRetryDelay,
		Failed: func(try int, err error) { b.cvm.console("KMS gave no decision (try %d): %v", try, err) },
	})
}

// decryptEnv opens the encrypted environment. Only the names are kept: nothing here needs a value.
func (b *boot) decryptEnv(ctx context.Context, ciphertext []byte) error {
	if len(ciphertext) == 0 {
		return nil
	}
	if b.node.config.EnvDecrypter == nil {
		b.cvm.console("encrypted env: left alone, this node has no app keys")
		return nil
	}
	env, err := guest.OpenEnv(ctx, b.node.config.EnvDecrypter, b.appID, ciphertext, b.document.AllowedEnvs)
	if err != nil {
		return err
	}
	for _, v := range env.Vars {
		b.env = append(b.env, v.Key)
	}
	b.cvm.console("encrypted env: %d variables, %d not in allowed_envs", env.Total, env.Skipped)
	return nil
}

// setupStages are the stages between the keys and the app.
func (b *boot) setupStages(firstBoot bool) []Stage {
	stages := []Stage{StageMountingDisk}
	if firstBoot {
		stages[0] = StageInitializingDisk
	}
	stages = append(stages, StageDiskReady)
	if b.document.Gateway {
		stages = append(stages, StageGateway)
	}
	stages = append(stages, StageDocker)
	if b.document.HasInitScript {
		stages = append(stages, StageInitScript)
	}
	if b.document.PreLaunch != "" {
		stages = append(stages, StagePreLaunch)
	}
	return stages
}

// startApp runs what the runner of the document runs.
func (b *boot) startApp(ctx context.Context) error {
	b.cvm.logs.NameContainers(nil)
	switch b.document.Runner {
	case "docker-compose", "nerdctl-compose":
		if err := b.stage(ctx, StageStartingContainers); err != nil {
			return err
		}
		if err := b.startContainers(); err != nil {
			return fmt.Errorf("failed to start containers: %w", err)
		}
	case "bash":
		if err := b.stage(ctx, StageMainScript); err != nil {
			return err
		}
		if err := b.runScript(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unsupported runner: %q", b.document.Runner)
	}
	return b.stage(ctx, StageDone)
}

func (b *boot) startContainers() error {
	services, err := parseServices(b.document.ComposeText)
	if err != nil {
		return err
	}
	if err := startError(services); err != nil {
		return err
	}
	now := b.node.config.Now()
	containers := make([]container, 0, len(services))
	for _, s := range services {
		id, err := b.node.random(32)
		if err != nil {
			return err
		}
		containers = append(containers, newContainer(s, hex.EncodeToString(id), now))
	}
	names := map[string]string{}
	for _, s := range services {
		names[s.container] = s.name
	}
	for _, s := range services {
		names[s.name] = s.name // a service's name wins over another's container name
	}
	b.cvm.logs.NameContainers(names)
	for i := range services {
		b.writeLog(services[i].name, services[i], now)
	}
	if !b.cvm.update(b.machine, func(v *view) { v.containers = containers }) {
		return errSuperseded
	}
	return nil
}

// writeLog writes what a container says: that it starts, what it is told to say, and how it ends.
func (b *boot) writeLog(log string, s service, now time.Time) {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: simulated start, image %s\n", s.name, s.image)
	if len(b.env) > 0 {
		fmt.Fprintf(&text, "%s: environment has %s\n", s.name, strings.Join(b.env, ", "))
	}
	text.WriteString(s.log)
	if s.log != "" && !strings.HasSuffix(s.log, "\n") {
		text.WriteByte('\n')
	}
	if s.exits {
		fmt.Fprintf(&text, "%s: simulated exit with code %d\n", s.name, s.exitCode)
	}
	b.cvm.logs.Write(log, now, text.String())
}

// runScript is the runner bash: the script's output goes to the console, and its failure fails the boot.
func (b *boot) runScript() error {
	s, err := parseScript(b.document.BashScript)
	if err != nil {
		return fmt.Errorf("failed to run main script: %w", err)
	}
	b.cvm.logs.Write(logbook.Stdout, b.node.config.Now(), s.log)
	if s.exits && s.exitCode != 0 {
		return fmt.Errorf("failed to run main script: exit status %d", s.exitCode)
	}
	return nil
}

// awaitHealth makes the CVM a running one and then lets the health checks come to their end.
func (b *boot) awaitHealth(ctx context.Context) error {
	if !b.cvm.update(b.machine, func(v *view) {
		v.state = runtime.StateRunning
		v.health = appHealth(v.containers)
	}) {
		return errSuperseded
	}
	failed := b.node.stay(ctx, b.cvm.id, StageHealthCheck)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed != nil {
		b.cvm.console("health check: %v", failed)
	}
	if !b.cvm.update(b.machine, func(v *view) {
		for i := range v.containers {
			v.containers[i].check()
		}
		v.health = appHealth(v.containers)
		if failed != nil {
			v.health = runtime.HealthUnhealthy
		}
	}) {
		return errSuperseded
	}
	return nil
}
