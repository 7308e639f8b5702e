package relation

import (
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// mostBetween bounds the relations that one decision reads.
const mostBetween = 2 * graph.MaxWays

// CodeClosure is the code of the error that a question needs more facts than are
// read at once.
const CodeClosure = "relation_closure"

// Closure reads, by one statement of relations and one of attributes, the facts
// that decisions about subjects and resources need: what they are inside of, the
// roles in between, and what is known about all of these; and of others, what they
// are inside of and what is known. Among the subjects and resources can be what
// another side knows that these are inside of. A graph of them answers as the graph
// of all facts does.
func Closure(tx *db.Tx, subjects, resources, others []graph.Entity) (c graph.Change, err error) {
	sides := [3][]graph.Entity{subjects, resources, others}
	if len(subjects)+len(resources)+len(others) > graph.MaxClosure {
		return c, tooWide()
	}
	rows, err := between(tx, sides)
	if err != nil {
		return c, err
	}
	if len(rows) > mostBetween {
		return c, tooWide()
	}
	for _, r := range rows {
		c.Add = append(c.Add, r.Tuple)
	}
	known, err := knownAbove(tx, sides)
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

func tooWide() error {
	return fault.New(fault.Conflict, CodeClosure, "%s: the question needs too many facts", graph.ErrClosure)
}

// Candidates returns the smallest ids above after of the entities of a type that
// facts speak of, in the order of their bytes.
func Candidates(tx *db.Tx, typ, after string, limit int) ([]string, error) {
	return candidates(tx, typ, after, limit)
}
