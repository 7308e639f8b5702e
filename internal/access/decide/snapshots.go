// Package decide keeps what decisions rest on alive: for each realm that is asked
// about, one immutable snapshot of relations, attributes and policies, built from
// rows and then carried on by the event log.
//
// Whatever was acknowledged is in the next snapshot on every node: an event is
// noted for its realm before this node has applied it, and no snapshot is handed
// out while something noted is left to do. A hole in the versions of the facts, or
// a change that the graph refuses, has the realm built anew from its rows.
package decide

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// CodeRevision is the code of the error that a revision was not reached in time.
const CodeRevision = "revision_unreached"

// CodeTooMany is the code of the error that a realm has more facts than are held,
// so that only [Snapshots.For] has a snapshot, [Snapshots.Search] searches, and
// [Snapshots.Partial] makes filters.
const CodeTooMany = "facts_too_many"

// CodeLoading is the code of the error that a realm's facts are still being read.
const CodeLoading = "realm_loading"

const (
	patience  = 300 * time.Millisecond // for a revision that this node has not reached
	loadWait  = 5 * time.Second        // for facts that are being read
	idleFor   = 15 * time.Minute       // then a realm is let go
	sweepEach = time.Minute
)

// Directory is how another side tells of its own: people, groups, organizations.
// Its functions get nothing but the transaction they read in.
type Directory struct {
	// Page reads up to limit of them behind the id after, and the id to go on
	// behind, "" at the end.
	Page func(tx *db.Tx, after string, limit int) ([]Entry, string, error)
	// Of reads those of a type behind the id after, in the order of ids.
	Of func(tx *db.Tx, typ, after string, limit int) ([]Entry, error)
	// Read reads some of them by id; one that there is not, or no longer, is left out.
	Read func(tx *db.Tx, ids []string) ([]Entry, error)
	// Inside reads who is directly in some of them, at most limit.
	Inside func(tx *db.Tx, ids []string, limit int) ([]graph.Tuple, error)
	// Touched names those about whom an event makes something wrong, and those that
	// it ends.
	Touched func(e audit.Record) (changed, ended []string)
	// Entity is the entity of an id, or false if it is not the id of anybody's.
	Entity func(id string) (graph.Entity, bool)
	// Owns reports whether an entity is the directory's.
	Owns func(e graph.Entity) bool
	// Kinds are the types that its entities have.
	Kinds []string
	// Words are the names that Entry.Attributes may have.
	Words []string
	// Unfit, one of Words or "", is set on those of whom something could not be held,
	// and on all who are in them. Gate refuses them: a policy that forbids could ask
	// for what is missing.
	Unfit string
	// Gate refuses those of its people who may do nothing.
	Gate policy.Gate
}

// Entry is what a directory says about one of its own: all of its attributes, and
// all that it is in or holds in the directory.
type Entry struct {
	Entity     graph.Entity
	Attributes map[string]any
	In         []graph.Tuple // with Entity as the subject and another of the directory as the object
}

// Options are what snapshots are made of.
type Options struct {
	DB    *db.DB
	Log   *audit.Log
	Facts *relation.Store
	// Policies reads the policies of the transaction's realm, nil if it has none. Of
	// those that cannot be used the error has policy.CodeBroken.
	Policies func(tx *db.Tx) (*policy.Set, error)
	// Applied reports whether an event gives its realm other policies.
	Applied func(e audit.Record) bool
	// Directory tells of the other side. The zero value tells of nobody.
	Directory Directory
	// Most bounds the facts that are held, of all realms together. A realm with
	// more is answered by SQL. Zero: DefaultMost.
	Most   int
	Logger *slog.Logger
}

// DefaultMost is how many facts a node holds.
const DefaultMost = 12_000_000

// Snapshots has the snapshots of all realms that are in use.
type Snapshots struct {
	o      Options
	work   chan struct{}
	open   context.Context // what goes on without anybody who waits for it runs under it
	cancel context.CancelFunc
	wg     sync.WaitGroup

	wait    time.Duration // loadWait, but in tests
	reading func()        // nil, but in tests: before a load

	compacting atomic.Bool // one realm at a time
	stale      func(*graph.Graph) bool
	bounds     bounds

	mu sync.Mutex // held while realms is replaced, and where something begins that Close waits for
	// By name. Every question looks here, and even a lock for readers is a word that
	// all processors write to: so the map never changes, but is replaced.
	realms atomic.Pointer[map[string]*state]
}

