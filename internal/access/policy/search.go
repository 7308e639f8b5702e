package policy

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"slices"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// Page says which part of a search is wanted.
type Page struct {
	After string // Found.Next of the page before; empty: from the beginning
	Size  int    // how many results at most; 0: DefaultPage
	Work  int    // how many candidates to judge at most; 0: MaxWork
}

// The bounds of one page of a search.
const (
	DefaultPage = 100
	MaxPage     = 1000
	MaxWork     = 1_000_000
)

// Found is a page of a search, in the order of ids.
type Found struct {
	Entities []Entity
	Next     string // for the page after this one; empty: this is the last
	Partial  bool   // the page ends early because Work was done; Next goes on
	Reason   string // why nothing can be found
}

// ErrCursor is an After that does not belong to the search.
var ErrCursor = errors.New("the page token does not belong to this search")

// Series are questions that differ in nothing but the resource: what they share is
// looked up once.
type Series struct {
	q   Question
	v   *view
	err error
}

// Begin begins a series of questions like q. End it.
func Begin(s *Snapshot, q *Question) *Series {
	x := &Series{q: *q}
	x.v, x.err = s.look(&x.q)
	x.v.many = true
	return x
}

// Decide answers as Decide would answer the question about a resource of which the
// caller says this.
func (x *Series) Decide(resource Entity, properties Properties) Answer {
	x.q.ResourceProperties = properties
	return x.v.answer(resource, x.err)
}

// End ends the series.
func (x *Series) End() { x.v.done() }

// Batch decides about many resources for one subject, action and circumstances,
// each as Decide would. Properties of the resources are those of the question.
func Batch(s *Snapshot, q *Question, resources []Entity) []Answer {
	out := make([]Answer, len(resources))
	x := Begin(s, q)
	defer x.End()
	for i, r := range resources {
		out[i] = x.Decide(r, q.ResourceProperties)
	}
	return out
}

// Resources finds the resources of the type q.Resource.Type that the subject may
// do the action to: exactly those known of which Decide says yes.
func Resources(s *Snapshot, q *Question, p Page) (Found, error) {
	v, err := s.look(q)
	defer v.done()
	v.many = true
	plan := v.planFor(q.Resource.Type)
	return s.search(q, p, "resource", q.Resource.Type, plan, err, func(e Entity, n graph.Node, known bool) bool {
		switch {
		case err != nil:
			return false
		case known:
			return v.aboutNode(plan, e, n) == nil && v.allows()
		}
		return v.about(plan, e) == nil && v.allows()
	})
}

// Subjects finds the subjects of the type q.Subject.Type that may do the action
// to the resource: exactly those known of whom Decide says yes.
func Subjects(s *Snapshot, q *Question, p Page) (Found, error) {
	each := *q
	v, err := s.look(&each)
	defer v.done()
	plan := v.planFor(q.Resource.Type)
	// The resource stays the same, so it is read once.
	var bad error
	if plan != nil {
		if bad = v.among(plan); bad == nil {
			bad = v.end(&v.resource, q.Resource, graph.Parent, q.ResourceProperties)
		}
	}
	return s.search(q, p, "subject", q.Subject.Type, plan, err, func(e Entity, _ graph.Node, _ bool) bool {
		each.Subject = e
		if bad != nil || v.end(&v.subject, e, graph.Member, q.SubjectProperties) != nil {
			return false
		}
		return v.face() == nil && v.allows()
	})
}

func (s *Snapshot) search(q *Question, p Page, what, typ string, plan *plan, cannot error, allowed func(e Entity, n graph.Node, known bool) bool) (Found, error) {
	sum := searchSum(q, what)
	after, err := readCursor(p.After, sum)
	if err != nil {
		return Found{}, err
	}
	switch {
	case plan == nil:
		return Found{Reason: s.set.why(q)}, nil
	case q.At.IsZero():
		return Found{Reason: cannot.Error()}, nil
	}
	p = p.bounded()
	var f Found
	work := 0
	for e, n := range s.candidates(typ, after) {
		if len(f.Entities) == p.Size || work == p.Work {
			f.Next, f.Partial = cursor(sum, after), len(f.Entities) < p.Size
			return f, nil
		}
		work++
		if after = e.ID; allowed(e, n.node, n.known) {
			f.Entities = append(f.Entities, e)
		}
	}
	return f, nil
}

// candidates lists the known entities of a type, ordered by id. What the schema
// lists may be unknown to the graph.
func (s *Snapshot) candidates(typ, after string) iter.Seq2[Entity, namedNode] {
	return func(yield func(Entity, namedNode) bool) {
		if sh := s.set.world.shapes[typ]; sh != nil && sh.enum != nil {
			for _, id := range sortedIDs(sh.enum) {
				if id > after && !yield(Entity{Type: typ, ID: id}, namedNode{}) {
					return
				}
			}
			return
		}
		for n := range s.graph.KnownNodes(typ, after) {
			if !yield(s.graph.Entity(n), namedNode{n, true}) {
				return
			}
		}
	}
}

func sortedIDs(enum map[string]bool) []string { return slices.Sorted(maps.Keys(enum)) }

// Actions finds the actions that the subject may do to the resource, ordered by
// name.
func Actions(s *Snapshot, q *Question, p Page) ([]string, Found, error) {
	sum := searchSum(q, "action")
	after, err := readCursor(p.After, sum)
	if err != nil {
		return nil, Found{}, err
	}
	p = p.bounded()
	var out []string
	each := *q
	for _, name := range s.set.actionsFor(q.Subject.Type, q.Resource.Type) {
		if name <= after {
			continue
		}
		if len(out) == p.Size {
			return out, Found{Next: cursor(sum, after)}, nil
		}
		each.Action, after = name, name
		if Decide(s, &each).Allowed {
			out = append(out, name)
		}
	}
	return out, Found{}, nil
}

func (s *Set) actionsFor(subject, resource string) []string {
	var out []string
	for k := range s.plans {
		if k.subject == subject && k.resource == resource {
			out = append(out, k.action)
		}
	}
	slices.Sort(out)
	return out
}

func (p Page) bounded() Page {
	if p.Size <= 0 {
		p.Size = DefaultPage
	}
	p.Size = min(p.Size, MaxPage)
	if p.Work <= 0 || p.Work > MaxWork {
		p.Work = MaxWork
	}
	return p
}

// searchSum ties a cursor to its search. Every part has its length before it, so
// that no id can be read as two.
func searchSum(q *Question, what string) [16]byte {
	h := sha256.New()
	props, _ := json.Marshal([]Properties{q.SubjectProperties, q.ActionProperties, q.ResourceProperties, q.Context})
	parts := []string{what, q.Subject.Type, q.Resource.Type, string(props)}
	if what != "subject" {
		parts = append(parts, q.Subject.ID)
	}
	if what != "resource" {
		parts = append(parts, q.Resource.ID)
	}
	if what != "action" {
		parts = append(parts, q.Action)
	}
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return [16]byte(h.Sum(nil))
}

func cursor(sum [16]byte, after string) string {
	return base64.RawURLEncoding.EncodeToString(append(sum[:], after...))
}

func readCursor(c string, sum [16]byte) (string, error) {
	if c == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err != nil || len(b) < 16 || subtle.ConstantTimeCompare(b[:16], sum[:]) != 1 {
		return "", ErrCursor
	}
	return string(b[16:]), nil
}
