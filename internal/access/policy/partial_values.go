package policy

import (
	"slices"
	"time"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/eval"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
)

// eval judges an expression that says the same of every row.
func (p *partial) eval(n ast.IsNode) (types.Value, error) {
	p.bad = nil
	v, err := eval.Eval(n, p.env())
	if err == nil {
		err = p.bad
	}
	return v, err
}

// fixedValue is the value of such an expression; an error is no case at all.
func (p *partial) fixedValue(n ast.IsNode) cased {
	v, err := p.eval(n)
	if err != nil || v == nil {
		return cased{}
	}
	return is(v)
}

// value finds what an expression is for which rows.
func (p *partial) value(n ast.IsNode) cased {
	if p.cannot != nil {
		return cased{}
	}
	if p.fixed(n) {
		return p.fixedValue(n)
	}
	switch n := n.(type) {
	case ast.NodeTypeVariable: // the resource, or the subject that is the row
		return cased{[]oneCase{{when: yes, row: true}}, true}
	case ast.NodeValue:
		return is(n.Value)
	case ast.NodeTypeAccess:
		return p.follow(p.value(n.Arg), func(c oneCase) cased { return p.attribute(c, n.Value) })
	case ast.NodeTypeIfThenElse:
		c := p.truth(n.If)
		out := cased{total: c.total}
		for _, b := range []struct {
			when Condition
			n    ast.IsNode
		}{{c.yes, n.Then}, {c.no, n.Else}} {
			if b.when.Op == OpFalse {
				continue
			}
			v := p.value(b.n)
			out.total = out.total && v.total
			for _, one := range v.cases {
				one.when = all(b.when, one.when)
				out.cases = append(out.cases, one)
			}
		}
		return out
	case ast.NodeTypeAnd, ast.NodeTypeOr, ast.NodeTypeNot, ast.NodeTypeEquals, ast.NodeTypeNotEquals, ast.NodeTypeLessThan, ast.NodeTypeLessThanOrEqual,
		ast.NodeTypeGreaterThan, ast.NodeTypeGreaterThanOrEqual, ast.NodeTypeIn, ast.NodeTypeIs, ast.NodeTypeIsIn, ast.NodeTypeHas, ast.NodeTypeLike, ast.NodeTypeContains:
		t := p.truth(n)
		return cased{[]oneCase{{when: t.yes, value: types.Boolean(true)}, {when: t.no, value: types.Boolean(false)}}, t.total}
	case ast.NodeTypeNegate:
		return p.computed([]ast.IsNode{n.Arg}, func(a []ast.IsNode) ast.IsNode { return ast.NodeTypeNegate{UnaryNode: ast.UnaryNode{Arg: a[0]}} })
	case ast.NodeTypeIsEmpty:
		return p.computed([]ast.IsNode{n.Arg}, func(a []ast.IsNode) ast.IsNode { return ast.NodeTypeIsEmpty{UnaryNode: ast.UnaryNode{Arg: a[0]}} })
	case ast.NodeTypeAdd:
		return p.computedTwo(n.BinaryNode, func(b ast.BinaryNode) ast.IsNode { return ast.NodeTypeAdd{BinaryNode: b} })
	case ast.NodeTypeSub:
		return p.computedTwo(n.BinaryNode, func(b ast.BinaryNode) ast.IsNode { return ast.NodeTypeSub{BinaryNode: b} })
	case ast.NodeTypeMult:
		return p.computedTwo(n.BinaryNode, func(b ast.BinaryNode) ast.IsNode { return ast.NodeTypeMult{BinaryNode: b} })
	case ast.NodeTypeContainsAll:
		return p.computedTwo(n.BinaryNode, func(b ast.BinaryNode) ast.IsNode { return ast.NodeTypeContainsAll{BinaryNode: b} })
	case ast.NodeTypeContainsAny:
		return p.computedTwo(n.BinaryNode, func(b ast.BinaryNode) ast.IsNode { return ast.NodeTypeContainsAny{BinaryNode: b} })
	case ast.NodeTypeExtensionCall:
		return p.computed(n.Args, func(a []ast.IsNode) ast.IsNode { return ast.NodeTypeExtensionCall{Name: n.Name, Args: a} })
	case ast.NodeTypeSet:
		return p.computed(n.Elements, func(a []ast.IsNode) ast.IsNode { return ast.NodeTypeSet{Elements: a} })
	}
	p.fail("it asks something of a row that no condition can ask (tags, or a record made of what the row says)")
	return cased{}
}

func (p *partial) computedTwo(b ast.BinaryNode, build func(ast.BinaryNode) ast.IsNode) cased {
	return p.computed([]ast.IsNode{b.Left, b.Right}, func(a []ast.IsNode) ast.IsNode { return build(ast.BinaryNode{Left: a[0], Right: a[1]}) })
}

