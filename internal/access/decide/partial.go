package decide

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/access/policy"
	"github.com/cardea-id/cardea/internal/access/relation"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
)

// bounds are those of what one residual reads by SQL: of its answer, whatever the
// size of the realm is.
type bounds struct {
	read    int // relations and attributes that are kept
	scanned int // attributes of one type that are looked through
}

// Partial is policy.Partial in a realm that has more facts than are held: what the
// policies ask for is read by SQL, round by round. The snapshot is nil for a realm
// without policies.
func (s *Snapshots) Partial(ctx context.Context, realm string, q *policy.Question, rows policy.Rows) (left policy.Residual, snap *policy.Snapshot, at audit.Position, err error) {
	err = s.o.DB.View(ctx, realm, func(tx *db.Tx) error {
		left, snap = policy.Residual{}, nil
		if at, err = audit.HeadTx(tx); err != nil {
			return err
		}
		set, broken, err := s.policies(tx)
		if err = errors.Join(broken, err); err != nil || set == nil {
			return err
		}
		x := &excerpt{s: s, tx: tx, set: set, at: q.At.UnixMilli(), subject: q.Subject}
		left, snap, err = policy.PartialBy(q, rows, func(n policy.Need) (*policy.Snapshot, error) {
			if err := x.read(n); err != nil {
				return nil, err
			}
			g, err := x.graph()
			if err != nil {
				return nil, err
			}
			return policy.NewSnapshot(set, g, at.Revision()).WithGate(s.o.Directory.Gate), nil
		})
		return err
	})
	return left, snap, at, err
}

// excerpt is what was read of a realm for one residual.
type excerpt struct {
	s       *Snapshots
	tx      *db.Tx
	set     *policy.Set
	at      int64
	subject graph.Entity
	facts   graph.Change
	entries []Entry
}

func (x *excerpt) graph() (*graph.Graph, error) {
	g, err := graph.Empty().Apply(x.facts)
	if err != nil {
		return nil, err
	}
	return x.s.join(g, x.tx.Realm, x.entries), nil
}

func (x *excerpt) read(n policy.Need) error {
	switch {
	case len(n.Up) > 0:
		return x.up(n.Up)
	case n.Below != nil:
		return x.below([]graph.Entity{*n.Below}, false, "what is inside "+n.Below.String())
	case len(n.Roles) > 0:
		return x.roles(n.Roles)
	case len(n.Granted) > 0:
		return x.granted(n.Granted)
	case n.Known != nil:
		return x.known(n.Known)
	case n.Wide != nil:
		return x.wide(n.Wide)
	}
	return nil
}

// room is how much may still be read; what is too much for one is what is read.
func (x *excerpt) room() int {
	return x.s.bounds.read - len(x.facts.Add) - len(x.facts.Set) - len(x.entries)
}

func (x *excerpt) tooMuch(what string) error {
	return fmt.Errorf("%w: for %s more than %d relations and attributes would have to be read; map what the policies ask about to columns", policy.ErrInexpressible, what, x.s.bounds.read)
}

func (x *excerpt) tooMany(what string) error {
	return fmt.Errorf("%w: for %s more than %d entities and attributes would have to be looked through; map what the policies ask about to columns", policy.ErrInexpressible, what, x.s.bounds.scanned)
}

func (x *excerpt) up(es []graph.Entity) error {
	es = slices.Clone(es)
	if len(es) > graph.MaxClosure {
		return x.tooMuch("what entities are inside of")
	}
	above, err := x.s.directoryAbove(x.tx, es)
	if err != nil {
		return err
	}
	x.entries = append(x.entries, above...)
	for _, a := range above {
		if !slices.Contains(es, a.Entity) {
			es = append(es, a.Entity)
		}
	}
	c, err := relation.Closure(x.tx, x.at, nil, nil, nil, es)
	if err != nil {
		return err
	}
	x.facts.Add, x.facts.Set = append(x.facts.Add, c.Add...), append(x.facts.Set, c.Set...)
	if x.room() < 0 {
		return x.tooMuch("what entities are inside of")
	}
	return nil
}

// below reads level by level, so that it ends as soon as it is too much.
func (x *excerpt) below(of []graph.Entity, parents bool, what string) error {
	seen := map[graph.Entity]bool{}
	for _, e := range of {
		seen[e] = true
	}
	for len(of) > 0 {
		found, err := relation.Inside(x.tx, of, parents, x.at, x.room()+1)
		if err != nil {
			return err
		}
		if !parents && x.s.o.Directory.Inside != nil {
			var ids []string
			for _, e := range of {
				if x.s.o.Directory.Owns(e) {
					ids = append(ids, e.ID)
				}
			}
			own, err := x.s.o.Directory.Inside(x.tx, ids, x.room()+1)
			if err != nil {
				return err
			}
			for _, t := range own {
				if t.Expires == 0 || t.Expires > x.at {
					found = append(found, t)
				}
			}
		}
		of = nil
		for _, t := range found {
			if !seen[t.Subject] {
				seen[t.Subject] = true
				of = append(of, t.Subject)
			}
		}
		if x.facts.Add = append(x.facts.Add, found...); x.room() < 0 {
			return x.tooMuch(what)
		}
	}
	return nil
}

