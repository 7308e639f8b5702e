package fill

import (
	"reflect"
	"strconv"
	"text/template/parse"
)

// value is how to get at a value: in general, and if it is a string that is made
// when it is asked for, without a detour.
type value struct {
	kind
	get  func(f *frame, dot reflect.Value) reflect.Value
	text func(f *frame, dot reflect.Value) string
}

// str is how to get at a value whose kind is string.
func (v *value) str() func(*frame, reflect.Value) string {
	if v.text != nil {
		return v.text
	}
	return func(f *frame, dot reflect.Value) string { return v.get(f, dot).String() }
}

func made(text func(*frame, reflect.Value) string) *value {
	return &value{kind{typ: reflect.TypeFor[string]()}, func(f *frame, dot reflect.Value) reflect.Value { return reflect.ValueOf(text(f, dot)) }, text}
}

func constant(x any) *value {
	v := reflect.ValueOf(x)
	return &value{kind: kind{typ: v.Type()}, get: func(*frame, reflect.Value) reflect.Value { return v }}
}

// pipe is a pipeline of one command, whatever it declares.
func (s *scope) pipe(p *parse.PipeNode) *value {
	if len(p.Cmds) != 1 || p.IsAssign {
		cannot("the pipeline %s", p)
	}
	return s.command(p.Cmds[0])
}

func (s *scope) command(cmd *parse.CommandNode) *value {
	args := cmd.Args[1:]
	switch n := cmd.Args[0].(type) {
	case *parse.FieldNode:
		return s.chain(s.here(), n.Ident, args)
	case *parse.VariableNode:
		return s.chain(s.variable(n.Ident[0]), n.Ident[1:], args)
	case *parse.ChainNode:
		return s.chain(s.operand(n.Node), n.Field, args)
	case *parse.IdentifierNode:
		return s.function(n.Ident, args)
	}
	if len(args) > 0 {
		cannot("the command %s", cmd)
	}
	return s.operand(cmd.Args[0])
}

// operand is a value that is given no arguments.
func (s *scope) operand(n parse.Node) *value {
	switch n := n.(type) {
	case *parse.DotNode:
		return s.here()
	case *parse.FieldNode:
		return s.chain(s.here(), n.Ident, nil)
	case *parse.VariableNode:
		return s.chain(s.variable(n.Ident[0]), n.Ident[1:], nil)
	case *parse.ChainNode:
		return s.chain(s.operand(n.Node), n.Field, nil)
	case *parse.PipeNode:
		if len(n.Decl) == 0 {
			return s.pipe(n)
		}
	case *parse.StringNode:
		return constant(n.Text)
	case *parse.BoolNode:
		return constant(n.True)
	case *parse.NumberNode:
		if n.IsInt && strconv.FormatInt(n.Int64, 10) == n.Text {
			return constant(int(n.Int64))
		}
	}
	cannot("the operand %s", n)
	return nil
}

func (s *scope) here() *value {
	return &value{kind: s.dot, get: func(_ *frame, dot reflect.Value) reflect.Value { return dot }}
}

func (s *scope) variable(name string) *value {
	if name == "$" {
		return &value{kind: s.top, get: func(f *frame, _ reflect.Value) reflect.Value { return f.top }}
	}
	v, ok := s.vars[name]
	if !ok {
		cannot("the variable %s", name)
	}
	return &value{kind: v.kind, get: func(f *frame, _ reflect.Value) reflect.Value { return f.vars[v.slot] }}
}

// chain follows names from a value. The last gets the arguments.
func (s *scope) chain(v *value, names []string, args []parse.Node) *value {
	if len(names) == 0 && len(args) > 0 {
		cannot("arguments of what takes none")
	}
	for i, name := range names {
		if i == len(names)-1 {
			return s.member(v, name, args)
		}
		v = s.member(v, name, nil)
	}
	return v
}

