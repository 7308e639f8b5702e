// Package agent is Cardea as the control plane of agents that decide elsewhere in a
// language of their own: what they are given (policies in Rego from the realm's
// folder, roles, and facts as documents that changes patch) and what they report
// (how they are, and what they decided). It knows their formats and not how they
// are carried; packages opa and opal do.
//
// A bundle's tag says what is in it. For facts it is a position in the event log:
// whoever shows one gets what changed since, as far back as this node remembers,
// and everything otherwise. Nothing of what an agent shows is believed but that.
package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/journal"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/jose"
)

// Options are what a control plane stands on.
type Options struct {
	DB  *db.DB
	Log *audit.Log
	// Snapshot is a realm's state, at least as new as min; nil without policies.
	Snapshot func(ctx context.Context, realm string, min audit.Position) (*policy.Snapshot, audit.Position, error)
	// Policy is the version of the realm's folder that counts, with its files. It
	// is fault.NotFound where there is none.
	Policy func(ctx context.Context, realm string) (*version.Version, folder.Files, error)
	// Touched names those in the directory about whom an event makes something
	// wrong, and those that it ends.
	Touched   func(e audit.Record) (changed, ended []string)
	Directory Directory
	// Key signs the bundles of a realm, always the same one: agents have it in
	// their configuration.
	Key     func(realm string) (*jose.Key, error)
	Journal *journal.Journal // notes what agents decided
	Logger  *slog.Logger
}

// Plane is the control plane of all realms, as one node runs it.
type Plane struct {
	o Options

	mu      sync.Mutex
	streams map[string]*stream
	reports map[reporter]Report
	gather  *job.Gather // of reports
}

// New returns the control plane. Call it before the log is started.
func New(o Options) *Plane {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	p := &Plane{o: o, streams: map[string]*stream{}, reports: map[reporter]Report{}}
	p.gather = job.NewGather(gatherFor, p.write, func(err error) {
		o.Logger.Warn("reports of agents are not written; the next ones are", "err", err)
	})
	o.Log.Follow("agents", p.follow, p.reset)
	return p
}

// Bounds of what a node remembers of a realm.
const (
	idleFor      = 15 * time.Minute // then a realm is let go
	mostNoted    = 20_000           // events that nobody asked about
	mostTouched  = 200_000          // parts of documents that changed
	mostPatches  = 50_000           // that one delta has; beyond that everything is sent
	keptDeltas   = 16               // deltas that are kept made, by where they begin
	mostRemember = 64 << 20         // bytes of a bundle that is kept made
)

// follow notes an event for its realm. It does no work: this is the log's goroutine.
func (p *Plane) follow(r audit.Record) {
	name := r.Realm
	if r.Action == "realm.delete" {
		name = r.Target
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.streams[name]
	if s == nil {
		return
	}
	if r.Action == "realm.delete" || s.note(p, r) > mostNoted {
		delete(p.streams, name)
		s.wake()
	}
}

// reset is called when the log cannot say what was missed.
func (p *Plane) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.streams {
		s.wake()
	}
	p.streams = map[string]*stream{}
}

// stream finds the realm's, and lets go of those that nobody asked about for long.
func (p *Plane) stream(realm string) *stream {
	now := p.o.DB.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, s := range p.streams {
		if name != realm && now.Sub(s.used) > idleFor {
			delete(p.streams, name)
			s.wake()
		}
	}
	s := p.streams[realm]
	if s == nil {
		s = &stream{realm: realm, turn: make(chan struct{}, 1), changed: make(chan struct{}), deltas: map[int64]*Bundle{}}
		p.streams[realm] = s
	}
	s.used = now
	return s
}

// Changed returns a channel that is closed when something of a realm's policies or
// facts may have changed after the call.
func (p *Plane) Changed(realm string) <-chan struct{} {
	s := p.stream(realm)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}
