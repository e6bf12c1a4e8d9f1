package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/postgrestest"
)

// environment is what the measurements need from outside.
type environment struct {
	lockstep    string
	server      string // the build for production, without the dev chain
	nodeModules string
	duration    time.Duration
	database    string // sqlite or postgres
	sizes       []int  // numbers of CVMs
	watchers    int    // event streams
	profiles    string // folder; empty: servers are processes of their own, and are not profiled
	inside      bool   // servers run in this process

	clusters []*postgrestest.Cluster
}

// complete reads the sizes and refuses what cannot be measured.
func (e *environment) complete(sizes string) error {
	if e.database != "sqlite" && e.database != "postgres" {
		return fmt.Errorf("-database is %q, want sqlite or postgres", e.database)
	}
	for text := range strings.SplitSeq(sizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil || size < 1 {
			return fmt.Errorf("-sizes has %q, want numbers of CVMs, as in 1,100", text)
		}
		e.sizes = append(e.sizes, size)
	}
	e.inside = e.profiles != ""
	return nil
}

// databaseIn gives the URL of a new database: a file in a folder, or a PostgreSQL of its own.
func (e *environment) databaseIn(ctx context.Context, dir string) (string, error) {
	if e.database == "sqlite" {
		return "sqlite:" + filepath.Join(dir, "lockstep.db"), nil
	}
	cluster, err := postgrestest.Start(ctx, postgrestest.Options{TCP: true, Durable: true})
	if err != nil {
		return "", err
	}
	e.clusters = append(e.clusters, cluster)
	return cluster.URL, nil
}

// closeDatabases ends what databaseIn has started.
func (e *environment) closeDatabases() {
	for _, cluster := range e.clusters {
		_ = cluster.Close() // the measurement is done
	}
	e.clusters = nil
}

// profile writes a CPU profile and, at the end, a heap profile, when servers are in this process.
func (e *environment) profile(name string) (end func()) {
	if e.profiles == "" {
		return func() {}
	}
	cpu, err := os.Create(filepath.Join(e.profiles, name+".cpu"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: no profile: %v\n", err)
		return func() {}
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		fmt.Fprintf(os.Stderr, "bench: no profile: %v\n", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = cpu.Close() // what is missing is seen when the profile is read
		heap, err := os.Create(filepath.Join(e.profiles, name+".heap"))
		if err != nil {
			return
		}
		_ = pprof.WriteHeapProfile(heap)
		_ = heap.Close()
	}
}
