package edge

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/feed"
	"github.com/cardea-id/cardea/internal/jose"
)

// hub makes the lines of a realm.
type hub struct {
	*feed.Feed
	s      *Server
	issuer string

	mu       sync.Mutex
	seen     map[graph.Entity]bool // of whom something changed that no line has said; true: they were dropped
	policies bool
	upTo     audit.Position // of the last event that was noted
	dirty    chan struct{}
	stirred  chan struct{} // something happened that changes no facts

	making sync.Mutex // held while lines are made and carried on
	lines  map[string]*line
}

func newHub(s *Server, realm, issuer string) *hub {
	return &hub{Feed: feed.New(realm), s: s, issuer: issuer, seen: map[graph.Entity]bool{}, dirty: make(chan struct{}, 1), stirred: make(chan struct{}, 1), lines: map[string]*line{}}
}

// note remembers what an event is about. It does no work: this is the log's
// goroutine.
func (h *hub) note(t Touch, at audit.Position) {
	if t.nothing() {
		// Tokens carry the revision of their minting: edges should have it soon.
		select {
		case h.stirred <- struct{}{}:
		default:
		}
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t.addTo(h.seen)
	h.policies = h.policies || t.Policies
	h.upTo = at
	select {
	case h.dirty <- struct{}{}:
	default:
	}
}

// Run carries the lines on and signs where they stand, while somebody follows.
func (h *hub) Run() {
	tick := time.NewTicker(headEvery)
	defer tick.Stop()
	gap := time.NewTimer(0)
	defer gap.Stop()
	<-gap.C
	for {
		var beat time.Duration
		select {
		case <-h.Live.Done():
			return
		case <-h.dirty:
			h.carryOn()
			// The first change goes out at once, and what comes meanwhile together.
			gap.Reset(headGap)
			select {
			case <-h.Live.Done():
				return
			case <-gap.C:
			}
		case <-h.stirred:
			gap.Reset(stirGap)
			select {
			case <-h.Live.Done():
				return
			case <-h.dirty:
			case <-gap.C:
			}
			h.carryOn()
		case <-tick.C:
			beat = headEvery
			h.carryOn()
		}
		if _, forgotten := h.s.hubs.Alone(h, beat); forgotten {
			return
		}
	}
}

// carryOn brings all lines to what is known now, each with a signed head.
func (h *hub) carryOn() {
	h.making.Lock()
	defer h.making.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), factsWait)
	defer cancel()
	if err := h.advance(ctx); err != nil {
		h.s.o.Logger.Warn("edges are not told of changes", "realm", h.Realm, "err", err)
	}
}

// advance does what carryOn says. The caller holds making. A node without a lease
// may have missed something, so it signs nothing, and edges turn stale, as they
// should.
func (h *hub) advance(ctx context.Context) error {
	if len(h.lines) == 0 || h.s.o.Log.Live() != nil {
		return nil
	}
	h.mu.Lock()
	seen, policies, upTo := h.seen, h.policies, h.upTo
	h.seen, h.policies = map[graph.Entity]bool{}, false
	h.mu.Unlock()
	again := func() { // what was taken is still to be told
		h.mu.Lock()
		defer h.mu.Unlock()
		for e, dropped := range seen {
			h.seen[e] = h.seen[e] || dropped
		}
		h.policies = h.policies || policies
	}
	now, err := h.facts(ctx, upTo)
	if err != nil {
		again()
		return err
	}
	key, err := h.s.o.Signer(ctx, h.Realm)
	if err != nil {
		again()
		return err
	}
	refused(now.graph, seen)
	for name, l := range h.lines {
		if err := l.advance(now, seen, key); err != nil { // followers come back and start over
			h.s.o.Logger.Info("a stream to edges starts over", "realm", h.Realm, "why", err)
			l.stop()
			delete(h.lines, name)
		}
	}
	return nil
}

// refused adds those who became unfit along with somebody else: no event names
// them, but whoever is in what does not fit does not fit either.
func refused(g *graph.Graph, seen map[graph.Entity]bool) {
	var todo []graph.Entity
	for e := range seen {
		if g.HasAttribute(e, replica.Unfit) {
			todo = append(todo, e)
		}
	}
	for len(todo) > 0 {
		x := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for t := range g.To(x) {
			if _, known := seen[t.Subject]; t.Relation == graph.Member && !known && g.HasAttribute(t.Subject, replica.Unfit) {
				seen[t.Subject] = false
				todo = append(todo, t.Subject)
			}
		}
	}
}

// facts is what is known of the realm, at least as new as at.
func (h *hub) facts(ctx context.Context, at audit.Position) (facts, error) {
	asked := h.s.o.Now()
	snap, pos, err := h.s.o.Snapshot(ctx, h.Realm, at)
	if err != nil {
		return facts{}, err
	}
	if snap == nil {
		return facts{graph: graph.Empty(), revision: pos.Revision(), at: asked}, nil
	}
	return facts{snap.Set(), snap.Graph(), snap.Revision(), asked}, nil
}

// facts are what a line has told, or is to tell. Without policies there are no
// facts: nothing can be asked.
type facts struct {
	set      *policy.Set
	graph    *graph.Graph
	revision int64
	at       time.Time // a moment before they were read: whatever is younger may be missing
}

func (f facts) hash() string {
	if f.set == nil {
		return ""
	}
	return f.set.Hash()
}

