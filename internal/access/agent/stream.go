package agent

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
)

// stream is what one node remembers of a realm for its agents.
type stream struct {
	realm string
	used  time.Time // guarded by Plane.mu

	mu       sync.Mutex
	noted    []audit.Record
	policies int64 // counts the events that give the realm other policies
	changed  chan struct{}

	turn chan struct{} // whoever has put something in works on the fields below

	graph   *graph.Graph
	none    bool      // the realm has no policies, so that nothing of its facts is known
	base    int64     // every change after this revision is in changes
	content int64     // of the last change, or base
	at      int64     // everything up to here is in graph
	changes []changes // in the order of their revisions
	touches int       // of all changes

	whole    *Bundle // everything, at content
	document []byte  // the same as one document
	deltas   map[int64]*Bundle
	sealed   *sealedPolicy
}

// changes is what one event touched.
type changes struct {
	revision int64
	touched  []touch
}

type sealedPolicy struct {
	counted int64
	issuer  string
	bundle  *Bundle
}

// note keeps what concerns agents and says how much is kept.
func (s *stream) note(p *Plane, r audit.Record) int {
	policies := version.Applied(r)
	if !policies && r.Action != relation.Changed {
		changed, ended := p.o.Touched(r)
		if len(changed)+len(ended) == 0 {
			return 0
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if policies {
		s.policies++
	}
	s.noted = append(s.noted, r)
	s.wakeLocked()
	return len(s.noted)
}

func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeLocked()
}

func (s *stream) wakeLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stream) enter(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *stream) leave() { <-s.turn }

// advance brings the stream to now, at least to min.
func (s *stream) advance(ctx context.Context, p *Plane, min int64) error {
	if n := len(s.changes); n > 0 {
		min = max(min, s.changes[n-1].revision)
	}
	s.mu.Lock()
	if n := len(s.noted); n > 0 {
		min = max(min, s.noted[n-1].Position.Revision())
	}
	s.mu.Unlock()
	snap, at, err := p.o.Snapshot(ctx, s.realm, audit.AtRevision(min))
	if err != nil {
		return err
	}
	// Whatever is at or before the state's position was noted before it was read.
	s.mu.Lock()
	records := s.noted
	s.noted = nil
	s.mu.Unlock()
	before, none := s.graph, snap == nil
	s.at = max(s.at, at.Revision())
	if before == nil || none != s.none {
		s.none, before = none, graph.Empty()
		s.graph = before
		s.startOver()
	}
	if !none {
		s.graph = snap.Graph()
	}
	if s.base == s.at { // what is in the state at the beginning can be removed later
		before = s.graph
	}
	// What is noted of later positions may be in the state already, or not yet: it is
	// worked out against what was before, and counts once its position is reached.
	for _, r := range records {
		s.keep(p, r, before)
	}
	content := s.base
	for i := len(s.changes) - 1; i >= 0; i-- {
		if r := s.changes[i].revision; r <= s.at {
			content = max(content, r)
			break
		}
	}
	if content != s.content {
		s.content = content
		s.forgetMade()
	}
	return nil
}

// startOver forgets what changed: whoever has something gets everything.
func (s *stream) startOver() {
	s.base, s.content = s.at, s.at
	s.changes, s.touches = nil, 0
	s.forgetMade()
}

func (s *stream) forgetMade() {
	s.whole, s.document = nil, nil
	clear(s.deltas)
}

