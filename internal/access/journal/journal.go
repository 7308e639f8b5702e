package journal

import (
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/job"
)

// What is held in memory until it is written, all realms together, and how long
// it gathers. A kill of the process loses at most that.
const (
	gatherFor = 250 * time.Millisecond
	mostBytes = 64 << 20
)

// Journal is the decision log of all realms, as one node writes it.
type Journal struct {
	db   *db.DB
	node string
	log  *slog.Logger

	mu    sync.Mutex
	held  map[string]*pending
	bytes int
	back  sync.Cond // of mu: a lot came back of what is being written
	lots  sync.Pool // of *lot, empty

	dropped atomic.Int64
	written atomic.Int64
	gather  *job.Gather
	flush   sync.Mutex // held while what gathered is written, with what follows
	packer  *flate.Writer
	needed  *encoder
}

// pending is what waits to be written for a realm.
type pending struct {
	full    []*lot // the oldest first
	open    []*lot // that nobody writes to at the moment, the one to go on with last
	out     int    // that somebody does
	bytes   int    // of all
	dropped int64
	taken   bool // to be written: what is out belongs to it, and nothing else is added
}

// at finds what waits for a realm, or begins it.
func (j *Journal) at(realm string) *pending {
	p := j.held[realm]
	if p == nil {
		p = &pending{}
		j.held[realm] = p
	}
	return p
}

// take gives a lot of a realm to write to. Whoever is given it puts it back.
func (j *Journal) take(realm string) (*pending, *lot) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.at(realm)
	p.out++
	if n := len(p.open); n > 0 {
		l := p.open[n-1]
		p.open = p.open[:n-1]
		return p, l
	}
	return p, j.lots.Get().(*lot)
}

// put takes back a lot that has become so much larger.
func (j *Journal) put(p *pending, l *lot, grown int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p.out--
	switch {
	case !l.whole: // somebody panicked
		grown -= l.size()
		l.n++ // the half one
		j.drop(p, l)
	case l.full():
		p.full = append(p.full, l)
	default:
		p.open = append(p.open, l)
	}
	if p.taken {
		j.back.Signal()
		return
	}
	p.bytes += grown
	j.bytes += grown
	j.trim()
}

// trim makes what is held fit. Where all is taken, the realm that holds most loses its
// newest, so that no realm can push out what is within another's share.
func (j *Journal) trim() {
	for j.bytes > mostBytes {
		var most *pending
		for _, p := range j.held {
			if len(p.full)+len(p.open) > 0 && (most == nil || p.bytes > most.bytes) {
				most = p
			}
		}
		if most == nil {
			return // all are being written to
		}
		from := &most.open
		if len(*from) == 0 {
			from = &most.full
		}
		last := len(*from) - 1
		l := (*from)[last]
		*from = (*from)[:last]
		most.bytes -= l.size()
		j.bytes -= l.size()
		j.drop(most, l)
	}
}

// drop counts the entries of a lot instead of writing them.
func (j *Journal) drop(p *pending, l *lot) {
	p.dropped += int64(l.n)
	j.dropped.Add(int64(l.n))
	j.release(l)
}

// release has the memory of a lot used again.
func (j *Journal) release(l *lot) {
	l.reset()
	j.lots.Put(l)
}

// New returns the journal of a node. Start it before anything is noted that is
// to be kept.
func New(d *db.DB, node string, log *slog.Logger) *Journal {
	packer, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is one there is
	j := &Journal{db: d, node: node, log: log, held: map[string]*pending{}, packer: packer, needed: newEncoder()}
	j.back.L = &j.mu
	j.lots.New = func() any { return newLot() }
	j.gather = job.NewGather(gatherFor, j.Flush, func(err error) { log.Warn("writing decisions", "err", err) })
	return j
}

// Note writes down a decision of a realm, soon. It never waits and never fails:
// what there is no room for is counted. It holds nothing of the entry. masks are names
// of values that are not written down, such as context.ip, separated by spaces.
func (j *Journal) Note(realm, masks string, e *Entry) {
	p, l := j.take(realm)
	j.add(p, l, masks, e)
	j.gather.Poke()
}

// add encodes without the lock: others that decide at the moment do so too.
func (j *Journal) add(p *pending, l *lot, masks string, e *Entry) {
	before := l.size()
	defer func() { j.put(p, l, l.size()-before) }()
	l.add(e, masks)
}

