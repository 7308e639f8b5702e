package fill

import (
	"fmt"
	"reflect"
	"text/template/parse"
)

// Methods of these shapes are called as Go calls them, without reflection: pages
// have many.
type (
	speaker interface {
		T(key string, args ...any) string
	}
	linker interface {
		Link(path string, params ...string) string
	}
	filer interface{ Asset(name string) string }
)

const methodT = "T"

// method is what a method returns. Its receiver is on, or on's address.
func (s *scope) method(on *value, m reflect.Method, byAddress bool, args []parse.Node) *value {
	receiver := on.typ
	if byAddress {
		receiver = reflect.PointerTo(receiver)
	}
	if v := s.direct(on, receiver, byAddress, m.Name, args); v != nil {
		return v
	}
	give := s.arguments(m.Name, m.Type, 1, args)
	out := m.Type.NumOut()
	if out != 1 && (out != 2 || m.Type.Out(1) != reflect.TypeFor[error]()) {
		cannot("what %s returns", m.Name)
	}
	return &value{kind: kind{typ: m.Type.Out(0)}, get: func(f *frame, dot reflect.Value) reflect.Value {
		r := on.get(f, dot)
		if byAddress {
			r = r.Addr()
		}
		var room [8]reflect.Value
		given := room[:0]
		for _, g := range give {
			given = append(given, g(f, dot))
		}
		got := r.Method(m.Index).Call(given)
		if len(got) == 2 && !got[1].IsNil() {
			panic(failure{got[1].Interface().(error)})
		}
		return got[0]
	}}
}

// direct is a method of a well-known shape, nil if this is none.
func (s *scope) direct(on *value, receiver reflect.Type, byAddress bool, name string, args []parse.Node) *value {
	if !on.data && !byAddress && receiver.Kind() != reflect.Pointer {
		return nil // it would have to be copied
	}
	of := func(f *frame, dot reflect.Value) any {
		if on.data {
			return f.data
		}
		v := on.get(f, dot)
		if byAddress {
			v = v.Addr()
		}
		return v.Interface()
	}
	if len(args) == 0 {
		return nil
	}
	switch {
	case name == methodT && receiver.Implements(reflect.TypeFor[speaker]()):
		texts := s.texts(args[:1])
		var more []*value
		for _, a := range args[1:] {
			more = append(more, s.operand(a))
		}
		if texts == nil {
			return nil
		}
		return made(func(f *frame, dot reflect.Value) string {
			given := make([]any, len(more))
			for i, m := range more {
				given[i] = m.get(f, dot).Interface()
			}
			return of(f, dot).(speaker).T(texts[0](f, dot), given...)
		})
	case name == "Link" && receiver.Implements(reflect.TypeFor[linker]()):
		texts := s.texts(args)
		if texts == nil {
			return nil
		}
		return made(func(f *frame, dot reflect.Value) string {
			given := make([]string, len(texts))
			for i, t := range texts {
				given[i] = t(f, dot)
			}
			return of(f, dot).(linker).Link(given[0], given[1:]...)
		})
	case name == "Asset" && receiver.Implements(reflect.TypeFor[filer]()) && len(args) == 1:
		texts := s.texts(args)
		if texts == nil {
			return nil
		}
		return made(func(f *frame, dot reflect.Value) string { return of(f, dot).(filer).Asset(texts[0](f, dot)) })
	}
	return nil
}

// texts are arguments that are all of the type string, else nil.
func (s *scope) texts(args []parse.Node) (all []func(*frame, reflect.Value) string) {
	for _, a := range args {
		v := s.operand(a)
		if v.typ != reflect.TypeFor[string]() {
			return nil
		}
		all = append(all, v.str())
	}
	return all
}

type argument func(*frame, reflect.Value) reflect.Value

// arguments are how to get at those of a function, whose parameters begin at from.
func (s *scope) arguments(name string, t reflect.Type, from int, args []parse.Node) (all []argument) {
	fixed := t.NumIn() - from
	if t.IsVariadic() {
		fixed--
	}
	if len(args) < fixed || len(args) > fixed && !t.IsVariadic() {
		cannot("%d arguments of %s", len(args), name)
	}
	for i, a := range args {
		want := reflect.Type(nil)
		if i < fixed {
			want = t.In(from + i)
		} else {
			want = t.In(t.NumIn() - 1).Elem()
		}
		v := s.argument(a)
		if v.typ == nil || !v.typ.AssignableTo(want) {
			cannot("a %v as argument of %s", v.typ, name)
		}
		all = append(all, v.get)
	}
	return all
}

// argument is an operand, of which conditions may say true and false.
func (s *scope) argument(n parse.Node) *value {
	if p, ok := n.(*parse.PipeNode); ok && len(p.Cmds) == 1 {
		if name, ok := p.Cmds[0].Args[0].(*parse.IdentifierNode); ok {
			switch name.Ident {
			case "not", "eq", "ne":
				is := s.condition(n)
				return &value{kind: kind{typ: reflect.TypeFor[bool]()}, get: func(f *frame, dot reflect.Value) reflect.Value { return reflect.ValueOf(is(f, dot)) }}
			}
		}
	}
	return s.operand(n)
}

// function is what one of those returns that templates have from the start.
func (s *scope) function(name string, args []parse.Node) *value {
	switch {
	case name == "print", name == "printf":
		print := reflect.TypeOf(fmt.Sprint)
		if name == "printf" {
			print = reflect.TypeOf(fmt.Sprintf)
		}
		give := s.arguments(name, print, 0, args)
		return made(func(f *frame, dot reflect.Value) string {
			given := make([]any, len(give))
			for i, g := range give {
				given[i] = g(f, dot).Interface()
			}
			if name == "printf" {
				return fmt.Sprintf(given[0].(string), given[1:]...)
			}
			return fmt.Sprint(given...)
		})
	case name == "len" && len(args) == 1:
		v := s.operand(args[0])
		if v.typ != nil {
			switch v.typ.Kind() {
			case reflect.Slice, reflect.Array, reflect.Map, reflect.String:
				return &value{kind: kind{typ: reflect.TypeFor[int]()}, get: func(f *frame, dot reflect.Value) reflect.Value { return reflect.ValueOf(v.get(f, dot).Len()) }}
			}
		}
	case name == "index" && len(args) == 2:
		return s.index(s.operand(args[0]), s.operand(args[1]))
	}
	cannot("the function %s", name)
	return nil
}

func (s *scope) index(in, at *value) *value {
	if in.typ == nil || at.typ == nil {
		cannot("an index of nothing")
	}
	switch in.typ.Kind() {
	case reflect.Map:
		if at.typ == in.typ.Key() {
			zero := reflect.Zero(in.typ.Elem())
			return &value{kind: kind{typ: in.typ.Elem()}, get: func(f *frame, dot reflect.Value) reflect.Value {
				if v := in.get(f, dot).MapIndex(at.get(f, dot)); v.IsValid() {
					return v
				}
				return zero
			}}
		}
	case reflect.Slice, reflect.Array:
		if at.typ == reflect.TypeFor[int]() {
			return &value{kind: kind{typ: in.typ.Elem(), addr: in.addr || in.typ.Kind() == reflect.Slice}, get: func(f *frame, dot reflect.Value) reflect.Value {
				all, i := in.get(f, dot), int(at.get(f, dot).Int())
				if i < 0 || i >= all.Len() {
					fail("index out of range: %d", i)
				}
				return all.Index(i)
			}}
		}
	}
	cannot("an index of a %v", in.typ)
	return nil
}
