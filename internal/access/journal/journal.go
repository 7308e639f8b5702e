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
	gatherFor  = 250 * time.Millisecond
	mostBytes  = 64 << 20
	perSegment = 20_000
	// overhead is about what an entry takes besides what it came from.
	overhead = 600
	perStep  = 80
)

// Journal is the decision log of all realms, as one node writes it.
type Journal struct {
	db   *db.DB
	node string
	log  *slog.Logger

	mu    sync.Mutex
	held  map[string]*pending
	bytes int

	dropped atomic.Int64
	written atomic.Int64
	gather  *job.Gather
	flush   sync.Mutex // held while what gathered is written, with what follows
	packer  *flate.Writer
	encoder *encoder
	needed  *encoder
}

// pending is what waits to be written for a realm.
type pending struct {
	entries []*Entry
	masks   string
	dropped int64
	bytes   int
}

func sizeOf(e *Entry) int { return overhead + e.Size + perStep*len(e.Answer.Path) }

// at finds what waits for a realm, or begins it.
func (j *Journal) at(realm, masks string) *pending {
	p := j.held[realm]
	if p == nil {
		p = &pending{masks: masks}
		j.held[realm] = p
	}
	return p
}

// fits makes room for an entry of a realm, and reports whether there is. Where all
// is taken, the realm that holds most loses its newest, so that no realm can push
// out what is within another's share.
func (j *Journal) fits(p *pending, size int) bool {
	for j.bytes+size > mostBytes {
		most := p
		for _, other := range j.held {
			if other.bytes > most.bytes {
				most = other
			}
		}
		if most.bytes <= p.bytes+size {
			return false
		}
		j.cut(most, max(size, (most.bytes-p.bytes)/64))
	}
	p.bytes += size
	j.bytes += size
	return true
}

// cut drops the newest entries of a realm, about so many bytes of them.
func (j *Journal) cut(p *pending, bytes int) {
	n := len(p.entries)
	for freed := 0; n > 0 && freed < bytes; {
		n--
		size := sizeOf(p.entries[n])
		freed, p.bytes, j.bytes = freed+size, p.bytes-size, j.bytes-size
		p.dropped++
		j.dropped.Add(1)
	}
	clear(p.entries[n:])
	p.entries = p.entries[:n]
}

// New returns the journal of a node. Start it before anything is noted that is
// to be kept.
func New(d *db.DB, node string, log *slog.Logger) *Journal {
	packer, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is one there is
	j := &Journal{db: d, node: node, log: log, held: map[string]*pending{}, packer: packer, encoder: newEncoder(), needed: newEncoder()}
	j.gather = job.NewGather(gatherFor, j.Flush, func(err error) { log.Warn("writing decisions", "err", err) })
	return j
}

// Note writes down a decision of a realm, soon. It never waits and never fails:
// what there is no room for is counted. masks are names of values that are not
// written down, such as context.ip, separated by spaces.
func (j *Journal) Note(realm, masks string, e *Entry) {
	j.mu.Lock()
	p := j.at(realm, masks)
	p.masks = masks
	if !j.fits(p, sizeOf(e)) {
		p.dropped++
		j.mu.Unlock()
		j.dropped.Add(1)
		return
	}
	p.entries = append(p.entries, e)
	j.mu.Unlock()
	j.gather.Poke()
}

// Lost counts decisions of a realm that somebody else could not keep, beside those
// that this node could not write down.
func (j *Journal) Lost(realm string, n int64) {
	if n == 0 {
		return
	}
	j.mu.Lock()
	j.at(realm, "").dropped += n // masks come with the first entry
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
	j.mu.Unlock()
	var failed error
	for realm, p := range held {
		for len(p.entries) > 0 || p.dropped > 0 {
			n := min(len(p.entries), perSegment)
			if err := j.write(ctx, realm, p, n); err != nil {
				failed = err
				j.keep(realm, p)
				break
			}
			p.entries, p.dropped = p.entries[n:], 0
		}
	}
	return failed
}

// keep takes back what could not be written, as far as there is room, for the
// next attempt.
func (j *Journal) keep(realm string, old *pending) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.at(realm, old.masks)
	p.dropped += old.dropped
	kept := old.entries[:0:0]
	for _, e := range old.entries {
		if !j.fits(p, sizeOf(e)) {
			p.dropped++
			j.dropped.Add(1)
			continue
		}
		kept = append(kept, e)
	}
	p.entries = append(kept, p.entries...)
	j.gather.Poke()
}

// write makes one segment of the first n entries.
func (j *Journal) write(ctx context.Context, realm string, p *pending, n int) error {
	e, u := j.encoder, uses{}
	defer func() { j.encoder.reset(); j.needed.reset() }()
	var needed recent
	s := segment{node: j.node, dropped: p.dropped}
	for i, x := range p.entries[:n] {
		if x.Kind != Administration { // which nobody's access is measured by
			s.records++
		}
		e.entry(x, p.masks)
		u.add(x, &needed)
		if i == 0 || x.At.Before(s.first) {
			s.first = x.At
		}
		if x.At.After(s.last) {
			s.last = x.At
		}
	}
	var err error
	if s.body, err = deflate(e.b, j.packer); err != nil {
		return err
	}
	if s.used, err = deflate(u.encode(j.needed), j.packer); err != nil {
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
			Data: map[string]any{"records": n, "dropped": s.dropped, "sha256": base64.RawURLEncoding.EncodeToString(sum[:]), "node": j.node}})
		return nil
	})
	if err == nil {
		j.written.Add(int64(n))
	}
	return err
}
