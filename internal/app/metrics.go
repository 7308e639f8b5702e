package app

import (
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/web"
)

// metrics is what operators see of a node. Labels never name people, clients or
// realms: there may be any number of them.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	known    sync.Map // of seen to *meters: looking labels up by name costs more than counting
}

// seen is a kind of answer: route (nil for none) and status.
type seen struct {
	route  *web.Route
	status int
}

type meters struct {
	requests prometheus.Counter
	took     prometheus.Observer
}

func newMetrics(log *audit.Log) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cardea_requests_total", Help: "Requests answered."}, []string{"route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cardea_request_seconds", Help: "Time from a request's arrival to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"route"}),
	}
	m.registry.MustRegister(m.requests, m.took, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cardea_log_position", Help: "Position in the event log that this node has applied."},
			func() float64 { return float64(log.Applied().Seq) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cardea_log_epoch", Help: "Epoch of the event log; it rises after a failover that lost something."},
			func() float64 { return float64(log.Applied().Epoch) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cardea_node_live", Help: "1 while this node holds its lease and may say yes."},
			func() float64 {
				if log.Live() != nil {
					return 0
				}
				return 1
			}))
	return m
}

// observe counts a finished request.
func (m *metrics) observe(s web.Summary) {
	kind := seen{s.Route, s.Status}
	v, ok := m.known.Load(kind)
	if !ok {
		route := "none"
		if s.Route != nil {
			route = s.Route.Path
		}
		v, _ = m.known.LoadOrStore(kind, &meters{m.requests.WithLabelValues(route, strconv.Itoa(s.Status)), m.took.WithLabelValues(route)})
	}
	of := v.(*meters)
	of.requests.Inc()
	of.took.Observe(s.Took.Seconds())
}

// handler serves metrics and profiles. It belongs on a loopback address only.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 5 * time.Second}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