// member is a method or a field of a value, as text/template looks for them: all
// methods first that a pointer has, if there is one.
func (s *scope) member(on *value, name string, args []parse.Node) *value {
	if on.typ == nil {
		cannot("%s of nothing", name)
	}
	plain, pointer := on.typ, on.typ.Kind() == reflect.Pointer
	if pointer {
		plain = plain.Elem()
	}
	if plain.Kind() == reflect.Pointer || plain.Kind() == reflect.Interface {
		cannot("%s of a %v", name, on.typ)
	}
	methods := on.typ
	if !pointer && on.addr {
		methods = reflect.PointerTo(plain)
	}
	if m, ok := methods.MethodByName(name); ok {
		return s.method(on, m, methods != on.typ, args)
	}
	if _, ok := reflect.PointerTo(plain).MethodByName(name); ok {
		cannot("the method %s of what has no address", name)
	}
	if plain.Kind() != reflect.Struct || len(args) > 0 {
		cannot("%s of a %v", name, on.typ)
	}
	field, ok := plain.FieldByName(name)
	if !ok || !field.IsExported() {
		cannot("there is no %s in a %v", name, on.typ)
	}
	return &value{kind: kind{typ: field.Type, addr: pointer || on.addr || byPointer(plain, field.Index)}, get: func(f *frame, dot reflect.Value) reflect.Value {
		v := on.get(f, dot)
		if pointer {
			if v.IsNil() {
				fail("nil pointer evaluating %v.%s", on.typ, name)
			}
			v = v.Elem()
		}
		if len(field.Index) == 1 {
			return v.Field(field.Index[0])
		}
		v, err := v.FieldByIndexErr(field.Index)
		if err != nil {
			panic(failure{err})
		}
		return v
	}}
}

// byPointer reports whether the way to a field leads through a pointer.
func byPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}

// truth is what counts as true of a type.
func truth(t reflect.Type) func(reflect.Value) bool {
	if t == nil {
		return func(reflect.Value) bool { return false }
	}
	switch t.Kind() {
	case reflect.Bool:
		return reflect.Value.Bool
	case reflect.String, reflect.Slice, reflect.Map, reflect.Array:
		return func(v reflect.Value) bool { return v.Len() > 0 }
	case reflect.Pointer:
		return func(v reflect.Value) bool { return !v.IsNil() }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(v reflect.Value) bool { return v.Int() != 0 }
	case reflect.Struct:
		return func(reflect.Value) bool { return true }
	}
	cannot("whether a %v is true", t)
	return nil
}

// condition is whether a pipeline is true. What and, or and not say matters in
// conditions alone.
func (s *scope) condition(n parse.Node) func(*frame, reflect.Value) bool {
	p, ok := n.(*parse.PipeNode)
	if !ok || len(p.Decl) > 0 || len(p.Cmds) != 1 {
		v := s.operand(n)
		return holds(v)
	}
	cmd := p.Cmds[0]
	name, ok := cmd.Args[0].(*parse.IdentifierNode)
	if !ok {
		return holds(s.command(cmd))
	}
	switch name.Ident {
	case "and", "or":
		end := name.Ident == "or" // the truth that decides
		var all []func(*frame, reflect.Value) bool
		for _, arg := range cmd.Args[1:] {
			all = append(all, s.condition(arg))
		}
		return func(f *frame, dot reflect.Value) bool {
			for _, one := range all {
				if one(f, dot) == end {
					return end
				}
			}
			return !end
		}
	case "not":
		if len(cmd.Args) == 2 {
			one := s.condition(cmd.Args[1])
			return func(f *frame, dot reflect.Value) bool { return !one(f, dot) }
		}
	case "eq", "ne":
		if len(cmd.Args) == 3 {
			return s.equal(s.operand(cmd.Args[1]), s.operand(cmd.Args[2]), name.Ident == "eq")
		}
	}
	return holds(s.command(cmd))
}

func holds(v *value) func(*frame, reflect.Value) bool {
	is := truth(v.typ)
	return func(f *frame, dot reflect.Value) bool { return is(v.get(f, dot)) }
}

// equal compares two values of the same nature.
func (s *scope) equal(a, b *value, want bool) func(*frame, reflect.Value) bool {
	if a.typ == nil || b.typ == nil {
		cannot("comparing nothing")
	}
	switch of := [2]reflect.Kind{a.typ.Kind(), b.typ.Kind()}; {
	case of == [2]reflect.Kind{reflect.String, reflect.String}:
		x, y := a.str(), b.str()
		return func(f *frame, dot reflect.Value) bool { return (x(f, dot) == y(f, dot)) == want }
	case of == [2]reflect.Kind{reflect.Int64, reflect.Int64}, of == [2]reflect.Kind{reflect.Int, reflect.Int}:
		return func(f *frame, dot reflect.Value) bool { return (a.get(f, dot).Int() == b.get(f, dot).Int()) == want }
	case of == [2]reflect.Kind{reflect.Bool, reflect.Bool}:
		return func(f *frame, dot reflect.Value) bool {
			return (a.get(f, dot).Bool() == b.get(f, dot).Bool()) == want
		}
	}
	cannot("comparing a %v with a %v", a.typ, b.typ)
	return nil
}
