package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/lockstep-cvm/lockstep/appcompose"
	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime/guest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
)

// app is a document as this driver reads it, and the environment that comes with it.
type app struct {
	driver   *Driver
	cvm      *cvm
	id       [20]byte
	image    string // OS image that the CVM is said to have
	hash     appcompose.ComposeHash
	document guest.Document
	services []string
	env      []kms.EnvVar
}

// parse reads a document, and refuses what only a dstack guest can do.
func (d *Driver) parse(c *cvm, r hostdisk.Record, document []byte) (*app, error) {
	a := &app{driver: d, cvm: c, image: r.Image, hash: appcompose.Hash(document)}
	var err error
	if a.id, err = guest.ParseAppID(r.AppID); err != nil {
		return nil, err
	}
	if a.document, err = guest.ParseDocument(document); err != nil {
		return nil, err
	}
	switch {
	case a.document.Runner != "docker-compose":
		return nil, fmt.Errorf("unsupported runner: %q, want docker-compose on a node of driver docker", a.document.Runner)
	case a.document.HasInitScript:
		return nil, errors.New("init_script is not supported on a node of driver docker: it belongs to the guest's image")
	case a.document.PreLaunch != "" && d.config.PreLaunch != PreLaunchHost:
		return nil, errors.New("pre_launch_script is refused by this node: its settings do not let scripts run on the machine of the server")
	}
	a.services = serviceOrder(a.document.ComposeText)
	return a, nil
}

// unlock asks the KMS for leave and opens the environment.
func (a *app) unlock(ctx context.Context, instanceID, encryptedEnv []byte) error {
	config := a.driver.config
	info := guest.BootInfo(a.id, a.hash, instanceID, config.DeviceID, config.OSImageHash(a.image))
	if err := guest.RequestKeys(ctx, config.Authorizer, info, guest.Asking{
		Failed: func(try int, err error) { a.cvm.console("KMS gave no decision (try %d): %v", try, err) },
	}); err != nil {
		return err
	}
	if len(encryptedEnv) == 0 {
		return nil
	}
	if config.EnvDecrypter == nil {
		return errors.New("failed to decrypt env: this node has no app keys")
	}
	env, err := guest.OpenEnv(ctx, config.EnvDecrypter, a.id, encryptedEnv, a.document.AllowedEnvs)
	if err != nil {
		return err
	}
	a.env = env.Vars
	a.cvm.console("encrypted env: %d variables, %d not in allowed_envs", env.Total, env.Skipped)
	for _, v := range env.Vars {
		if reserved(v.Key) {
			a.cvm.console("encrypted env: %s steers Docker itself and is left out", v.Key)
		}
	}
	return nil
}

// serviceOrder reads the names of the services in the order they are written. It is for showing: text that Compose
// would not take has none.
func serviceOrder(text string) []string {
	var file struct {
		Services yaml.Node `yaml:"services"`
	}
	if yaml.Load([]byte(text), &file) != nil || file.Services.Kind != yaml.MappingNode {
		return nil
	}
	var names []string
	for i := 0; i < len(file.Services.Content); i += 2 {
		names = append(names, file.Services.Content[i].Value)
	}
	return slices.Clip(names)
}
