package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// wreck kills servers one at a time, again and again, at random moments, and makes everything that they stand on
// fail in between. Beside it some server is held up now and then. It ends when both have done what they shall.
func (w *world) wreck(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for _, part := range []func(context.Context) error{w.killServers, w.holdServersUp, w.cutDatabase} {
		group.Go(func() {
			if err := part(ctx); err != nil {
				cancel(err) // one that fails ends the others
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// killServers also chooses what else does not work until the next kill. It goes on until the last pause is over,
// so that servers are killed while one is held up, and until each operation was taken once, but not much longer.
func (w *world) killServers(ctx context.Context) error {
	random := rand.New(rand.NewPCG(w.options.seed, 1<<32))
	var enough time.Time // since when there were enough kills
	for kills := 0; ; {
		if kills >= w.options.kills && w.paused.Load() {
			if enough.IsZero() {
				enough = time.Now()
			}
			if w.tally.tookAll(w.offered) || time.Since(enough) > time.Minute {
				break
			}
		}
		if kills == 0 { // so that in a short run the host fails too
			w.mend()
			w.tally.count(w.host.fail(random))
		} else {
			w.fail(random)
		}
		if err := rest(ctx, time.Duration(random.Int64N(int64(w.options.calm)))); err != nil {
			return err
		}
		s := w.servers[random.IntN(len(w.servers))]
		if !s.turn.TryLock() {
			continue // it is held up, or cut off
		}
		err := s.kill()
		if err == nil {
			kills++
			w.tally.count("killed")
			if len(w.servers) > 1 { // the others have to do without it for a while
				_ = rest(ctx, time.Duration(random.Int64N(int64(500*time.Millisecond))))
			}
			err = s.start(ctx)
		}
		s.turn.Unlock()
		if err != nil {
			return err
		}
		if kills%50 == 0 {
			w.say("%d kills", kills)
		}
	}
	w.killed.Store(true)
	return nil
}

// holdServersUp stops one server at a time for longer than its lease.
func (w *world) holdServersUp(ctx context.Context) error {
	defer w.paused.Store(true)
	random := rand.New(rand.NewPCG(w.options.seed, 2<<32))
	for range w.options.pauses {
		if err := rest(ctx, time.Duration(random.Int64N(int64(3*time.Second)))); err != nil {
			return err
		}
		s := w.servers[random.IntN(len(w.servers))]
		s.turn.Lock()
		err := s.holdUp(ctx, w.options.pause*2/3+time.Duration(random.Int64N(int64(w.options.pause/3)+1)))
		s.turn.Unlock()
		if err != nil {
			return err
		}
		w.tally.count("held up")
	}
	return nil
}

// cutDatabase ends all connections of a server to PostgreSQL, or of all servers, and sometimes keeps them from
// coming back for a while. With SQLite there is nothing to cut.
func (w *world) cutDatabase(ctx context.Context) error {
	if w.database.behind == nil {
		return nil
	}
	random := rand.New(rand.NewPCG(w.options.seed, 3<<32))
	for !w.killed.Load() {
		if err := rest(ctx, 500*time.Millisecond+time.Duration(random.Int64N(int64(4*time.Second)))); err != nil {
			return err
		}
		victims := w.servers
		if random.IntN(3) > 0 {
			i := random.IntN(len(w.servers))
			victims = w.servers[i : i+1]
		}
		w.cutOff(ctx, victims, time.Duration(random.Int64N(2))*time.Duration(random.Int64N(int64(2*time.Second))))
	}
	return nil
}

// cutOff cuts servers off from the database for a while. One that something else happens to is left alone: a
// server that starts may end when it finds no database.
func (w *world) cutOff(ctx context.Context, victims []*server, d time.Duration) {
	var cut []*server
	for _, s := range victims {
		if s.turn.TryLock() {
			defer s.turn.Unlock()
			cut = append(cut, s)
			s.diary.disturb(s.life(), "cut off")
			s.database.setDown(true)
		}
	}
	if len(cut) == 0 {
		return
	}
	w.tally.count("cut off from the database")
	_ = rest(ctx, d) // mended all the same
	for _, s := range cut {
		s.database.setDown(false)
		s.diary.disturb(s.life(), "cut off")
	}
}

// fail chooses what does not work until the next kill.
func (w *world) fail(random *rand.Rand) {
	w.mend()
	switch random.IntN(6) {
	case 0:
		w.tally.count("RPC down")
		w.rpc.setDown(true)
	case 1:
		w.tally.count("RPC connections cut")
		w.rpc.cut()
	case 2, 3, 4:
		w.tally.count(w.host.fail(random))
	}
}

func (w *world) mend() {
	w.rpc.setDown(false)
	w.host.mend()
}

// rest waits, or ends with the context.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
