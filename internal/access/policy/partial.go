package policy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"

	"github.com/cardea-id/cardea/internal/access/graph"
)

// Rows says what the rows of a type hold, wherever they lie. What a row says of an
// attribute counts instead of what is stored under that name; what it says of a
// parent counts beside what is stored.
type Rows struct {
	Attributes []string // names of attributes
	Parents    []string // types of parents, one of each at most
}

// The bounds of a residual condition.
const (
	MaxConditions = 900 // SQLite nests expressions no deeper than 1,000
	MaxValues     = 10_000
	maxCases      = 2_000
	maxVisits     = 1_000_000
)

// Residual is a decision about every row of a type at once.
type Residual struct {
	When       Condition // Decide says yes to exactly the rows of which this is true
	Policies   []string  // ids of the policies that the condition comes from
	Reason     string    // why no row is allowed
	StepUp     *StepUp   // when no row is allowed: with this sign-in some may be
	Revision   int64
	PolicyHash string
}

// ErrInexpressible is wrapped by the errors that say which policy cannot be
// written as a condition, and why. There is no condition then: a wider one would
// show what is forbidden, and a narrower one would be wrong without a word.
var ErrInexpressible = errors.New("cannot be written as a condition on rows")

// Partial decides about all resources of the type q.Resource.Type, whose rows the
// caller has: exactly those rows meet the condition of which Decide would say yes
// if what the row holds were stored. The id of the resource and its properties are
// not read.
func Partial(s *Snapshot, q *Question, rows Rows) (Residual, error) {
	return partially(s, q, rows, nil)
}

// partially is Partial where the snapshot may have only a part of the facts.
func partially(s *Snapshot, q *Question, rows Rows, have *part) (Residual, error) {
	out := Residual{When: no, Revision: s.revision, PolicyHash: s.set.hash}
	plan := s.set.plans[planKey{q.Action, q.Subject.Type, q.Resource.Type}]
	if plan == nil {
		out.Reason = s.set.why(q)
		return out, nil
	}
	p := &partial{snap: s, q: q, plan: plan, typ: q.Resource.Type, shape: s.set.world.shapes[q.Resource.Type], rows: rows, have: have}
	if err := p.checkRows(); err != nil {
		return Residual{}, err
	}
	if err := p.begin(); err != nil {
		if out.Reason = refusalOf(err); out.Reason == "" {
			out.Reason = "the question cannot be judged: " + err.Error()
		}
		return out, nil
	}
	when, used, err := p.decide()
	if err != nil {
		return Residual{}, err
	}
	if when.Op != OpFalse && p.hasGranted() && p.hasWide(when) {
		room, err := p.narrow()
		if err != nil {
			return Residual{}, err
		}
		when = all(when, room)
	}
	out.When, out.Policies = when, used
	if conditions, values := when.Size(); conditions > MaxConditions || values > MaxValues {
		return Residual{}, fmt.Errorf("%w: it would take %d conditions and %d values; at most %d and %d are written", ErrInexpressible, conditions, values, MaxConditions, MaxValues)
	}
	if when.Op == OpFalse {
		if out.Reason = "no policy permits this for any row"; p.shut != "" {
			out.Reason = fmt.Sprintf("policy %q forbids this for every row, or reads what neither the rows nor the facts have; map what it reads to columns", p.shut)
		}
		out.StepUp, err = p.stepUp()
	}
	return out, err
}

// partial is the work on one residual.
type partial struct {
	snap  *Snapshot
	q     *Question
	plan  *plan
	typ   string
	shape *shape
	rows  Rows

	have    *part // nil: all facts
	context types.Record
	self    bool // the row is the subject itself
	above   map[Entity]bool
	held    map[Entity]*roleSet // what the subject holds anywhere, once somebody asked
	below   map[Entity]map[Entity]bool
	facts   map[Entity]stored
	spoilt  *[]any // see unreadable
	shut    string // the policy after whose forbidding no row is left
	visits  int
	bad     error // what Cedar could not be shown
	cannot  error // the first thing that cannot be expressed
}

type stored struct {
	record, tags types.Record
	err          error
}

func (p *partial) fail(format string, args ...any) {
	if p.cannot == nil {
		p.cannot = fmt.Errorf("%w: %s", ErrInexpressible, fmt.Sprintf(format, args...))
	}
}

func (p *partial) visit() bool {
	if p.visits++; p.visits > maxVisits {
		p.fail("more than %d relations and entities would have to be looked at", maxVisits)
	}
	return p.cannot == nil
}