// computed lets Cedar compute with operands that are known in each case.
func (p *partial) computed(args []ast.IsNode, build func([]ast.IsNode) ast.IsNode) cased {
	ways := []oneWay{{when: yes}}
	total := true
	for _, n := range args {
		v := p.value(n)
		total = total && v.total
		var next []oneWay
		for _, w := range ways {
			for _, c := range v.cases {
				if c.value == nil {
					p.fail("it computes with what a row says")
					return cased{}
				}
				if when := all(w.when, c.when); when.Op != OpFalse {
					next = append(next, oneWay{when, append(slices.Clip(w.args), ast.NodeValue{Value: c.value})})
				}
			}
		}
		if ways = next; len(ways) > maxCases {
			p.fail("it computes with too many different values; map what it asks about to columns")
			return cased{}
		}
	}
	out := cased{total: total}
	for _, w := range ways {
		v := p.fixedValue(build(w.args))
		out.total = out.total && v.total
		for _, c := range v.cases {
			out.cases = append(out.cases, oneCase{when: w.when, value: c.value})
		}
	}
	return out
}

type oneWay struct {
	when Condition
	args []ast.IsNode
}

// follow replaces each case by what it leads to.
func (p *partial) follow(v cased, f func(oneCase) cased) cased {
	out := cased{total: v.total}
	for _, c := range v.cases {
		next := f(c)
		out.total = out.total && next.total
		for _, n := range next.cases {
			if n.when = all(c.when, n.when); n.when.Op != OpFalse {
				out.cases = append(out.cases, n)
			}
		}
	}
	if len(out.cases) > maxCases {
		p.fail("it leads to more than %d different values; map what it asks about to columns", maxCases)
	}
	return out
}

// attribute is what an attribute is of a case.
func (p *partial) attribute(c oneCase, name types.String) cased {
	switch {
	case c.row && p.says(name) != "":
		if sent, ok := p.sent(name); ok {
			return cased{[]oneCase{{when: p.readable(), value: sent}}, len(p.unreadable()) == 0}
		}
		f, typ, ok := p.column(name)
		if !ok {
			return cased{}
		}
		return cased{cases: []oneCase{{when: all(present(f), p.readable()), field: f, typ: typ}}}
	case c.row:
		return p.lookUp(p.id(), types.EntityType(p.typ), name)
	case c.field.Of == ValueID:
		return p.lookUp(c.field, c.typ, name)
	case c.value != nil:
		return p.fixedValue(ast.NodeTypeAccess{StrOpNode: ast.StrOpNode{Arg: ast.NodeValue{Value: c.value}, Value: name}})
	}
	return cased{}
}

// says returns the name if rows hold the attribute.
func (p *partial) says(name types.String) string {
	if slices.Contains(p.rows.Attributes, string(name)) {
		return string(name)
	}
	return ""
}

// sent is what the caller says about the subject that the row is, which counts
// before the row.
func (p *partial) sent(name types.String) (types.Value, bool) {
	a := p.shape.attrs[string(name)]
	if said := p.q.SubjectProperties[string(name)]; p.self && a.request && said != nil {
		if v, err := value(said, a.typ); err == nil {
			return v, true
		}
	}
	return nil, false
}

// column is the field that holds an attribute.
func (p *partial) column(name types.String) (Field, types.EntityType, bool) {
	f := Field{Kind: FieldAttribute, Name: string(name)}
	switch t := p.shape.attrs[string(name)].typ.(type) {
	case resolved.StringType:
		f.Of = ValueString
	case resolved.LongType:
		f.Of = ValueLong
	case resolved.BoolType:
		f.Of = ValueBool
	case resolved.EntityType:
		f.Of = ValueID
		return f, types.EntityType(t), true
	case resolved.ExtensionType:
		if t == "datetime" {
			f.Of = ValueTime
		}
	}
	if f.Of == "" {
		p.fail("attribute %q is %s, which a column cannot hold", name, typeName(p.shape.attrs[string(name)].typ))
		return f, "", false
	}
	return f, "", true
}

// lookUp follows a reference of the row to an attribute of what it names, as it is
// stored: one case for each value there is.
func (p *partial) lookUp(f Field, typ types.EntityType, name types.String) cased {
	byValue := map[string]int{}
	var out cased
	var ids [][]any
	p.named(f, typ, name, func(e Entity, s stored) {
		v, ok := s.record.Get(name)
		if s.err != nil || !ok {
			return
		}
		k := string(v.MarshalCedar())
		i, known := byValue[k]
		if !known {
			i = len(ids)
			byValue[k] = i
			ids = append(ids, nil)
			out.cases = append(out.cases, oneCase{value: v})
		}
		ids[i] = append(ids[i], e.ID)
	})
	for i := range out.cases {
		out.cases[i].when = isIn(f, ids[i])
	}
	return out
}

