package audit

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"sync"
	"time"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/id"
)

// Activity is what happened without changing state: a token issued, a sign-in
// refused. It is written per node in segments; the hash of a segment is one
// event of the log, so that a segment cannot be changed later. A kill of the
// process loses at most the last tenth of a second of it.
type Activity struct {
	At     time.Time `json:"at"`
	Action string    `json:"action"` // such as token.issue, signin.refuse
	Actor  Actor     `json:"actor"`
	Target string    `json:"target,omitempty"`
	Reason string    `json:"reason,omitempty"` // why it was refused
	Count  int       `json:"count,omitempty"`  // how many like it, where they are counted and not listed
	Data   Details   `json:"data,omitempty"`
	Tell   string    `json:"-"` // as what the target, a person, is told of it: see [Refusal]
}

const (
	segmentEvery = 100 * time.Millisecond
	segmentMax   = 5000 // records held per realm until the next segment; more are counted
	floodAfter   = 20   // anonymous failures of one kind in one segment that are listed
)

type activity struct {
	flush  sync.Mutex // held while what gathered is written
	text   []byte     // memory of the last segment's text, under flush
	mu     sync.Mutex
	realms map[string]*pendingSegment
	realm  string          // the last one, and its segment: mostly it is the same again
	now    *pendingSegment // nil: of none
	usual  map[string]int  // how many records the last segment of each had
	spare  []Activity      // memory of a segment that was written, for one that begins
	poke   chan struct{}
}

type pendingSegment struct {
	records []Activity
	seen    map[flood]int // anonymous failures so far
	extra   map[flood]int // what is counted instead of listed
	refused refusals
}

// newSegment begins a segment with room for so many records, under mu.
func (a *activity) newSegment(room int) *pendingSegment {
	s := &pendingSegment{seen: map[flood]int{}, extra: map[flood]int{}, refused: refusals{}}
	if room = min(room, segmentMax); cap(a.spare) >= room {
		s.records, a.spare = a.spare, nil
	} else {
		s.records = make([]Activity, 0, room)
	}
	return s
}

// written takes the memory of a segment back, if others are as long.
func (a *activity) written(s *pendingSegment) {
	clear(s.records)
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := cap(s.records); n > cap(a.spare) && n <= 2*len(s.records) {
		a.spare = s.records[:0]
	}
}

// flood groups what is counted: many refusals of the same kind from the same place.
type flood struct{ action, reason, ip string }

func (a *Activity) flood() flood { return flood{a.Action, a.Reason, a.Actor.IP} }

func (a *activity) init() {
	a.realms = map[string]*pendingSegment{}
	a.poke = make(chan struct{}, 1)
}

// Activity notes what happened in a realm. It never blocks and never fails.
func (l *Log) Activity(realm string, by Actor, a Activity) {
	a.Actor, a.At = by.bounded(), l.db.Now()
	l.act.mu.Lock()
	s, began := l.act.segment(realm)
	s.note(&a)
	l.act.mu.Unlock()
	if began { // or else it was poked for and is still to be written
		poke(l.act.poke)
	}
}

// segment is what gathers in a realm, under mu. It reports true if it begins.
func (a *activity) segment(realm string) (s *pendingSegment, began bool) {
	if a.now != nil && a.realm == realm {
		return a.now, false
	}
	if s = a.realms[realm]; s == nil {
		s, began = a.newSegment(a.usual[realm]*5/4), true
		a.realms[realm] = s
	}
	a.realm, a.now = realm, s
	return s, began
}

// note lists a, or counts it where there are too many like it.
func (s *pendingSegment) note(a *Activity) {
	if a.Tell != "" {
		s.refused.note(a)
	}
	listed := len(s.records) < segmentMax
	if a.Reason != "" && a.Actor.Kind == "anonymous" {
		f := a.flood()
		s.seen[f]++
		listed = listed && s.seen[f] <= floodAfter
	}
	if listed {
		s.records = append(s.records, *a)
	} else {
		s.extra[a.flood()]++
	}
}

func (l *Log) activityForever(ctx context.Context) {
	for {
		select {
		case <-l.act.poke:
		case <-ctx.Done():
			return
		}
		// Gather for a while before writing.
		t := time.NewTimer(segmentEvery)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		l.complain(ctx, "writing activity", l.FlushActivity(ctx))
	}
}

// FlushActivity writes what has gathered, a segment a realm. When it returns,
// everything that gathered before the call is written.
func (l *Log) FlushActivity(ctx context.Context) error {
	l.act.flush.Lock()
	defer l.act.flush.Unlock()
	l.act.mu.Lock()
	realms := l.act.realms
	l.act.realms, l.act.now = map[string]*pendingSegment{}, nil
	l.act.usual = make(map[string]int, len(realms))
	for realm, s := range realms {
		l.act.usual[realm] = len(s.records)
	}
	l.act.mu.Unlock()
	var failed error
	for realm, s := range realms {
		if err := l.writeSegment(ctx, realm, s); err != nil {
			failed = err
			l.keepSegment(realm, s)
			continue
		}
		l.act.written(s)
	}
	return failed
}