func (p *partial) checkRows() error {
	for _, name := range p.rows.Attributes {
		if _, ok := p.shape.attrs[name]; !ok {
			return fmt.Errorf("%w: the schema has no attribute %q of type %q", ErrInexpressible, name, p.typ)
		}
	}
	entity, ok := p.snap.set.world.Entities[types.EntityType(p.typ)]
	for i, parent := range p.rows.Parents {
		switch {
		case p.snap.set.world.shapes[parent] == nil || !ok || !slices.Contains(entity.ParentTypes, types.EntityType(parent)):
			return fmt.Errorf("%w: the schema does not let %q be in %q", ErrInexpressible, p.typ, parent)
		case parent == p.typ:
			return fmt.Errorf("%w: rows of type %q inside others of their table; keep these parents in the relations instead", ErrInexpressible, p.typ)
		case slices.Contains(p.rows.Parents[:i], parent):
			return fmt.Errorf("%w: two columns hold a parent of type %q", ErrInexpressible, parent)
		}
	}
	if len(p.rows.Parents) > 0 {
		for name, e := range p.snap.set.world.Entities {
			if slices.Contains(e.ParentTypes, types.EntityType(p.typ)) {
				return fmt.Errorf("%w: the schema lets %q be in %q, so the parents of %q cannot lie in rows; keep them in the relations instead", ErrInexpressible, name, p.typ, p.typ)
			}
		}
	}
	return nil
}

// begin reads what does not depend on the row; its errors deny.
func (p *partial) begin() error {
	if p.q.At.IsZero() {
		return errors.New("the question has no time")
	}
	err := p.snap.refuses(p.q.Subject, p.q.At)
	if err != nil {
		return err
	}
	if p.context, err = p.plan.contextOf(p.q); err != nil {
		return fmt.Errorf("context: %w", err)
	}
	sh := p.snap.set.world.shapes[p.q.Subject.Type]
	if sh.enum != nil && !sh.enum[p.q.Subject.ID] {
		return fmt.Errorf("subject: the schema does not list this id for type %q", p.q.Subject.Type)
	}
	// Which rows would make Decide read it is not to be said for all of them.
	if _, err := sh.say(p.q.SubjectProperties, nil); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	p.facts, p.below = map[Entity]stored{}, map[Entity]map[Entity]bool{}
	if n, known := p.snap.graph.Find(p.q.Subject); known { // within the bounds of Decide
		if err := p.snap.graph.Climb(n, graph.Member, p.q.At.UnixMilli(), new(graph.Above)); err != nil {
			return fmt.Errorf("subject: %w", err)
		}
	}
	p.above = p.climb(p.q.Subject)
	return nil
}

func (p *partial) decide() (Condition, []string, error) {
	if p.cannot != nil {
		return no, nil, p.cannot
	}
	if p.q.Subject.Type != p.typ {
		return p.judge()
	}
	id := []any{p.q.Subject.ID}
	p.self = true
	own, a, err := p.judge()
	if err != nil {
		return no, nil, err
	}
	shut := p.shut != ""
	p.self, p.shut = false, ""
	others, b, err := p.judge()
	if !shut { // one's own row is left
		p.shut = ""
	}
	for _, used := range b {
		if !slices.Contains(a, used) {
			a = append(a, used)
		}
	}
	return some(all(isIn(p.id(), id), own), all(notIn(p.id(), id), others)), a, err
}

// judge is what Decide does: nothing that forbids is met or cannot be judged, and
// something that permits is met.
func (p *partial) judge() (Condition, []string, error) {
	when, used := yes, []string(nil)
	if enum := p.shape.enum; enum != nil {
		var ids []any
		for id := range enum {
			ids = append(ids, id)
		}
		when = isIn(p.id(), ids)
	}
	for _, r := range p.plan.forbids {
		t := p.rule(r)
		if p.cannot != nil {
			return no, nil, fmt.Errorf("policy %q %w", r.id, p.cannot)
		}
		if t.no.Op != OpTrue {
			used = append(used, r.id)
		}
		if when = all(when, t.no); when.Op == OpFalse {
			p.shut = r.id
			return no, used, nil
		}
	}
	permitted := no
	for _, r := range p.plan.permits {
		t := p.rule(r)
		if p.cannot != nil {
			return no, nil, fmt.Errorf("policy %q %w", r.id, p.cannot)
		}
		if t.yes.Op != OpFalse {
			used = append(used, r.id)
		}
		permitted = some(permitted, t.yes)
	}
	return all(when, permitted), used, nil
}