// named visits every entity of a type about which something is stored that counts
// for an attribute.
func (p *partial) named(f Field, typ types.EntityType, name types.String, visit func(Entity, stored)) {
	if f.Kind != FieldID && string(typ) == p.typ {
		p.fail("it follows %q to other rows of type %q", f.Name, p.typ)
		return
	}
	if !p.hasMore(Need{Known: &Known{string(typ), string(name)}}) {
		return
	}
	known := p.known
	if f.Kind == FieldID {
		known = p.row
	}
	seen := false
	for e := range p.snap.graph.Known(string(typ), "") {
		if !p.visit() {
			return
		}
		seen = seen || e == p.q.Subject
		visit(e, known(e))
	}
	if !seen && string(typ) == p.q.Subject.Type {
		visit(p.q.Subject, known(p.q.Subject))
	}
}

// row is what is stored about a row beside what it says itself.
func (p *partial) row(e Entity) stored { return p.read(e, p.rows.Attributes) }

// unreadable are the ids of the rows about which something is stored that is not
// what the schema says: to Decide, whatever asks for their attributes is an error,
// also where it asks for what the row says.
func (p *partial) unreadable() []any {
	if p.spoilt != nil {
		return *p.spoilt
	}
	var ids []any
	storable := p.shape.tags != nil
	for name := range p.shape.attrs {
		storable = storable || !slices.Contains(p.rows.Attributes, name)
	}
	if storable && p.hasMore(Need{Known: &Known{Type: p.typ}}) {
		for e := range p.snap.graph.Known(p.typ, "") {
			if p.row(e).err != nil {
				ids = append(ids, e.ID)
			}
		}
	}
	p.spoilt = &ids
	return ids
}

func (p *partial) readable() Condition { return notIn(p.id(), p.unreadable()) }

// has asks for an attribute without being an error where it is missing.
func (p *partial) has(c oneCase, name types.String) verdict {
	switch {
	case c.row && p.says(name) != "":
		read, total := p.readable(), len(p.unreadable()) == 0
		if _, ok := p.sent(name); ok {
			return verdict{read, no, total}
		}
		f, _, ok := p.column(name)
		if !ok {
			return wrong
		}
		return verdict{all(present(f), read), all(absent(f), read), total}
	case c.row:
		if _, ok := p.shape.attrs[string(name)]; !ok {
			return verdict{no, p.readable(), len(p.unreadable()) == 0}
		}
		return p.lookFor(p.id(), types.EntityType(p.typ), name)
	case c.field.Of == ValueID:
		return p.lookFor(c.field, c.typ, name)
	case c.value != nil:
		return p.judged(p.eval(ast.NodeTypeHas{StrOpNode: ast.StrOpNode{Arg: ast.NodeValue{Value: c.value}, Value: name}}))
	}
	return wrong
}

func (p *partial) lookFor(f Field, typ types.EntityType, name types.String) verdict {
	var having, others []any
	p.named(f, typ, name, func(e Entity, s stored) {
		if s.err != nil {
			others = append(others, e.ID)
		} else if _, ok := s.record.Get(name); ok {
			having = append(having, e.ID)
		}
	})
	return verdict{isIn(f, having), notIn(f, slices.Concat(having, others)), len(others) == 0}
}

func (p *partial) typeOf(c oneCase) types.EntityType {
	if c.row {
		return types.EntityType(p.typ)
	}
	if u, ok := c.value.(types.EntityUID); ok {
		return u.Type
	}
	return c.typ
}

// plain returns the value of a field as conditions have it.
func plain(v types.Value, of ValueKind) (any, bool) {
	switch v := v.(type) {
	case types.String:
		return string(v), of == ValueString
	case types.Long:
		return int64(v), of == ValueLong
	case types.Boolean:
		return bool(v), of == ValueBool
	case types.EntityUID:
		return string(v.ID), of == ValueID
	case types.Datetime:
		return v.Milliseconds(), of == ValueTime
	}
	return nil, false
}

// equal compares two cases. What is of another type is never equal.
func (p *partial) equal(a, b oneCase) verdict {
	if a.value != nil && b.value != nil {
		return constant(a.value.Equal(b.value))
	}
	if a.value != nil {
		a, b = b, a
	}
	if p.typeOf(a) != p.typeOf(b) {
		return never
	}
	f := p.fieldOf(a)
	if b.value != nil {
		v, ok := plain(b.value, f.Of)
		if !ok {
			return never
		}
		return verdict{isIn(f, []any{v}), notIn(f, []any{v}), true}
	}
	g := p.fieldOf(b)
	switch {
	case f == g:
		return always
	case f.Of != g.Of:
		return never
	}
	return verdict{Condition{Op: OpSame, Field: f, Other: g}, Condition{Op: OpDiffer, Field: f, Other: g}, true}
}

