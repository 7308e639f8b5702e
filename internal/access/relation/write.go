package relation

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
)

// Batch is what is written at once: all of it, or nothing.
type Batch struct {
	// Key makes a second batch of the same sender and key, for a week, be the
	// first one. "" is no key.
	Key     string
	Require []Requirement
	// Unchanged, if not zero, is a position after which no fact of the realm may
	// have been written.
	Unchanged audit.Position
	graph.Change
}

// Requirement is what must hold before a batch, of a relation or of an attribute.
type Requirement struct {
	Tuple     *graph.Tuple
	Attribute *graph.Attribute // a value other than nil must be the attribute's
	Absent    bool             // must not be there
	// Unchanged, if not zero, is a position after which it must not have been written.
	Unchanged audit.Position
}

// Written says what became of a batch.
type Written struct {
	// Revision is the position at which the facts hold on every node.
	Revision audit.Position
	// Repeated says that the batch had been written before under its key.
	Repeated bool
}

// keepBatches is how long keys and the places of batches are known.
const keepBatches = 7 * 24 * time.Hour

// Write changes facts. When it returns, every node that may answer knows them.
// What must hold first and does not is fault.Precondition; a circle, too deep or
// too wide a nesting is fault.Conflict, and says where.
func (s *Store) Write(ctx context.Context, by audit.Actor, realm string, b Batch) (Written, error) {
	if len(b.Key) > maxKey {
		return Written{}, fault.New(fault.Invalid, "idempotency_key_invalid", "a key has at most %d bytes", maxKey)
	}
	texts, err := s.check(&b)
	if err != nil {
		return Written{}, err
	}
	digest, err := b.digest(texts)
	if err != nil {
		return Written{}, err
	}
	return s.write(ctx, realm, by, "", func(tx *db.Tx, w *writing) error {
		if b.Key != "" {
			old, err := batchByKey(tx, by.ID, b.Key)
			if err == nil && string(old.digest) != string(digest) {
				return fault.New(fault.Conflict, "idempotency_key_reused", "this key was used for another batch")
			}
			if err == nil {
				w.repeated = true
				return nil
			}
			if !db.Missing(err) {
				return err
			}
		}
		w.sender, w.key, w.digest = by.ID, b.Key, digest
		if err := s.require(tx, &b); err != nil {
			return err
		}
		w.change, w.texts = b.Change, texts
		return nil
	})
}

// writing is a batch while its transaction runs.
type writing struct {
	sender, key string
	digest      []byte
	change      graph.Change
	texts       []string // of change.Set
	also        func(tx *db.Tx) error
	repeated    bool
}

// write runs a batch: plan says what it is, while the realm's row is held.
func (s *Store) write(ctx context.Context, realm string, by audit.Actor, source string, plan func(tx *db.Tx, w *writing) error) (Written, error) {
	var done Written
	var place *audit.Place
	// At READ COMMITTED each statement sees what was committed before the row was
	// got hold of, and nobody else commits until it is let go.
	err := s.DB.UpdateRC(ctx, realm, func(tx *db.Tx) (err error) {
		done, place, err = s.writeTx(tx, by, source, plan)
		return err
	})
	if err != nil {
		return Written{}, err
	}
	if done.Revision = place.Position(); done.Revision == (audit.Position{}) {
		done.Revision = s.Log.Applied()
	}
	return done, nil
}

func (s *Store) writeTx(tx *db.Tx, by audit.Actor, source string, plan func(tx *db.Tx, w *writing) error) (Written, *audit.Place, error) {
	version, err := hold(tx)
	if err != nil {
		return Written{}, nil, err
	}
	var w writing
	if err := plan(tx, &w); err != nil {
		return Written{}, nil, err
	}
	if w.also != nil {
		if err := w.also(tx); err != nil {
			return Written{}, nil, err
		}
	}
	if w.repeated || Count(w.change) == 0 {
		return Written{Repeated: w.repeated}, audit.BarrierPlaced(tx), nil
	}
	version++
	if err := setVersion(tx, version); err != nil {
		return Written{}, nil, err
	}
	if err := apply(tx, version, source, w.change, w.texts); err != nil {
		return Written{}, nil, err
	}
	if err := s.checkNesting(tx, w.change.Add); err != nil {
		return Written{}, nil, err
	}
	target := id.New("bat", tx.Now)
	if err := insertBatch(tx, version, target, w.sender, w.key, w.digest); err != nil {
		return Written{}, nil, err
	}
	return Written{}, audit.AppendPlaced(tx, by, eventOf(target, version, w.change, w.texts, source)), nil
}

