package api

import (
	"encoding/json"
	"time"
)

// Entity is whoever asks or whatever is asked about: a type of the policies and an
// id, which is opaque.
type Entity struct {
	Type string `json:"type" minLength:"1" maxLength:"128" doc:"A type of the policies, such as document."`
	ID   string `json:"id" minLength:"1" maxLength:"512" doc:"Opaque: never split, joined or parsed."`
}

// Relation says that a subject stands in a relation to an object: member (is in),
// parent (is inside), or the name of a role that it holds.
type Relation struct {
	Subject   Entity     `json:"subject"`
	Relation  string     `json:"relation" minLength:"1" maxLength:"64" doc:"member, parent, or the name of a role."`
	Object    Entity     `json:"object"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When it ends by itself."`
	Source    string     `json:"source,omitempty" readOnly:"true" doc:"The pulled source that it comes from."`
}

// Attribute is what is known about an entity under a name.
type Attribute struct {
	Entity Entity          `json:"entity"`
	Name   string          `json:"name" minLength:"1" maxLength:"64"`
	Value  json.RawMessage `json:"value,omitempty" doc:"Any JSON but null, of at most 8 KiB."`
	Source string          `json:"source,omitempty" readOnly:"true" doc:"The pulled source that it comes from."`
}

// AttributeName names an attribute.
type AttributeName struct {
	Entity Entity `json:"entity"`
	Name   string `json:"name" minLength:"1" maxLength:"64"`
}

// RelationName names a relation.
type RelationName struct {
	Subject  Entity `json:"subject"`
	Relation string `json:"relation" minLength:"1" maxLength:"64"`
	Object   Entity `json:"object"`
}

// AccessChanges is a batch of facts: all of it is written, or nothing. First
// entities are dropped with all that mentions them, then relations and attributes
// removed, then added and set.
type AccessChanges struct {
	Require   []AccessRequirement `json:"require,omitempty" maxItems:"1000" nullable:"false" doc:"What must hold before; else 412, and nothing is written."`
	Unchanged string              `json:"unchanged_since,omitempty" maxLength:"40" doc:"A revision; refused with 412 when any fact of the realm was written after it."`
	Drop      []Entity            `json:"drop,omitempty" maxItems:"1000" nullable:"false" doc:"Everything that mentions these."`
	Remove    []RelationName      `json:"remove,omitempty" maxItems:"1000" nullable:"false" doc:"What is not there is no error."`
	Unset     []AttributeName     `json:"unset,omitempty" maxItems:"1000" nullable:"false"`
	Add       []Relation          `json:"add,omitempty" maxItems:"1000" nullable:"false" doc:"What is there already gets the end that is given here."`
	Set       []Attribute         `json:"set,omitempty" maxItems:"1000" nullable:"false"`
}

// AccessRequirement is what must hold before a batch, of one relation or of one
// attribute.
type AccessRequirement struct {
	Relation  *RelationName `json:"relation,omitempty"`
	Attribute *Attribute    `json:"attribute,omitempty" doc:"With a value, it must be that."`
	Absent    bool          `json:"absent,omitempty" doc:"It must not be there."`
	Unchanged string        `json:"unchanged_since,omitempty" maxLength:"40" doc:"A revision after which it must not have been written; at most a week old."`
}

// AccessWritten says what became of a batch.
type AccessWritten struct {
	Revision string `json:"revision" doc:"From this revision on the facts hold, on every node. A question may insist on it."`
	Repeated bool   `json:"repeated,omitempty" doc:"The batch had been written before under its Idempotency-Key."`
}

// FactPage is one page of facts.
type FactPage[T any] struct {
	Items    []T    `json:"items" nullable:"false"`
	Next     string `json:"next,omitempty" doc:"Send as after to get the next page. Absent on the last page."`
	Revision string `json:"revision" doc:"The facts are those of this revision or a later one; for unchanged_since."`
}