func (p *partial) fieldOf(c oneCase) Field {
	if c.row {
		return p.id()
	}
	return c.field
}

// compare orders numbers and times.
func (p *partial) compare(op, otherwise Op) func(a, b oneCase) verdict {
	turned := map[Op]Op{OpLess: OpGreater, OpGreater: OpLess, OpAtMost: OpAtLeast, OpAtLeast: OpAtMost}
	return func(a, b oneCase) verdict {
		op, otherwise := op, otherwise
		if a.value != nil && b.value == nil {
			a, b, op, otherwise = b, a, turned[op], turned[otherwise]
		}
		if a.value != nil {
			return p.ordered(op, a.value, b.value)
		}
		f, g := p.fieldOf(a), p.fieldOf(b)
		if f.Of != ValueLong && f.Of != ValueTime {
			return wrong
		}
		if b.value != nil {
			v, ok := plain(b.value, f.Of)
			if !ok {
				return wrong
			}
			return verdict{Condition{Op: op, Field: f, Values: []any{v}}, Condition{Op: otherwise, Field: f, Values: []any{v}}, true}
		}
		if f.Of != g.Of {
			return wrong
		}
		return verdict{Condition{Op: op, Field: f, Other: g}, Condition{Op: otherwise, Field: f, Other: g}, true}
	}
}

func (p *partial) ordered(op Op, a, b types.Value) verdict {
	two := ast.BinaryNode{Left: ast.NodeValue{Value: a}, Right: ast.NodeValue{Value: b}}
	var n ast.IsNode
	switch op {
	case OpLess:
		n = ast.NodeTypeLessThan{BinaryNode: two}
	case OpAtMost:
		n = ast.NodeTypeLessThanOrEqual{BinaryNode: two}
	case OpGreater:
		n = ast.NodeTypeGreaterThan{BinaryNode: two}
	default:
		n = ast.NodeTypeGreaterThanOrEqual{BinaryNode: two}
	}
	return p.judged(p.eval(n))
}

func (p *partial) like(c oneCase, pattern types.Pattern) verdict {
	if c.value != nil {
		return p.judged(p.eval(ast.NodeTypeLike{Arg: ast.NodeValue{Value: c.value}, Value: pattern}))
	}
	if c.field.Of != ValueString {
		return wrong
	}
	pieces, ok := piecesOf(pattern)
	if !ok {
		p.fail("a pattern of like cannot be read")
		return wrong
	}
	return verdict{Condition{Op: OpLike, Field: c.field, Pattern: pieces}, Condition{Op: OpUnlike, Field: c.field, Pattern: pieces}, true}
}

// contains asks whether something is in a set: of what is known, or written out.
func (p *partial) contains(left, right ast.IsNode) verdict {
	what := p.value(right)
	if s, ok := left.(ast.NodeTypeSet); ok && !p.fixed(left) {
		out, defined := never, always
		for _, e := range s.Elements {
			v := p.value(e)
			defined = both(defined, func() verdict { return v.defined() })
			t := p.sum(what, func(x oneCase) verdict { return p.sum(v, func(y oneCase) verdict { return p.equal(x, y) }) })
			out = verdict{some(out.yes, t.yes), all(out.no, t.no), out.total && t.total}
		}
		return verdict{all(defined.yes, out.yes), all(defined.yes, out.no), out.total && defined.total}
	}
	return p.each(left, func(set oneCase) verdict {
		known, ok := set.value.(types.Set)
		if !ok {
			if set.value == nil {
				p.fail("a column cannot hold a set")
			}
			return wrong
		}
		return p.sum(what, func(x oneCase) verdict {
			if x.value != nil {
				return constant(known.Contains(x.value))
			}
			f := p.fieldOf(x)
			var values []any
			for e := range known.All() {
				if v, ok := plain(e, f.Of); ok && p.typeOf(oneCase{value: e}) == p.typeOf(x) {
					values = append(values, v)
				}
			}
			return verdict{isIn(f, values), notIn(f, values), true}
		})
	})
}

// defined is true where a value is no error.
func (v cased) defined() verdict {
	out := no
	for _, c := range v.cases {
		out = some(out, c.when)
	}
	if v.total {
		out = yes
	}
	return verdict{yes: out, no: no, total: v.total}
}

func (p *partial) signedIn(want StepUp) types.Record {
	context := p.context.Map()
	if context == nil {
		context = types.RecordMap{}
	}
	context["acr"] = types.String(want.ACR)
	if a, ok := p.plan.context["auth_time"]; ok {
		switch a.Type {
		case resolved.LongType{}:
			context["auth_time"] = types.Long(p.q.At.Unix())
		case resolved.ExtensionType("datetime"):
			context["auth_time"] = types.NewDatetime(p.q.At.Truncate(time.Millisecond))
		}
	}
	return types.NewRecord(context)
}
