// Command bench measures what Lockstep promises, each figure as a ratio to a baseline taken in the same
// run on the same machine, and says whether the promise is kept. `make bench` runs it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"text/tabwriter"
	"time"
)

// figure is one measured promise.
type figure struct {
	name     string
	ours     string
	baseline string
	value    float64
	unit     string
	limit    float64
	atMost   bool // the value must not be above the limit; otherwise not below
	told     bool // the value is told, and nothing is promised
}

func (f figure) ok() bool {
	if f.told {
		return true
	}
	if f.atMost {
		return f.value <= f.limit
	}
	return f.value >= f.limit
}

// measurement is one thing that is measured; it may yield several figures.
type measurement struct {
	name string
	run  func(ctx context.Context, env *environment) ([]figure, error)
}

func main() {
	env := &environment{}
	flag.StringVar(&env.lockstep, "lockstep", "", "the lockstep program to measure")
	flag.StringVar(&env.server, "server", "", "the lockstep program built for production (-tags serveronly)")
	flag.StringVar(&env.nodeModules, "node-modules", "", "folder node_modules with the official clients")
	flag.DurationVar(&env.duration, "duration", 4*time.Second, "how long each rate is measured")
	flag.StringVar(&env.database, "database", "sqlite", "sqlite or postgres, for what is measured with servers of the bench's own")
	flag.IntVar(&env.watchers, "watchers", 10_000, "how many event streams are opened on one server")
	flag.StringVar(&env.profiles, "profiles", "", "folder for CPU and heap profiles; servers are then in the process of the bench")
	sizes := flag.String("sizes", "1,100,1000,10000", "numbers of CVMs that rollouts are measured with")
	watch := flag.String("watch", "", "") // how the bench starts itself for the clients of event streams
	only := flag.String("only", "", "run only the measurement of this name")
	flag.Parse()
	if err := env.complete(*sizes); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *watch != "" {
		if err := watchStreams(ctx, *watch); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			os.Exit(1) //nolint:gocritic // the process ends; there is nothing left to cancel
		}
		return
	}
	if !run(ctx, env, *only) {
		os.Exit(1)
	}
}

func run(ctx context.Context, env *environment, only string) bool {
	out := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	kept := true
	_, _ = fmt.Fprintln(out, "PROMISE\tOURS\tBASELINE\tVALUE\tLIMIT\t")
	for _, m := range []measurement{
		{"hash", measureHash}, {"phase1", measurePhase1}, {"start", measureStart}, {"memory", measureMemory},
		{"rollouts", measureRollouts}, {"phase2", measurePhase2}, {"watchers", measureWatchers},
		{"docker", measureDocker},
	} {
		if only != "" && only != m.name {
			continue
		}
		figures, err := m.run(ctx, env)
		env.closeDatabases()
		if err != nil {
			_, _ = fmt.Fprintf(out, "%s\t\t\t\t\tFAILED: %v\n", m.name, err)
			kept = false
		}
		for _, f := range figures {
			if f.told {
				_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%.2f %s\t\t\n", f.name, f.ours, f.baseline, f.value, f.unit)
				continue
			}
			verdict, sign := "kept", ">="
			if f.atMost {
				sign = "<="
			}
			if !f.ok() {
				verdict, kept = "NOT KEPT", false
			}
			_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%.2f %s\t%s %.2f\t%s\n", f.name, f.ours, f.baseline, f.value, f.unit, sign, f.limit, verdict)
		}
		_ = out.Flush()
	}
	return kept
}
