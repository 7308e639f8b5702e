package verify

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/statuslist"
)

// errBehind: the token was minted after the last news, and names a list that
// those do not know yet.
var errBehind = errors.New("stream is behind the token")

// cutoffLife is how long a cut-off is kept of which the issuer does not say how
// long it is needed: longer than any access token lives.
const cutoffLife = 25 * time.Hour

// state is what is dead. Reading it takes no lock that a writer holds for long.
type state struct {
	c *Config

	asOf atomic.Pointer[time.Time] // of the last sign of life; nil before the first
	view atomic.Pointer[view]

	mu    sync.Mutex // writers, and what follows
	err   error
	more  chan struct{}
	jtiMu sync.RWMutex
	jtis  map[string]int64 // until when, in seconds since 1970
}

// view is replaced as a whole when lists or cut-offs come or go. The bits inside
// the lists change in place.
type view struct {
	pos     statuslist.Position // of the last news
	lists   map[string]*statuslist.Bitmap
	cutoffs map[cutKey]cut
}

type cutKey struct{ kind, id string }

type cut struct {
	pos   statuslist.Position
	until time.Time // when the last token that falls under it has expired
}

func newState(c *Config) *state {
	s := &state{c: c, more: make(chan struct{}), jtis: map[string]int64{}}
	s.view.Store(&view{})
	return s
}

// check returns nil for a token that is alive, an *Error for one that is dead
// or names an unknown list, and errBehind where more news is needed to tell.
func (s *state) check(t *Token) error {
	v := s.view.Load()
	if len(v.cutoffs) > 0 && v.cuts(t) {
		return refuse(ErrRevoked, "everything of its kind was revoked")
	}
	if s.deadToken(t.ID) {
		return refuse(ErrRevoked, "")
	}
	list := v.lists[t.status.URI]
	if list == nil {
		if v.pos.Before(t.minted) {
			return errBehind
		}
		return refuse(ErrInvalid, "it names a status list that does not exist")
	}
	if t.status.Index < 0 || t.status.Index >= list.Size() {
		return refuse(ErrInvalid, "it names an index outside its status list")
	}
	if list.Get(t.status.Index) {
		return refuse(ErrRevoked, "")
	}
	return nil
}

func (v *view) cuts(t *Token) bool {
	// A stolen key writes any position it likes, so what it signed is dead whatever it says.
	if _, dead := v.cutoffs[cutKey{statuslist.CutKey, t.keyID}]; dead {
		return true
	}
	for _, k := range [...]cutKey{{statuslist.CutIssuer, t.Issuer}, {statuslist.CutClient, t.ClientID}, {statuslist.CutPrincipal, t.Subject}} {
		if c, ok := v.cutoffs[k]; ok && t.minted.Before(c.pos) {
			return true
		}
	}
	return false
}

// deadKey reports whether a signing key was revoked.
func (s *state) deadKey(kid string) bool {
	_, dead := s.view.Load().cutoffs[cutKey{statuslist.CutKey, kid}]
	return dead
}

func (s *state) deadToken(jti string) bool {
	s.jtiMu.RLock()
	defer s.jtiMu.RUnlock()
	_, dead := s.jtis[jti]
	return dead
}

// load replaces everything by a snapshot; what was dead before stays dead.
func (s *state) load(p *statuslist.Snapshot) (revoked int, err error) {
	old, now := s.view.Load(), s.c.Now()
	next := &view{pos: p.Pos, lists: make(map[string]*statuslist.Bitmap, len(p.Lists)), cutoffs: map[cutKey]cut{}}
	room := s.c.MaxStateBytes
	for _, l := range p.Lists {
		if room -= l.Size / 8; room < 0 {
			return 0, fmt.Errorf("verify: the status lists need more than MaxStateBytes (%d)", s.c.MaxStateBytes)
		}
		list, err := readList(l)
		if err != nil {
			return 0, err
		}
		if known := old.lists[l.URI]; known != nil && known.Size() == list.Size() {
			if err := list.Merge(known.Bytes()); err != nil {
				return 0, err
			}
		}
		revoked += int(list.Count())
		next.lists[l.URI] = list
	}
	for k, c := range old.cutoffs {
		if now.Before(c.until) {
			next.cutoffs[k] = c
		}
	}
	next.cut(p.Cutoffs, now)
	s.bury(p.JTIs, now)
	s.view.Store(next)
	return revoked + len(p.JTIs), nil
}

