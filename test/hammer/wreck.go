package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// wreck kills the server again and again, at random moments, and makes RPC and host fail in between.
func (w *world) wreck(ctx context.Context) error {
	random := rand.New(rand.NewPCG(w.options.seed, 1<<32))
	for w.tally.kills < w.options.kills {
		w.fail(random)
		select {
		case <-time.After(time.Duration(random.Int64N(int64(600 * time.Millisecond)))):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := w.server.kill(); err != nil {
			return err
		}
		w.tally.kills++
		if err := w.server.start(ctx); err != nil {
			return err
		}
		if w.tally.kills%50 == 0 {
			w.say("%d kills", w.tally.kills)
		}
	}
	return nil
}

// fail chooses what does not work until the next kill.
func (w *world) fail(random *rand.Rand) {
	w.mend()
	switch random.IntN(4) {
	case 0:
		w.tally.outages["RPC down"]++
		w.rpc.setDown(true)
	case 1:
		w.tally.outages["RPC connections cut"]++
		w.rpc.cut()
	case 2:
		w.tally.outages["host loses calls"]++
		w.front.lose.Store(3 + random.Int64N(10))
	}
}

func (w *world) mend() {
	w.rpc.setDown(false)
	w.front.lose.Store(0)
}
