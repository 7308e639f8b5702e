package relation

import (
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// What one question reads at most.
const (
	mostUpward = 3 * 2 * graph.MaxWays // relations upward: as many of its subject, its resource and others as a graph climbs by, each
	mostRoles  = 2 * graph.MaxWays     // roles between
	mostPairs  = 10_000                // of what both sides are inside of, each looked up
)

// CodeClosure is the code of the error that a question needs more facts than are
// read at once.
const CodeClosure = "relation_closure"

// Closure reads the facts that decisions about subjects and resources at a time need:
// what they are inside of, the roles of some names in between, and what is known about
// all of these; and of others, what they are inside of and what is known. Among the
// subjects and resources can be what another side knows that these are inside of. A
// graph of them answers as the graph of all facts does. What would be too much above
// subjects and resources of one question is too much for a graph as well; roles are too
// many where [Granted] has more than MostGranted.
func Closure(tx *db.Tx, at int64, names []string, subjects, resources, others []graph.Entity) (c graph.Change, err error) {
	sides := [3][]graph.Entity{subjects, resources, others}
	if len(subjects)+len(resources)+len(others) > graph.MaxClosure {
		return c, tooWide()
	}
	rows, err := between(tx, sides, names, at)
	if err != nil {
		return c, err
	}
	if len(rows) > mostUpward+mostRoles {
		return c, tooWide()
	}
	for _, r := range rows {
		c.Add = append(c.Add, r.Tuple)
	}
	if len(names) > 0 {
		s, o := reached(subjects, c.Add), reached(resources, c.Add)
		if len(s)*len(o) > mostPairs {
			granted, err := Granted(tx, subjects, names, at, MostGranted+1)
			if err != nil {
				return c, err
			}
			if len(granted) > MostGranted {
				return c, tooWide()
			}
			for _, t := range granted {
				if o[t.Object] {
					c.Add = append(c.Add, t)
				}
			}
		}
	}
	known, err := knownAbove(tx, sides, at)
	if err != nil {
		return c, err
	}
	for _, a := range known {
		v, err := Value([]byte(a.Value))
		if err != nil {
			return c, err
		}
		c.Set = append(c.Set, graph.Attribute{Entity: a.Entity, Name: a.Name, Value: v})
	}
	return c, nil
}

// reached are some entities with all that relations lead to from them.
func reached(from []graph.Entity, all []graph.Tuple) map[graph.Entity]bool {
	above := map[graph.Entity][]graph.Entity{}
	for _, t := range all {
		if t.Relation == graph.Member || t.Relation == graph.Parent {
			above[t.Subject] = append(above[t.Subject], t.Object)
		}
	}
	seen := map[graph.Entity]bool{}
	for todo := slices.Clone(from); len(todo) > 0; {
		e := todo[len(todo)-1]
		if todo = todo[:len(todo)-1]; !seen[e] {
			seen[e] = true
			todo = append(todo, above[e]...)
		}
	}
	return seen
}

func tooWide() error {
	return fault.New(fault.Conflict, CodeClosure, "%s: the question needs too many facts", graph.ErrClosure)
}

// Candidates returns the smallest ids above after of the entities of a type that
// facts speak of, in the order of their bytes.
func Candidates(tx *db.Tx, typ, after string, limit int) ([]string, error) {
	return candidates(tx, typ, after, limit)
}

// Inside reads what is directly inside some entities at a time, by members and
// parents, or by parents alone; at most limit.
func Inside(tx *db.Tx, of []graph.Entity, parents bool, at int64, limit int) (all []graph.Tuple, err error) {
	for some := range slices.Chunk(of, seedsAtOnce) {
		rows, err := insideOf(tx, some, parents, at, limit-len(all))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			all = append(all, r.Tuple)
		}
		if len(all) >= limit {
			break
		}
	}
	return all, nil
}

// Above reads what some entities are directly inside of at a time; at most limit.
func Above(tx *db.Tx, of []graph.Entity, at int64, limit int) (all []graph.Tuple, err error) {
	for some := range slices.Chunk(of, seedsAtOnce) {
		rows, err := aboveAll(tx, some, at, limit-len(all))
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			all = append(all, r.Tuple)
		}
		if len(all) >= limit {
			break
		}
	}
	return all, nil
}

// From reads the relations at a time of which entities of a type are the subjects, at
// most limit.
func From(tx *db.Tx, typ string, at int64, limit int) (all []graph.Tuple, err error) {
	rows, err := fromType(tx, typ, at, limit)
	for _, r := range rows {
		all = append(all, r.Tuple)
	}
	return all, err
}

// Granted reads where some entities, and all that they are inside of, have roles of
// some names at a time; at most limit.
func Granted(tx *db.Tx, to []graph.Entity, names []string, at int64, limit int) (all []graph.Tuple, err error) {
	rows, err := grantedTo(tx, to, names, at, limit)
	for _, r := range rows {
		all = append(all, r.Tuple)
	}
	return all, err
}

// MostGranted is how many roles may be [Granted] to those whom a question is about, where
// they and what it asks about are inside of much.
const MostGranted = mostRoles

const seedsAtOnce = 500

// AttributesOf reads what is known of the entities of a type, each with all that is,
// in the order of their ids, and up to limit attributes. It reports false if there are more.
func AttributesOf(tx *db.Tx, typ string, limit int, visit func([]graph.Attribute) error) (all bool, err error) {
	var of []graph.Attribute
	for from, read := (&AttributeRow{}), 0; ; {
		page, err := attributesAfter(tx, typ, from, min(loadPage, limit+1-read))
		if err != nil {
			return false, err
		}
		for _, r := range page {
			v, err := Value([]byte(r.Value))
			if err != nil {
				return false, err
			}
			if len(of) > 0 && of[0].Entity != r.Entity {
				if err := visit(of); err != nil {
					return false, err
				}
				of = nil
			}
			of = append(of, graph.Attribute{Entity: r.Entity, Name: r.Name, Value: v})
		}
		if read += len(page); read > limit {
			return false, nil
		}
		if len(page) < min(loadPage, limit+1-read+len(page)) {
			break
		}
		from = &page[len(page)-1]
	}
	if len(of) > 0 {
		err = visit(of)
	}
	return err == nil, err
}
