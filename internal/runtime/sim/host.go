package sim

// Host is told what a guest tells its host, in the words of dstack's host API, and when a machine goes off.
// The calls for one CVM come one after the other and in the order in which things happen. They are made
// with the CVM locked: a Host must not call the Node from within.
type Host interface {
	// GuestEvent is "boot.progress" or "shutdown.progress" with a Stage, "boot.error" with the guest's own
	// words, or "instance.info" with the instance id in hex.
	GuestEvent(cvm, event, payload string)
	// PoweredOff says that a machine is off: it was shut down, cut off, removed, lost its power, or ended
	// after a boot error.
	PoweredOff(cvm string)
}

// Events of a guest.
const (
	eventBootProgress     = "boot.progress"
	eventBootError        = "boot.error"
	eventShutdownProgress = "shutdown.progress"
	eventInstanceInfo     = "instance.info"
)

type noHost struct{}

func (noHost) GuestEvent(string, string, string) {}
func (noHost) PoweredOff(string)                 {}

// tell passes an event on. It is called with the CVM locked.
func (c *cvm) tell(event, payload string) { c.node.config.Host.GuestEvent(c.id, event, payload) }
