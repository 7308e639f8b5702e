package decide

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// bySQL reads what one question needs: what its subject and its resource are
// inside of, the roles between the two, and what is known about all of them. It
// sees what is committed, so it is as new as any revision that was told.
func (s *Snapshots) bySQL(ctx context.Context, realm string, q *policy.Question) (*policy.Snapshot, audit.Position, error) {
	return s.read(ctx, realm, q, func(*db.Tx, *policy.Set) ([]graph.Entity, []graph.Entity, error) {
		return []graph.Entity{q.Subject}, []graph.Entity{q.Resource}, nil
	})
}

// read makes a snapshot of what questions like q about some subjects and resources
// need.
func (s *Snapshots) read(ctx context.Context, realm string, q *policy.Question, whom func(*db.Tx, *policy.Set) (subjects, resources []graph.Entity, err error)) (snap *policy.Snapshot, at audit.Position, err error) {
	err = s.o.DB.View(ctx, realm, func(tx *db.Tx) error {
		snap = nil
		if at, err = audit.HeadTx(tx); err != nil {
			return err
		}
		set, broken, err := s.policies(tx)
		if err = errors.Join(broken, err); err != nil || set == nil {
			return err
		}
		subjects, resources, err := whom(tx, set)
		if err != nil {
			return err
		}
		g, read, err := s.closure(tx, set, q, subjects, resources)
		if err == nil {
			snap = policy.NewSnapshot(set, g, at.Revision()).WithGate(s.o.Directory.Gate).ExcerptOf(read)
		}
		return err
	})
	return snap, at, err
}

// closure reads the facts about subjects and resources, and those about what is
// mentioned by the question and by their attributes, as far as policies look. read
// is what was looked for.
func (s *Snapshots) closure(tx *db.Tx, set *policy.Set, q *policy.Question, subjects, resources []graph.Entity) (_ *graph.Graph, read map[graph.Entity]bool, err error) {
	sides := [3][]graph.Entity{subjects, resources, set.Asked(q)}
	var all graph.Change
	var entries []Entry
	read, seen := map[graph.Entity]bool{}, map[graph.Entity]bool{}
	for hop := 0; ; hop++ {
		from, begun := len(all.Set), len(entries)
		for side := range sides {
			above, err := s.directoryAbove(tx, sides[side])
			if err != nil {
				return nil, nil, err
			}
			entries = append(entries, above...)
			for _, x := range above {
				if !slices.Contains(sides[side], x.Entity) {
					sides[side] = append(sides[side], x.Entity)
				}
			}
			for _, e := range sides[side] {
				read[e], seen[e] = true, true
			}
		}
		c, err := relation.Closure(tx, q.At.UnixMilli(), set.Deciding(q), sides[0], sides[1], sides[2])
		if err != nil {
			return nil, nil, err
		}
		all.Add, all.Set = append(all.Add, c.Add...), append(all.Set, c.Set...)
		for _, t := range c.Add {
			seen[t.Subject], seen[t.Object] = true, true
			read[t.Subject], read[t.Object] = true, true
		}
		if hop == set.Hops() {
			break
		}
		var next []graph.Entity
		follow := func(a graph.Attribute) {
			for _, e := range set.Mentions(a) {
				if !seen[e] {
					seen[e] = true
					next = append(next, e)
				}
			}
		}
		for _, a := range all.Set[from:] {
			follow(a)
		}
		for _, x := range entries[begun:] {
			for name, v := range x.Attributes {
				follow(graph.Attribute{Entity: x.Entity, Name: name, Value: v})
			}
		}
		if len(next) == 0 {
			break
		}
		sides = [3][]graph.Entity{nil, nil, next}
	}
	g, err := graph.Empty().Apply(all)
	if err != nil {
		return nil, nil, err
	}
	return s.join(g, tx.Realm, entries), read, nil
}

