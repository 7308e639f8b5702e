package grant

import (
	"context"
	"errors"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// realm returns what is dead in a realm. The first to ask loads it, the others
// wait; a failed load is tried again by the next.
func (s *Status) realm(ctx context.Context, name string) (*dead, error) {
	if d, loaded := s.near.Load(name); loaded {
		return d.(*dead), nil
	}
	s.mu.Lock()
	d := s.of[name]
	if d == nil {
		d = newDead()
		s.of[name] = d
	}
	if !d.claimed {
		d.claimed = true
		s.mu.Unlock()
		return d, s.load(ctx, name, d)
	}
	s.mu.Unlock()
	select {
	case <-d.ready:
		return d, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// load reads pages, then the log after them. d is registered already, so that
// what happens meanwhile is kept for it. The waiters get the outcome.
func (s *Status) load(ctx context.Context, name string, d *dead) error {
	defer close(d.ready)
	err := s.read(context.WithoutCancel(ctx), name, d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		if s.of[name] == d {
			s.near.Store(name, d)
		}
		return nil
	}
	d.err = err
	if s.of[name] == d {
		// The dead that were known wait for the next attempt.
		next := newDead()
		next.before = d.before
		s.of[name] = next
	}
	return err
}

func (s *Status) read(ctx context.Context, name string, d *dead) error {
	var from checkpoint
	fresh := newDead()
	err := s.db.View(ctx, name, func(tx *db.Tx) (err error) {
		fresh = newDead()
		if from, err = loadCheckpoint(tx); err != nil && !db.Missing(err) {
			return err
		}
		return fresh.load(tx)
	})
	if err != nil {
		return err
	}
	for _, c := range from.cutoffs {
		fresh.cut(c)
	}
	fresh.at = from.position
	reached, err := s.log.Replay(ctx, name, from.position, func(r audit.Record) error {
		fresh.follow(r)
		return nil
	})
	if err != nil {
		return err
	}
	if fresh.at.Before(reached) {
		fresh.at = reached
	}
	if d.before != nil {
		fresh.inherit(d.before)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lists, d.cuts, d.tokens, d.at, d.dirty, d.events = fresh.lists, fresh.cuts, fresh.tokens, fresh.at, fresh.dirty, fresh.events
	d.before = nil
	for _, r := range d.waiting {
		d.follow(r)
	}
	d.waiting, d.loaded = nil, true
	return nil
}

// load reads lists, pages and single dead tokens.
func (d *dead) load(tx *db.Tx) error {
	all, err := lists(tx)
	if err != nil {
		return err
	}
	for _, l := range all {
		d.open(l.id, l.size)
		if d.lists[l.id] == nil {
			return errors.New("status list " + l.id + " has an impossible size")
		}
		d.lists[l.id].closed = l.state != listOpen
	}
	stored, err := pages(tx)
	if err != nil {
		return err
	}
	for _, p := range stored {
		if l := d.lists[p.list]; l != nil {
			if err := l.LoadPage(p.page, p.bits); err != nil {
				return err
			}
		}
	}
	tokens, err := deadTokens(tx)
	for _, t := range tokens {
		d.tokens[t.JTI] = t.Exp
	}
	return err
}

// flushAfter is how many records without a death may be followed before the
// checkpoint moves on, so that a start never has much of the log to read.
const flushAfter = 1000

// Flush stores the pages that changed and the position they are complete to,
// for every realm in memory. Any node may do it; whoever has seen most wins.
func (s *Status) Flush(ctx context.Context) error {
	s.mu.Lock()
	all := make(map[string]*dead, len(s.of))
	for name, d := range s.of {
		all[name] = d
	}
	s.mu.Unlock()
	var errs []error
	for name, d := range all {
		errs = append(errs, s.flush(ctx, name, d))
	}
	return errors.Join(errs...)
}

func (s *Status) flush(ctx context.Context, name string, d *dead) error {
	r, err := s.realms.ByName(ctx, name)
	if err != nil {
		r = nil // deleted, or it cannot be told now: then nothing is forgotten early
	}
	d.mu.Lock()
	d.forget(s.db.Now(), r)
	to, changed := d.pending()
	d.mu.Unlock()
	if to == nil {
		return nil
	}
	// Where another node has stored a later position, its pages hold all that
	// ours do, and what we have to store is stored.
	err = s.db.UpdateRC(ctx, name, func(tx *db.Tx) error {
		if news, err := advanceCheckpoint(tx, *to); err != nil || !news {
			return err
		}
		for _, p := range changed {
			if err := savePage(tx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.dirty = true
		for _, p := range changed {
			if l := d.lists[p.list]; l != nil {
				l.dirty[p.page] = true
			}
		}
	}
	return err
}

// pending copies what has to be stored and marks it clean; nil if nothing has.
func (d *dead) pending() (*checkpoint, []pageRow) {
	if !d.loaded {
		return nil, nil
	}
	var changed []pageRow
	for id, l := range d.lists {
		for n := range l.dirty {
			changed = append(changed, pageRow{id, n, l.Page(n)})
		}
		clear(l.dirty)
	}
	if len(changed) == 0 && !d.dirty && d.events < flushAfter {
		return nil, nil
	}
	c := &checkpoint{position: d.at, cutoffs: []cutoff{}}
	for _, one := range d.cuts {
		c.cutoffs = append(c.cutoffs, one)
	}
	d.events, d.dirty = 0, false
	return c, changed
}
