package audit

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/id"
)

// Refusal is how often it was tried in vain on one day to be somebody: with
// what, and from where. Without Factor it counts what else was tried that day.
type Refusal struct {
	Factor    string
	IP        string
	UserAgent string
	Count     int64
	First     time.Time
	Last      time.Time
}

// The bounds of refusals: what is told apart of one person and day, and whose
// are remembered until the next segment. Whoever tries from many addresses, or
// calls itself by many names, fills neither the table nor a page.
const (
	mostApart    = 5
	mostRefused  = 1000 // two statements each, in the transaction of the segment
	mostRefusals = 1000 // read at once
)

// refused is what is told apart, refusals what gathered of it until the next
// segment.
type refused struct{ principal, factor, ip, agent string }

type refusals map[refused]*Refusal

// note counts an activity that a person is to be told of.
func (m refusals) note(a *Activity) {
	if a.Tell == "" || !id.Valid("usr", a.Target) {
		return
	}
	// A column of text takes less than JSON does, and a segment that cannot be
	// written would keep all others from being written too.
	agent := strings.ToValidUTF8(strings.ReplaceAll(a.Actor.UserAgent, "\x00", ""), "")
	m.add(refused{a.Target, a.Tell, a.Actor.IP, agent}, Refusal{Count: 1, First: a.At, Last: a.At})
}

func (m refusals) add(k refused, r Refusal) {
	has := m[k]
	switch {
	case has == nil && len(m) < mostRefused:
		m[k] = &r
	case has != nil:
		has.Count += r.Count
		if r.First.Before(has.First) {
			has.First = r.First
		}
		if r.Last.After(has.Last) {
			has.Last = r.Last
		}
	}
}

// write counts what gathered, always in the same order: other nodes do it too.
func (m refusals) write(tx *db.Tx) error {
	keys := make([]refused, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b refused) int {
		return cmp.Or(cmp.Compare(a.principal, b.principal), cmp.Compare(a.factor, b.factor), cmp.Compare(a.ip, b.ip), cmp.Compare(a.agent, b.agent))
	})
	for _, k := range keys {
		r, day := m[k], dayOf(m[k].Last)
		at, err := placeOf(tx, k, day)
		switch {
		case err != nil:
			return err
		case at.gone:
			continue
		case !at.apart:
			k = refused{principal: k.principal}
		}
		if err := countRefused(tx, k, day, *r); err != nil {
			return err
		}
	}
	return nil
}

// dayOf numbers days, in UTC.
func dayOf(at time.Time) int64 { return at.Unix() / (24 * 60 * 60) }

// Refusals tells what was tried in vain on a person's account within [since,
// until), by the last try, the newest first. They are kept for as long as
// activity is; until the next segment is written the last ones are missing.
func (l *Log) Refusals(ctx context.Context, realm, principal string, since, until time.Time) (all []Refusal, err error) {
	err = l.db.View(ctx, realm, func(tx *db.Tx) error {
		all, err = refusalsOf(tx, principal, since, until)
		return err
	})
	return all, err
}
