package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/lockstep-cvm/lockstep/internal/runtime/docker/dockertest"
	"github.com/lockstep-cvm/lockstep/internal/runtime/hostdisk"
)

// witness hears from the engine of every container that is started, and writes it down as a boot.
type witness struct {
	engine *dockertest.Engine
	disk   hostdisk.Disk // has a folder for each CVM, from before its first boot on
	owner  *owner
	keeper *doorkeeper
	diary  *diary
	cancel context.CancelFunc
	ended  chan struct{} // closed when it hears no more

	mu       sync.Mutex
	versions map[string]grant
	asked    map[string]chan struct{} // by the tag that the engine will tell of
	err      error                    // why it hears no more
}

func newWitness(engine *dockertest.Engine, disk hostdisk.Disk, o *owner, k *doorkeeper, d *diary) *witness {
	ctx, cancel := context.WithCancel(context.Background())
	w := &witness{
		engine: engine, disk: disk, owner: o, keeper: k, diary: d, cancel: cancel, ended: make(chan struct{}),
		versions: map[string]grant{}, asked: map[string]chan struct{}{},
	}
	// It listens when this returns, so that nothing is missed.
	stream := engine.Client.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.
		Add("type", string(events.ContainerEventType), string(events.ImageEventType)).
		Add("event", string(events.ActionStart), string(events.ActionTag))})
	go w.listen(stream)
	return w
}

func (w *witness) listen(stream client.EventsResult) {
	defer close(w.ended)
	for {
		select {
		case message := <-stream.Messages:
			w.hear(message)
		case err := <-stream.Err:
			w.mu.Lock()
			w.err = err
			w.mu.Unlock()
			return
		}
	}
}

func (w *witness) hear(message events.Message) {
	about := message.Actor.Attributes
	if message.Action == events.ActionTag {
		w.mu.Lock()
		defer w.mu.Unlock()
		if asked, ok := w.asked[about["name"]]; ok {
			close(asked)
			delete(w.asked, about["name"])
		}
		return
	}
	id, ours := strings.CutPrefix(about[projectLabel], projectPrefix)
	if _, err := os.Stat(string(w.disk.CVM(id))); !ours || err != nil {
		return // the engine may be one that others use
	}
	g, _ := w.known(about[versionLabel]) // one that nobody sent is offered by nobody
	said := w.owner.said(g.app, g.hash)
	w.diary.bootOf(boot{
		at: time.Unix(0, message.TimeNano), app: g.app, hash: g.hash, allowed: true,
		offered: said.allowed || w.keeper.wasSent(g.app, g.hash), removed: said.removed,
	})
}

func (w *witness) expect(version string, g grant) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.versions[version] = g
}

func (w *witness) known(version string) (grant, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g, ok := w.versions[version]
	return g, ok
}

// settle does something that the engine tells of, and waits until that is heard: whatever was before has been heard
// then too.
func (w *witness) settle(ctx context.Context) error {
	tag, heard := fmt.Sprintf("lockstep.test/hammer:%d", time.Now().UnixNano()), make(chan struct{})
	w.mu.Lock()
	w.asked[tag] = heard
	w.mu.Unlock()
	if _, err := w.engine.Client.ImageTag(ctx, client.ImageTagOptions{Source: w.engine.Image, Target: tag}); err != nil {
		return err
	}
	defer func() {
		_, _ = w.engine.Client.ImageRemove(context.WithoutCancel(ctx), tag, client.ImageRemoveOptions{})
	}() // it is one name of an image that stays
	select {
	case <-heard:
		return nil
	case <-w.ended:
		w.mu.Lock()
		defer w.mu.Unlock()
		return fmt.Errorf("the engine told no more of what it started: %w", w.err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *witness) close() error {
	w.cancel()
	<-w.ended
	return nil
}
