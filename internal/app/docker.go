package app

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/docker"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// DockerConfig says how the Docker Engine of a node is reached.
type DockerConfig struct {
	Host      string `koanf:"host"`       // unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST; default: unix:///var/run/docker.sock
	CertDir   string `koanf:"cert_dir"`   // with ca.pem, cert.pem and key.pem, for tcp
	Compose   string `koanf:"compose"`    // path of the Compose plugin; default: found in PATH or where Docker finds it
	PreLaunch string `koanf:"pre_launch"` // host or refuse; default: host with an engine on this machine, else refuse
}

// dockerDriver makes the driver of a node. The engine need not answer now: a server must start without it.
func (b *builder) dockerDriver(c NodeConfig, device common.Hash) (runtime.Runtime, error) {
	if c.Dir == "" {
		return nil, errors.New("dir is empty, want the folder where the CVMs of this node are kept")
	}
	hashes := map[string][32]byte{}
	for _, i := range c.Images {
		image, err := imageOf(i, true)
		if err != nil {
			return nil, err
		}
		hashes[i.Name] = common.HexToHash(image.Hash)
	}
	d := c.Docker
	driver, err := docker.New(docker.Config{
		Host: d.Host, CertDir: d.CertDir, Compose: d.Compose, PreLaunch: docker.PreLaunch(d.PreLaunch), Dir: c.Dir,
		Authorizer: b.router, EnvDecrypter: envRouter{store: b.db, byID: b.opener}, DeviceID: device,
		OSImageHash: func(name string) [32]byte {
			if hash, ok := hashes[name]; ok {
				return hash
			}
			return sim.SimulatedImageHash(name)
		},
		Logger: b.log.With("node", c.Name),
	})
	if err != nil {
		return nil, fmt.Errorf("driver docker: %w", err)
	}
	b.platform.closers = append(b.platform.closers, driver.Close)
	return driver, nil
}
