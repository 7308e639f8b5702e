package signal

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/feed"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/statuslist"
	"github.com/cardea-id/cardea/internal/web"
)

// snapshot is a signed start for those who connect, and the frame that follows it.
type snapshot struct {
	wire []byte
	next int64
	at   time.Duration
	kid  string // a snapshot does not outlive the key that signed it
}

// snapshot returns a start not older than snapshotLife. Many who connect at
// once share one: what happened since is in the frames that follow it.
func (h *hub) snapshot(ctx context.Context) (*snapshot, error) {
	h.snapMu.Lock()
	defer h.snapMu.Unlock()
	key, err := h.s.o.Keys.Signer(ctx, h.Realm, jose.ES256)
	if err != nil {
		return nil, err
	}
	now := h.s.o.Elapsed()
	if h.snap != nil && now-h.snap.at < snapshotLife && h.snap.kid == key.ID {
		if _, _, _, kept := h.ring.After(h.snap.next); kept {
			return h.snap, nil
		}
	}
	snap, err := h.makeSnapshot(ctx, key)
	if err != nil {
		return nil, err
	}
	snap.at, snap.kid = now, key.ID
	h.snap = snap
	return snap, nil
}

func (h *hub) makeSnapshot(ctx context.Context, key *jose.Key) (*snapshot, error) {
	applied := statuslist.Position(h.s.o.Log.Applied())
	h.mu.Lock()
	pos, last, chain, next := later(h.pos, applied), h.last, h.chain, h.ring.Next()
	h.mu.Unlock()
	state, err := h.stateAt(ctx, last)
	if err != nil {
		return nil, err
	}
	p := statuslist.Snapshot{
		Issuer: h.issuer, IssuedAt: statuslist.Instant(h.s.o.Now().UnixMilli()),
		Boot: h.boot, Pos: pos, Chain: chain, Cutoffs: state.Cutoffs, JTIs: state.JTIs,
		Lists: make([]statuslist.List, 0, len(state.Lists)),
	}
	for i, c := range p.Cutoffs {
		if c.Kind == statuslist.CutIssuer {
			p.Cutoffs[i].ID = h.issuer
		}
	}
	for _, l := range state.Lists {
		p.Lists = append(p.Lists, statuslist.List{URI: statuslist.URI(h.issuer, l.ID), Size: l.Size, Lst: h.s.encode(l.Bits)})
	}
	claims, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	jws, err := jose.Sign(key, statuslist.TypeSnapshot, claims)
	if err != nil {
		return nil, err
	}
	if err := h.s.o.Log.Live(); err != nil {
		return nil, err
	}
	return &snapshot{wire: web.AppendEvent(nil, statuslist.EventSnapshot, statuslist.EventID(h.boot, pos), []byte(jws)), next: next}, nil
}

// stateAt reads the index once it knows the realm's last record. It hears of
// each before this hub does, so there should be nothing to wait for; what it
// knows beyond comes again as a delta, which does no harm.
func (h *hub) stateAt(ctx context.Context, last statuslist.Position) (statuslist.State, error) {
	ctx, cancel := context.WithTimeout(ctx, indexWait)
	defer cancel()
	for {
		state, err := h.s.o.Index.Snapshot(ctx, h.Realm)
		if err != nil || !state.Pos.Before(last) {
			return state, err
		}
		select {
		case <-ctx.Done():
			return state, feed.Unavailable("what is dead is still being read")
		case <-time.After(2 * time.Millisecond):
		}
	}
}