func (p *partial) rule(r *rule) verdict {
	out := both(p.scope(r.principal, true), func() verdict { return p.scope(r.resource, false) })
	for _, c := range r.text.Conditions {
		out = both(out, func() verdict {
			t := p.truth(c.Body)
			if !bool(c.Condition) {
				t = t.not()
			}
			return t
		})
	}
	if n, v := out.yes.Size(); n > MaxConditions || v > MaxValues {
		p.fail("it would take %d conditions and %d values; at most %d and %d are written", n, v, MaxConditions, MaxValues)
	}
	if n, v := out.no.Size(); n > MaxConditions || v > MaxValues {
		p.fail("it would take %d conditions and %d values; at most %d and %d are written", n, v, MaxConditions, MaxValues)
	}
	return out
}

func (p *partial) scope(s scope, subject bool) verdict {
	typ, row := p.typ, true
	if subject {
		typ, row = p.q.Subject.Type, p.self
	}
	if s.typ != "" && s.typ != typ {
		return never
	}
	switch s.kind {
	case equal:
		if row {
			return p.is(s.entity)
		}
		return constant(s.entity == p.q.Subject)
	case isInside:
		if row {
			return p.inside(s.entity)
		}
		return constant(p.above[s.entity])
	case holds:
		return p.holds(s.role)
	}
	return always
}

// stepUp asks again as if the person had signed in with what the policies name.
func (p *partial) stepUp() (*StepUp, error) {
	for _, r := range slices.Concat(p.plan.permits, p.plan.forbids) {
		if r.stepUp == nil {
			continue
		}
		want := *r.stepUp
		before := p.context
		p.context = p.signedIn(want)
		when, _, err := p.decide()
		if p.context = before; err != nil {
			return nil, err
		}
		if when.Op != OpFalse {
			return &want, nil
		}
	}
	return nil, nil
}

// verdict is what a boolean expression says of a row: yes, no, or neither where it
// is an error.
type verdict struct {
	yes, no Condition
	total   bool // never an error
}

var (
	always = verdict{yes, no, true}
	never  = verdict{no, yes, true}
	wrong  = verdict{no, no, false}
)

func constant(b bool) verdict {
	if b {
		return always
	}
	return never
}

func (v verdict) not() verdict { return verdict{v.no, v.yes, v.total} }

// both is &&: the right side is not asked where the left one is false.
func both(a verdict, right func() verdict) verdict {
	if a.yes.Op == OpFalse {
		return a
	}
	b := right()
	out := verdict{yes: all(a.yes, b.yes), total: a.total && b.total}
	if a.total {
		out.no = some(a.no, b.no)
	} else {
		out.no = some(a.no, all(a.yes, b.no))
	}
	return out
}

// either is ||.
func either(a verdict, right func() verdict) verdict {
	return both(a.not(), func() verdict { return right().not() }).not()
}

// value is what an expression is in each of several cases, none of which overlap.
// Where none holds it is an error.
type cased struct {
	cases []oneCase
	total bool
}

// oneCase is one of: a value, a field of the row, the row itself.
type oneCase struct {
	when  Condition
	value types.Value
	field Field
	typ   types.EntityType // of the entity in field
	row   bool
}

func is(v types.Value) cased { return cased{[]oneCase{{when: yes, value: v}}, true} }

func (p *partial) id() Field { return Field{Kind: FieldID, Of: ValueID} }

// env is what an expression that does not ask about the row is judged in.
func (p *partial) env() eval.Env {
	return eval.Env{Entities: p, Principal: uidOf(p.q.Subject), Action: p.plan.action.Entity.UID,
		Resource: types.NewEntityUID(types.EntityType(p.typ), ""), Context: p.context}
}

// fixed reports whether an expression says the same of every row.
func (p *partial) fixed(n ast.IsNode) bool {
	out := true
	ast.Inspect(ast.NewNode(n), func(n ast.IsNode) bool {
		switch n := n.(type) {
		case ast.NodeTypeVariable:
			if n.Name == "resource" || n.Name == "principal" && p.self {
				out = false
			}
		case ast.NodeValue:
			if mentionsRole(n.Value) {
				out = false
			}
		}
		return out
	})
	return out
}

func mentionsRole(v types.Value) bool {
	switch v := v.(type) {
	case types.EntityUID:
		return v.Type == roleType
	case types.Set:
		for e := range v.All() {
			if mentionsRole(e) {
				return true
			}
		}
	}
	return false
}

