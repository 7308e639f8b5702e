package fill

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"text/template/parse"
)

// kind is what is known of a value before there is one.
type kind struct {
	typ  reflect.Type // nil: there never is one
	addr bool         // it has an address, so that methods of pointers are its too
	data bool         // it is what the whole run is about
}

// compiler makes the bodies for one type of data.
type compiler struct {
	t        *Template
	escapers map[string]*escaper
	bodies   map[called]*body
}

// called is a template and what it is called with.
type called struct {
	name string
	with kind
}

// unknown is what only html/template can do.
type unknown struct{ what string }

func (u unknown) Error() string { return u.what }

func cannot(format string, args ...any) { panic(unknown{fmt.Sprintf(format, args...)}) }

func (t *Template) compile(data reflect.Type) (b *body, err error) {
	defer func() {
		if r := recover(); r != nil {
			u, ok := r.(unknown)
			if !ok {
				panic(r)
			}
			err = u
		}
	}()
	c := &compiler{t: t, escapers: map[string]*escaper{}, bodies: map[called]*body{}}
	return c.body(t.name, kind{typ: data, data: true}), nil
}

func (c *compiler) body(name string, with kind) *body {
	at := called{name, with}
	if b, ok := c.bodies[at]; ok {
		return b
	}
	t := c.t.set.Lookup(name)
	if t == nil || t.Tree == nil || t.Tree.Root == nil {
		cannot("template %q is not in the set", name) // or was made safe for elsewhere than between tags
	}
	b := &body{}
	c.bodies[at] = b // before its steps: it may call itself
	s := &scope{compiler: c, body: b, top: with, dot: with, vars: map[string]variable{}}
	b.steps = s.list(t.Tree.Root)
	return b
}

// scope is what names mean at a place of a template.
type scope struct {
	*compiler
	body     *body
	top, dot kind
	vars     map[string]variable
}

type variable struct {
	kind
	slot int
}

// inner is the scope between an action and its end.
func (s *scope) inner() *scope {
	in := *s
	in.vars = maps.Clone(s.vars)
	return &in
}

// declare gives a variable a place, and the step that fills it.
func (s *scope) declare(name string, v kind) int {
	slot := s.body.slots
	s.body.slots++
	v.data = false
	s.vars[name] = variable{v, slot}
	return slot
}

func (s *scope) list(l *parse.ListNode) (steps []step) {
	if l == nil {
		return nil
	}
	for _, n := range l.Nodes {
		if one := s.node(n); one != nil {
			steps = append(steps, one)
		}
	}
	return steps
}

func (s *scope) node(n parse.Node) step {
	switch n := n.(type) {
	case *parse.TextNode:
		text := n.Text
		return func(f *frame, _ reflect.Value) { f.out.Write(text) }
	case *parse.CommentNode:
		return nil
	case *parse.ActionNode:
		return s.action(n)
	case *parse.IfNode:
		in := s.inner()
		holds := in.condition(n.Pipe)
		return branch(holds, in.inner().list(n.List), in.inner().list(n.ElseList))
	case *parse.WithNode:
		return s.with(n)
	case *parse.RangeNode:
		return s.each(n)
	case *parse.TemplateNode:
		return s.call(n)
	}
	cannot("a node of the type %T", n)
	return nil
}

func branch(holds func(*frame, reflect.Value) bool, yes, no []step) step {
	return func(f *frame, dot reflect.Value) {
		if holds(f, dot) {
			walk(yes, f, dot)
		} else {
			walk(no, f, dot)
		}
	}
}

// action writes a value, or keeps it.
func (s *scope) action(n *parse.ActionNode) step {
	cmds := n.Pipe.Cmds
	last := len(cmds)
	for last > 0 && isEscaper(cmds[last-1]) {
		last--
	}
	if n.Pipe.IsAssign || len(n.Pipe.Decl) > 1 || last != 1 {
		cannot("the pipeline %s", n.Pipe)
	}
	if len(n.Pipe.Decl) == 1 {
		v := s.command(cmds[0])
		slot := s.declare(n.Pipe.Decl[0].Ident[0], v.kind)
		return func(f *frame, dot reflect.Value) { f.vars[slot] = v.get(f, dot) }
	}
	if last == len(cmds) {
		cannot("%s is not escaped", n.Pipe)
	}
	e := s.escaper(cmds[last:])
	if key, ok := s.fixed(cmds[0]); ok {
		return s.said(e, key)
	}
	return e.write(s.command(cmds[0]))
}

