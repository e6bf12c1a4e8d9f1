package docker

import (
	"strings"

	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// A container with `restart: always` is started by the engine when that restarts, even if it was stopped before. A
// CVM that is down must not come up without a boot, which asks the KMS, so what comes up is stopped again.

// isDown says that nothing of the CVM is meant to run, and nobody is working on it.
func (c *cvm) isDown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.job == nil && (c.view.state == runtime.StateStopped || c.view.state == runtime.StateExited)
}

// guardAll looks once for CVMs that are down and have containers running.
func (d *Driver) guardAll() {
	list, err := d.engine.ContainerList(d.context, client.ContainerListOptions{Filters: client.Filters{}.Add("label", labelProject)})
	if err != nil {
		return // the engine does not answer: this is done again when it does
	}
	found := map[*cvm]bool{}
	for _, summary := range list.Items {
		if c, ok := d.ofLabel(summary.Labels[labelProject]); ok && !found[c] {
			found[c] = true
			d.guard(c)
		}
	}
}

// guard stops what runs of a CVM that is down.
func (d *Driver) guard(c *cvm) {
	if !c.isDown() {
		return
	}
	d.spawn(func() {
		if c.takeTurn(d.context) != nil {
			return
		}
		defer c.giveTurn()
		if !c.isKnown() || !c.isDown() {
			return
		}
		if err := d.stop(d.context, c); err != nil && d.context.Err() == nil {
			d.config.Logger.Warn("containers of a CVM that is down were started, and cannot be stopped", "cvm", c.id, "error", err)
		}
	})
}

// ofLabel finds the CVM of a Compose project.
func (d *Driver) ofLabel(project string) (*cvm, bool) {
	id, ours := strings.CutPrefix(project, projectPrefix)
	if !ours {
		return nil, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.cvms[id]
	return c, ok
}