// Lost counts decisions of a realm that somebody else could not keep, beside those
// that this node could not write down.
func (j *Journal) Lost(realm string, n int64) {
	if n == 0 {
		return
	}
	j.mu.Lock()
	j.at(realm).dropped += n
	j.mu.Unlock()
	j.gather.Poke()
}

// Room reports whether there is room for much more of a realm: whoever can wait asks
// before.
func (j *Journal) Room(realm string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.held[realm]
	return j.bytes < mostBytes/2 || p == nil || p.bytes < mostBytes/2/len(j.held)
}

// Dropped is how many decisions this node could not write down, and Written how
// many it did, since it started.
func (j *Journal) Dropped() int64 { return j.dropped.Load() }

// Written is told with Dropped.
func (j *Journal) Written() int64 { return j.written.Load() }

// Start begins to write. Close it.
func (j *Journal) Start() { j.gather.Start() }

// Close writes what is left and ends.
func (j *Journal) Close() {
	if err := j.gather.Close(); err != nil {
		j.log.Warn("some decisions are not in the decision log", "err", err)
	}
}

// Flush writes what has gathered. When it returns without an error, everything
// that was noted before the call is written.
func (j *Journal) Flush(ctx context.Context) error {
	j.flush.Lock()
	defer j.flush.Unlock()
	j.mu.Lock()
	held := j.held
	j.held, j.bytes = map[string]*pending{}, 0
	for _, p := range held {
		p.taken = true
	}
	for _, p := range held {
		for p.out > 0 {
			j.back.Wait()
		}
	}
	j.mu.Unlock()
	var failed error
	for realm, p := range held {
		lots := append(p.full, p.open...)
		for dropped := p.dropped; len(lots) > 0 || dropped > 0; dropped = 0 {
			n := together(lots)
			if err := j.write(ctx, realm, lots[:n], dropped); err != nil {
				failed = err
				j.keep(realm, lots, dropped)
				break
			}
			for _, l := range lots[:n] {
				j.release(l)
			}
			lots = lots[n:]
		}
	}
	return failed
}

// together is how many of these go into one segment.
func together(lots []*lot) int {
	entries, words, bytes := 0, 0, 0
	for n, l := range lots {
		entries, words, bytes = entries+l.n, words+l.words, bytes+len(l.b)
		if n > 0 && (entries > perSegment || words > mostWords || bytes > 4*perLot) {
			return n
		}
	}
	return len(lots)
}

// keep takes back what could not be written, as far as there is room, for the
// next attempt.
func (j *Journal) keep(realm string, lots []*lot, dropped int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.at(realm)
	p.dropped += dropped
	p.full = append(lots, p.full...)
	for _, l := range lots {
		p.bytes += l.size()
		j.bytes += l.size()
	}
	j.trim()
	j.gather.Poke()
}

// write makes one segment.
func (j *Journal) write(ctx context.Context, realm string, lots []*lot, dropped int64) error {
	defer j.needed.reset()
	n, used := 0, uses{}
	if len(lots) == 1 {
		used = lots[0].used
	}
	var bodies [][]byte
	s := segment{node: j.node, dropped: dropped}
	for i, l := range lots {
		if n += l.n; i == 0 || l.first.Before(s.first) {
			s.first = l.first
		}
		if l.last.After(s.last) {
			s.last = l.last
		}
		s.records += l.records
		if len(lots) > 1 {
			used.join(l.used)
		}
		bodies = append(bodies, l.b)
	}
	var err error
	if s.body, err = deflate(j.packer, bodies...); err != nil {
		return err
	}
	if s.used, err = deflate(j.packer, used.encode(j.needed)); err != nil {
		return err
	}
	sum := sha256.Sum256(s.body)
	err = j.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		s.id = id.New("dcs", tx.Now)
		if n == 0 {
			s.first, s.last = tx.Now, tx.Now
		}
		if err := insert(tx, s); err != nil {
			return err
		}
		audit.Append(tx, audit.System, audit.Event{Action: "decision.segment", TargetType: "decisions", Target: s.id,
			Data: map[string]any{"records": n, "dropped": dropped, "sha256": base64.RawURLEncoding.EncodeToString(sum[:]), "node": j.node}})
		return nil
	})
	if err == nil {
		j.written.Add(int64(n))
	}
	return err
}