// keep works out what an event touched.
func (s *stream) keep(p *Plane, r audit.Record, before *graph.Graph) {
	rev := r.Position.Revision()
	all := map[touch]bool{}
	if r.Action == relation.Changed {
		_, c, err := relation.ChangeOf(r.Event)
		if err != nil {
			s.startOver()
			return
		}
		touchedBy(c, before, all)
	} else {
		changed, ended := p.o.Touched(r)
		for _, id := range changed {
			if e, ok := p.o.Directory.Entity(id); ok {
				attributesTouched(e, all)
				entityTouched(e, before, all)
				entityTouched(e, s.graph, all)
			}
		}
		for _, id := range ended {
			if e, ok := p.o.Directory.Entity(id); ok {
				touchedBy(graph.Change{Drop: []graph.Entity{e}}, before, all)
			}
		}
	}
	if len(all) == 0 || rev <= s.base {
		return
	}
	s.changes = append(s.changes, changes{rev, inOrder(all)})
	s.touches += len(all)
	for s.touches > mostTouched {
		s.base = s.changes[0].revision
		s.touches -= len(s.changes[0].touched)
		s.changes = s.changes[1:]
	}
}

const factsTag = "facts-1-"

// Facts are the facts of a realm for an agent that has those of a tag, "" if it has
// none: what changed since, everything, or nil when nothing did. delta says that
// the agent takes changes.
func (p *Plane) Facts(ctx context.Context, realm, have string, delta bool) (*Bundle, error) {
	s := p.stream(realm)
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	since, known := revisionOf(have)
	if err := s.advance(ctx, p, 0); err != nil {
		return nil, err
	}
	if known && since > s.at {
		// Another node was further. One that the log has never reached is not
		// waited for: it is from before a restore.
		if err := s.advance(ctx, p, since); err != nil && fault.Is(err, fault.Unavailable) {
			known = false
		} else if err != nil {
			return nil, err
		}
	}
	switch {
	case known && since >= s.content && since <= s.at:
		return nil, nil
	case known && delta && since >= s.base && since < s.content:
		if b, err := s.delta(p, since); b != nil || err != nil {
			return b, err
		}
	}
	return s.everything(p)
}

func revisionOf(tag string) (int64, bool) {
	text, ok := strings.CutPrefix(tag, factsTag)
	if !ok {
		return 0, false
	}
	at, err := audit.ParsePosition(text)
	return at.Revision(), err == nil
}

func tagAt(revision int64) string { return factsTag + audit.AtRevision(revision).String() }

func (s *stream) manifest() (file, error) {
	return manifestOf(manifest{Revision: audit.AtRevision(s.content).String(), Roots: []string{rootFacts}})
}

// delta makes the bundle of what changed after a revision, nil if that is too much.
func (s *stream) delta(p *Plane, since int64) (*Bundle, error) {
	if b := s.deltas[since]; b != nil {
		return b, nil
	}
	all := map[touch]bool{}
	for i := len(s.changes) - 1; i >= 0 && s.changes[i].revision > since; i-- {
		for _, t := range s.changes[i].touched {
			all[t] = true
		}
		if len(all) > mostPatches {
			return nil, nil
		}
	}
	text, err := json.Marshal(map[string][]patch{"data": view{s.graph, p.o.Directory}.patches(inOrder(all))})
	if err != nil {
		return nil, err
	}
	m, err := s.manifest()
	if err != nil {
		return nil, err
	}
	b := &Bundle{Tag: tagAt(s.content), Delta: true}
	if b.Body, err = pack([]file{m, {patchFile, text}}, gzip.BestSpeed); err != nil {
		return nil, err
	}
	if len(s.deltas) < keptDeltas && len(b.Body) < mostRemember/keptDeltas {
		s.deltas[since] = b
	}
	return b, nil
}

// everything makes the bundle of all facts.
func (s *stream) everything(p *Plane) (*Bundle, error) {
	if s.whole != nil {
		return s.whole, nil
	}
	text, err := view{s.graph, p.o.Directory}.snapshot()
	if err != nil {
		return nil, err
	}
	m, err := s.manifest()
	if err != nil {
		return nil, err
	}
	b := &Bundle{Tag: tagAt(s.content)}
	if b.Body, err = pack([]file{m, {rootFacts + "/" + dataFile, text}}, gzip.BestSpeed); err != nil {
		return nil, err
	}
	if len(b.Body) <= mostRemember {
		s.whole = b
	}
	return b, nil
}

