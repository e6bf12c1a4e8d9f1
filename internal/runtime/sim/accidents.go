package sim

import (
	"fmt"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// CrashContainer makes a running container of a running CVM exit with a code. The error is
// runtime.ErrNotFound, runtime.ErrNoContainer or, when the container does not run, runtime.ErrConflict.
func (n *Node) CrashContainer(id, service string, code int) error {
	c, err := n.find(id)
	if err != nil {
		return err
	}
	now := n.config.Now()
	c.mu.Lock()
	err = fmt.Errorf("%w: %q", runtime.ErrNoContainer, service)
	for i := range c.view.containers {
		if k := &c.view.containers[i]; k.service.name == service {
			if !k.running() {
				err = fmt.Errorf("%w: container of service %q does not run", runtime.ErrConflict, service)
				break
			}
			k.exit(code, now)
			if c.view.state == runtime.StateRunning {
				c.view.health = appHealth(c.view.containers)
			}
			err = nil
		}
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.logs.Write(service, now, fmt.Sprintf("%s: simulated exit with code %d\n", service, code))
	c.bell.Ring()
	return nil
}

// PowerLoss makes the machine of a CVM go down on its own, as a QEMU process that dies does: the CVM is
// exited, and still meant to run. One that is down already stays as it is. The error is
// runtime.ErrNotFound.
func (n *Node) PowerLoss(id string) error {
	c, err := n.find(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	m := c.machine
	c.mu.Unlock()
	if m != nil {
		c.powerOff(m, runtime.StateExited, "")
	}
	return nil
}
