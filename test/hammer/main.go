// Command hammer proves that an update survives the death of its server. It runs a chain, a dstack host and a
// `lockstep serve` process on SQLite, proposes, approves, takes approvals back and updates at random over
// many CVMs, good versions and bad ones, and meanwhile kills the server with SIGKILL and makes host and RPC
// fail. Then it lets everything heal and checks: no accepted update is lost or unfinished, every end has a
// reason, no document booted that its owner had not allowed, every CVM runs the version that the control
// plane says, and `lockstep fsck` finds nothing. `make hammer` runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

// options are what a run is told.
type options struct {
	lockstep string        // the program under test
	kills    int           // SIGKILLs to survive
	cvms     int           // CVMs to update
	clients  int           // requests in flight
	seed     uint64        // of everything that is random here
	limit    time.Duration // of the whole run
	heal     time.Duration // how long everything may take to end once nothing fails any more
	keep     bool          // keep the folder with database and logs
}

func main() {
	var o options
	flag.StringVar(&o.lockstep, "lockstep", "bin/lockstep", "the lockstep program")
	flag.IntVar(&o.kills, "kills", 300, "how often a server is killed")
	flag.IntVar(&o.cvms, "cvms", 50, "how many CVMs are updated")
	flag.IntVar(&o.clients, "clients", 12, "how many clients send requests")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of the random choices; the order of events still varies")
	flag.DurationVar(&o.limit, "limit", 30*time.Minute, "how long the run may take")
	flag.DurationVar(&o.heal, "heal", 3*time.Minute, "how long everything may take to end after the last failure")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder with database and logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "hammer: FAILED (seed %d): %v\n", o.seed, err)
		os.Exit(1) //nolint:gocritic // the process ends; there is nothing left to cancel
	}
}

// run is one run: build the world, hammer it, let it heal, judge it.
func run(ctx context.Context, o options) (err error) {
	w, err := newWorld(ctx, o)
	defer func() { err = errors.Join(err, w.close(err != nil)) }()
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	w.say("%d CVMs on one host, seed %d, folder %s", len(w.cvms), o.seed, w.dir)
	began := time.Now()
	load, stopLoad := context.WithCancel(ctx)
	finished := w.startLoad(load)
	err = w.wreck(ctx)
	stopLoad()
	<-finished
	if err != nil {
		return fmt.Errorf("after %s: %w", time.Since(began).Round(time.Second), err)
	}
	w.say("hammered for %s; now nothing fails any more", time.Since(began).Round(time.Second))
	healing := time.Now()
	if err := w.heal(ctx); err != nil {
		return err
	}
	return w.judge(ctx, time.Since(healing))
}