// holders are the subject and those of the directory's own by whom it may have roles.
func (x *excerpt) holders() ([]graph.Entity, error) {
	own, err := x.s.directoryAbove(x.tx, []graph.Entity{x.subject})
	to := []graph.Entity{x.subject}
	for _, e := range own {
		if !slices.Contains(to, e.Entity) {
			to = append(to, e.Entity)
		}
	}
	return to, err
}

// granted holds what the subject may have of some roles to what a question reads.
func (x *excerpt) granted(names []string) error {
	to, err := x.holders()
	if err != nil {
		return err
	}
	all, err := relation.Granted(x.tx, to, names, x.at, relation.MostGranted+1)
	if err == nil && len(all) > relation.MostGranted {
		err = fmt.Errorf("%w: %s has more than %d roles that the policies ask for, of which a question can be denied for their number", policy.ErrInexpressible, x.subject, relation.MostGranted)
	}
	return err
}

func (x *excerpt) roles(names []string) error {
	in := map[graph.Entity][]graph.Tuple{} // of the directory's own
	for _, a := range x.entries {
		in[a.Entity] = a.In
	}
	to, err := x.holders()
	if err != nil {
		return err
	}
	granted, err := relation.Granted(x.tx, to, names, x.at, x.room()+1)
	if err != nil {
		return err
	}
	if x.facts.Add = append(x.facts.Add, granted...); x.room() < 0 {
		return x.tooMuch("the roles of " + x.subject.String())
	}
	seen := map[graph.Entity]bool{}
	var on []graph.Entity
	hold := func(t graph.Tuple) {
		if !seen[t.Object] && slices.Contains(names, t.Relation) {
			seen[t.Object] = true
			on = append(on, t.Object)
		}
	}
	for _, t := range granted {
		hold(t)
	}
	for _, e := range to {
		for _, t := range in[e] {
			hold(t)
		}
	}
	return x.below(on, true, "what "+x.subject.String()+" has a role on")
}

// known looks through what is known of the entities of a type.
func (x *excerpt) known(k *policy.Known) error {
	what := fmt.Sprintf("the attribute %s of every %s", k.Attribute, k.Type)
	if k.Attribute == "" {
		what = fmt.Sprintf("what is stored about every %s and is not what the schema says", k.Type)
	}
	counts := func(all []graph.Attribute) bool {
		return slices.ContainsFunc(all, func(a graph.Attribute) bool { return a.Name == k.Attribute || x.set.Misfit(a) })
	}
	ended, err := relation.AttributesOf(x.tx, k.Type, x.s.bounds.scanned, func(all []graph.Attribute) error {
		if counts(all) {
			if x.facts.Set = append(x.facts.Set, all...); x.room() < 0 {
				return x.tooMuch(what)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !ended {
		return x.tooMany(what)
	}
	if k.Attribute == "" {
		return nil // the directory says the same kinds of things of everybody
	}
	return x.directoryKnown(k.Type, what, counts)
}

// directoryKnown reads whatever the directory says of those of a type, as far as it
// counts, and of those of whom something was written.
func (x *excerpt) directoryKnown(typ, what string, counts func([]graph.Attribute) bool) error {
	d := x.s.o.Directory
	if d.Of == nil || !slices.Contains(d.Kinds, typ) {
		return nil
	}
	written := map[string]bool{}
	for _, a := range x.facts.Set {
		if a.Entity.Type == typ {
			written[a.Entity.ID] = true
		}
	}
	read := 0
	for after := ""; ; {
		entries, err := d.Of(x.tx, typ, after, directoryPage)
		if err != nil {
			return err
		}
		if read += len(entries); read > x.s.bounds.scanned {
			return x.tooMany(what)
		}
		for _, e := range entries {
			var all []graph.Attribute
			for name, v := range e.Attributes {
				all = append(all, graph.Attribute{Entity: e.Entity, Name: name, Value: v})
			}
			if !written[e.Entity.ID] && !counts(all) {
				continue
			}
			if x.entries = append(x.entries, e); x.room() < 0 {
				return x.tooMuch(what)
			}
		}
		if len(entries) < directoryPage {
			return nil
		}
		after = entries[len(entries)-1].Entity.ID
	}
}
