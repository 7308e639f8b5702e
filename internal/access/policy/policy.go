// Package policy is the language and the one function that decides: Cedar
// behind our own types, a snapshot of everything that counts, and Decide. It is
// pure: no clock, no rows, no HTTP. Server, edge, search, tests and replay all
// run exactly this.
package policy

import (
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// CodeBroken is the code of the error that a realm has policies which cannot be
// used, as can be after an upgrade: nothing is permitted by them, nor forbidden.
const CodeBroken = "policies_broken"

// Entity names who asks or what is asked about.
type Entity = graph.Entity

// Properties are what the caller says about an entity, an action or the
// circumstances: JSON values as json.Decoder with UseNumber gives them, or Go
// strings, bools, int64 and times.
type Properties map[string]any

// Question is: may the subject do the action to the resource, now, under these
// circumstances?
type Question struct {
	Subject, Resource Entity
	Action            string

	SubjectProperties, ActionProperties, ResourceProperties, Context Properties

	At time.Time // what expires is judged at this time
}

// Answer is what Decide says. The zero value denies.
type Answer struct {
	Allowed     bool
	Reasons     []Reason
	Determining []string // ids of the policies that decided
	StepUp      *StepUp  // when denied: with this sign-in it would be allowed
	Path        []Step   // the memberships, grants and parents that justified it, from subject to resource
	Revision    int64
	PolicyHash  string
}

// Reason is one thing that led to the answer.
type Reason struct {
	Policy string // id of the policy that says so; empty when none does
	Text   string // its @reason, or why there is no answer but no
	Error  string // what went wrong; an error never permits
}

// StepUp is the sign-in that would turn a no into a yes (RFC 9470).
type StepUp struct {
	ACR    string        // authentication context class that is enough
	MaxAge time.Duration // how long ago the sign-in may be; 0: any time
}

// Step is one relation on the way from subject to resource.
type Step = graph.Tuple

// Snapshot is everything that an answer rests on, at one revision. It never
// changes.
type Snapshot struct {
	set      *Set
	graph    *graph.Graph
	revision int64
	role     []int16 // by relation of the graph: the number of the role, or -1
	named    []namedNode
	gate     Gate
	excerpt  bool
	read     map[Entity]bool // of an excerpt, what was looked for
}

// namedNode is an entity that policies name, where the graph has it.
type namedNode struct {
	node  graph.Node
	known bool
}

// NewSnapshot joins policies with the relations and attributes of a revision. It
// takes microseconds.
func NewSnapshot(s *Set, g *graph.Graph, revision int64) *Snapshot {
	snap := &Snapshot{set: s, graph: g, revision: revision, named: make([]namedNode, len(s.named))}
	for _, name := range g.Relations() {
		n, ok := s.roles.number[name]
		if !ok {
			n = -1
		}
		snap.role = append(snap.role, int16(n))
	}
	for i, e := range s.named {
		n, ok := g.Find(e)
		snap.named[i] = namedNode{n, ok}
	}
	return snap
}

// With joins other policies with what the snapshot knows.
func (s *Snapshot) With(set *Set) *Snapshot {
	next := NewSnapshot(set, s.graph, s.revision).WithGate(s.gate)
	next.excerpt, next.read = s.excerpt, s.read
	return next
}

// Excerpt says that the graph holds what the subject and the resource of one
// question are inside of, and nothing else. A policy that looks at anything else
// then cannot be judged: what was not read must not pass for what there is not,
// since a forbid would not be met for it.
func (s *Snapshot) Excerpt() *Snapshot {
	next := *s
	next.excerpt = true
	return &next
}

// Later is the snapshot at a later revision, up to which nothing in it changed.
func (s *Snapshot) Later(revision int64) *Snapshot {
	next := *s
	next.revision = revision
	return &next
}

// ExcerptOf is Excerpt where it is known what was looked for: of an entity in read
// that the graph does not have, there is nothing.
func (s *Snapshot) ExcerptOf(read map[Entity]bool) *Snapshot {
	next := s.Excerpt()
	next.read = read
	return next
}

// Set returns the policies of the snapshot.
func (s *Snapshot) Set() *Set { return s.set }

// Graph returns the relations and attributes of the snapshot.
func (s *Snapshot) Graph() *graph.Graph { return s.graph }

// Revision returns the position in the log up to which the snapshot knows.
func (s *Snapshot) Revision() int64 { return s.revision }

// Rule is a policy of a set, where it stands.
type Rule struct {
	ID, File     string
	Line, Column int
	Permits      bool
}

// Rules lists the policies of a set; those of roles.yaml come first.
func (s *Set) Rules() []Rule {
	all := make([]Rule, len(s.rules))
	for i, r := range s.rules {
		all[i] = Rule{r.id, r.file, r.line, r.column, r.permit}
	}
	return all
}

// Types lists the types of entities that the schema has, in no order.
func (s *Set) Types() []string {
	all := make([]string, 0, len(s.world.shapes))
	for name := range s.world.shapes {
		all = append(all, name)
	}
	return all
}

// ActionTypes lists the types of the actions that the schema has, in no order.
func (s *Set) ActionTypes() []string {
	var all []string
	for uid := range s.world.Actions {
		if !slices.Contains(all, string(uid.Type)) {
			all = append(all, string(uid.Type))
		}
	}
	return all
}