// line returns the line of some types of resources, none for the whole realm, to be
// followed until leave.
func (h *hub) line(ctx context.Context, types []string) (*line, error) {
	h.making.Lock()
	defer h.making.Unlock()
	name := strings.Join(types, " ")
	if l := h.lines[name]; l != nil {
		l.followers++
		return l, nil
	}
	if len(h.lines) >= maxLines && !h.makeRoom() {
		return nil, feed.Unavailable("this node makes no further streams for slices of this realm")
	}
	// Whatever was noted before this moment is in the snapshot; what comes later
	// is noted for the line.
	h.mu.Lock()
	upTo := h.upTo
	h.mu.Unlock()
	now, err := h.facts(ctx, upTo)
	if err != nil {
		return nil, err
	}
	l := &line{h: h, id: rand.Text()[:16], types: types, told: now, followers: 1, ring: feed.NewRing[mark](keepFrames, keepBytes)}
	l.live, l.stop = context.WithCancel(h.Live)
	if len(types) > 0 {
		if now.set == nil {
			return nil, fault.New(fault.Invalid, "types_unknown", "the realm has no policies yet, so there are no types to choose from")
		}
		for _, t := range types {
			if !now.set.HasResources(t) {
				return nil, fault.New(fault.Invalid, "types_unknown", "the schema has no actions on resources of type %.100q", t)
			}
		}
		l.slice = replica.NewSlice(now.set, now.graph, types)
	}
	l.add(nil, false)
	l.push()
	h.lines[name] = l
	return l, nil
}

// leave ends what line began.
func (h *hub) leave(l *line) {
	h.making.Lock()
	defer h.making.Unlock()
	l.followers--
}

// makeRoom ends a line that nobody follows, and reports whether there was one. The
// caller holds making.
func (h *hub) makeRoom() bool {
	for name, l := range h.lines {
		if l.followers == 0 {
			l.stop()
			delete(h.lines, name)
			return true
		}
	}
	return false
}

// line is the stream of a realm or a slice of it.
type line struct {
	h     *hub
	id    string
	types []string
	slice *replica.Slice
	ring  *feed.Ring[mark]
	live  context.Context // ends when the line does
	stop  context.CancelFunc

	followers int // guarded by hub.making

	mu    sync.Mutex // held while frames are added
	told  facts
	seq   int64
	chain replica.Chain
	made  []feed.Frame[mark] // and not in the ring yet
}

// mark is what the line knows a frame by: where it stands behind it.
type mark struct {
	part  bool
	seq   int64
	chain replica.Chain
}

// errOther says that a line cannot go on with what is known now.
var errOther = fault.New(fault.Unavailable, "slice_changed", "other facts belong to the slice now")

// advance tells how what is known of some entities has changed, and signs where the
// line stands then: one signature for all who follow. The change and its head are
// added at once, for each addition wakes all of them.
func (l *line) advance(now facts, seen map[graph.Entity]bool, key *jose.Key) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.revision >= l.told.revision { // else later
		if err := l.tell(now, seen); err != nil {
			return err
		}
	}
	text, err := l.sign(key, l.told, l.seq, l.chain, nil)
	if err != nil {
		return err
	}
	if l.h.s.o.Log.Live() == nil {
		l.add(replica.AppendFrame(nil, replica.KindHead, text), false)
	}
	l.push()
	return nil
}

// tell makes the parts that lead to what is known now. The caller holds mu.
func (l *line) tell(now facts, seen map[graph.Entity]bool) error {
	other := now.hash() != l.told.hash()
	if other && (l.slice != nil || l.told.set == nil || now.set == nil) {
		return errOther
	}
	var w replica.Writer
	if other {
		if err := w.Policies(now.set); err != nil {
			return err
		}
	}
	if now.set == nil {
		seen = nil
	}
	for e, dropped := range seen {
		if !l.slice.Fits(now.set, now.graph, e) {
			return errOther
		}
		if err := w.Difference(l.told.graph, now.graph, e, dropped, l.slice); err != nil {
			return err
		}
		if w.Full() {
			l.part(w.Take())
			l.push() // much of it need not wait
		}
	}
	if !w.Empty() {
		l.part(w.Take())
	}
	l.told = now
	return nil
}

func (l *line) part(payload []byte) {
	l.seq++
	l.chain = l.chain.Next(replica.KindPart, payload)
	l.add(replica.AppendFrame(nil, replica.KindPart, payload), true)
}

func (l *line) sign(key *jose.Key, told facts, seq int64, chain replica.Chain, next *replica.Chain) ([]byte, error) {
	claims, err := json.Marshal(replica.Head{Facts: l.slice.Sum(told.graph), Issuer: l.h.issuer, At: told.at.UnixMilli(), Line: l.id, Seq: seq,
		Revision: told.revision, Chain: chain, Next: next, Policies: told.hash(), Types: l.types})
	if err != nil {
		return nil, err
	}
	jws, err := jose.Sign(key, replica.TypeHead, claims)
	return []byte(jws), err
}

// add makes a frame of what is to be sent next. The caller holds mu.
func (l *line) add(wire []byte, part bool) {
	l.made = append(l.made, feed.Frame[mark]{Wire: wire, At: mark{part, l.seq, l.chain}})
}

// push sends what was made. The caller holds mu.
func (l *line) push() {
	l.ring.Push(l.made...)
	l.made = nil
}

// resume finds where a follower goes on that stands at seq with this chain.
func (l *line) resume(id string, seq int64, chain replica.Chain) (next int64, ok bool) {
	if id != l.id {
		return 0, false
	}
	frames, first := l.ring.All()
	for i := len(frames) - 1; i >= 0; i-- {
		f := frames[i].At
		if f.seq < seq {
			return 0, false
		}
		if f.seq == seq && f.chain == chain {
			if f.part || frames[i].Wire == nil {
				i++
			}
			return first + int64(i), true // the last head is worth having again: it proves that nothing was missed
		}
	}
	return 0, false
}

// now is where the line stands.
func (l *line) now() (told facts, seq int64, chain replica.Chain, next int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told, l.seq, l.chain, l.ring.Next()
}
