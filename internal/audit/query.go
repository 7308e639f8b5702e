package audit

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// Filter selects events; empty fields select all.
type Filter struct {
	Action string // a prefix, such as client.
	Actor  string // an id
	Target string // an id
	Since  time.Time
	Until  time.Time
	// Deeds leaves out the segments of activity and decisions, of which there may
	// be ten a second. A page may then hold less than its limit, and more follow.
	Deeds  bool
	Before string // the page token: the place in the tree of the last event of the page before
	Limit  int    // 1 to 1000; zero: 100
}

// Query returns a realm's events, newest first, and the token of the next page,
// empty at the end.
func (l *Log) Query(ctx context.Context, realm string, f Filter) (all []Record, next string, err error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 1000 {
		return nil, "", fault.New(fault.Invalid, "limit_invalid", "limit must be between 1 and 1000")
	}
	before := int64(math.MaxInt64)
	if f.Before != "" {
		if before, err = strconv.ParseInt(f.Before, 10, 64); err != nil || before < 0 {
			return nil, "", fault.New(fault.Invalid, "page_token_invalid", "the page token is not one of ours")
		}
	}
	// What was acknowledged has its place, and so is among what is found.
	if err := l.drain(ctx); err != nil {
		return nil, "", err
	}
	var rows []row
	var more int64 // the leaf before which there may be more
	err = l.db.View(ctx, realm, func(tx *db.Tx) (err error) {
		if f.Deeds && f.Target == "" && f.Actor == "" && f.Action == "" {
			rows, more, err = deeds(tx, realm, f, before, f.Limit+1)
			return err
		}
		rows, err = search(tx, realm, f, before, f.Limit+1)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		more = rows[f.Limit-1].leaf
	}
	if more > 0 {
		next = strconv.FormatInt(more, 10)
	}
	for _, s := range rows {
		r, err := decode(s.body)
		if err != nil {
			return nil, "", err
		}
		r.Position, r.Leaf = s.position, s.leaf
		all = append(all, r)
	}
	return all, next, nil
}

// Replay calls fn with every sequenced event of a realm after a position, in
// order, and returns the position up to which that was everything.
func (l *Log) Replay(ctx context.Context, realm string, after Position, fn func(Record) error) (Position, error) {
	var leaf int64
	var upTo head
	err := l.db.View(ctx, realm, func(tx *db.Tx) (err error) {
		if upTo, err = loadHead(tx, ""); err != nil {
			return err
		}
		leaf, err = leafUpTo(tx, realm, after)
		return err
	})
	if err != nil {
		return Position{}, err
	}
	for {
		var some []stored
		err := l.db.View(ctx, realm, func(tx *db.Tx) (err error) {
			some, err = realmRecordsAfter(tx, realm, leaf, followBatch)
			return err
		})
		if err != nil {
			return Position{}, err
		}
		for _, s := range some {
			if upTo.Before(s.position) {
				return upTo.Position, nil
			}
			r, err := decode(s.body)
			if err != nil {
				return Position{}, err
			}
			r.Position, r.Leaf, leaf = s.position, s.leaf, s.leaf
			if err := fn(r); err != nil {
				return Position{}, err
			}
		}
		if len(some) < followBatch {
			return upTo.Position, nil
		}
	}
}

// ReplayDeaths is Replay for the events that say who is dead: those with deaths, a
// cut-off or a dead token, and those about status lists. However long the log is, it
// reads little else.
func (l *Log) ReplayDeaths(ctx context.Context, realm string, after Position, fn func(Record) error) (Position, error) {
	var upTo head
	for first := true; ; first = false {
		var some []stored
		err := l.db.View(ctx, realm, func(tx *db.Tx) (err error) {
			if first {
				if upTo, err = loadHead(tx, ""); err != nil {
					return err
				}
			}
			some, err = deathsAfter(tx, realm, after, upTo.Position, followBatch)
			return err
		})
		if err != nil {
			return Position{}, err
		}
		for _, s := range some {
			r, err := decode(s.body)
			if err != nil {
				return Position{}, err
			}
			r.Position, r.Leaf, after = s.position, s.leaf, s.position
			if err := fn(r); err != nil {
				return Position{}, err
			}
		}
		if len(some) < followBatch {
			return upTo.Position, nil
		}
	}
}

// DeathsTx counts the events that ReplayDeaths would call fn with, up to most.
func DeathsTx(tx *db.Tx, after Position, most int) (int, error) { return countDeaths(tx, after, most) }

// Lately lists the realms in which something happened lately: those of the last so
// many events. Activity is among them, a segment an event.
func (l *Log) Lately(ctx context.Context, last int) (realms []string, err error) {
	err = l.db.SystemView(ctx, func(tx *db.Tx) (err error) {
		realms, err = realmsOf(tx, last)
		return err
	})
	return realms, err
}

// HeadTx is the position of the log's head, as the transaction sees it.
func HeadTx(tx *db.Tx) (Position, error) {
	h, err := loadHead(tx, "")
	return h.Position, err
}

// PositionTx finds where the first event about a target stands. It reports false
// if there is none with a place yet.
func PositionTx(tx *db.Tx, target string) (Position, bool, error) {
	p, err := positionOf(tx, target)
	if db.Missing(err) {
		return Position{}, false, nil
	}
	return p, err == nil, err
}