// keepSegment takes back what could not be written, as far as there is room, for
// the next attempt.
func (l *Log) keepSegment(realm string, old *pendingSegment) {
	l.act.mu.Lock()
	defer l.act.mu.Unlock()
	s := l.act.realms[realm]
	if s == nil {
		l.act.realms[realm] = old
	} else {
		for f, n := range old.extra {
			s.extra[f] += n
		}
		for k, r := range old.refused {
			s.refused.add(k, *r)
		}
		room := max(0, min(len(old.records), segmentMax-len(s.records)))
		for _, a := range old.records[room:] {
			s.extra[a.flood()]++
		}
		s.records = append(old.records[:room:room], s.records...)
	}
	poke(l.act.poke)
}

// segmentSpan is how much later than another a record of a segment can be, and with
// that how far from the time in the segment's id, which is that of its last record:
// whoever looks for a time reads those with ids of then, however late they were written.
const segmentSpan = 10 * time.Second

// spans cuts records, which are about in order, where a segment must end.
func spans(records []Activity) (all [][]Activity) {
	for len(records) > 0 {
		n, first, last := 0, records[0].At, records[0].At
		for ; n < len(records); n++ {
			at := records[n].At
			if at.Before(first) {
				first = at
			}
			if at.After(last) {
				last = at
			}
			if last.Sub(first) > segmentSpan {
				break
			}
		}
		all, records = append(all, records[:n]), records[n:]
	}
	return all
}

// lastOf is when the last of some records was noted.
func lastOf(records []Activity) (at time.Time) {
	for i := range records {
		if records[i].At.After(at) {
			at = records[i].At
		}
	}
	return at
}

// hashOf is what the log says of a segment's text.
func hashOf(text []byte) string {
	hash := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

// writeSegment writes what gathered in a realm, under flush: mostly one segment.
func (l *Log) writeSegment(ctx context.Context, realm string, s *pendingSegment) error {
	now := l.db.Now()
	records := slices.Clip(s.records) // s keeps its own, in case that this fails
	for f, n := range s.extra {
		records = append(records, Activity{At: now, Action: f.action, Reason: f.reason, Actor: Actor{Kind: "anonymous", IP: f.ip}, Count: n})
	}
	type written struct {
		at        time.Time
		records   int
		body, sum string
	}
	var all []written
	for _, some := range spans(records) {
		text := appendSegment(l.act.text[:0], some)
		if l.act.text = nil; cap(text) <= 4*len(text) {
			l.act.text = text
		}
		all = append(all, written{lastOf(some), len(some), string(text), hashOf(text)})
	}
	return l.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		for _, w := range all {
			seg := id.New("act", w.at)
			if err := insertSegment(tx, seg, l.node, w.records, w.body); err != nil {
				return err
			}
			Append(tx, System, Event{Action: segmentWritten, TargetType: "activity", Target: seg,
				Data: map[string]any{"records": w.records, "sha256": w.sum, "node": l.node}})
		}
		return s.refused.write(tx)
	})
}

type segment struct{ id, body string }

// activityKept is how long activity stays readable. Events stay for ever.
const activityKept = 90 * 24 * time.Hour

// Forget deletes a realm's activity that is old enough, and nodes that were given up
// as long ago. Events are never deleted: more of them say up to when activity was.
func (l *Log) Forget(ctx context.Context, realm string) error {
	var s sweep
	for more := true; more; {
		var next sweep
		if err := l.db.UpdateRC(ctx, realm, func(tx *db.Tx) (err error) {
			next, more, err = s.step(tx)
			return err
		}); err != nil {
			return err
		}
		s = next
	}
	for n := int64(refusalsAtOnce); n >= refusalsAtOnce; {
		if err := l.db.UpdateRC(ctx, realm, func(tx *db.Tx) (err error) {
			n, err = deleteRefusals(tx, s.before)
			return err
		}); err != nil {
			return err
		}
	}
	return l.ctl.SystemRC(ctx, func(tx *db.Tx) error { return deleteGone(tx, s.before) })
}

// sweep is how far the old activity of a realm is deleted.
type sweep struct {
	before time.Time // when what is old enough was written
	after  string    // up to this id
	told   bool      // an event says so,
	more   int64     // and these segments are deleted since
}

// step deletes the next segments. The first to delete any tells up to when all do, so
// that the log explains whatever is missing when there is no further step; the last one
// tells how many the others deleted.
func (s sweep) step(tx *db.Tx) (_ sweep, more bool, err error) {
	before := db.At(tx.Now.Add(-activityKept)).Time
	if s.before.IsZero() {
		s.before = before
	}
	n, more, err := deleteSegments(tx, &s)
	if s.more += n; err == nil && s.more > 0 && !(s.told && more) {
		if s.before.Before(before) { // or else the clock went back meanwhile
			before = s.before
		}
		Append(tx, System, Event{Action: segmentsDeleted, TargetType: "activity",
			Data: map[string]any{"before": before.Format(time.RFC3339Nano), "segments": s.more}})
		s.told, s.more = true, 0
	}
	return s, more, err
}
