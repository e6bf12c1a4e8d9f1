package docker

import (
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
)

// listen rings the bells of CVMs when the engine tells of their containers. While it cannot listen it rings all
// of them, so that who waits looks for itself.
func (d *Driver) listen() {
	for d.context.Err() == nil {
		stream := d.engine.Events(d.context, client.EventsListOptions{
			Filters: client.Filters{}.Add("type", string(events.ContainerEventType)).Add("label", labelProject),
		})
		d.ringAll() // what happened in between was not told
		d.guardAll()
		for open := true; open; {
			select {
			case message := <-stream.Messages:
				d.hear(message)
			case err := <-stream.Err:
				open = false
				d.config.Logger.Debug("engine tells no events", "error", err)
			}
		}
		if pause(d.context, engineRetry) != nil {
			return
		}
	}
}

func (d *Driver) hear(message events.Message) {
	c, ok := d.ofLabel(message.Actor.Attributes[labelProject])
	if !ok || strings.HasPrefix(string(message.Action), "exec_") {
		return // health checks are told of when their outcome changes
	}
	c.bell.Ring()
	if message.Action == events.ActionStart {
		d.ringLater(c)
		d.guard(c)
	}
}

// ringLater rings when a container that has just started counts as one that stays up, see health: the
// engine tells nothing of that.
func (d *Driver) ringLater(c *cvm) {
	const slack = 50 * time.Millisecond
	d.spawn(func() {
		for _, wait := range []time.Duration{time.Second + slack, (steadyAfter - 1) * time.Second} {
			if pause(d.context, wait) != nil {
				return
			}
			c.bell.Ring()
		}
	})
}

func (d *Driver) ringAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.cvms {
		c.bell.Ring()
	}
}