// directoryAbove reads those who are the directory's own with everything that they
// are in there, and with their owners.
func (s *Snapshots) directoryAbove(tx *db.Tx, es []graph.Entity) (all []Entry, err error) {
	if s.o.Directory.Read == nil {
		return nil, nil
	}
	seen := map[string]bool{}
	var next []string
	more := func(id string) {
		if !seen[id] {
			seen[id] = true
			next = append(next, id)
		}
	}
	for _, e := range es {
		if s.o.Directory.Owns(e) {
			more(e.ID)
		}
	}
	for len(next) > 0 {
		entries, err := s.o.Directory.Read(tx, next)
		if err != nil {
			return nil, err
		}
		next = nil
		for _, x := range entries {
			all = append(all, x)
			for _, t := range x.In {
				more(t.Object.ID)
			}
			if owner, ok := x.Attributes["owner"].(string); ok {
				more(owner)
			}
		}
	}
	return all, nil
}

// Sought is which part of a question a search leaves open.
type Sought int

// The parts.
const (
	Resources Sought = iota
	Subjects
	Actions
)

// Search is a search in a realm that has more facts than are held: candidates are
// read in the order of ids, some at a time with the facts that a question about
// each of them needs. A page ends early rather than to read for long. names are
// those of actions. The snapshot is nil for a realm without policies, and is of the
// last that was read.
func (s *Snapshots) Search(ctx context.Context, realm string, what Sought, q *policy.Question, p policy.Page) (f policy.Found, names []string, snap *policy.Snapshot, at audit.Position, err error) {
	if p.Work <= 0 || p.Work > mostBySQL {
		p.Work = mostBySQL
	}
	if what == Actions {
		if snap, at, err = s.bySQL(ctx, realm, q); err == nil && snap != nil {
			names, f, err = policy.Actions(snap, q, p)
		}
		return f, names, snap, at, err
	}
	few := 0
	more := func(after string, most int) (*policy.Snapshot, []policy.Entity, error) {
		for {
			if few > 0 {
				most = few
			}
			var some []policy.Entity
			var read *policy.Snapshot
			var seen audit.Position
			read, seen, err := s.read(ctx, realm, q, func(tx *db.Tx, set *policy.Set) (_, _ []graph.Entity, err error) {
				if what == Resources {
					some, err = s.candidates(tx, set, q.Resource.Type, after, most)
					return []graph.Entity{q.Subject}, some, err
				}
				some, err = s.candidates(tx, set, q.Subject.Type, after, most)
				return some, []graph.Entity{q.Resource}, err
			})
			switch {
			case fault.Code(err) == relation.CodeClosure && most > 1:
				few = most / 4
				few = max(few, 1)
				continue
			case err != nil || read == nil:
				return nil, nil, err
			}
			snap, at = read, seen
			return read, some, nil
		}
	}
	if what == Resources {
		f, err = policy.ResourcesOf(q, p, more)
	} else {
		f, err = policy.SubjectsOf(q, p, more)
	}
	return f, nil, snap, at, err
}

// mostBySQL is how many candidates are judged for one page.
const mostBySQL = 2000

// candidates reads the entities of a type behind an id that a fact or the
// directory speaks of.
func (s *Snapshots) candidates(tx *db.Tx, set *policy.Set, typ, after string, most int) ([]graph.Entity, error) {
	ids, listed := set.Listed(typ)
	if listed {
		from, found := slices.BinarySearch(ids, after)
		if found {
			from++
		}
		ids = ids[from:]
	} else {
		var err error
		if ids, err = relation.Candidates(tx, typ, after, most); err != nil {
			return nil, err
		}
		if s.o.Directory.Of != nil {
			own, err := s.o.Directory.Of(tx, typ, after, most)
			if err != nil {
				return nil, err
			}
			for _, x := range own {
				ids = append(ids, x.Entity.ID)
			}
			slices.SortFunc(ids, strings.Compare)
			ids = slices.Compact(ids)
		}
	}
	var out []graph.Entity
	for _, id := range ids[:min(most, len(ids))] {
		out = append(out, graph.Entity{Type: typ, ID: id})
	}
	return out, nil
}
