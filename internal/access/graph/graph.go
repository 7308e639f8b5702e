// Package graph holds who is related to what as an immutable value: members of
// groups, resources inside resources, and roles held on them. It knows neither
// policies nor where the facts come from.
package graph

import (
	"errors"
	"fmt"
)

// Entity names one person, group, resource or whatever else the schema has a
// type for. Both parts are opaque bytes: nothing here splits, joins or parses
// them, so no id can be mistaken for another.
type Entity struct{ Type, ID string }

// String shows an entity to people. It is never parsed.
func (e Entity) String() string { return fmt.Sprintf("%s %q", e.Type, e.ID) }

// The relations that everybody knows. Every other relation is the grant of a
// role of that name.
const (
	Member = "member" // the subject is in the group or organization; transitive
	Parent = "parent" // the subject is inside the object; transitive
)

// Tuple says that a subject stands in a relation to an object. There is one
// tuple of a subject, relation and object: adding it again changes its end.
type Tuple struct {
	Subject  Entity
	Relation string
	Object   Entity
	Expires  int64 // milliseconds since 1970; at that time it no longer holds; 0 is never
}

// Attribute is what is known about an entity under a name. Values are JSON as
// json.Decoder with UseNumber gives it, or Go strings, bools and int64. Nobody
// may change a value that was handed over.
type Attribute struct {
	Entity Entity
	Name   string
	Value  any
}

// Change is what happens to a graph in one step: first entities are dropped with
// all that mentions them, then tuples and attributes removed, then tuples added
// and attributes set. Removing what is not there is no error, so that a change
// can be applied twice.
type Change struct {
	Add, Remove []Tuple     // Remove ignores Expires
	Set, Unset  []Attribute // Unset ignores Value
	Drop        []Entity
}

// The limits within which every question can be answered quickly.
const (
	MaxDepth   = 32     // members of members, parents of parents
	MaxClosure = 10_000 // entities that one entity is inside of
	MaxWays    = 40_000 // relations that lead from one to another of these; more are a question's error
	MaxID      = 1024   // bytes of a type, an id, a relation or the name of an attribute
)

// What a change is refused for. The errors that wrap these say where.
var (
	ErrCycle   = errors.New("an entity would be inside itself")
	ErrDepth   = errors.New("entities would be nested too deeply")
	ErrClosure = errors.New("an entity would be inside too many others")
	ErrInvalid = errors.New("not a relation")
)

// Size counts what a graph holds.
type Size struct{ Entities, Tuples, Attributes int }

func checkTuple(t Tuple) error {
	if t.Relation == "" || len(t.Relation) > MaxID {
		return fmt.Errorf("%w: a relation needs a name of at most %d bytes", ErrInvalid, MaxID)
	}
	if t.Expires < 0 {
		return fmt.Errorf("%w: %s %s %s ends before 1970", ErrInvalid, t.Subject, t.Relation, t.Object)
	}
	if err := checkEntity(t.Subject); err != nil {
		return err
	}
	return checkEntity(t.Object)
}

func checkAttribute(a Attribute) error {
	if a.Name == "" || len(a.Name) > MaxID {
		return fmt.Errorf("%w: an attribute needs a name of at most %d bytes", ErrInvalid, MaxID)
	}
	return checkEntity(a.Entity)
}

func checkEntity(e Entity) error {
	if e.Type == "" || e.ID == "" || len(e.Type) > MaxID || len(e.ID) > MaxID {
		return fmt.Errorf("%w: an entity needs a type and an id of at most %d bytes each", ErrInvalid, MaxID)
	}
	return nil
}
