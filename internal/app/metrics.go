package app

import (
	"context"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/web"
)

// metrics is what operators see of a node. Labels never name people, clients or
// realms: there may be any number of them.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	attempts *prometheus.CounterVec
	delays   *prometheus.HistogramVec
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

func newMetrics(log *audit.Log, jobs *job.Queue) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cardea_requests_total", Help: "Requests answered."}, []string{"route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cardea_request_seconds", Help: "Time from a request's arrival to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}, []string{"route"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cardea_job_attempts_total", Help: "Attempts at jobs, by how they ended: done, retry or dead."}, []string{"kind", "result"}),
		delays: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "cardea_job_delay_seconds", Help: "Time from the making of a job to its first attempt.",
			Buckets: []float64{.01, .05, .1, .5, 1, 2, 5, 30, 120}}, []string{"kind"}),
	}
	m.registry.MustRegister(m.requests, m.took, m.attempts, m.delays, jobDepth{jobs}, collectors.NewGoCollector(),
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

// attempted counts an attempt at a job.
func (m *metrics) attempted(o job.Outcome) {
	m.attempts.WithLabelValues(o.Kind, o.Result).Inc()
	if o.Delay >= 0 {
		m.delays.WithLabelValues(o.Kind).Observe(o.Delay.Seconds())
	}
}

// jobDepth tells how many jobs there are, all nodes together, when it is asked.
type jobDepth struct{ queue *job.Queue }

// Describe implements prometheus.Collector.
func (d jobDepth) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(d, to) }

// Collect implements prometheus.Collector.
func (d jobDepth) Collect(to chan<- prometheus.Metric) {
	what := prometheus.NewDesc("cardea_jobs", "Jobs of all nodes that wait or are being done, and those that were given up (dead).", []string{"state"}, nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	waiting, dead, err := d.queue.Depth(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(what, err)
		return
	}
	to <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, float64(waiting), "waiting")
	to <- prometheus.MustNewConstMetric(what, prometheus.GaugeValue, float64(dead), "dead")
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