// check refuses what cannot be written and gives the values as text.
func (s *Store) check(b *Batch) (texts []string, err error) {
	if n := Count(b.Change) + len(b.Require); n > MaxOps {
		return nil, fault.New(fault.TooLarge, "batch_too_large", "a batch has at most %d facts and requirements, not %d; write several", MaxOps, n)
	} else if n == 0 {
		return nil, fault.New(fault.Invalid, "batch_empty", "there is nothing to write")
	}
	for i, t := range b.Add {
		if err := s.checkTuple(t); err != nil {
			return nil, invalid(fmt.Sprintf("add[%d]", i), err)
		}
	}
	for i, t := range b.Remove {
		t.Expires = 0
		if err := s.checkTuple(t); err != nil {
			return nil, invalid(fmt.Sprintf("remove[%d]", i), err)
		}
	}
	content := 0
	b.Set = slices.Clone(b.Set) // the caller's own stays as it is
	for i, a := range b.Set {
		if err := s.checkAttribute(a.Entity, a.Name); err != nil {
			return nil, invalid(fmt.Sprintf("set[%d]", i), err)
		}
		said, err := text(a.Value)
		if err == nil {
			b.Set[i].Value, err = Value([]byte(said))
		}
		if err != nil {
			return nil, invalid(fmt.Sprintf("set[%d]", i), err)
		}
		if content += len(said); content > maxContent {
			return nil, fault.New(fault.TooLarge, "batch_too_large", "the values of a batch have at most %d bytes together", maxContent)
		}
		texts = append(texts, said)
	}
	for i, a := range b.Unset {
		if err := s.checkAttribute(a.Entity, a.Name); err != nil {
			return nil, invalid(fmt.Sprintf("unset[%d]", i), err)
		}
	}
	for i, e := range b.Drop {
		err := CheckEntity(e)
		if err == nil && s.Reserved(e) {
			err = errors.New("whoever signs in here is not dropped, but deleted")
		}
		if err != nil {
			return nil, invalid(fmt.Sprintf("drop[%d]", i), err)
		}
	}
	for i, r := range b.Require {
		if (r.Tuple == nil) == (r.Attribute == nil) || r.Absent && (r.Unchanged != audit.Position{} || r.Attribute != nil && r.Attribute.Value != nil) {
			return nil, invalid(fmt.Sprintf("require[%d]", i), errors.New("name one relation or attribute, and what must be absent has neither value nor revision"))
		}
	}
	return texts, nil
}

func (b *Batch) digest(texts []string) ([]byte, error) {
	said, err := json.Marshal([]any{b.Require, b.Unchanged, b.Add, b.Remove, b.Set, texts, b.Unset, b.Drop})
	sum := sha256.Sum256(said)
	return sum[:], err
}

// require holds a batch to what must be so before it.
func (s *Store) require(tx *db.Tx, b *Batch) error {
	zero := audit.Position{}
	if b.Unchanged != zero {
		last, err := version(tx)
		if err != nil {
			return err
		}
		if err := unchanged(tx, last, b.Unchanged); err != nil {
			return err
		}
	}
	for i, r := range b.Require {
		var at int64
		var err error
		same := true
		if r.Tuple != nil {
			at, err = tupleVersion(tx, *r.Tuple)
		} else {
			var said string
			said, at, err = attributeOf(tx, r.Attribute.Entity, r.Attribute.Name)
			if err == nil && r.Attribute.Value != nil {
				want, bad := text(r.Attribute.Value)
				same = bad == nil && want == said
			}
		}
		there := err == nil
		if err != nil && !db.Missing(err) {
			return err
		}
		switch {
		case there == r.Absent, !same:
			return notAsRequired(i)
		case r.Unchanged != zero:
			if err := unchanged(tx, at, r.Unchanged); err != nil {
				return err
			}
		}
	}
	return nil
}

