package app

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/web"
)

var (
	requestSeconds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	delaySeconds   = []float64{.01, .05, .1, .5, 1, 2, 5, 30, 120}
)

// meters is what operators see of a node, in the text format of Prometheus. Labels
// never name people, clients or realms: there may be any number of them.
//
//	cardea_requests_total{route,status}      requests answered
//	cardea_request_seconds{route}            from a request's arrival to the end of its answer
//	cardea_job_attempts_total{kind,result}   attempts at jobs: done, retry or dead
//	cardea_job_delay_seconds{kind}           from the making of a job to its first attempt
//	cardea_jobs{state}                       jobs of all nodes: waiting (or being done), dead (given up)
//	cardea_log_position, cardea_log_epoch    what this node has applied of the event log;
//	                                         the epoch rises after a failover that lost something
//	cardea_decisions_total                   decisions that this node wrote down
//	cardea_decisions_dropped_total           and those that came faster than they could be written
//	cardea_node_live                         1 while this node holds its lease and may say yes
type meters struct {
	set   *metrics.Set
	jobs  *job.Queue
	mu    sync.Mutex                      // held while known is replaced
	known atomic.Pointer[map[seen]*meter] // making a name costs more than counting
}

// seen is a kind of answer: route (nil for none) and status.
type seen struct {
	route  *web.Route
	status int
}

type meter struct {
	requests *metrics.Counter
	took     *metrics.PrometheusHistogram
}

func newMeters(log *audit.Log, jobs *job.Queue, decisions *journal.Journal) *meters {
	m := &meters{set: metrics.NewSet(), jobs: jobs}
	m.known.Store(&map[seen]*meter{})
	m.set.NewGauge("cardea_log_position", func() float64 { return float64(log.Applied().Seq) })
	m.set.NewGauge("cardea_log_epoch", func() float64 { return float64(log.Applied().Epoch) })
	m.set.NewGauge("cardea_decisions_total", func() float64 { return float64(decisions.Written()) })
	m.set.NewGauge("cardea_decisions_dropped_total", func() float64 { return float64(decisions.Dropped()) })
	m.set.NewGauge("cardea_node_live", func() float64 {
		if log.Live() != nil {
			return 0
		}
		return 1
	})
	return m
}

// observe counts a finished request.
func (m *meters) observe(s web.Summary) {
	kind := seen{s.Route, s.Status}
	of := (*m.known.Load())[kind]
	if of == nil {
		of = m.meet(kind)
	}
	of.requests.Inc()
	of.took.Update(s.Took.Seconds())
}

// meet makes the meter of a kind of answer. There are a few hundred at most, so
// that whoever counts reads a map that nobody changes.
func (m *meters) meet(kind seen) *meter {
	m.mu.Lock()
	defer m.mu.Unlock()
	route := "none"
	if kind.route != nil {
		route = kind.route.Path
	}
	of := &meter{
		m.set.GetOrCreateCounter(fmt.Sprintf("cardea_requests_total{route=%q,status=\"%d\"}", route, kind.status)),
		m.set.GetOrCreatePrometheusHistogramExt(fmt.Sprintf("cardea_request_seconds{route=%q}", route), requestSeconds),
	}
	known := maps.Clone(*m.known.Load())
	known[kind] = of
	m.known.Store(&known)
	return of
}

// attempted counts an attempt at a job.
func (m *meters) attempted(o job.Outcome) {
	m.set.GetOrCreateCounter(fmt.Sprintf("cardea_job_attempts_total{kind=%q,result=%q}", o.Kind, o.Result)).Inc()
	if o.Delay >= 0 {
		m.set.GetOrCreatePrometheusHistogramExt(fmt.Sprintf("cardea_job_delay_seconds{kind=%q}", o.Kind), delaySeconds).Update(o.Delay.Seconds())
	}
}

// write writes all there is to see. Jobs are counted when it is asked; when they
// cannot be, their lines are missing.
func (m *meters) write(ctx context.Context, w io.Writer) {
	m.set.WritePrometheus(w)
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if waiting, dead, err := m.jobs.Depth(ctx); err == nil {
		metrics.WriteGaugeUint64(w, `cardea_jobs{state="waiting"}`, uint64(waiting))
		metrics.WriteGaugeUint64(w, `cardea_jobs{state="dead"}`, uint64(dead))
	}
	metrics.WriteProcessMetrics(w)
}

// handler serves metrics and profiles. It belongs on a loopback address only.
func (m *meters) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		m.write(r.Context(), w)
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
