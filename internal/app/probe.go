package app

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/runtime"
)

// probeTimeout bounds how long a node may take to say what it is.
const probeTimeout = 15 * time.Second

// probeNodes asks the nodes, beside everything else, what they are, and logs where settings and node differ. A
// server starts with nodes that do not answer. What it returns ends it.
func probeNodes(ctx context.Context, nodes []*control.Node, log *slog.Logger) (stop func() error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
	var asking sync.WaitGroup
	for _, node := range nodes {
		if prober, ok := node.Runtime.(runtime.Prober); ok {
			asking.Go(func() { probeNode(ctx, node, prober, log) })
		}
	}
	return func() error {
		cancel()
		asking.Wait()
		return nil
	}
}

func probeNode(ctx context.Context, node *control.Node, prober runtime.Prober, log *slog.Logger) {
	log = log.With("node", node.Name)
	m, err := prober.Probe(ctx)
	if err != nil {
		if ctx.Err() == nil {
			log.WarnContext(ctx, "node does not answer; its CVMs wait for it", "error", err)
		}
		return
	}
	log.InfoContext(ctx, "node answers", "version", m.Version, "gpus", len(m.GPUs))
	if m.Simulated {
		log.WarnContext(ctx, "node is no confidential host: no TEE is behind it")
	}
	for _, image := range node.Images {
		if len(m.Images) > 0 && !slices.Contains(m.Images, image.Name) {
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
			log.WarnContext(ctx, "capacity is more than the node gives", "limit", limit.name, "settings", limit.ours, "says", limit.is)
		}
	}
}
