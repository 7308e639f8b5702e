package relation

import (
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// mostBetween bounds the relations that one decision reads.
const mostBetween = 2 * graph.MaxWays

// Closure reads, by one statement of relations and one of attributes, the facts
// that a decision about the first subject and the first resource needs: what they
// are inside of, the roles in between, and what is known about all of these. More
// subjects and resources are what another side knows that these are inside of.
// A graph of them answers as the graph of all facts does.
func Closure(tx *db.Tx, subjects, resources []graph.Entity) (c graph.Change, err error) {
	rows, err := between(tx, subjects, resources)
	if err != nil {
		return c, err
	}
	if len(rows) > mostBetween {
		return c, fault.New(fault.Conflict, "relation_closure", "%s: %s or %s", graph.ErrClosure, subjects[0], resources[0])
	}
	for _, r := range rows {
		c.Add = append(c.Add, r.Tuple)
	}
	known, err := knownAbove(tx, subjects, resources)
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