func readList(l statuslist.List) (*statuslist.Bitmap, error) {
	list, err := statuslist.NewBitmap(l.Size)
	if err != nil || l.Lst == "" {
		return list, err
	}
	bits, err := statuslist.Decode(l.Lst, (l.Size+7)/8)
	if err != nil {
		return nil, err
	}
	return list, list.Merge(bits)
}

// apply adds what a delta kills and returns how many tokens or grants that were.
func (s *state) apply(d *statuslist.Delta) (revoked int, err error) {
	old, now := s.view.Load(), s.c.Now()
	next := &view{pos: d.Pos, lists: old.lists, cutoffs: old.cutoffs}
	if len(d.New)+len(d.Gone) > 0 {
		next.lists = maps.Clone(old.lists)
		for _, l := range d.New {
			if next.lists[l.URI] != nil {
				continue // already in the snapshot, which may be ahead of its position
			}
			if l.Size/8 > s.c.MaxStateBytes {
				return 0, fmt.Errorf("verify: a status list needs more than MaxStateBytes (%d)", s.c.MaxStateBytes)
			}
			list, err := readList(l)
			if err != nil {
				return 0, err
			}
			next.lists[l.URI] = list
		}
		for _, uri := range d.Gone {
			delete(next.lists, uri)
		}
	}
	if len(d.Cutoffs) > 0 {
		next.cutoffs = maps.Clone(old.cutoffs)
		next.cut(d.Cutoffs, now)
	}
	for _, l := range d.Lists {
		list := next.lists[l.URI]
		if list == nil {
			continue // its last token has expired
		}
		for _, i := range l.Indexes {
			if list.Set(i) {
				revoked++
			}
		}
	}
	s.bury(d.JTIs, now)
	s.view.Store(next)
	return revoked + len(d.JTIs), nil
}

// cut adds cut-offs and forgets those that are over. One that is known already
// only grows: a forged delta must not make a real one end sooner.
func (v *view) cut(cutoffs []statuslist.Cutoff, now time.Time) {
	maps.DeleteFunc(v.cutoffs, func(_ cutKey, c cut) bool { return !now.Before(c.until) })
	for _, c := range cutoffs {
		k := cutKey{c.Kind, c.ID}
		next := cut{c.Pos, now.Add(cutoffLife)}
		if c.Exp != 0 {
			next.until = time.Unix(c.Exp, 0)
		}
		known := v.cutoffs[k]
		if next.pos.Before(known.pos) {
			next.pos = known.pos
		}
		if next.until.Before(known.until) {
			next.until = known.until
		}
		v.cutoffs[k] = next
	}
}

// bury notes single dead tokens, and forgets those that have expired.
func (s *state) bury(dead []statuslist.DeadToken, now time.Time) {
	if len(dead) == 0 {
		return
	}
	s.jtiMu.Lock()
	defer s.jtiMu.Unlock()
	if len(s.jtis) > 0 && len(s.jtis)%256 == 0 || len(dead) > 256 {
		maps.DeleteFunc(s.jtis, func(_ string, exp int64) bool { return now.Unix() > exp+60 })
	}
	for _, d := range dead {
		s.jtis[d.JTI] = d.Exp
	}
}

// reached notes that the stream was complete up to a position at an instant.
func (s *state) reached(pos statuslist.Position, asOf time.Time) {
	if v := s.view.Load(); v.pos.Before(pos) {
		s.view.Store(&view{pos: pos, lists: v.lists, cutoffs: v.cutoffs})
	}
	if last := s.asOf.Load(); last == nil || asOf.After(*last) {
		s.asOf.Store(&asOf)
	}
	s.mu.Lock()
	s.err = nil
	s.mu.Unlock()
}

// fresh reports whether the last sign of life is young enough. Both clocks must
// agree: the monotonic one stands still while a machine sleeps, and the wall
// clock may be set.
func (s *state) fresh(now time.Time) bool {
	last := s.asOf.Load()
	if last == nil {
		return false
	}
	wall := now.Round(0).Sub(last.Round(0))
	return now.Sub(*last) <= s.c.MaxStaleness && wall <= s.c.MaxStaleness
}

// news returns a channel that is closed at the next change of any kind.
func (s *state) news() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.more
}

func (s *state) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
}

func (s *state) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *state) lastError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *state) status() Status {
	v := s.view.Load()
	st := Status{Fresh: s.fresh(s.c.Now()), Position: v.pos.String(), Lists: len(v.lists), Err: s.lastError()}
	if last := s.asOf.Load(); last != nil {
		st.AsOf = *last
	}
	return st
}
