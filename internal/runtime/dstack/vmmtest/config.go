package vmmtest

import (
	"io"
	"log/slog"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/kms"
	"github.com/lockstep-cvm/lockstep/internal/runtime/dstack/vmmrpc"
	"github.com/lockstep-cvm/lockstep/internal/runtime/sim"
)

// Config is what a VMM is made from. Dir and Authorizer are needed; everything else has a default.
type Config struct {
	// Dir is the disk of the host. It is created when missing. Only one VMM may use it at a time.
	Dir string
	// Authorizer is the KMS that booting guests ask.
	Authorizer kms.Authorizer
	// Keys is the KMS at kms_urls: it opens encrypted environments and answers GetAppEnvEncryptPubKey. Without
	// it environments are kept and ignored, and the RPC says that no KMS is configured.
	Keys *kms.Dev
	// DeviceID is the id of the host's TEE.
	DeviceID [32]byte
	// OSImageHash gives the measured hash of an OS image. The default is sim.SimulatedImageHash.
	OSImageHash func(image string) [32]byte

	// Tokens are admin tokens. With none, and no Users, everybody may call.
	Tokens []string
	// Users are bcrypt hashes by user name.
	Users map[string]string

	// Images that can be booted. The default is dstack-0.5.5 and dstack-dev-0.5.5.
	Images []Image
	// GPUs of the host; with none, GPUs are not enabled.
	GPUs           []vmmrpc.GPUInfo
	AllowAttachAll bool
	// Ports says which host ports may be mapped. The default allows none.
	Ports PortPolicy
	// Meta is what GetMeta answers. Limits that are zero get defaults.
	Meta vmmrpc.GetMetaResponse

	// RebootDelay is how long a guest whose preparation failed takes to boot again in place, which it does for
	// ever, reading its files anew each time. 0 means that it sits there instead.
	RebootDelay time.Duration
	// RestartBackoff is how long the VMM waits before it restarts a process that ended by itself; it
	// doubles up to 300 s, and after five restarts in a row it gives up. 0 means that nothing is restarted.
	RestartBackoff time.Duration
	// StageDelay says how long a stage of a boot takes. The default is no time at all.
	StageDelay func(sim.Stage) time.Duration
	// Guests makes things go wrong inside guests: stages that fail or hang. The default is nothing.
	Guests *sim.Faults

	// Now gives times. The default is time.Now.
	Now func() time.Time
	// Rand gives ids and seeds. The default is crypto/rand.
	Rand io.Reader
	// Logger is told what a VMM would log. The default discards.
	Logger *slog.Logger
}

// Image is an OS image of the host.
type Image struct {
	Name    string
	Version string
	Dev     bool
	Silent  bool // its guests report no progress
}

// PortPolicy says which host ports VMs may be given.
type PortPolicy struct {
	Enabled  bool
	Address  string // for mappings without one
	From, To uint32 // the range, both included
}

func (c Config) withDefaults() Config {
	if c.OSImageHash == nil {
		c.OSImageHash = sim.SimulatedImageHash
	}
	if c.Images == nil {
		c.Images = []Image{{Name: "dstack-0.5.5", Version: "0.5.5"}, {Name: "dstack-dev-0.5.5", Version: "0.5.5", Dev: true}}
	}
	if c.Ports.Address == "" {
		c.Ports.Address = "127.0.0.1"
	}
	if c.Guests == nil {
		c.Guests = sim.NewFaults()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Meta = metaWithDefaults(c.Meta)
	return c
}

func metaWithDefaults(m vmmrpc.GetMetaResponse) vmmrpc.GetMetaResponse {
	if m.KMS == nil {
		m.KMS = &vmmrpc.KMSSettings{}
	}
	if m.Gateway == nil {
		m.Gateway = &vmmrpc.GatewaySettings{BaseDomain: "gateway.vmm.test", Port: 443, AgentPort: 8090}
	}
	if m.Resources == nil {
		m.Resources = &vmmrpc.ResourcesSettings{MaxCVMNumber: 100_000, MaxAllocableVCPU: 1 << 24, MaxAllocableMemoryInMB: 1 << 31}
	}
	m.KMS.URLs, m.Gateway.URLs = list(m.KMS.URLs), list(m.Gateway.URLs)
	if m.Networking == nil {
		m.Networking = &vmmrpc.NetworkingSupport{SupportedModes: []string{"user"}, DefaultMode: "user"}
	}
	return m
}
