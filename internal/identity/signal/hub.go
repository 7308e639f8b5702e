package signal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/statuslist"
	"github.com/cardea-id/cardea/internal/web"
)

// hub is the stream of one realm: the frames to send, once for all connections.
// Connections read them from one shared list, each at its own pace; who falls
// off its end is cut.
type hub struct {
	s             *Server
	realm, issuer string
	boot          string
	listeners     int // guarded by Server.mu

	mu      sync.Mutex
	frames  []frame
	first   int64 // number of frames[0]; frames are numbered from 0
	bytes   int
	base    statuslist.Position // every delta after it is still in frames
	pos     statuslist.Position // everything up to here went through add, or came before this hub
	last    statuslist.Position // of the realm's last record; zero before the first
	chain   statuslist.Chain
	changed chan struct{} // closed when frames were added

	ends  atomic.Pointer[func(kind string, at time.Time) time.Time] // of cut-offs; nil before learn
	dirty chan struct{}                                             // a head is due
	ended chan struct{}                                             // closed by stop
	once  sync.Once

	snapMu sync.Mutex
	snap   *snapshot
}

// frame is one event in its wire form.
type frame struct {
	pos   statuslist.Position // of a delta
	delta bool
	wire  []byte
}

func newHub(s *Server, realm, issuer string, start statuslist.Position) *hub {
	return &hub{s: s, realm: realm, issuer: issuer, boot: rand.Text()[:16], base: start, pos: start,
		changed: make(chan struct{}), dirty: make(chan struct{}, 1), ended: make(chan struct{})}
}

// learn asks how long cut-offs count. That is asked once the hub hears every
// record, since a change of the realm that comes later ends the hub.
func (h *hub) learn(ctx context.Context) error {
	if h.ends.Load() != nil {
		return nil
	}
	ends, err := h.s.o.Index.CutoffEnds(ctx, h.realm)
	if err == nil {
		h.ends.Store(&ends)
	}
	return err
}

func (h *hub) stop() { h.once.Do(func() { close(h.ended) }) }

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
		h.s.o.Logger.Error("a revocation cannot be encoded, its realm's streams start over", "realm", h.realm, "err", err)
		h.stop()
		return
	}
	h.chain = h.chain.Next(data)
	h.push(frame{pos, true, web.AppendEvent(nil, statuslist.EventDelta, statuslist.EventID(h.boot, pos), data)})
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

// push adds a frame, forgets the oldest beyond the bounds, and wakes everybody.
func (h *hub) push(f frame) {
	h.frames = append(h.frames, f)
	h.bytes += len(f.wire)
	drop := 0
	for drop < len(h.frames)-1 && (len(h.frames)-drop > keepFrames || h.bytes > keepBytes) {
		old := h.frames[drop]
		h.bytes -= len(old.wire)
		if old.delta {
			h.base = old.pos
		}
		drop++
	}
	if drop > 0 {
		h.frames = h.frames[drop:] // appending moves what is left to a fresh array in time
		h.first += int64(drop)
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// after returns the frames from number next on, the number after them, and a
// channel that is closed when there are more. It reports false if next is
// forgotten already.
func (h *hub) after(next int64) (frames []frame, then int64, more <-chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if next < h.first {
		return nil, 0, nil, false
	}
	n := len(h.frames)
	return h.frames[next-h.first : n : n], h.first + int64(n), h.changed, true
}

// resume finds where a client continues that has every delta up to p, or
// reports false if it must start over.
func (h *hub) resume(boot string, p statuslist.Position) (next int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if boot != h.boot || p.Before(h.base) {
		return 0, false
	}
	for i, f := range h.frames {
		if f.delta && p.Before(f.pos) {
			return h.first + int64(i), true
		}
	}
	// Nothing new: the last head is worth sending once more, since it proves that.
	next = h.first + int64(len(h.frames))
	if n := len(h.frames); n > 0 && !h.frames[n-1].delta {
		next--
	}
	return next, true
}

// run signs heads while somebody listens, and ends the hub when nobody does.
func (h *hub) run() {
	tick := time.NewTicker(headEvery)
	defer tick.Stop()
	var idle time.Duration
	for {
		select {
		case <-h.ended:
			return
		case <-h.dirty:
			// A delta kills by itself. The head that confirms it waits a moment, to
			// speak for its successors too, and so that verifiers do not check a
			// signature while others still wait for the delta.
			select {
			case <-h.ended:
				return
			case <-time.After(headGap):
			}
		case <-tick.C:
			idle += headEvery
		}
		if h.alone() {
			if idle >= hubIdle && h.forgotten() {
				return
			}
			continue
		}
		idle = 0
		h.head()
	}
}

func (h *hub) alone() bool {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	return h.listeners == 0
}

// forgotten takes the hub away unless somebody came meanwhile.
func (h *hub) forgotten() bool {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	if h.listeners > 0 {
		return false
	}
	if h.s.hubs[h.realm] == h {
		delete(h.s.hubs, h.realm)
	}
	return true
}

// head signs where the stream stands: one signature for all connections. A node
// without a lease may have missed something, so it signs nothing and those who
// follow it turn stale, as they should.
func (h *hub) head() {
	ctx, cancel := context.WithTimeout(context.Background(), headEvery)
	defer cancel()
	key, err := h.s.o.Keys.Signer(ctx, h.realm, jose.ES256)
	if err != nil {
		h.s.o.Logger.Warn("revocation stream: no key to sign with", "realm", h.realm, "err", err)
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
	h.push(frame{wire: web.AppendEvent(nil, statuslist.EventHead, "", []byte(jws))})
}

func later(a, b statuslist.Position) statuslist.Position {
	if a.Before(b) {
		return b
	}
	return a
}

func unavailable(why string) error {
	return fault.New(fault.Unavailable, "stream_unavailable", "%s", why).WithRetry(time.Second)
}
