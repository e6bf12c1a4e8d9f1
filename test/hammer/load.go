package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep"
	"github.com/lockstep-cvm/lockstep/appcompose"
)

// startLoad lets clients send requests until the context ends. The channel is closed when all have stopped.
func (w *world) startLoad(ctx context.Context) <-chan struct{} {
	var group sync.WaitGroup
	for i := range w.options.clients {
		random := rand.New(rand.NewPCG(w.options.seed, uint64(i)+1))
		group.Go(func() {
			for ctx.Err() == nil {
				w.tally.answer(w.doSome(ctx, random))
				_ = rest(ctx, w.options.pace) // the end is seen above
			}
		})
	}
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	return done
}

// doSome does one thing of what clients do: mostly updates.
func (w *world) doSome(ctx context.Context, random *rand.Rand) string {
	if random.IntN(w.options.operate) == 0 {
		return w.operateSome(ctx, random)
	}
	return w.updateSome(ctx, random)
}

// updateSome takes a CVM through an update as a client does, and tells how far it came.
func (w *world) updateSome(ctx context.Context, random *rand.Rand) string {
	c := w.cvms[random.IntN(len(w.cvms))]
	version, bad := random.Int64(), random.IntN(5) == 0
	yaml := w.host.good(version)
	if bad {
		yaml = w.host.bad(version)
	}
	if w.offered[goingBack] && random.IntN(4) == 0 {
		w.learnRevisions(ctx, random, c)
	}
	document, err := c.base.Edit(appcompose.SetDockerComposeFile(yaml))
	if err != nil {
		return "edit: " + err.Error()
	}
	if bad {
		w.tally.bad(document.Hash())
	}
	w.meansTo(c, document.Hash(), version)
	result, err := w.anyServer(random).client.UpdateDockerCompose(ctx, c.name, yaml)
	if err != nil {
		return w.refused(ctx, err)
	}
	precondition, ok := result.(*lockstep.Precondition)
	if !ok {
		return w.accept(c, result)
	}
	if random.IntN(8) == 0 {
		return "left to its owner"
	}
	tx, err := w.owner.allow(ctx, c.appID, document.Hash())
	if err != nil {
		return "approve: stopped"
	}
	if random.IntN(8) == 0 { // taken back again, before or while it rolls out
		if err := w.owner.remove(ctx, c.appID, document.Hash()); err != nil {
			return "take back: stopped"
		}
	}
	result, err = w.anyServer(random).client.UpdateDockerCompose(ctx, c.name, yaml, lockstep.WithComposeHash(precondition.ComposeHash), lockstep.WithTransactionHash(tx))
	if err != nil {
		return w.refused(ctx, err)
	}
	return w.accept(c, result)
}

// anyServer draws one: phase 2 need not reach the server that answered phase 1.
func (w *world) anyServer(random *rand.Rand) *server { return w.servers[random.IntN(len(w.servers))] }

func (w *world) accept(c *cvm, result lockstep.UpdateResult) string {
	accepted, ok := result.(*lockstep.InProgress)
	if !ok {
		return "a second precondition"
	}
	w.tally.mu.Lock()
	defer w.tally.mu.Unlock()
	w.tally.accepted[accepted.CorrelationID] = c.name
	return "accepted"
}

// refused is how a request that was not accepted is counted. After no answer at all a client waits a moment.
func (w *world) refused(ctx context.Context, err error) string {
	if answer, ok := errors.AsType[*lockstep.APIError](err); ok {
		return strconv.Itoa(answer.StatusCode)
	}
	select {
	case <-ctx.Done():
	case <-time.After(20 * time.Millisecond):
	}
	return "no answer"
}
