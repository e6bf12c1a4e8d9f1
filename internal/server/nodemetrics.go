package server

import "github.com/prometheus/client_golang/prometheus"

// nodeMetrics tells of the nodes when it is asked, so that one that was removed leaves nothing behind.
type nodeMetrics struct{ domain Domain }

var (
	nodeUp       = prometheus.NewDesc("lockstep_node_up", "Whether the node answered when it was last looked at; absent before.", []string{"node"}, nil)
	nodeDraining = prometheus.NewDesc("lockstep_node_draining", "Whether an operator wants no new CVM on the node.", []string{"node"}, nil)
)

// Describe implements prometheus.Collector.
func (nodeMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- nodeUp
	to <- nodeDraining
}

// Collect implements prometheus.Collector.
func (m nodeMetrics) Collect(to chan<- prometheus.Metric) {
	for _, n := range m.domain.Catalog().Nodes() {
		c := n.Condition()
		if c.Known {
			to <- prometheus.MustNewConstMetric(nodeUp, prometheus.GaugeValue, oneIf(c.Reachable), n.Name)
		}
		to <- prometheus.MustNewConstMetric(nodeDraining, prometheus.GaugeValue, oneIf(c.Draining), n.Name)
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

var _ prometheus.Collector = nodeMetrics{}
