package signal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/feed"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/statuslist"
	"github.com/cardea-id/cardea/internal/web"
)

// hub is the stream of one realm: the frames to send, once for all connections.
type hub struct {
	*feed.Feed
	s      *Server
	issuer string
	boot   string
	ring   *feed.Ring[mark]

	mu    sync.Mutex          // held while frames are added
	base  statuslist.Position // every delta after it is still in the ring
	pos   statuslist.Position // everything up to here went through add, or came before this hub
	last  statuslist.Position // of the realm's last record; zero before the first
	chain statuslist.Chain

	ends  atomic.Pointer[func(kind string, at time.Time) time.Time] // of cut-offs; nil before learn
	dirty chan struct{}                                             // a head is due

	snapMu sync.Mutex
	snap   *snapshot
}

// mark is what the hub knows a frame by.
type mark struct {
	pos   statuslist.Position // of a delta
	delta bool
}

func newHub(s *Server, realm, issuer string, start statuslist.Position) *hub {
	return &hub{Feed: feed.New(realm), s: s, issuer: issuer, boot: rand.Text()[:16], ring: feed.NewRing[mark](keepFrames, keepBytes),
		base: start, pos: start, dirty: make(chan struct{}, 1)}
}

// learn asks how long cut-offs count. That is asked once the hub hears every
// record, since a change of the realm that comes later ends the hub.
func (h *hub) learn(ctx context.Context) error {
	if h.ends.Load() != nil {
		return nil
	}
	ends, err := h.s.o.Index.CutoffEnds(ctx, h.Realm)
	if err == nil {
		h.ends.Store(&ends)
	}
	return err
}

// add turns a record into a delta and wakes everybody. Its bytes are made once.
func (h *hub) add(r audit.Record) {
	pos := statuslist.Position(r.Position)
	d := h.delta(r)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pos, h.last = pos, pos
	if d.Empty() {
		return
	}
	data, err := json.Marshal(d)
	if err != nil { // plain fields always marshal; if not, followers must not miss a death
		h.s.o.Logger.Error("a revocation cannot be encoded, its realm's streams start over", "realm", h.Realm, "err", err)
		h.Stop()
		return
	}
	h.chain = h.chain.Next(data)
	h.push(web.AppendEvent(nil, statuslist.EventDelta, statuslist.EventID(h.boot, pos), data), mark{pos, true})
	h.headDue()
}

// headDue asks for a head soon.
func (h *hub) headDue() {
	select {
	case h.dirty <- struct{}{}:
	default:
	}
}

func (h *hub) delta(r audit.Record) statuslist.Delta {
	d := statuslist.Delta{Pos: statuslist.Position(r.Position)}
	at := map[string]int{}
	for _, bit := range r.Deaths {
		i, ok := at[bit.List]
		if !ok {
			i = len(d.Lists)
			at[bit.List] = i
			d.Lists = append(d.Lists, statuslist.Dead{URI: statuslist.URI(h.issuer, bit.List)})
		}
		d.Lists[i].Indexes = append(d.Lists[i].Indexes, bit.Index)
	}
	if c := r.Cut; c != nil {
		cut := statuslist.Cutoff{Kind: c.Kind, ID: c.ID, Pos: d.Pos}
		if c.Kind == statuslist.CutIssuer {
			cut.ID = h.issuer
		}
		if ends := h.ends.Load(); ends != nil {
			cut.Exp = (*ends)(c.Kind, r.At).Unix()
		}
		d.Cutoffs = append(d.Cutoffs, cut)
	}
	if t := r.JTI; t != nil {
		d.JTIs = append(d.JTIs, statuslist.DeadToken{JTI: t.JTI, Exp: t.Expires.Unix()})
	}
	switch r.Action {
	case "status_list.open":
		d.New = append(d.New, statuslist.List{URI: statuslist.URI(h.issuer, r.Target), Size: whole(r.Data["size"])})
	case "status_list.retire":
		d.Gone = append(d.Gone, statuslist.URI(h.issuer, r.Target))
	}
	return d
}

// whole reads a number of an event's data, which JSON has made a float.
func whole(v any) int64 {
	switch n := v.(type) {
	case float64:
		return int64(n)
	case int64:
		return n
	case int:
		return int64(n)
	}
	return 0
}

// push adds a frame. The caller holds mu.
func (h *hub) push(wire []byte, at mark) {
	for _, old := range h.ring.Push(feed.Frame[mark]{Wire: wire, At: at}) {
		if old.At.delta {
			h.base = old.At.pos
		}
	}
}

// resume finds where a client continues that has every delta up to p, or
// reports false if it must start over.
func (h *hub) resume(boot string, p statuslist.Position) (next int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if boot != h.boot || p.Before(h.base) {
		return 0, false
	}
	frames, first := h.ring.All()
	for i, f := range frames {
		if f.At.delta && p.Before(f.At.pos) {
			return first + int64(i), true
		}
	}
	// Nothing new: the last head is worth sending once more, since it proves that.
	next = first + int64(len(frames))
	if n := len(frames); n > 0 && !frames[n-1].At.delta {
		next--
	}
	return next, true
}

// Run signs heads while somebody listens, and ends the hub when nobody does.
func (h *hub) Run() {
	tick := time.NewTicker(headEvery)
	defer tick.Stop()
	for {
		var beat time.Duration
		select {
		case <-h.Live.Done():
			return
		case <-h.dirty:
			// A delta kills by itself. The head that confirms it waits a moment, to
			// speak for its successors too, and so that verifiers do not check a
			// signature while others still wait for the delta.
			select {
			case <-h.Live.Done():
				return
			case <-time.After(headGap):
			}
		case <-tick.C:
			beat = headEvery
		}
		alone, forgotten := h.s.hubs.Alone(h, beat)
		if forgotten {
			return
		}
		if !alone {
			h.head()
		}
	}
}

// head signs where the stream stands: one signature for all connections. A node
// without a lease may have missed something, so it signs nothing and those who
// follow it turn stale, as they should.
func (h *hub) head() {
	ctx, cancel := context.WithTimeout(context.Background(), headEvery)
	defer cancel()
	key, err := h.s.o.Keys.Signer(ctx, h.Realm, jose.ES256)
	if err != nil {
		h.s.o.Logger.Warn("revocation stream: no key to sign with", "realm", h.Realm, "err", err)
		return
	}
	if h.s.o.Log.Live() != nil {
		return
	}
	// Read before the lock: whatever is applied by now has passed add.
	applied := statuslist.Position(h.s.o.Log.Applied())
	// Signed under the lock, so that no delta comes between the chain that is
	// signed and the head that says so. It takes a tenth of a millisecond.
	h.mu.Lock()
	defer h.mu.Unlock()
	claims, err := json.Marshal(statuslist.Head{
		Issuer: h.issuer, IssuedAt: statuslist.Instant(h.s.o.Now().UnixMilli()),
		Boot: h.boot, Pos: later(h.pos, applied), Chain: h.chain,
	})
	if err != nil {
		return
	}
	jws, err := jose.Sign(key, statuslist.TypeHead, claims)
	if err != nil || h.s.o.Log.Live() != nil {
		return
	}
	h.push(web.AppendEvent(nil, statuslist.EventHead, "", []byte(jws)), mark{})
}

func later(a, b statuslist.Position) statuslist.Position {
	if a.Before(b) {
		return b
	}
	return a
}
