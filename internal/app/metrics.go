package app

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockstep-cvm/lockstep/internal/control"
	"github.com/lockstep-cvm/lockstep/internal/store"
	"github.com/lockstep-cvm/lockstep/internal/store/column"
)

// metrics shows what the control plane does: how updates end, as this server sees them end, and what is open in the
// database, which all servers on it share. It implements prometheus.Collector and control.Observer.
type metrics struct {
	db    *store.Store
	clock control.Clock
	took  *prometheus.HistogramVec

	openUpdates, oldestUpdate, openRollouts, jobs, servers, unread *prometheus.Desc
}

// collectTimeout bounds a scrape: the database may be out of reach, and the other metrics must be seen then too.
const collectTimeout = 2 * time.Second

func newMetrics(db *store.Store, clock control.Clock) *metrics {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &metrics{
		db: db, clock: clock,
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lockstep_update_duration_seconds",
			Help:    "How long accepted updates took until they ended, by kind and result; of those that ended in this process.",
			Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800},
		}, []string{"kind", "result"}),
		openUpdates:  describe("lockstep_updates_open", "Updates that are not final, by state.", "state"),
		oldestUpdate: describe("lockstep_update_oldest_seconds", "How long the update that is longest in a state has been in it; 0 when there is none.", "state"),
		openRollouts: describe("lockstep_rollouts_open", "Fleet rollouts that are not final, by state.", "state"),
		jobs:         describe("lockstep_jobs", "Durable jobs that are not done, by state.", "state"),
		servers:      describe("lockstep_servers", "Servers that share the work on the database now; always 1 with SQLite."),
		unread:       describe("lockstep_database_read_errors", "1 when the database could not be read for this page, and what it would have told is missing."),
	}
}

// UpdateEnded implements control.Observer.
func (m *metrics) UpdateEnded(kind column.UpdateKind, result column.UpdateState, took time.Duration) {
	m.took.WithLabelValues(string(kind), string(result)).Observe(took.Seconds())
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	m.took.Describe(out)
	for _, d := range []*prometheus.Desc{m.openUpdates, m.oldestUpdate, m.openRollouts, m.jobs, m.servers, m.unread} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	m.took.Collect(out)
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	unread := 0.0
	for _, read := range []func(context.Context, chan<- prometheus.Metric) error{m.updates, m.rollouts, m.queue, m.leases} {
		if read(ctx, out) != nil {
			unread = 1 // the page must not fail with the database
		}
	}
	out <- prometheus.MustNewConstMetric(m.unread, prometheus.GaugeValue, unread)
}

// Every state has its line, also with 0: an alert on a line that is not there stays silent.
var (
	openStates    = []column.UpdateState{column.AwaitingApproval, column.Approved, column.RollingOut, column.Verifying, column.RollingBack}
	rolloutStates = []column.RolloutState{column.RolloutRunning, column.RolloutPaused, column.RolloutRollingBack}
	jobStates     = []string{"available", "pending", "retryable", "running", "scheduled"}
)

func (m *metrics) updates(ctx context.Context, out chan<- prometheus.Metric) error {
	rows, err := m.db.Read().CountOpenUpdates(ctx)
	if err != nil {
		return err
	}
	counts, ages := map[column.UpdateState]float64{}, map[column.UpdateState]float64{}
	for _, row := range rows {
		counts[row.State] = float64(row.Updates)
		ages[row.State] = max(0, m.clock.Now().Sub(time.UnixMicro(row.Oldest)).Seconds())
	}
	for _, state := range openStates {
		out <- prometheus.MustNewConstMetric(m.openUpdates, prometheus.GaugeValue, counts[state], string(state))
		out <- prometheus.MustNewConstMetric(m.oldestUpdate, prometheus.GaugeValue, ages[state], string(state))
	}
	return nil
}

func (m *metrics) rollouts(ctx context.Context, out chan<- prometheus.Metric) error {
	rows, err := m.db.Read().CountOpenRollouts(ctx)
	if err != nil {
		return err
	}
	counts := map[column.RolloutState]float64{}
	for _, row := range rows {
		counts[row.State] = float64(row.Rollouts)
	}
	for _, state := range rolloutStates {
		out <- prometheus.MustNewConstMetric(m.openRollouts, prometheus.GaugeValue, counts[state], string(state))
	}
	return nil
}

func (m *metrics) queue(ctx context.Context, out chan<- prometheus.Metric) error {
	counts, err := m.db.CountJobs(ctx)
	if err != nil {
		return err
	}
	for _, state := range jobStates {
		out <- prometheus.MustNewConstMetric(m.jobs, prometheus.GaugeValue, float64(counts[state]), state)
	}
	return nil
}

// leases counts the servers whose lease is not over. A database that has one server knows of no leases.
func (m *metrics) leases(ctx context.Context, out chan<- prometheus.Metric) error {
	alive := 1
	if leases := m.db.Leases(); leases != nil {
		ids, err := leases.Servers(ctx)
		if err != nil {
			return err
		}
		alive = len(ids)
	}
	out <- prometheus.MustNewConstMetric(m.servers, prometheus.GaugeValue, float64(alive))
	return nil
}
