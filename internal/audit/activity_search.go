package audit

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// ActivityFilter selects activity; empty fields select all.
type ActivityFilter struct {
	Action  string // a prefix, such as token.
	Actor   string // an id
	Target  string // an id, such as that of a grant
	Client  string // that acted, was acted on, or got a token
	Session string
	IP      string
	JTI     string // of a token
	Since   time.Time
	Until   time.Time // exclusive
	After   string    // the page token: Next of the page before
	Limit   int       // 1 to 1000; zero: 100
}

// ActivityPage is what a search found.
type ActivityPage struct {
	Records []Activity
	Next    string // where to go on; "" if everything was looked at
	// Reached is up to when the page looked back, if there is a next one.
	Reached time.Time
	// Unreadable are segments that hold no activity, which Verify says more about.
	Unreadable []string
}

// What one search reads at most; then it answers with what it found and where to go on.
const (
	searchedAtOnce = 20
	searchedAtMost = 1000
	searchedBytes  = 32 << 20
)

// Activities searches a realm's activity, the newest first as far as nodes wrote it in
// order. A page may hold fewer records than its limit, or none, while there are more.
// Until the next segment is written the last records are missing.
func (l *Log) Activities(ctx context.Context, realm string, f ActivityFilter) (p ActivityPage, err error) {
	if f.Limit == 0 {
		f.Limit = 100
	}
	if f.Limit < 1 || f.Limit > 1000 {
		return p, fault.New(fault.Invalid, "limit_invalid", "limit must be between 1 and 1000")
	}
	at, err := f.from()
	if err != nil {
		return p, err
	}
	before, oldest := at.before(), f.oldest()
	for segments, bytes := 0, 0; segments < searchedAtMost && bytes < searchedBytes; {
		some := found{wants: f.needles()}
		err := l.db.View(ctx, realm, func(tx *db.Tx) error { return some.read(tx, realm, oldest, before, searchedAtOnce) })
		if err != nil {
			return p, err
		}
		for _, s := range some.segments {
			segments++
			if p.take(&f, s, at) {
				return p, nil
			}
			before = s.id
		}
		if bytes += some.bytes; some.all {
			return p, nil
		}
	}
	p.goesOn(activityPlace{before, 0})
	return p, nil
}

// take adds what is wanted of a segment, and reports true when the page is full.
func (p *ActivityPage) take(f *ActivityFilter, s segment, at activityPlace) bool {
	records, err := s.decode()
	if err != nil {
		p.Unreadable = append(p.Unreadable, s.id)
		return false
	}
	skip := 0
	if s.id == at.segment {
		skip = min(at.skip, len(records))
	}
	for i := range records[skip:] {
		a := &records[skip+i]
		if !f.matches(a) {
			continue
		}
		if p.Records = append(p.Records, *a); len(p.Records) == f.Limit {
			p.goesOn(activityPlace{s.id, skip + i + 1})
			return true
		}
	}
	return false
}

func (p *ActivityPage) goesOn(at activityPlace) {
	p.Next = at.String()
	p.Reached, _ = id.Time("act", at.segment)
}

// found is what is read of segments at once. Of those that hold nothing that is wanted
// no text is kept.
type found struct {
	wants    []string
	segments []segment
	bytes    int
	all      bool // there are no more
}

func (s *found) read(tx *db.Tx, realm, from, before string, limit int) error {
	*s = found{wants: s.wants} // of an attempt before
	rows, held := 0, 0
	some, err := segments(tx, realm, from, before, limit, func(seg segment) segment {
		rows++
		s.bytes += len(seg.body)
		for _, w := range s.wants {
			if !strings.Contains(seg.body, w) {
				seg.body = ""
			}
		}
		if held += len(seg.body); held > searchedBytes && held > len(seg.body) {
			seg = segment{} // it is read again
		}
		return seg
	})
	for i := range some {
		if some[i].id == "" {
			s.segments = some[:i]
			return err
		}
	}
	s.segments, s.all = some, rows < limit
	return err
}

// needles are texts that stand in every segment with a record that the filter selects:
// what a record shares with one before it is written out there.
func (f *ActivityFilter) needles() (all []string) {
	for _, s := range []string{f.Actor, f.Target, f.Client, f.Session, f.IP, f.JTI} {
		if s != "" {
			all = append(all, string(appendText(nil, s)))
		}
	}
	if f.Action != "" && plain(f.Action) {
		all = append(all, `"`+f.Action)
	}
	return all
}

func (f *ActivityFilter) matches(a *Activity) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return strings.HasPrefix(a.Action, f.Action) && is(f.Actor, a.Actor.ID) && is(f.Target, a.Target) && is(f.Session, a.Actor.Session) &&
		is(f.IP, a.Actor.IP) && is(f.JTI, a.Data.Get("jti")) && (f.Client == "" || a.of(f.Client)) &&
		!a.At.Before(f.Since) && (f.Until.IsZero() || a.At.Before(f.Until))
}

// of reports whether a client acted, was acted on, or got a token.
func (a *Activity) of(client string) bool {
	return a.Actor.Client == client || a.Actor.ID == client || a.Target == client || a.Data.Get("client") == client
}

// activityPlace is where a search goes on: behind a record of a segment.
type activityPlace struct {
	segment string
	skip    int // records of it that were seen, from its end; 0: it was seen
}

func (p activityPlace) String() string { return p.segment + "." + strconv.Itoa(p.skip) }

// before is an id that is larger than those of the segments to read.
func (p activityPlace) before() string {
	if p.skip > 0 {
		return p.segment + "~" // the segment itself, once more
	}
	return p.segment
}

// from is where a search begins: at a page token, or with the segments that hold what
// was before its end.
func (f *ActivityFilter) from() (activityPlace, error) {
	switch {
	case f.After != "":
	case f.Until.IsZero():
		return activityPlace{"act_~", 0}, nil
	default:
		return activityPlace{id.First("act", f.Until.Add(segmentSpan+time.Second)), 0}, nil
	}
	segment, n, _ := strings.Cut(f.After, ".")
	skip, err := strconv.Atoi(n)
	if err != nil || skip < 0 || !id.Valid("act", segment) {
		return activityPlace{}, fault.New(fault.Invalid, "page_token_invalid", "the page token is not one of ours")
	}
	return activityPlace{segment, skip}, nil
}

// oldest is the first id of segments that can hold what a search begins with. Nodes
// differ by less than a second about what time it is.
func (f *ActivityFilter) oldest() string {
	if f.Since.IsZero() {
		return "act_"
	}
	return id.First("act", f.Since.Add(-time.Second))
}
