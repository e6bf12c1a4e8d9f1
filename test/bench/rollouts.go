package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"
)

// simConfig is a server with one simulated node and an off-chain KMS.
const simConfig = `kms: [{slug: off, type: phala, url: "https://kms.test", version: "1", keys_dir: %[1]s/kms}]
nodes:
  - {id: 1, name: node-1, driver: sim, dir: %[1]s/node, images: [{name: dstack-0.5.5, version: [0, 5, 5]}],
     capacity: {cvms: 1000000, vcpu: 10000000, memory_mb: 100000000000}}
`

// growth is how much more an update may cost with many CVMs than with a hundred.
const growth = 1.5

// measureRollouts updates every CVM of a server once and again, for servers with more and more CVMs, each update from
// the request to a verified end: two phases in one, stop, apply, start, health, all of it durable.
func measureRollouts(ctx context.Context, env *environment) (figures []figure, err error) {
	cost := map[int]time.Duration{} // per update
	var memory float64
	for _, size := range env.sizes {
		if cost[size], memory, err = rolloutsOf(ctx, env, size); err != nil {
			return figures, fmt.Errorf("%d CVMs: %w", size, err)
		}
		base, ok := cost[100]
		f := figure{
			name: fmt.Sprintf("rollouts of %d CVMs on sim", size), ours: fmt.Sprintf("%.0f/s, %.2f ms each", 1/cost[size].Seconds(), float64(cost[size].Microseconds())/1000),
			baseline: "100 CVMs", unit: "x the cost", limit: growth, atMost: true, told: true,
		}
		if ok {
			f.value = float64(cost[size]) / float64(base)
			f.told = size <= 100
		}
		figures = append(figures, f)
		if size >= 1000 {
			figures = append(figures, figure{
				name: fmt.Sprintf("memory per 1,000 CVMs, of %d on sim", size), ours: fmt.Sprintf("%.1f MB", memory), baseline: "the same server without CVMs",
				value: memory, unit: "MB", told: true,
			})
		}
	}
	return figures, nil
}

// updatesOfARound is how many updates are measured at least, so that a few CVMs are measured for long enough too.
const updatesOfARound = 600

// rolloutsOf measures what an update costs on a server with some number of CVMs, and what 1,000 of them take of its
// memory, in MB.
func rolloutsOf(ctx context.Context, env *environment, size int) (cost time.Duration, memory float64, err error) {
	dir, err := os.MkdirTemp("", "lockstep-bench-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder that stays does no harm
	server, err := startServed(ctx, env, dir, fmt.Sprintf(simConfig, dir))
	if err != nil {
		return 0, 0, err
	}
	defer server.stop()
	before, err := server.resident()
	if err != nil {
		return 0, 0, err
	}
	err = inParallel(ctx, size, func(ctx context.Context, i int) error { return server.create(ctx, cvmName(i)) })
	if err != nil {
		return 0, 0, err
	}
	if err := server.settled(ctx); err != nil {
		return 0, 0, err
	}
	after, err := server.resident()
	if err != nil {
		return 0, 0, err
	}
	defer env.profile(fmt.Sprintf("rollouts-%d", size))()
	rounds := 1 + updatesOfARound/size
	if size == 1 {
		rounds = 20 // one at a time: each waits for the one before
	}
	began := time.Now()
	for range rounds {
		err = inParallel(ctx, size, func(ctx context.Context, i int) error { return server.update(ctx, cvmName(i)) })
		if err == nil {
			err = server.settled(ctx)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return time.Since(began) / time.Duration(rounds*size), (after - before) / float64(size) * 1000, nil
}

func cvmName(i int) string { return fmt.Sprintf("bench-%05d", i) }

// update sends a new Compose file, which an off-chain KMS takes at once.
func (s *served) update(ctx context.Context, name string) error {
	status, err := s.call(ctx, http.MethodPatch, "/cvms/"+name+"/docker-compose", "text/yaml", []byte(nextYAML()), nil)
	if err == nil && status != http.StatusAccepted {
		err = fmt.Errorf("update of %s was answered with %d, want 202", name, status)
	}
	return err
}
