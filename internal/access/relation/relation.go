// Package relation owns the facts that decisions rest on: who is related to what,
// and what is known about anything. Facts are written in batches, each of which is
// one event that carries its whole content, so that every node applies it from the
// log without reading rows. Who people are is not its business: facts about them
// are joined in package app.
//
// Batches of a realm follow each other: whoever writes holds the realm's row in
// access_facts until it commits. So the versions of batches rise without gaps in
// the order of the log, circles cannot close between two writers, and a follower
// sees at once when it has missed one.
package relation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/access/builtin"
	"github.com/cardea-id/cardea/internal/access/graph"
	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/job"
	"github.com/cardea-id/cardea/internal/secret"
)

// Bounds of what is written at once.
const (
	MaxOps     = 1000 // facts in a batch
	maxType    = 128  // bytes of a type
	maxName    = 64   // bytes of a relation or the name of an attribute
	maxID      = 512  // bytes of an id
	maxValue   = 8 << 10
	maxDepth   = 8       // of a value
	maxContent = 1 << 20 // bytes of all values of a batch
	maxKey     = 255
)

// Options are what a store stands on.
type Options struct {
	DB   *db.DB
	Log  *audit.Log
	Jobs *job.Queue
	Box  *secret.Box // seals what sources are asked with
	// Reserved reports whether somebody else says who is a member of an entity
	// and what its attributes of some names are. Nil: nobody does.
	Reserved func(e graph.Entity) bool
	// Kinds are the types that reserved entities have.
	Kinds []string
	// Words are the attributes of reserved entities that are not for writing.
	Words []string
	// Pull reads what a source gives, and CheckURL refuses addresses that it would not.
	Pull     Pull
	CheckURL func(raw string) error
	// Named reports whether whoever runs this server named a host and port; a
	// database elsewhere has to prove who it is. Nil: none is named.
	Named func(hostport string) bool
}

// Store keeps the facts of every realm.
type Store struct {
	Options
	held held
}

// NewStore returns a store. Call it before the queue is started.
func NewStore(o Options) *Store {
	s := &Store{Options: o}
	if s.Reserved == nil {
		s.Reserved = func(graph.Entity) bool { return false }
	}
	if s.Jobs != nil {
		s.Jobs.Handle(job.Kind{Name: pullKind, Do: s.doPull, Within: jobTime, Attempts: 3})
		s.Jobs.Handle(job.Kind{Name: importKind, Do: s.doImport, Within: jobTime})
	}
	return s
}

var (
	// A type is a path of the policy language, Cedar.
	typePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*$`)
	namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
)

// CheckEntity refuses what cannot be an entity.
func CheckEntity(e graph.Entity) error {
	switch {
	case len(e.Type) > maxType || !typePattern.MatchString(e.Type):
		return fmt.Errorf("a type is a name such as document, with at most %d letters, digits and underscores", maxType)
	case builtin.Reserved(e.Type):
		return fmt.Errorf("the types of Cardea:: are Cardea's own: nothing is written down about them")
	case e.ID == "" || len(e.ID) > maxID || !utf8.ValidString(e.ID):
		return fmt.Errorf("an id has 1 to %d bytes of UTF-8", maxID)
	}
	return nil
}

func checkName(name string) error {
	if len(name) > maxName || !namePattern.MatchString(name) {
		return fmt.Errorf("a name has 1 to %d letters, digits and any of _ . -, and begins with a letter or _", maxName)
	}
	return nil
}

func (s *Store) checkTuple(t graph.Tuple) error {
	if err := checkName(t.Relation); err != nil {
		return err
	}
	for _, e := range []graph.Entity{t.Subject, t.Object} {
		if err := CheckEntity(e); err != nil {
			return err
		}
	}
	switch {
	case t.Expires < 0:
		return fmt.Errorf("the end lies before 1970")
	case (t.Relation == graph.Member || t.Relation == graph.Parent && s.Reserved(t.Subject)) && s.Reserved(t.Object):
		return fmt.Errorf("who is in this group or organization is not written here, but with its members")
	case t.Relation == graph.Parent && s.Reserved(t.Subject) && s.Reserved(t.Object):
		return fmt.Errorf("who is inside what of those that sign in here, and of their groups, is not written here")
	case (t.Relation == graph.Member || t.Relation == graph.Parent) && t.Subject == t.Object:
		return fmt.Errorf("nothing is inside itself")
	}
	return nil
}

func (s *Store) checkAttribute(e graph.Entity, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := CheckEntity(e); err != nil {
		return err
	}
	for _, w := range s.Words {
		if w == name && s.Reserved(e) {
			return fmt.Errorf("%s of whoever signs in here is not written, but known", name)
		}
	}
	return nil
}

// Value reads the JSON of an attribute. Null is none.
func Value(raw []byte) (any, error) {
	if len(raw) > maxValue {
		return nil, fmt.Errorf("a value has at most %d bytes", maxValue)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		return nil, fmt.Errorf("the value is not JSON")
	}
	if v == nil {
		return nil, fmt.Errorf("null is no value; unset the attribute instead")
	}
	if tooDeep(v, maxDepth) {
		return nil, fmt.Errorf("a value is at most %d levels deep", maxDepth)
	}
	return v, nil
}

func tooDeep(v any, left int) bool {
	if left == 0 {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			if tooDeep(x, left-1) {
				return true
			}
		}
	case []any:
		for _, x := range v {
			if tooDeep(x, left-1) {
				return true
			}
		}
	}
	return false
}

// text is a value in the one form in which it is kept and compared.
func text(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func invalid(field string, err error) error {
	return fault.New(fault.Invalid, "fact_invalid", "%s: %s", field, err).WithField(field, err.Error())
}
