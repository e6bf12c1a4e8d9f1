package app

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// look asks the machine of a node what it is and has, and notes it. When a node starts or ceases to answer it
// says so in the log, with where settings and machine differ. A machine that cannot be asked is in this
// process, or has no answer: it counts as reachable.
func look(ctx context.Context, node *control.Node, now func() time.Time, log *slog.Logger) (changed bool) {
	log = log.With("node", node.Name)
	var m runtime.Machine
	var err error
	if prober, ok := node.Runtime.(runtime.Prober); ok {
		m, err = prober.Probe(ctx)
	}
	changed = node.Observe(m, err, now())
	switch {
	case !changed:
	case err != nil:
		log.WarnContext(ctx, "node does not answer; its CVMs wait for it, and no new one is placed there", "error", err)
	default:
		log.InfoContext(ctx, "node answers", "version", m.Version, "gpus", len(m.GPUs))
		compare(ctx, node, m, log)
	}
	return changed
}

// compare logs where settings and machine differ.
func compare(ctx context.Context, node *control.Node, m runtime.Machine, log *slog.Logger) {
	if _, ok := node.Runtime.(runtime.Prober); !ok {
		return
	}
	if m.Simulated {
		log.WarnContext(ctx, "node is no confidential host: no TEE is behind it")
	}
	bare := m.Simulated && len(m.Images) == 0 // a Docker Engine: its CVMs boot no operating system
	for _, image := range node.Images {
		if !bare && !slices.Contains(m.Images, image.Name) {
			log.WarnContext(ctx, "node lacks an OS image that its settings name", "image", image.Name)
		}
	}
	if node.GatewayDomain != "" && m.GatewayDomain != "" && node.GatewayDomain != m.GatewayDomain {
		log.WarnContext(ctx, "gateway_domain is another one than the node's", "settings", node.GatewayDomain, "says", m.GatewayDomain)
	}
	for _, limit := range []struct {
		name     string
		ours, is int64
	}{
		{"cvms", node.Capacity.CVMs, m.Limits.CVMs}, {"vcpu", node.Capacity.VCPU, m.Limits.VCPU}, {"memory_mb", node.Capacity.MemoryMB, m.Limits.MemoryMB},
	} {
		if limit.is > 0 && limit.ours > limit.is {
			log.WarnContext(ctx, "capacity is more than the node gives, which counts", "limit", limit.name, "settings", limit.ours, "says", limit.is)
		}
	}
}
