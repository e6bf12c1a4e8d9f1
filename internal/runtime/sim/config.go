package sim

import (
	"crypto/rand"
	"crypto/sha256"
	"io"
	"log/slog"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/kms"
)

// Config is what a simulated node is made from. Dir and Authorizer are needed; everything else has a
// default.
type Config struct {
	// Dir is the disk of the node. It is created when missing. Only one Node may use it at a time.
	Dir string
	// DeviceID is the id of the host's TEE: dstack's SHA-256 of the PPID.
	DeviceID [32]byte
	// OSImageHash gives the measured hash of an OS image by its name. The default is
	// SimulatedImageHash.
	OSImageHash func(image string) [32]byte
	// Authorizer is the KMS that booting CVMs ask.
	Authorizer kms.Authorizer
	// EnvDecrypter opens encrypted environments. Without it they are kept and ignored.
	EnvDecrypter kms.EnvDecrypter

	// Now gives the times shown in statuses and logs. The default is time.Now.
	Now func() time.Time
	// Rand gives instance seeds and container ids. The default is crypto/rand.
	Rand io.Reader
	// StageDelay says how long a stage takes. The default is no time at all.
	StageDelay func(Stage) time.Duration
	// AuthorizeTries is how often a KMS that gives no decision is asked before the boot fails; 0 means 4.
	AuthorizeTries int
	// AuthorizeRetryDelay is the pause before the second try; it doubles with each. 0 means 250 ms.
	AuthorizeRetryDelay time.Duration
	// Host is told what guests tell their host. The default is nobody.
	Host Host
	// Faults makes things go wrong. The default is none.
	Faults *Faults
	// Logger is told what a VMM would log. The default discards.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.OSImageHash == nil {
		c.OSImageHash = SimulatedImageHash
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.StageDelay == nil {
		c.StageDelay = func(Stage) time.Duration { return 0 }
	}
	if c.Host == nil {
		c.Host = noHost{}
	}
	if c.Faults == nil {
		c.Faults = NewFaults()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// SimulatedImageHash is the OS image hash that a simulated CVM reports for an image name. It is made up:
// a KMS contract that shall let simulated CVMs boot must allow this value.
func SimulatedImageHash(image string) [32]byte {
	return sha256.Sum256([]byte("lockstep simulated os image: " + image))
}
