package runtime

import "context"

// Prober is what a driver implements besides Runtime when its machine can be asked what it is and has.
type Prober interface {
	// Probe asks the machine. It changes nothing. The error is ErrUnreachable, or what the machine says.
	Probe(ctx context.Context) (Machine, error)
}

// Machine is what a machine says of itself. Zero values mean that it does not say.
type Machine struct {
	Version       string
	Simulated     bool // it says itself that no TEE is behind it
	Limits        Limits
	GatewayDomain string // under which its gateway serves CVMs
	Images        []string
	GPUs          []GPU
}

// Limits are what a machine gives to CVMs at most, those that are there included.
type Limits struct {
	CVMs     int64
	VCPU     int64
	MemoryMB int64
}

// GPU is a GPU of a machine.
type GPU struct {
	Slot        string // PCI address
	ProductID   string
	Description string
	Free        bool // no CVM has it
}
