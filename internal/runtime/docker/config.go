package docker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/kms"
)

// PreLaunch says what becomes of pre-launch scripts.
type PreLaunch string

// What becomes of pre-launch scripts. Whoever may change what a CVM runs chooses the script, and it runs with
// the rights of this process.
const (
	PreLaunchAuto   PreLaunch = ""       // as PreLaunchHost if the engine is on this machine, else as PreLaunchRefuse
	PreLaunchHost   PreLaunch = "host"   // run by bash, on the machine of this process
	PreLaunchRefuse PreLaunch = "refuse" // a document that has one does not boot
)

// Config is what a driver is made from. Dir and Authorizer are needed; everything else has a default.
type Config struct {
	// Host is the engine: unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST. The default is
	// unix:///var/run/docker.sock.
	Host string
	// CertDir has ca.pem, cert.pem and key.pem for a host of tcp, as Docker's DOCKER_CERT_PATH. Without it tcp
	// is not encrypted.
	CertDir string
	// Compose is the path of the Compose plugin. The default is the docker-compose of PATH, or the plugin where
	// Docker's command line would find it.
	Compose string
	// Dir is where the CVMs are kept. It is created when missing. Only one Driver may use it at a time.
	Dir string
	// PreLaunch says what becomes of pre-launch scripts.
	PreLaunch PreLaunch

	// Authorizer is the KMS that booting CVMs ask.
	Authorizer kms.Authorizer
	// EnvDecrypter opens encrypted environments. Without it a CVM that has one does not boot.
	EnvDecrypter kms.EnvDecrypter
	// DeviceID and OSImageHash are what the KMS is told of the machine; nothing measures them.
	DeviceID    [32]byte
	OSImageHash func(image string) [32]byte

	// Now gives the times shown in statuses and the console. The default is time.Now.
	Now func() time.Time
	// Rand gives instance seeds. The default is crypto/rand.
	Rand io.Reader
	// Logger is told what happens. The default discards.
	Logger *slog.Logger

	hold holder // of tests: where calls are held
}

// holder is asked before a call takes effect and after it has. An error is returned in the call's place.
type holder func(ctx context.Context, id, call string, after bool) error

const defaultHost = "unix:///var/run/docker.sock"

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("docker: dir is empty, want the folder where CVMs are kept")
	}
	if c.Authorizer == nil {
		return c, errors.New("docker: config needs an Authorizer")
	}
	var err error
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return c, fmt.Errorf("docker: dir: %w", err)
	}
	if c.Host == "" {
		c.Host = defaultHost
	}
	if err := c.check(); err != nil {
		return c, err
	}
	if c.PreLaunch == PreLaunchAuto {
		c.PreLaunch = PreLaunchRefuse
		if strings.HasPrefix(c.Host, "unix://") {
			c.PreLaunch = PreLaunchHost
		}
	}
	if c.OSImageHash == nil {
		c.OSImageHash = func(string) [32]byte { return [32]byte{} }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.hold == nil {
		c.hold = func(context.Context, string, string, bool) error { return nil }
	}
	return c, nil
}

func (c Config) check() error {
	scheme, rest, ok := strings.Cut(c.Host, "://")
	if !ok || rest == "" || scheme != "unix" && scheme != "tcp" && scheme != "ssh" {
		return fmt.Errorf("docker: host is %q, want unix:///PATH, tcp://HOST:PORT or ssh://USER@HOST", c.Host)
	}
	switch c.PreLaunch {
	case PreLaunchAuto, PreLaunchHost, PreLaunchRefuse:
	default:
		return fmt.Errorf("docker: pre_launch is %q, want %q, %q or nothing", c.PreLaunch, PreLaunchHost, PreLaunchRefuse)
	}
	if c.CertDir == "" {
		return nil
	}
	if scheme != "tcp" {
		return fmt.Errorf("docker: cert_dir is for a host of tcp://, and host is %q", c.Host)
	}
	for _, name := range []string{caFile, certFile, keyFile} {
		if _, err := os.Stat(filepath.Join(c.CertDir, name)); err != nil {
			return fmt.Errorf("docker: cert_dir: %w", err)
		}
	}
	return nil
}

// Names of the files in Config.CertDir.
const (
	caFile   = "ca.pem"
	certFile = "cert.pem"
	keyFile  = "key.pem"
)