func notAsRequired(i int) error {
	field := fmt.Sprintf("require[%d]", i)
	return fault.New(fault.Precondition, "fact_not_as_required", "%s does not hold; nothing was written", field).WithField(field, "does not hold")
}

// unchanged refuses what was written by a version after a position. A batch that
// has no place in the log yet is after all that was ever told.
func unchanged(tx *db.Tx, version int64, since audit.Position) error {
	if version == 0 {
		return nil
	}
	b, err := batchUpTo(tx, version)
	if db.Missing(err) { // older than all that are kept, so judge by the oldest of them
		b, err = oldestBatch(tx)
	}
	if db.Missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	at, placed, err := audit.PositionTx(tx, b.target)
	if err != nil {
		return err
	}
	if !placed || since.Before(at) {
		return fault.New(fault.Precondition, "fact_changed", "facts were written after revision %s; read them again", since)
	}
	return nil
}

// checkNesting judges what is inside of what when the rows of a batch are in
// place. Every new circle and every longer way leads through one of its subjects.
func (s *Store) checkNesting(tx *db.Tx, added []graph.Tuple) error {
	seen := map[graph.Entity]bool{}
	var ask []func() error
	for _, t := range added {
		if t.Relation != graph.Member && t.Relation != graph.Parent || seen[t.Subject] {
			continue
		}
		seen[t.Subject] = true
		above, below := askAbove(tx, t.Subject, s.Kinds), askBelow(tx, t.Subject)
		ask = append(ask, func() error {
			up, err := above.One()
			if err != nil {
				return err
			}
			down, err := below.One()
			if err != nil {
				return err
			}
			if err := judge(t, up, down); err != nil || !up.kinds {
				return err
			}
			return s.checkReserved(tx, t)
		})
	}
	for _, one := range ask {
		if err := one(); err != nil {
			return err
		}
	}
	return nil
}

func judge(t graph.Tuple, up nesting, down int64) error {
	switch {
	case up.loops:
		return fault.New(fault.Conflict, "relation_cycle", "%s: %s %s %s closes a circle", graph.ErrCycle, t.Subject, t.Relation, t.Object)
	case up.depth+down > graph.MaxDepth:
		return fault.New(fault.Conflict, "relation_depth", "%s: with %s %s %s there are %d levels, at most %d are allowed", graph.ErrDepth, t.Subject, t.Relation, t.Object, up.depth+down, graph.MaxDepth)
	case up.count > graph.MaxClosure:
		return fault.New(fault.Conflict, "relation_closure", "%s: %s would be inside more than %d", graph.ErrClosure, t.Subject, graph.MaxClosure)
	}
	return nil
}

// checkReserved refuses a fact by which somebody, or a group, would be in what is
// somebody else's to say who is in: directly, or by way of what others wrote. Things
// may be in there: documents of an organization.
func (s *Store) checkReserved(tx *db.Tx, t graph.Tuple) error {
	above, err := aboveOf(tx, t.Subject, s.Kinds)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(above, s.Reserved)
	if i < 0 {
		return nil
	}
	some := slices.Contains(s.Kinds, t.Subject.Type)
	if !some {
		if some, err = anyBelow(tx, t.Subject, s.Kinds); err != nil || !some {
			return err
		}
	}
	return fault.New(fault.Conflict, "relation_reserved", "with %s %s %s somebody would be in %s; who is in there is not written here, but with its members", t.Subject, t.Relation, t.Object, above[i])
}

// ForgetTx removes everything that mentions an entity, in the transaction that
// ends it.
func (s *Store) ForgetTx(tx *db.Tx, by audit.Actor, e graph.Entity) error {
	some, err := mentioned(tx, e)
	if err != nil || !some {
		return err
	}
	_, _, err = s.writeTx(tx, by, "", func(_ *db.Tx, w *writing) error {
		w.change.Drop = []graph.Entity{e}
		return nil
	})
	return err
}

// Collect forgets the batches and imports of long ago. One call does a bounded amount
// of work.
func (s *Store) Collect(ctx context.Context, realm string) (deleted int64, err error) {
	err = s.DB.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		if deleted, err = sweepBatches(tx, tx.Now.Add(-keepBatches)); err != nil {
			return err
		}
		more, err := sweepImports(tx, tx.Now.Add(-keepImports))
		deleted += more
		return err
	})
	return deleted, err
}
