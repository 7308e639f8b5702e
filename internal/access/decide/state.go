package decide

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// state is what is held of one realm.
type state struct {
	realm string
	turn  chan struct{} // whoever has put something in works on the fields below

	loaded  atomic.Bool
	large   atomic.Bool // it has more facts than are held
	version int64
	set     *policy.Set
	broken  error // why the policies cannot be used; then set is nil
	graph   *graph.Graph
	// While the graph is made compact beside, since has what changed meanwhile.
	compacting bool
	since      []graph.Change

	current atomic.Pointer[published]
	size    atomic.Int64
	used    atomic.Int64 // milliseconds

	mu      sync.Mutex
	attempt *attempt // the load that is going on, if one is
	noted   []audit.Record
	pending atomic.Int64 // len(noted), and one more while what was taken is being done
}

func (st *state) note(r audit.Record) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.large.Load() {
		return // the rows are read for each question
	}
	st.noted = append(st.noted, r)
	st.pending.Add(1)
}

func (st *state) take() []audit.Record {
	st.mu.Lock()
	defer st.mu.Unlock()
	all := st.noted
	st.noted = nil
	return all
}

// use notes that the realm was asked about. It writes once a millisecond, since what
// all processors read is beside it.
func (st *state) use(now time.Time) {
	if ms := now.UnixMilli(); st.used.Load() != ms {
		st.used.Store(ms)
	}
}

func (st *state) lastUsed() time.Time { return time.UnixMilli(st.used.Load()) }

// at gives the snapshot that holds everything that was noted up to now. at is a
// position that was read before, so that it covers it.
func (st *state) at(ctx context.Context, s *Snapshots, at audit.Position) (*policy.Snapshot, error) {
	st.use(s.o.DB.Now())
	if st.large.Load() {
		return nil, errTooLarge
	}
	if st.loaded.Load() && st.pending.Load() == 0 {
		if p := st.current.Load(); p != nil && (p.snap == nil || p.snap.Revision() >= at.Revision()) {
			return p.snap, p.broken
		}
	}
	enough := time.NewTimer(s.wait)
	defer enough.Stop()
	for {
		if !st.loaded.Load() {
			a, err := st.begin(ctx, s)
			if err != nil {
				return nil, err
			}
			if err := st.await(ctx, a.done, enough.C); err != nil {
				return nil, err
			}
			if a.err != nil {
				return nil, a.err
			}
		}
		if err := st.await(ctx, nil, enough.C); err != nil {
			return nil, err
		}
		snap, err := st.carryOn(ctx, s, at)
		<-st.turn
		var hole *hole
		if !errors.As(err, &hole) {
			return snap, err
		}
	}
}

