package audit

import (
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/cardea-id/cardea/internal/db"
)

// On SQLite all changes pass one writer, so an event's place is known as it is
// written: it is sequenced by the transaction that makes it, which saves a second
// commit. What the writer remembers of the log is checked by the same
// compare-and-set as everywhere; a transaction that was rolled back after it
// placed its events leaves the memory ahead of the row, and the next one reads anew.

// placed is the log as the writer's goroutine last wrote it.
type placed struct {
	known bool
	head  head
	trees map[string]*tree
}

// maxTrees bounds how many realms' trees the writer remembers.
const maxTrees = 1024

// flushPlaced writes a transaction's events with their positions.
func (l *Log) flushPlaced(tx *db.Tx, records []*Record) error {
	for {
		if !l.placed.known || len(l.placed.trees) > maxTrees {
			h, err := loadHead(tx, "")
			if err != nil {
				return err
			}
			l.placed = placed{true, h, map[string]*tree{}}
		}
		done, err := l.tryPlace(tx, records)
		if err != nil || !done {
			l.placed.known = false
		}
		if err != nil || done {
			return err
		}
	}
}

// tryPlace reports false if the writer's memory was not the log.
func (l *Log) tryPlace(tx *db.Tx, records []*Record) (bool, error) {
	next, trees := l.placed.head, map[string]*tree{}
	bodies := make([]string, len(records))
	for i, r := range records {
		text, err := r.encode()
		if err != nil {
			return false, err
		}
		t := trees[r.Realm]
		if t == nil {
			if t, err = l.treeOf(tx, r.Realm); err != nil {
				return false, err
			}
			trees[r.Realm] = t
		}
		leaf := leafHash(text)
		r.Leaf = t.append(leaf)
		next.Seq++
		next.chain = link(next.chain, leaf)
		r.Position, bodies[i] = next.Position, text
	}
	moved, err := moveHead(tx, l.placed.head, next)
	if err != nil || !moved {
		return false, err
	}
	for i, r := range records {
		if err := insertPlaced(tx, r, bodies[i]); err != nil {
			return false, err
		}
	}
	for _, t := range trees {
		if err := t.save(tx); err != nil {
			return false, err
		}
		t.fresh = nil
	}
	l.placed.head = next
	maps.Copy(l.placed.trees, trees)
	return true, nil
}

// treeOf returns a copy of a realm's tree to append to.
func (l *Log) treeOf(tx *db.Tx, realm string) (*tree, error) {
	known := l.placed.trees[realm]
	if known == nil {
		return loadTree(tx, realm)
	}
	return &tree{realm: realm, size: known.size, frontier: append(make([]tlog.Hash, 0, len(known.frontier)+1), known.frontier...)}, nil
}

// writes collects the records that a transaction journalled. They share an
// instant, so their ids are put in order: lists are sorted by them.
func writes(entries []any) (records []*Record) {
	records = make([]*Record, 0, len(entries))
	ids := make([]string, 0, len(entries))
	for _, v := range entries {
		if e := v.(*entry); !e.barrier {
			records, ids = append(records, &e.Record), append(ids, e.ID)
		}
	}
	slices.Sort(ids)
	for i, r := range records {
		r.ID = ids[i]
	}
	return records
}
