package journal

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"

	"github.com/cardea-id/cardea/internal/access/policy"
)

// Filter narrows a list. What is empty matches everything.
type Filter struct {
	Subject, Resource policy.Entity // an entity without an id: every one of the type
	Action            string
	Kind              string // "": all but Administration, which has to be asked for
	Allowed           *bool
	Client            string
	Request           string
	Policy            string // a policy that was among those that decided
	Session, Grant    string
	Since, Until      time.Time
}

func (f *Filter) matches(e *Entry) bool {
	entity := func(want, is policy.Entity) bool {
		return (want.Type == "" || want.Type == is.Type) && (want.ID == "" || want.ID == is.ID)
	}
	word := func(want, is string) bool { return want == "" || want == is }
	return entity(f.Subject, e.Question.Subject) && entity(f.Resource, e.Question.Resource) && word(f.Action, e.Question.Action) &&
		(f.Kind == e.Kind || f.Kind == "" && e.Kind != Administration) &&
		(f.Allowed == nil || *f.Allowed == e.Answer.Allowed) && word(f.Client, e.Client) && word(f.Request, e.Request) &&
		word(f.Session, e.Session) && word(f.Grant, e.Grant) &&
		(f.Policy == "" || slices.Contains(e.Answer.Determining, f.Policy)) &&
		!e.At.Before(f.Since) && (f.Until.IsZero() || e.At.Before(f.Until))
}

const (
	segmentsAtOnce = 20
	segmentsAtMost = 200 // that one call reads; then it answers with what it found and where to go on
)

// place is where a list goes on: behind an entry of a segment.
type place struct {
	segment string
	skip    int // entries of it that were seen, from its end
}

func parsePlace(after string) (place, error) {
	if after == "" {
		return place{segment: "dcs_~"}, nil
	}
	segment, n, _ := strings.Cut(after, ".")
	skip, err := strconv.Atoi(n)
	if err != nil || skip < 0 || !id.Valid("dcs", segment) {
		return place{}, fault.New(fault.Invalid, "page_token_invalid", "the page token is not one of ours")
	}
	return place{segment, skip}, nil
}

func (p place) String() string { return p.segment + "." + strconv.Itoa(p.skip) }

// List returns up to limit decisions behind after, the newest segments first, and
// where to go on, "" at the end. Where little matches, a page may hold fewer, or
// nothing, and still name a next one.
func (j *Journal) List(ctx context.Context, realm string, f Filter, after string, limit int) (all []*Entry, next string, err error) {
	limit = min(max(limit, 1), 1000)
	at, err := parsePlace(after)
	if err != nil {
		return nil, "", err
	}
	before := at.segment
	if at.skip > 0 {
		before += "~" // the segment itself, once more
	}
	for read := 0; read < segmentsAtMost; {
		var some []segment
		if err := j.db.View(ctx, realm, func(tx *db.Tx) (err error) { some, err = newest(tx, before, segmentsAtOnce); return err }); err != nil {
			return nil, "", err
		}
		if len(some) == 0 {
			return all, "", nil
		}
		for _, s := range some {
			read++
			entries, err := s.entries()
			if err != nil {
				return nil, "", err
			}
			slices.Reverse(entries)
			skip := 0
			if s.id == at.segment {
				skip = min(at.skip, len(entries))
			}
			for i, e := range entries[skip:] {
				if !f.matches(e) {
					continue
				}
				if all = append(all, e); len(all) == limit {
					return all, place{s.id, skip + i + 1}.String(), nil
				}
			}
			if before = s.id; len(entries) > 0 && entries[0].At.Before(f.Since) {
				return all, "", nil
			}
		}
	}
	return all, place{before, 0}.String(), nil
}

// entries are those of a segment, the oldest first.
func (s *segment) entries() (all []*Entry, err error) {
	d, err := newDecoder(s.body)
	if err != nil {
		return nil, err
	}
	for d.more() {
		e, err := d.entry()
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b *Entry) int { return a.At.Compare(b.At) })
	return all, nil
}

// ByID finds a decision. It is fault.NotFound for one that is not kept any more.
func (j *Journal) ByID(ctx context.Context, realm, decision string) (*Entry, error) {
	missing := fault.New(fault.NotFound, "decision_not_found", "there is no decision %q in the log: it is older than the log reaches, was never written, or is another realm's", clip(decision))
	at, ok := id.Time(Prefix, decision)
	if !ok {
		return nil, missing
	}
	if err := j.Flush(ctx); err != nil {
		return nil, err
	}
	var some []segment
	if err := j.db.View(ctx, realm, func(tx *db.Tx) (err error) { some, err = around(tx, at); return err }); err != nil {
		return nil, err
	}
	for _, s := range some {
		entries, err := s.entries()
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.ID == decision {
				return e, nil
			}
		}
	}
	return nil, missing
}

func clip(s string) string {
	if len(s) > 64 {
		return strings.ToValidUTF8(s[:64], "") + "…"
	}
	return s
}

// Replay walks the decisions of a time, the newest first, as far as nodes wrote them
// in order. It holds a bounded part of them at once. After an error it ends.
func (j *Journal) Replay(ctx context.Context, realm string, since, until time.Time) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		if err := j.Flush(ctx); err != nil {
			yield(nil, err)
			return
		}
		for before := "dcs_~"; ; {
			var some []segment
			if err := j.db.View(ctx, realm, func(tx *db.Tx) (err error) {
				some, err = within(tx, before, since, until, segmentsAtOnce)
				return err
			}); err != nil {
				yield(nil, err)
				return
			}
			if len(some) == 0 {
				return
			}
			for _, s := range some {
				before = s.id
				entries, err := s.entries()
				if err != nil {
					yield(nil, err)
					return
				}
				for _, e := range slices.Backward(entries) {
					if !e.At.Before(since) && e.At.Before(until) && !yield(e, nil) {
						return
					}
				}
			}
		}
	}
}

// Usage is what decisions since an instant needed.
type Usage struct {
	Uses      []Use
	Decisions int64
	Dropped   int64     // that were not written down, so that something may have been needed unseen
	Since     time.Time // when the oldest decision was made that is still known; zero: there is none
}

// Used sums up what the permitted decisions since an instant needed. progress, if
// not nil, is told how many decisions were read.
func (j *Journal) Used(ctx context.Context, realm string, since time.Time, progress func(decisions int64)) (*Usage, error) {
	if err := j.Flush(ctx); err != nil {
		return nil, err
	}
	u, found := uses{}, &Usage{}
	for after := ""; ; {
		var some []segment
		if err := j.db.View(ctx, realm, func(tx *db.Tx) (err error) { some, err = sums(tx, after, since, 500); return err }); err != nil {
			return nil, err
		}
		if len(some) == 0 {
			found.Uses = u.sorted()
			return found, nil
		}
		for _, s := range some {
			after = s.id
			d, err := newDecoder(s.used)
			if err != nil {
				return nil, err
			}
			if err := u.decode(d); err != nil {
				return nil, err
			}
			found.Decisions += s.records
			found.Dropped += s.dropped
			if found.Since.IsZero() || s.first.Before(found.Since) {
				found.Since = s.first
			}
		}
		if progress != nil {
			progress(found.Decisions)
		}
	}
}

// Collect deletes what is older than the realm keeps, and says how many segments
// that were.
func (j *Journal) Collect(ctx context.Context, realm string, keep time.Duration) (n int64, err error) {
	err = j.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		n, err = deleteBefore(tx, tx.Now.Add(-keep), 500)
		return err
	})
	return n, err
}
