package decide

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
)

// wide reads all that leads up from rows: level by level, so that it ends when it is
// too much.
func (x *excerpt) wide(w *policy.Wide) error {
	up := &upward{x: x, types: w.Types, room: x.s.bounds.scanned, seen: map[graph.Entity]bool{}, b: graph.NewBuilder()}
	for _, e := range w.Rows {
		up.meet(e)
	}
	for _, typ := range w.Types {
		if err := up.allOf(typ); err != nil {
			return err
		}
	}
	for len(up.next) > 0 {
		of := up.next
		up.next = nil
		all, err := relation.Above(x.tx, of, x.at, up.room+1)
		if err != nil {
			return err
		}
		if err := up.take(all); err != nil {
			return err
		}
		for some := range slices.Chunk(of, directoryPage) {
			own, err := x.s.directoryAbove(x.tx, some)
			if err != nil {
				return err
			}
			if err := up.tell(own); err != nil {
				return err
			}
		}
	}
	var err error
	if w.Graph, err = up.b.Graph(); err != nil {
		return fmt.Errorf("%w: %w", policy.ErrInexpressible, err)
	}
	return nil
}

// upward is what wide has read.
type upward struct {
	x     *excerpt
	types []string // of which all is read
	room  int      // how many relations may still be read
	seen  map[graph.Entity]bool
	next  []graph.Entity // what is above these is to be read
	b     *graph.Builder
}

func (u *upward) meet(e graph.Entity) {
	if !u.seen[e] {
		u.seen[e] = true
		u.next = append(u.next, e)
	}
}

// allOf reads what is directly above the entities of a type.
func (u *upward) allOf(typ string) error {
	all, err := relation.From(u.x.tx, typ, u.x.at, u.room+1)
	if err != nil {
		return err
	}
	if err := u.take(all); err != nil {
		return err
	}
	d := u.x.s.o.Directory
	if d.Of == nil || !slices.Contains(d.Kinds, typ) {
		return nil
	}
	for after := ""; ; {
		own, err := d.Of(u.x.tx, typ, after, directoryPage)
		if err != nil {
			return err
		}
		if err := u.tell(own); err != nil {
			return err
		}
		if len(own) < directoryPage {
			return nil
		}
		after = own[len(own)-1].Entity.ID
	}
}

func (u *upward) tell(own []Entry) error {
	for _, e := range own {
		u.room--
		if err := u.take(e.In); err != nil {
			return err
		}
	}
	return nil
}

func (u *upward) take(all []graph.Tuple) error {
	if u.room -= len(all); u.room < 0 {
		what := "the rows"
		if len(u.types) > 0 {
			what = "every " + strings.Join(u.types, " and ")
		}
		return fmt.Errorf("%w: whether %s is inside more than a question looks at would take more than %d relations to find out; name the rows by what is granted on them, or ask about each", policy.ErrInexpressible, what, u.x.s.bounds.scanned)
	}
	for _, t := range all {
		if t.Relation != graph.Member && t.Relation != graph.Parent {
			continue
		}
		if err := u.b.Add(t); err != nil {
			return err
		}
		if slices.Contains(u.types, t.Object.Type) && !u.x.s.o.Directory.Owns(t.Object) {
			continue // read with its type
		}
		u.meet(t.Object)
	}
	return nil
}
