// Package runtime is the interface through which the control plane drives the machines that run
// CVMs. It has one implementation per kind of machine in a package of its own (sim, docker, dstack),
// and one conformance suite, runtimetest, that all of them pass.
//
// A runtime knows nothing of approvals. It stores the exact bytes it is given, boots them, and says
// what it sees; whether those bytes may run is decided above it (internal/control) and, once more
// and independently, by the KMS that the booting CVM asks for its keys (internal/kms).
package runtime

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/lockstep-cvm/lockstep/appcompose"
)

// Errors that every driver returns for the same situation. Test with errors.Is.
var (
	// ErrNotFound says that the node knows no CVM of this id.
	ErrNotFound = errors.New("runtime: no such CVM")
	// ErrConflict says that the call does not fit the state the CVM is in, such as applying a
	// document while the old one still runs. The text names the state.
	ErrConflict = errors.New("runtime: call does not fit the state of the CVM")
	// ErrUnreachable says that the node did not answer. Nothing is known about what happened;
	// the call may be repeated because every call is idempotent.
	ErrUnreachable = errors.New("runtime: node is unreachable")
	// ErrNoContainer says that the CVM has no container of this name.
	ErrNoContainer = errors.New("runtime: no such container")
)

// Runtime runs CVMs on one node.
//
// Every call is idempotent: repeating it after a crash, or after an answer got lost, changes
// nothing that the first call had already changed. Calls for one CVM may come from several
// goroutines at once; the driver puts them in an order. A call that returns nil has taken effect
// durably: a node that restarts the moment after still knows it.
type Runtime interface {
	// Info says what kind of machine this is. It does no I/O.
	Info() Info

	// Create makes a CVM known to the node, stopped, with the document of the spec. When the id is
	// known already it returns nil and changes nothing.
	Create(ctx context.Context, spec Spec) error

	// Apply replaces what the CVM boots next by exactly this configuration, document and environment
	// together or not at all. The CVM must be stopped or exited, else ErrConflict and nothing changes.
	// Applying what is there already changes nothing and returns nil in every state.
	Apply(ctx context.Context, id string, config Config) error

	// Start begins to boot the CVM and returns; Status tells how far it is. Starting one that is
	// starting or running changes nothing. One that is stopping gives ErrConflict: the old guest must be
	// gone before the next one boots.
	Start(ctx context.Context, id string) error

	// Stop asks the CVM to shut down and returns; Status tells when it has stopped. With Force it is
	// cut off, also while it is already stopping. Stopping one that is stopped or exited makes it
	// stopped.
	Stop(ctx context.Context, id string, options StopOptions) error

	// Status says what the node sees now.
	Status(ctx context.Context, id string) (Status, error)

	// Logs opens the log of the CVM or one of its containers. The caller closes it. With Follow the
	// reader blocks for more until the context ends or the CVM is removed.
	Logs(ctx context.Context, id string, options LogOptions) (io.ReadCloser, error)

	// Remove stops the CVM if it runs and deletes everything of it, its disk included. Removing one
	// that is not there returns nil.
	Remove(ctx context.Context, id string) error

	// Close releases what the driver holds and ends the calls under way. CVMs keep running where the
	// driver allows it. Calls after Close return ErrUnreachable.
	Close() error
}

// Info describes a driver.
type Info struct {
	Driver string // "sim", "docker", "dstack"
	TEE    bool   // whether CVMs really run inside a TEE
}

// Spec is what a new CVM is made from.
type Spec struct {
	ID        string // chosen by the control plane: a lower-case UUID with dashes; the key of every later call
	Name      string
	AppID     string // 40 lower-case hex, no 0x
	Image     string // OS image name, such as dstack-0.5.5
	Resources Resources
	Config    Config
}

// Resources of a CVM.
type Resources struct {
	VCPU     int
	MemoryMB int
	DiskGB   int
}

// Config is what a boot reads. The bytes of Document are what gets hashed, measured and run.
type Config struct {
	Document     []byte // the app-compose document, byte for byte
	EncryptedEnv []byte // ciphertext for the guest (dstack encrypted_env); empty for none
}

// State is where a CVM is in its life on the node.
type State string

// States of a CVM on its node, as dstack-vmm names them, with the boot split out.
const (
	StateStopped  State = "stopped"  // not running, and not meant to
	StateStarting State = "starting" // booting: BootProgress tells how far
	StateRunning  State = "running"  // booted; Health tells whether the app works
	StateStopping State = "stopping" // shutting down
	StateExited   State = "exited"   // meant to run but does not: BootError tells why when it did not boot
)

// Health of the app inside a running CVM.
type Health string

// Health of an app: Starting until every service that has a health check has passed it once.
const (
	HealthUnknown   Health = ""
	HealthStarting  Health = "starting"
	HealthHealthy   Health = "healthy"
	HealthUnhealthy Health = "unhealthy" // a service failed, or its health check did
)

// Status is what a node sees of a CVM.
type Status struct {
	State      State
	InstanceID string // 40 lower-case hex once booted; empty before, and for documents with no_instance_id

	// NextHash is the hash of the document on the node's disk: what the next boot will measure.
	NextHash appcompose.ComposeHash
	// RunningHash is the hash that the guest measured when it booted what runs now. Zero unless
	// State is starting (and past the measurement), running or stopping.
	RunningHash appcompose.ComposeHash

	Health           Health
	BootProgress     string // dstack's words: "booting", "requesting app keys", …, "done"
	BootError        string // the guest's own words, kept until the next start
	ShutdownProgress string
	StartedAt        time.Time // when it was last powered on; zero if never
	ExitedAt         time.Time // when it last went down; zero if never
	Services         []Service // in the order of the compose file
}

// Service is one container of the app.
type Service struct {
	Name      string // service name in the compose file
	Container string // container name
	ID        string // container id, 64 lower-case hex
	Image     string // as written in the compose file
	ImageID   string
	Command   string
	State     string // Docker's words: created, running, exited, …
	Status    string // Docker's sentence: "Up 3 seconds (healthy)", "Exited (1) 2 seconds ago"
	Health    Health
	ExitCode  int // meaningful when State is exited
	CreatedAt time.Time
	Ports     []Port // published on the host; drivers whose guests have a network of their own tell none
}

// Port is a port of a container that its host publishes.
type Port struct {
	Protocol  string // tcp, udp, sctp
	Container uint16
	HostIP    string // address on the host that is listened on; "" or 0.0.0.0 for all
	Host      uint16
}

// StopOptions say how a CVM is stopped.
type StopOptions struct {
	Force bool // cut it off instead of asking the guest to shut down
}

// LogOptions choose a log and a part of it.
type LogOptions struct {
	Container  string    // container name or service name; empty for the console of the CVM
	Channel    string    // of the console: "serial" (default), "stdout", "stderr"
	Tail       int       // last lines of those chosen by time; 0 for all that is kept
	Since      time.Time // lines at or after; zero for no bound
	Until      time.Time // lines before; zero for no bound
	Follow     bool
	Timestamps bool // begin each line with its time, RFC 3339 with nanoseconds in UTC, and a space
}