func isEscaper(cmd *parse.CommandNode) bool {
	name, ok := cmd.Args[0].(*parse.IdentifierNode)
	return ok && len(cmd.Args) == 1 && strings.HasPrefix(name.Ident, escaperPrefix)
}

// fixed is the key of words that depend on nothing but the language.
func (s *scope) fixed(cmd *parse.CommandNode) (key string, ok bool) {
	if len(cmd.Args) != 2 {
		return "", false
	}
	text, ok := cmd.Args[1].(*parse.StringNode)
	if !ok {
		return "", false
	}
	on := kind{}
	switch n := cmd.Args[0].(type) {
	case *parse.FieldNode:
		if len(n.Ident) == 1 && n.Ident[0] == methodT {
			on = s.dot
		}
	case *parse.VariableNode:
		if len(n.Ident) == 2 && n.Ident[0] == "$" && n.Ident[1] == methodT {
			on = s.top
		}
	}
	return text.Text, on.data && on.typ.Implements(reflect.TypeFor[Speaker]())
}

// said writes words in the language of the run, as they were escaped here.
func (s *scope) said(e *escaper, key string) step {
	texts := make([]string, len(s.t.locales))
	for i, l := range s.t.locales {
		texts[i] = e.string(l.T(key))
	}
	return func(f *frame, _ reflect.Value) {
		if f.language < 0 {
			e.text(f.out, f.data.(Speaker).T(key))
			return
		}
		f.out.WriteString(texts[f.language])
	}
}

func (s *scope) with(n *parse.WithNode) step {
	in := s.inner()
	v := in.pipe(n.Pipe)
	var keep func(*frame, reflect.Value)
	if len(n.Pipe.Decl) == 1 {
		slot := in.declare(n.Pipe.Decl[0].Ident[0], v.kind)
		keep = func(f *frame, v reflect.Value) { f.vars[slot] = v }
	}
	holds, inside := truth(v.typ), in.inner()
	inside.dot = v.kind
	yes, no := inside.list(n.List), in.inner().list(n.ElseList)
	return func(f *frame, dot reflect.Value) {
		got := v.get(f, dot)
		if keep != nil {
			keep(f, got)
		}
		if holds(got) {
			walk(yes, f, got)
		} else {
			walk(no, f, dot)
		}
	}
}

// each writes its list for each element.
func (s *scope) each(n *parse.RangeNode) step {
	in := s.inner()
	v := in.pipe(n.Pipe)
	if v.typ == nil || v.typ.Kind() != reflect.Slice && v.typ.Kind() != reflect.Array {
		cannot("a range over %v", v.typ)
	}
	element := kind{typ: v.typ.Elem(), addr: v.addr || v.typ.Kind() == reflect.Slice}
	index, item := -1, -1
	switch names := n.Pipe.Decl; len(names) {
	case 1:
		item = in.declare(names[0].Ident[0], element)
	case 2:
		index = in.declare(names[0].Ident[0], kind{typ: reflect.TypeFor[int]()})
		item = in.declare(names[1].Ident[0], element)
	}
	inside := in.inner()
	inside.dot = element
	steps, none := inside.list(n.List), s.inner().list(n.ElseList)
	return func(f *frame, dot reflect.Value) {
		all := v.get(f, dot)
		for i := range all.Len() {
			one := all.Index(i)
			if index >= 0 {
				f.vars[index] = reflect.ValueOf(i)
			}
			if item >= 0 {
				f.vars[item] = one
			}
			walk(steps, f, one)
		}
		if all.Len() == 0 {
			walk(none, f, dot)
		}
	}
}

func (s *scope) call(n *parse.TemplateNode) step {
	if n.Pipe == nil {
		b := s.compiler.body(n.Name, kind{})
		return func(f *frame, _ reflect.Value) { b.fill(f.run, reflect.Value{}) }
	}
	if len(n.Pipe.Decl) > 0 {
		cannot("the pipeline %s", n.Pipe)
	}
	v := s.pipe(n.Pipe)
	b := s.compiler.body(n.Name, v.kind)
	return func(f *frame, dot reflect.Value) { b.fill(f.run, v.get(f, dot)) }
}
