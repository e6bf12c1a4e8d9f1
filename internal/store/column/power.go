package column

// PowerKind is what a power operation does to a whole CVM. Its document stays what it is.
type PowerKind string

// Kinds of power operations.
const (
	PowerStart    PowerKind = "start"
	PowerStop     PowerKind = "stop"     // at once, without asking the guest
	PowerShutdown PowerKind = "shutdown" // the guest is asked
	PowerRestart  PowerKind = "restart"
	PowerDelete   PowerKind = "delete"
)

// PowerState is where a power operation is. The transitions between states are in internal/control.
type PowerState string

// States of a power operation.
const (
	PowerQueued   PowerState = "queued"   // in line: another operation has the CVM and comes to its end first
	PowerPending  PowerState = "pending"  // has the CVM and did nothing to it yet
	PowerStopping PowerState = "stopping" // waits until the CVM is down
	PowerStarting PowerState = "starting" // brings the CVM to boot
	PowerBooting  PowerState = "booting"  // waits until it runs
	PowerRemoving PowerState = "removing" // waits until the node has deleted it

	PowerSucceeded PowerState = "succeeded"
	PowerFailed    PowerState = "failed"
	PowerCancelled PowerState = "cancelled"
)

// Final reports whether nothing follows this state.
func (s PowerState) Final() bool {
	return s == PowerSucceeded || s == PowerFailed || s == PowerCancelled
}

// Owns reports whether an operation in this state has its CVM for itself.
func (s PowerState) Owns() bool {
	switch s {
	case PowerPending, PowerStopping, PowerStarting, PowerBooting, PowerRemoving:
		return true
	case PowerQueued, PowerSucceeded, PowerFailed, PowerCancelled:
	}
	return false
}
