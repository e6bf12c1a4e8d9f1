// Command hammer proves that an update survives anything. It runs a chain, a dstack host or a Docker Engine, and one or
// more `lockstep serve` processes on one database, sends updates, approvals, cancels, rollbacks and power actions at
// random over many CVMs, good versions and bad ones, and meanwhile kills servers with SIGKILL, holds some of them
// up with SIGSTOP for longer than their lease, and makes host, RPC and database connections fail. Then it lets
// everything heal and judges what is on record; the rules are in rules.go. `make hammer` runs it.
package main

import (
	"cmp"
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
	lockstep    string        // the program under test
	runtime     string        // dstack or docker
	database    string        // sqlite or postgres
	postgresURL string        // of a database that is the hammer's own; empty: a private PostgreSQL
	servers     int           // `lockstep serve` processes; 0: one on SQLite, three on PostgreSQL
	kills       int           // SIGKILLs to survive; negative: 300, or 5 on docker
	calm        time.Duration // the longest time from a start of a server to the next kill
	pauses      int           // SIGSTOPs to survive; negative: one for every 20 kills, at least one
	pause       time.Duration // how long a server is held up: longer than its lease
	cvms        int           // CVMs to update; 0: 50, or 6 on docker
	clients     int           // requests in flight; 0: 12, or 3 on docker
	pace        time.Duration // how long a client waits after each request
	operate     int           // one request in so many is no update
	seed        uint64        // of everything that is random here
	limit       time.Duration // of the whole run
	heal        time.Duration // how long everything may take to end once nothing fails any more
	keep        bool          // keep the folder with database and logs
	settings    string        // YAML appended to the configuration of every server
}

func main() {
	var o options
	flag.StringVar(&o.lockstep, "lockstep", "bin/lockstep", "the lockstep program")
	flag.StringVar(&o.runtime, "runtime", onDstack, "what CVMs run on: dstack, a simulated host, or docker, the Docker Engine that tests use")
	flag.StringVar(&o.database, "database", "sqlite", "sqlite or postgres")
	flag.StringVar(&o.postgresURL, "postgres-url", "", "postgres://USER@HOST:PORT/DATABASE of an empty database; empty: a PostgreSQL of its own")
	flag.IntVar(&o.servers, "servers", 0, "how many servers share the database; 0: one on sqlite, three on postgres")
	flag.IntVar(&o.kills, "kills", -1, "how often a server is killed; negative: 300, or 5 on docker")
	flag.DurationVar(&o.calm, "calm", 0, "the longest time until the next kill; 0: 600ms, or 6s on docker")
	flag.IntVar(&o.pauses, "pauses", -1, "how often a server is held up with SIGSTOP; negative: one for every 20 kills, at least one")
	flag.DurationVar(&o.pause, "pause", 0, "how long a server is held up at most, the shortest is two thirds of it; 0: 2s on sqlite, 20s on postgres, where servers have leases")
	flag.IntVar(&o.cvms, "cvms", 0, "how many CVMs are updated; 0: 50, or 6 on docker")
	flag.IntVar(&o.clients, "clients", 0, "how many clients send requests; 0: 12, or 3 on docker")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "seed of the random choices; the order of events still varies")
	flag.DurationVar(&o.limit, "limit", 30*time.Minute, "how long the run may take")
	flag.DurationVar(&o.heal, "heal", 3*time.Minute, "how long everything may take to end after the last failure")
	flag.BoolVar(&o.keep, "keep", false, "keep the folder with database and logs")
	flag.StringVar(&o.settings, "settings", "", "YAML that is added to the configuration of every server")
	flag.Parse()
	if err := o.complete(); err != nil {
		fmt.Fprintf(os.Stderr, "hammer: %v\n", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "hammer: FAILED (seed %d): %v\n", o.seed, err)
		os.Exit(1) //nolint:gocritic // the process ends; there is nothing left to cancel
	}
}

// complete fills in what was left open and refuses what does not go together.
func (o *options) complete() error {
	usual, ok := map[string]options{
		onDstack: {kills: 300, calm: 600 * time.Millisecond, cvms: 50, clients: 12, operate: 4},
		onDocker: {kills: 5, calm: 6 * time.Second, cvms: 6, clients: 3, pace: 50 * time.Millisecond, operate: 12}, // containers are slow
	}[o.runtime]
	switch {
	case !ok:
		return fmt.Errorf("-runtime is %q, want dstack or docker", o.runtime)
	case o.runtime == onDocker && o.servers > 1:
		return fmt.Errorf("-servers is %d, want 1: a node of driver docker is for one server", o.servers)
	case o.database != sqlite && o.database != postgres:
		return fmt.Errorf("-database is %q, want sqlite or postgres", o.database)
	case o.database == sqlite && o.servers > 1:
		return fmt.Errorf("-servers is %d, want 1: SQLite is for one server", o.servers)
	case o.servers < 0 || o.cvms < 0 || o.clients < 0 || o.calm < 0:
		return errors.New("-servers, -cvms, -clients and -calm must not be negative")
	}
	if o.kills < 0 {
		o.kills = usual.kills
	}
	o.calm, o.cvms, o.clients = cmp.Or(o.calm, usual.calm), cmp.Or(o.cvms, usual.cvms), cmp.Or(o.clients, usual.clients)
	o.pace, o.operate = usual.pace, usual.operate
	if o.servers == 0 {
		o.servers = map[string]int{sqlite: 1, postgres: 3}[o.database]
		if o.runtime == onDocker {
			o.servers = 1
		}
	}
	if o.pause == 0 {
		o.pause = map[string]time.Duration{sqlite: 2 * time.Second, postgres: 20 * time.Second}[o.database]
	}
	if o.pauses < 0 {
		o.pauses = max(1, o.kills/20)
	}
	return nil
}

// run is one run: build the world, hammer it, let it heal, judge it.
func run(ctx context.Context, o options) (err error) {
	w, err := newWorld(ctx, o)
	defer func() { err = errors.Join(err, w.close(err != nil)) }()
	if err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	w.say("%d CVMs on one host (%s), %d servers on %s, seed %d, folder %s", len(w.cvms), o.runtime, len(w.servers), o.database, o.seed, w.dir)
	began := time.Now()
	load, stopLoad := context.WithCancel(ctx)
	finished := w.startLoad(load)
	err = w.wreck(ctx)
	stopLoad()
	<-finished
	if err != nil {
		return fmt.Errorf("after %s: %w", time.Since(began).Round(time.Second), err)
	}
	hammered := time.Since(began)
	w.say("hammered for %s; now nothing fails any more", hammered.Round(time.Second))
	healing := time.Now()
	if err := w.heal(ctx); err != nil {
		return err
	}
	r, err := w.collect(ctx)
	if err != nil {
		return fmt.Errorf("collect what is on record: %w", err)
	}
	r.hammered, r.healed = hammered, time.Since(healing)
	w.print(r)
	if wrong := r.judge(); len(wrong) > 0 {
		return fmt.Errorf("%d things are wrong:\n%s", len(wrong), lines(wrong))
	}
	w.say("nothing is wrong")
	return nil
}