// Policy is the policy bundle of a realm, or nil when it is the one of a tag. A
// realm without policies has one that permits nothing.
func (p *Plane) Policy(ctx context.Context, realm, issuer, have string) (*Bundle, error) {
	s := p.stream(realm)
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	s.mu.Lock()
	counted := s.policies // before the rows are read
	s.mu.Unlock()
	if s.sealed == nil || s.sealed.counted != counted || s.sealed.issuer != issuer {
		b, err := p.sealPolicy(ctx, realm, issuer)
		if err != nil {
			return nil, err
		}
		s.sealed = &sealedPolicy{counted, issuer, b}
	}
	if s.sealed.bundle.Tag == have {
		return nil, nil
	}
	return s.sealed.bundle, nil
}

func (p *Plane) sealPolicy(ctx context.Context, realm, issuer string) (*Bundle, error) {
	number, files, roles, err := p.policy(ctx, realm)
	if err != nil {
		return nil, err
	}
	list, err := policyFiles(number, files, roles, p.o.Directory.Types)
	if err != nil {
		return nil, err
	}
	key, err := p.o.Key(realm)
	if err != nil {
		return nil, err
	}
	return seal("policy-1-", key, issuer, ScopePolicy, list)
}

// Discovery is the bundle that tells agents what to fetch and where to report, nil
// when it is the one of a tag.
func (p *Plane) Discovery(_ context.Context, realm, issuer string, logs bool, have string) (*Bundle, error) {
	key, err := p.o.Key(realm)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(map[string]any{"discovery": discovered(key.ID, logs)})
	if err != nil {
		return nil, err
	}
	m, err := manifestOf(manifest{Revision: strconv.Itoa(discoveryVersion), Roots: []string{"discovery"}})
	if err != nil {
		return nil, err
	}
	files := []file{{dataFile, text}, m}
	if tagOf("discovery-1-", files, key.ID, issuer) == have {
		return nil, nil
	}
	return seal("discovery-1-", key, issuer, ScopeDiscovery, files)
}

// discoveryVersion rises when discovered gives something else.
const discoveryVersion = 1

// Service is the name under which agents know us, and the names of their bundles.
const (
	Service      = "cardea"
	BundlePolicy = "cardea-policy"
	BundleFacts  = "cardea-facts"
)

// LongPoll is how long agents are told to wait for news, in seconds.
const LongPoll = 50

func discovered(key string, logs bool) map[string]any {
	polling := map[string]any{"long_polling_timeout_seconds": LongPoll, "min_delay_seconds": 5, "max_delay_seconds": 15}
	c := map[string]any{
		"bundles": map[string]any{
			BundlePolicy: map[string]any{"service": Service, "resource": "bundles/policy.tar.gz", "polling": polling, "signing": map[string]any{"keyid": key, "scope": ScopePolicy}},
			BundleFacts:  map[string]any{"service": Service, "resource": "bundles/facts.tar.gz", "polling": polling},
		},
		"status": map[string]any{"service": Service},
	}
	if logs {
		c["decision_logs"] = map[string]any{"service": Service, "reporting": map[string]any{"min_delay_seconds": 1, "max_delay_seconds": 5, "upload_size_limit_bytes": 256 << 10, "buffer_size_limit_bytes": 32 << 20}}
	}
	return c
}

// policy reads the folder that counts.
func (p *Plane) policy(ctx context.Context, realm string) (number int64, files folder.Files, roles policy.Roles, err error) {
	v, files, err := p.o.Policy(ctx, realm)
	if fault.Is(err, fault.NotFound) {
		return 0, nil, policy.Roles{}, nil
	}
	if err != nil {
		return 0, nil, policy.Roles{}, err
	}
	f, _ := folder.Read(files) // it had no problems when it was applied
	return v.Number, files, f.Source.Roles, nil
}
