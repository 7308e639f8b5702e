package grant

import (
	"context"
	"errors"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// realm returns what is dead in a realm. The first to ask begins to load it, which
// goes on when nobody waits any more; a failed load is tried again by the next.
func (s *Status) realm(ctx context.Context, name string) (*dead, error) {
	if d, loaded := s.near.Load(name); loaded {
		return d.(*dead), nil
	}
	d, err := s.begin(ctx, name)
	if err != nil {
		return nil, err
	}
	enough := time.NewTimer(s.patience)
	defer enough.Stop()
	select {
	case <-d.ready:
		return d, d.err
	case <-enough.C:
		return nil, fault.New(fault.Unavailable, "realm_loading", "this node is still reading which tokens are dead; try again").WithRetry(2 * time.Second)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Prepare loads a realm before anybody asks.
func (s *Status) Prepare(ctx context.Context, name string) error {
	d, err := s.begin(ctx, name)
	if err != nil {
		return err
	}
	select {
	case <-d.ready:
		return d.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// begin has a realm loaded, once.
func (s *Status) begin(ctx context.Context, name string) (*dead, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open.Err() != nil {
		return nil, fault.New(fault.Unavailable, "closing", "this node is closing; try another")
	}
	d := s.of[name]
	if d == nil {
		d = newDead()
		s.of[name] = d
	}
	if !d.claimed {
		d.claimed = true
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		stop := context.AfterFunc(s.open, cancel)
		s.loads.Go(func() {
			defer cancel()
			defer stop()
			s.load(ctx, name, d)
		})
	}
	return d, nil
}

// load reads pages, then the log after them. d is registered already, so that
// what happens meanwhile is kept for it. Those who wait get the outcome.
func (s *Status) load(ctx context.Context, name string, d *dead) {
	defer close(d.ready)
	if s.reading != nil {
		s.reading()
	}
	err := s.read(ctx, name, d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		if s.of[name] == d {
			s.near.Store(name, d)
		}
		return
	}
	d.err = err
	if s.of[name] == d {
		// The dead that were known wait for the next attempt.
		next := newDead()
		next.before = d.before
		s.of[name] = next
	}
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
	reached, err := s.log.ReplayDeaths(ctx, name, from.position, func(r audit.Record) error {
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

// MoveOn stores what has died in a realm that this node does not hold, once that is
// much: whichever node is asked about it next has little of the log to read.
func (s *Status) MoveOn(ctx context.Context, name string) error {
	if _, loaded := s.near.Load(name); loaded {
		return nil // Flush does it
	}
	behind := 0
	err := s.db.View(ctx, name, func(tx *db.Tx) error {
		c, err := loadCheckpoint(tx)
		if err == nil {
			behind, err = audit.DeathsTx(tx, c.position, flushAfter)
		}
		return err
	})
	if db.Missing(err) || err == nil && behind < flushAfter {
		return nil
	}
	if err != nil {
		return err
	}
	d := newDead()
	if err := s.read(ctx, name, d); err != nil {
		return err
	}
	return s.flush(ctx, name, d)
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
