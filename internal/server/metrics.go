package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type metrics struct {
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	streams  prometheus.Gauge
	page     http.Handler
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lockstep_http_requests_total", Help: "Requests answered, by route, method and status.",
		}, []string{"route", "method", "status"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lockstep_http_request_duration_seconds", Help: "Time until a request was answered; event streams and logs are not counted.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lockstep_http_requests_in_flight", Help: "Requests being answered now, event streams included.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lockstep_http_event_streams", Help: "Event streams open now.",
		}),
		page: promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.latency, m.inFlight, m.streams} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// observe counts an answered request. Labels come from sets of known size: what a client can invent
// would otherwise grow the process.
func (m *metrics) observe(pattern, method string, status int, elapsed time.Duration) {
	if pattern == "" {
		pattern = "none"
	}
	if !knownMethod(method) {
		method = "other"
	}
	m.requests.WithLabelValues(pattern, method, strconv.Itoa(status)).Inc()
	if pattern != statePattern && pattern != consoleLogPattern && pattern != containerLogPattern {
		m.latency.WithLabelValues(pattern, method).Observe(elapsed.Seconds())
	}
}

func knownMethod(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return true
	default:
		return false
	}
}

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request, _ *call) error {
	s.metrics.page.ServeHTTP(w, r)
	return nil
}