// New returns the snapshots. Call it before the log is started.
func New(o Options) *Snapshots {
	if o.Most == 0 {
		o.Most = DefaultMost
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Directory.Owns == nil {
		o.Directory.Owns = func(graph.Entity) bool { return false }
	}
	s := &Snapshots{o: o, work: make(chan struct{}, 1), stale: (*graph.Graph).Stale, bounds: bounds{40_000, 200_000}, wait: loadWait}
	s.realms.Store(&map[string]*state{})
	s.open, s.cancel = context.WithCancel(context.Background())
	o.Log.Follow("access", s.follow, s.reset)
	return s
}

// Start begins to carry snapshots on when nobody asks, and to let idle ones go.
func (s *Snapshots) Start() {
	ctx := s.open
	s.wg.Go(func() {
		t := time.NewTicker(sweepEach)
		defer t.Stop()
		for {
			select {
			case <-s.work:
				s.carryOn(ctx)
			case <-t.C:
				s.letGo()
			case <-ctx.Done():
				return
			}
		}
	})
}

// Close stops what Start began, and what is being read.
func (s *Snapshots) Close() {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.wg.Wait()
}

// follow notes an event for its realm. It does no work: this is the log's goroutine.
func (s *Snapshots) follow(r audit.Record) {
	if r.Action == "realm.delete" {
		s.change(func(realms map[string]*state) { delete(realms, r.Target) })
		return
	}
	st := (*s.realms.Load())[r.Realm]
	if st == nil || !s.concerns(r) {
		return
	}
	st.note(r)
	select {
	case s.work <- struct{}{}:
	default:
	}
}

func (s *Snapshots) concerns(r audit.Record) bool {
	if r.Action == relation.Changed || s.o.Applied != nil && s.o.Applied(r) {
		return true
	}
	if s.o.Directory.Touched == nil {
		return false
	}
	changed, ended := s.o.Directory.Touched(r)
	return len(changed)+len(ended) > 0
}

// reset is called when the log cannot say what was missed.
func (s *Snapshots) reset() {
	s.change(func(realms map[string]*state) { clear(realms) })
}

// change lets do change which realms are held.
func (s *Snapshots) change(do func(realms map[string]*state)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	realms := maps.Clone(*s.realms.Load())
	do(realms)
	s.realms.Store(&realms)
}

// At returns the snapshot of a realm, and its position, at least as new as min; the
// zero position is whatever is known now. What is not reached in a moment is an
// error with CodeRevision. It is nil for a realm without policies.
func (s *Snapshots) At(ctx context.Context, realm string, min audit.Position) (*policy.Snapshot, audit.Position, error) {
	if s.o.Log.Applied().Before(min) {
		soon, cancel := context.WithTimeout(ctx, patience)
		err := s.o.Log.WaitApplied(soon, min)
		cancel()
		if err != nil && ctx.Err() == nil {
			return nil, s.o.Log.Applied(), fault.New(fault.Unavailable, CodeRevision,
				"this node knows the facts of revision %s and not yet those of %s; try again", s.o.Log.Applied(), min).WithRetry(time.Second)
		}
		if err != nil {
			return nil, audit.Position{}, err
		}
	}
	// Whatever this node has applied was noted before, so it is in what follows.
	at := s.o.Log.Applied()
	snap, err := s.state(realm).at(ctx, s, at)
	if err != nil || snap == nil {
		return nil, at, err
	}
	return snap, audit.AtRevision(snap.Revision()), nil
}

// Facts gives what is known of a realm now, as what joins policies to it. A realm
// needs no policies of its own for that, nor such as can be used.
func (s *Snapshots) Facts(ctx context.Context, realm string) (func(*policy.Set) *policy.Snapshot, error) {
	at := s.o.Log.Applied()
	st := s.state(realm)
	snap, err := st.at(ctx, s, at)
	switch {
	case err != nil && fault.Code(err) != policy.CodeBroken:
		return nil, err
	case snap != nil:
		return snap.With, nil
	}
	var g *graph.Graph
	st.inTurn(ctx, func() { g = st.graph })
	if g == nil {
		return nil, context.Cause(ctx)
	}
	return func(set *policy.Set) *policy.Snapshot {
		return policy.NewSnapshot(set, g, at.Revision()).WithGate(s.o.Directory.Gate)
	}, nil
}

// Decide answers one question of a realm at a revision or later. An error denies,
// with the reason.
func (s *Snapshots) Decide(ctx context.Context, realm string, min audit.Position, q *policy.Question) policy.Answer {
	snap, at, err := s.For(ctx, realm, min, q)
	switch {
	case err == nil && snap == nil:
		return policy.Answer{Reasons: []policy.Reason{{Text: "the realm has no policies"}}, Revision: at.Revision()}
	case fault.Code(err) == CodeRevision:
		return policy.Answer{Reasons: []policy.Reason{{Text: "the revision that is asked for is not reached", Error: err.Error()}}, Revision: at.Revision()}
	case fault.Code(err) == policy.CodeBroken:
		return policy.Answer{Reasons: []policy.Reason{{Text: "the realm's policies cannot be used", Error: err.Error()}}, Revision: at.Revision()}
	case fault.Code(err) == CodeLoading:
		return policy.Answer{Reasons: []policy.Reason{{Text: "the facts are still being read", Error: err.Error()}}, Revision: at.Revision()}
	case err != nil:
		s.o.Logger.Error("a decision had no facts", "realm", realm, "err", err)
		return policy.Answer{Reasons: []policy.Reason{{Text: "the facts cannot be had", Error: "something went wrong here"}}, Revision: at.Revision()}
	}
	return policy.Decide(snap, q)
}

// For is At for one question: where a realm has more facts than are held, the
// snapshot holds what this question needs and nothing else.
func (s *Snapshots) For(ctx context.Context, realm string, min audit.Position, q *policy.Question) (*policy.Snapshot, audit.Position, error) {
	snap, at, err := s.At(ctx, realm, min)
	if errors.Is(err, errTooLarge) {
		return s.bySQL(ctx, realm, q)
	}
	return snap, at, err
}

// Prepare loads a realm that has policies before anybody asks.
func (s *Snapshots) Prepare(ctx context.Context, realm string) error {
	var set *policy.Set
	err := s.o.DB.View(ctx, realm, func(tx *db.Tx) (err error) {
		set, _, err = s.policies(tx)
		return err
	})
	if err != nil || set == nil {
		return err
	}
	st := s.state(realm)
	st.use(s.o.DB.Now())
	if st.loaded.Load() || st.large.Load() {
		return nil
	}
	a, err := st.begin(ctx, s)
	if err != nil {
		return err
	}
	select {
	case <-a.done:
		if errors.Is(a.err, errTooLarge) {
			return nil
		}
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Snapshots) state(realm string) *state {
	st := (*s.realms.Load())[realm]
	if st != nil {
		return st
	}
	s.change(func(realms map[string]*state) {
		if st = realms[realm]; st == nil { // nobody was faster
			st = &state{realm: realm, turn: make(chan struct{}, 1)}
			realms[realm] = st
		}
	})
	return st
}

// carryOn does what was noted, so that those who ask need not.
func (s *Snapshots) carryOn(ctx context.Context) {
	var loaded []*state
	for _, st := range *s.realms.Load() {
		if st.loaded.Load() {
			loaded = append(loaded, st)
		}
	}
	for _, st := range loaded {
		if st.pending.Load() == 0 {
			continue
		}
		if _, err := st.at(ctx, s, s.o.Log.Applied()); err != nil && ctx.Err() == nil && fault.Code(err) != CodeLoading {
			s.o.Logger.Warn("the facts of a realm are not carried on; it is tried again when somebody asks", "realm", st.realm, "err", err)
		}
	}
	s.compactSome(ctx, loaded) // also of those where whoever asked was faster
}

// letGo forgets realms that nobody asked about for a while, and beyond the bound
// those that were asked about longest ago.
func (s *Snapshots) letGo() {
	now := s.o.DB.Now()
	s.change(func(realms map[string]*state) {
		held := 0
		for name, st := range realms {
			if now.Sub(st.lastUsed()) > idleFor {
				delete(realms, name)
				continue
			}
			held += int(st.size.Load())
		}
		for held > s.o.Most && len(realms) > 1 {
			var oldest *state
			for _, st := range realms {
				if oldest == nil || st.lastUsed().Before(oldest.lastUsed()) {
					oldest = st
				}
			}
			held -= int(oldest.size.Load())
			delete(realms, oldest.realm)
		}
	})
}
