package grant

import (
	"maps"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/statuslist"
)

// apply follows the log. Realms that nobody has asked about are not held in
// memory; loading one reads the log up to where following takes over.
func (s *Status) apply(r audit.Record) {
	s.mu.Lock()
	d := s.of[r.Realm]
	if d == nil || !d.claimed {
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.loaded {
		d.waiting = append(d.waiting, r)
		return
	}
	d.follow(r)
}

// follow applies one record of the realm. Applying one twice is harmless.
func (d *dead) follow(r audit.Record) {
	switch r.Action {
	case "status_list.open":
		d.open(r.Target, size(r.Data["size"]))
	case "status_list.close":
		if l := d.lists[r.Target]; l != nil {
			l.closed = true
		}
	case "status_list.retire":
		delete(d.lists, r.Target)
	}
	for _, b := range r.Deaths {
		if l := d.lists[b.List]; l != nil && l.Set(b.Index) {
			l.dirty[int(b.Index/statuslist.PageBits)] = true
		}
	}
	if r.Cut != nil {
		d.cut(cutoff{statuslist.Cutoff{Kind: r.Cut.Kind, ID: r.Cut.ID, Pos: statuslist.Position(r.Position)}, r.At.Add(MaxTokenLife), r.Action == principal.SignOut})
	}
	if r.JTI != nil {
		d.tokens[r.JTI.JTI] = r.JTI.Expires.Unix()
	}
	if d.events++; d.events%flushAfter == 0 {
		d.forget(r.At, nil) // on nodes that never store pages
	}
	if d.at.Before(r.Position) {
		d.at = r.Position
	}
}

func (d *dead) open(list string, size int64) {
	if d.lists[list] != nil {
		return
	}
	if m, err := statuslist.NewBitmap(size); err == nil {
		d.lists[list] = &bits{Bitmap: m, dirty: map[int]bool{}}
	}
}

// cut notes a cut-off. Of two about the same thing the later one says it all.
func (d *dead) cut(c cutoff) {
	key := c.key()
	if old, ok := d.cuts[key]; ok && c.Pos.Before(old.Pos) {
		return
	}
	d.cuts[key] = c
	d.dirty = true
}

// forget drops what no living token can fall under any more, by the settings of
// r or, if it is nil, by the longest life there is.
func (d *dead) forget(now time.Time, r *realm.Realm) {
	maps.DeleteFunc(d.cuts, func(_ cut, c cutoff) bool { return !now.Before(c.ends(r)) })
	maps.DeleteFunc(d.tokens, func(_ string, exp int64) bool { return now.Unix() > exp })
}

// size reads a number of an event, which is an int64 when it was appended and
// a float64 when it was read back.
func size(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 0
}

// reset is called when the log cannot say what was missed. What each realm has
// is loaded anew at the next question; the dead we know stay dead.
func (s *Status) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.near.Clear()
	for name, old := range s.of {
		next := newDead()
		old.mu.RLock()
		if next.before = old; !old.loaded {
			next.before = old.before
		}
		old.mu.RUnlock()
		s.of[name] = next
	}
}

// inherit takes over what the node knew before a reset: bits, cut-offs and
// tokens, and lists that the database has forgotten.
func (d *dead) inherit(old *dead) {
	old.mu.RLock()
	defer old.mu.RUnlock()
	for id, was := range old.lists {
		d.open(id, was.Size())
		l := d.lists[id]
		for n := range was.Pages() {
			if err := l.LoadPage(n, was.Page(n)); err == nil {
				l.dirty[n] = true
			}
		}
	}
	for _, c := range old.cuts {
		d.cut(c)
	}
	for jti, exp := range old.tokens {
		d.tokens[jti] = exp
	}
}