// truth judges a boolean expression.
func (p *partial) truth(n ast.IsNode) verdict {
	if p.cannot != nil {
		return wrong
	}
	if p.fixed(n) {
		return p.judged(p.eval(n))
	}
	switch n := n.(type) {
	case ast.NodeTypeAnd:
		return both(p.truth(n.Left), func() verdict { return p.truth(n.Right) })
	case ast.NodeTypeOr:
		return either(p.truth(n.Left), func() verdict { return p.truth(n.Right) })
	case ast.NodeTypeNot:
		return p.truth(n.Arg).not()
	case ast.NodeTypeIfThenElse:
		return p.choose(p.truth(n.If), func() verdict { return p.truth(n.Then) }, func() verdict { return p.truth(n.Else) })
	case ast.NodeTypeEquals:
		return p.pairs(n.Left, n.Right, p.equal)
	case ast.NodeTypeNotEquals:
		return p.pairs(n.Left, n.Right, p.equal).not()
	case ast.NodeTypeLessThan:
		return p.pairs(n.Left, n.Right, p.compare(OpLess, OpAtLeast))
	case ast.NodeTypeLessThanOrEqual:
		return p.pairs(n.Left, n.Right, p.compare(OpAtMost, OpGreater))
	case ast.NodeTypeGreaterThan:
		return p.pairs(n.Left, n.Right, p.compare(OpGreater, OpAtMost))
	case ast.NodeTypeGreaterThanOrEqual:
		return p.pairs(n.Left, n.Right, p.compare(OpAtLeast, OpLess))
	case ast.NodeTypeIs:
		return p.each(n.Left, func(c oneCase) verdict { return constant(p.typeOf(c) == n.EntityType) })
	case ast.NodeTypeIsIn:
		return both(p.truth(n.NodeTypeIs), func() verdict { return p.in(n.Left, n.Entity) })
	case ast.NodeTypeIn:
		return p.in(n.Left, n.Right)
	case ast.NodeTypeHas:
		return p.each(n.Arg, func(c oneCase) verdict { return p.has(c, n.Value) })
	case ast.NodeTypeLike:
		return p.each(n.Arg, func(c oneCase) verdict { return p.like(c, n.Value) })
	case ast.NodeTypeContains:
		return p.contains(n.Left, n.Right)
	}
	return p.told(p.value(n))
}

func (p *partial) judged(v types.Value, err error) verdict {
	if b, ok := v.(types.Boolean); ok && err == nil {
		return constant(bool(b))
	}
	return wrong
}

// told reads a value as a boolean.
func (p *partial) told(v cased) verdict {
	return p.sum(v, func(c oneCase) verdict {
		switch {
		case c.field.Of == ValueBool:
			return verdict{isIn(c.field, []any{true}), isIn(c.field, []any{false}), true}
		case c.value != nil:
			return p.judged(c.value, nil)
		}
		return wrong
	})
}

// choose is if c then a else b.
func (p *partial) choose(c verdict, a, b func() verdict) verdict {
	out, other := wrong, wrong
	if c.yes.Op != OpFalse {
		out = a()
	}
	if c.no.Op != OpFalse {
		other = b()
	}
	return verdict{some(all(c.yes, out.yes), all(c.no, other.yes)), some(all(c.yes, out.no), all(c.no, other.no)),
		c.total && (out.total || c.yes.Op == OpFalse) && (other.total || c.no.Op == OpFalse)}
}

// sum puts together what f says of each case.
func (p *partial) sum(v cased, f func(oneCase) verdict) verdict {
	// Joined once: there may be thousands of cases, of many values each.
	var yes, no []Condition
	total := v.total
	for _, c := range v.cases {
		t := f(c)
		yes, no = append(yes, all(c.when, t.yes)), append(no, all(c.when, t.no))
		total = total && t.total
	}
	return verdict{some(yes...), some(no...), total}
}

func (p *partial) each(n ast.IsNode, f func(oneCase) verdict) verdict { return p.sum(p.value(n), f) }

func (p *partial) pairs(left, right ast.IsNode, f func(a, b oneCase) verdict) verdict {
	a, b := p.value(left), p.value(right)
	if len(a.cases)*len(b.cases) > maxCases {
		p.fail("it compares too many different values; map what it asks about to columns")
		return wrong
	}
	return p.sum(a, func(x oneCase) verdict { return p.sum(b, func(y oneCase) verdict { return f(x, y) }) })
}
