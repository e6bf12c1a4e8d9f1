package sim

import (
	"context"
	"fmt"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
)

// SetImage gives a CVM another OS image, which its next boot measures. The error is runtime.ErrNotFound, or
// runtime.ErrConflict when it is neither stopped nor exited.
func (n *Node) SetImage(ctx context.Context, id, image string) error {
	if err := n.enter(ctx); err != nil {
		return err
	}
	defer n.running.Done()
	c, err := n.lock(ctx, id)
	if err != nil {
		return err
	}
	defer c.giveTurn()
	c.mu.Lock()
	same := c.record.Image == image
	c.mu.Unlock()
	if same {
		return nil
	}
	if state := c.state(); state != runtime.StateStopped && state != runtime.StateExited {
		return fmt.Errorf("%w: cannot change the image while it is %s", runtime.ErrConflict, state)
	}
	return c.persist(nil, func(r *hostdisk.Record) { r.Image = image })
}