// await blocks until something is done, or without that until it has the turn, and no
// longer than is enough.
func (st *state) await(ctx context.Context, done <-chan struct{}, enough <-chan time.Time) error {
	turn := st.turn
	if done != nil {
		turn = nil
	}
	select {
	case <-done:
		return nil
	case turn <- struct{}{}:
		return nil
	case <-enough:
		return fault.New(fault.Unavailable, CodeLoading, "this node is still reading the facts of realm %q; try again", st.realm).WithRetry(2 * time.Second)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// carryOn does what was noted, and publishes. A hole has the realm loaded anew.
func (st *state) carryOn(ctx context.Context, s *Snapshots, at audit.Position) (*policy.Snapshot, error) {
	if !st.loaded.Load() {
		return nil, &hole{"somebody else found one"}
	}
	err := st.catchUp(ctx, s)
	var hole *hole
	if errors.As(err, &hole) {
		s.o.Logger.Warn("building the facts of a realm anew", "realm", st.realm, "why", hole.why)
		st.loaded.Store(false)
	}
	if err != nil {
		return nil, err
	}
	st.publish(s, at)
	return st.published()
}

// attempt is one load of a realm, for which many may wait.
type attempt struct {
	done chan struct{}
	err  error // set before done closes
}

// begin has the realm loaded, by nobody else at the time. That goes on when nobody
// waits for it any more.
func (st *state) begin(ctx context.Context, s *Snapshots) (*attempt, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.attempt != nil {
		return st.attempt, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.Err() != nil {
		return nil, fault.New(fault.Unavailable, "closing", "this node is closing; try another")
	}
	a := &attempt{done: make(chan struct{})}
	st.attempt = a
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(s.open, cancel)
	s.wg.Go(func() {
		defer cancel()
		defer stop()
		if s.reading != nil {
			s.reading()
		}
		at := s.o.Log.Applied()
		st.inTurn(ctx, func() {
			if st.loaded.Load() {
				return
			}
			if a.err = st.load(ctx, s); a.err == nil {
				st.publish(s, at)
			}
		})
		if a.err == nil {
			a.err = ctx.Err()
		}
		st.use(s.o.DB.Now())
		st.mu.Lock()
		st.attempt = nil
		st.mu.Unlock()
		close(a.done)
	})
	return a, nil
}

// published is what those who ask are given: a snapshot, nil if the realm has no
// policies, or why its policies cannot be used.
type published struct {
	snap   *policy.Snapshot
	broken error
}

// published is what was published last.
func (st *state) published() (*policy.Snapshot, error) {
	if p := st.current.Load(); p != nil {
		return p.snap, p.broken
	}
	return nil, nil
}

// publish makes a snapshot of what is held, at a position that it covers.
func (st *state) publish(s *Snapshots, at audit.Position) {
	st.size.Store(int64(st.graph.Count()))
	if st.set == nil {
		st.current.Store(&published{broken: st.broken})
		return
	}
	old, _ := st.published()
	if old != nil && old.Revision() > at.Revision() {
		at = audit.AtRevision(old.Revision())
	}
	var snap *policy.Snapshot
	if old != nil && old.Set() == st.set && old.Graph() == st.graph {
		snap = old.Later(at.Revision())
	} else {
		snap = policy.NewSnapshot(st.set, st.graph, at.Revision())
	}
	st.current.Store(&published{snap: snap.WithGate(s.o.Directory.Gate)})
}

// hole says that the log cannot carry the facts on.
type hole struct{ why string }

func (h *hole) Error() string { return h.why }

// catchUp does everything that was noted. What it could not do stays noted.
func (st *state) catchUp(ctx context.Context, s *Snapshots) error {
	for st.pending.Load() > 0 {
		records := st.take()
		if err := st.apply(ctx, s, records); err != nil {
			st.mu.Lock()
			st.noted = append(records, st.noted...)
			st.mu.Unlock()
			return err
		}
		st.pending.Add(-int64(len(records)))
	}
	return nil
}

// apply does some records, or nothing.
func (st *state) apply(ctx context.Context, s *Snapshots, records []audit.Record) error {
	version, set, broken := st.version, st.set, st.broken
	g := &steps{Graph: st.graph}
	policies := false
	again := map[string]bool{}
	for _, r := range records {
		switch {
		case r.Action == relation.Changed:
			v, c, err := relation.ChangeOf(r.Event)
			if err != nil {
				return &hole{err.Error()}
			}
			if v <= version {
				continue // the rows that were read had it already
			}
			if v != version+1 {
				return &hole{fmt.Sprintf("after version %d of the facts comes %d", version, v)}
			}
			if err := g.do(c); err != nil {
				return &hole{fmt.Sprintf("version %d of the facts does not fit: %s", v, err)}
			}
			version = v
			// What both sides say is put together from both.
			for _, t := range slices.Concat(c.Add, c.Remove) {
				if s.o.Directory.Owns(t.Subject) && s.o.Directory.Owns(t.Object) {
					again[t.Subject.ID] = true
				}
			}
		case s.o.Applied != nil && s.o.Applied(r):
			policies = true
		default:
			changed, ended := s.o.Directory.Touched(r)
			for _, id := range changed {
				again[id] = true
			}
			var gone []graph.Entity
			for _, id := range ended {
				delete(again, id)
				if e, ok := s.o.Directory.Entity(id); ok {
					gone = append(gone, e)
				}
			}
			if len(gone) > 0 {
				if err := g.do(graph.Change{Drop: gone}); err != nil {
					return &hole{err.Error()}
				}
			}
		}
	}
	if policies || len(again) > 0 {
		var entries []Entry
		var written []graph.Tuple
		ids := make([]string, 0, len(again))
		var whom []graph.Entity
		for id := range again {
			if e, ok := s.o.Directory.Entity(id); ok {
				ids, whom = append(ids, id), append(whom, e)
			}
		}
		err := s.o.DB.View(ctx, st.realm, func(tx *db.Tx) (err error) {
			if policies {
				if set, broken, err = s.policies(tx); err != nil {
					return err
				}
			}
			if len(ids) > 0 {
				if written, err = relation.RolesTx(tx, whom, s.o.Directory.Kinds); err != nil {
					return err
				}
				entries, err = s.o.Directory.Read(tx, ids)
			}
			return err
		})
		if err != nil {
			return err
		}
		s.renew(g, st.realm, whom, entries, written)
	}
	st.graph, st.version, st.set, st.broken = g.Graph, version, set, broken
	if st.compacting {
		st.since = append(st.since, g.done...)
	}
	return nil
}

// loadTries is how often a realm is read whose groups change under the reading.
const loadTries = 3

// directoryPage is how many of the directory's own are read in one transaction.
const directoryPage = 5000

func (st *state) load(ctx context.Context, s *Snapshots) error {
	var err error
	for try := range loadTries {
		if err = st.read(ctx, s, try == loadTries-1); err == nil || ctx.Err() != nil {
			break
		}
		var hole *hole
		if !errors.As(err, &hole) && !errors.Is(err, graph.ErrCycle) && !errors.Is(err, graph.ErrDepth) && !errors.Is(err, graph.ErrClosure) {
			break
		}
	}
	if errors.Is(err, errTooLarge) {
		s.o.Logger.Warn("a realm has more facts than are held in memory; it is answered by SQL", "realm", st.realm, "most", s.o.Most)
		st.large.Store(true)
		st.pending.Add(-int64(len(st.take())))
		return errTooLarge
	}
	return err
}

// errTooLarge says that a realm has more facts than this node holds.
var errTooLarge = fault.New(fault.Unavailable, CodeTooMany, "the realm has more facts than are held in memory (access.facts_in_memory): it can be asked, searched and filtered for, but what looks at all facts at once, such as a stream to edges, cannot be had")

// read builds the realm from its rows. What is noted while it reads is done
// afterwards: the rows that no later batch has touched, together with the batches
// that came later, are the facts. apart has the directory's own put in one by one,
// so that what does not fit is left out.
func (st *state) read(ctx context.Context, s *Snapshots, apart bool) error {
	st.loaded.Store(false)
	st.current.Store(nil)
	dropped := st.take()
	st.pending.Add(-int64(len(dropped)))
	version, _, err := s.o.Facts.Version(ctx, st.realm)
	if err != nil {
		return err
	}
	b := graph.NewBuilder()
	n := 0
	count := func() error {
		if n++; n > s.o.Most {
			return errTooLarge
		}
		return nil
	}
	err = s.o.Facts.Load(ctx, st.realm, version,
		func(t graph.Tuple) error { return errors.Join(b.Add(t), count()) },
		func(a graph.Attribute) error { return errors.Join(b.Set(a), count()) })
	if err != nil {
		return err
	}
	var entries []Entry
	err = s.readDirectory(ctx, st.realm, func(x Entry) error {
		// Of what was written as well the later end counts; the builder takes the last.
		if apart || slices.ContainsFunc(x.In, func(t graph.Tuple) bool { return t.Expires != 0 }) {
			entries = append(entries, x)
			return count()
		}
		for name, v := range x.Attributes {
			if err := errors.Join(b.Set(graph.Attribute{Entity: x.Entity, Name: name, Value: v}), count()); err != nil {
				return err
			}
		}
		for _, t := range x.In {
			if err := errors.Join(b.Add(t), count()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var set *policy.Set
	var broken error
	err = s.o.DB.View(ctx, st.realm, func(tx *db.Tx) (err error) {
		set, broken, err = s.policies(tx)
		return err
	})
	if err != nil {
		return err
	}
	g, err := b.Graph()
	if err != nil {
		return err
	}
	g = s.join(g, st.realm, entries)
	// Rows that were read late may miss what was only removed after the version that
	// was read first: the batch that did so is noted before this returns.
	if _, err := s.o.Log.Settled(ctx); err != nil {
		return err
	}
	st.graph, st.version, st.set, st.broken = g, version, set, broken
	st.compacting, st.since = false, nil
	st.loaded.Store(true)
	if err := st.catchUp(ctx, s); err != nil {
		st.loaded.Store(false)
		return err
	}
	return nil
}

func (s *Snapshots) readDirectory(ctx context.Context, realm string, do func(Entry) error) error {
	if s.o.Directory.Page == nil {
		return nil
	}
	for after, more := "", true; more; {
		var page []Entry
		var next string
		err := s.o.DB.View(ctx, realm, func(tx *db.Tx) (err error) {
			page, next, err = s.o.Directory.Page(tx, after, directoryPage)
			return err
		})
		if err != nil {
			return err
		}
		for _, x := range page {
			if err := do(x); err != nil {
				return err
			}
		}
		after, more = next, next != ""
	}
	return nil
}

// policies reads the realm's policies, broken if it has some that cannot be used.
func (s *Snapshots) policies(tx *db.Tx) (set *policy.Set, broken, err error) {
	if s.o.Policies == nil {
		return nil, nil, nil
	}
	if set, err = s.o.Policies(tx); fault.Code(err) == policy.CodeBroken {
		return nil, err, nil
	}
	return set, nil, err
}
