package journal

import (
	"time"
)

// How much a lot, and a segment, takes up before another is begun. Entries that say the
// same as those before take up next to nothing, but not when they are read.
const (
	perSegment = 20_000
	perLot     = 2 << 20 // bytes
	mostWords  = 1 << 20
)

// lot is what gathers of a realm, encoded, with what belongs to it.
type lot struct {
	encoder
	used        uses
	needed      recent
	n           int // entries
	records     int64
	first, last time.Time
	whole       bool // no entry is half written
}

func newLot() *lot { return &lot{encoder: *newEncoder(), used: uses{}, whole: true} }

func (l *lot) reset() {
	l.encoder.reset()
	used := l.used
	clear(used)
	*l = lot{encoder: l.encoder, used: used, whole: true}
}

// add writes an entry down.
func (l *lot) add(x *Entry, masks string) {
	l.whole = false
	l.entry(x, masks)
	l.used.add(x, &l.needed)
	l.n++
	if x.Kind != Administration { // which nobody's access is measured by
		l.records++
	}
	if l.n == 1 || x.At.Before(l.first) {
		l.first = x.At
	}
	if x.At.After(l.last) {
		l.last = x.At
	}
	l.whole = true
}

// size is about how much memory it takes.
func (l *lot) size() int { return l.encoder.size() + perUse*len(l.used) }

// perUse is what a Use takes.
const perUse = 400

// full says that nothing more is to be added.
func (l *lot) full() bool {
	return l.n >= perSegment || l.size() >= perLot || l.words >= mostWords
}
