// Package fill fills in html/template templates faster than they fill in
// themselves. It looks up fields and methods once for each type of data instead
// of each time, and has the words of every language escaped beforehand.
//
// What is escaped, where and how, is for html/template alone to say: its parse
// trees are read after it has made them safe, and each escaper is one of its own
// or a table of what that answered. A template that does something unknown here
// is left to html/template.
package fill

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io"
	"reflect"
	"slices"
	"sync"

	"github.com/cardea-id/cardea/internal/i18n"
)

// Template is one of a set of templates, ready to be filled in.
type Template struct {
	set     *template.Template
	name    string
	locales []*i18n.Locale
	forms   sync.Map // by the reflect.Type of the data: *form
}

// Speaker is data in a language. Their method T is that of the language.
type Speaker interface {
	Speaks() *i18n.Locale
	T(key string, args ...any) string
}

// form is a template for one type of data, or why there is none.
type form struct {
	body *body
	err  error
}

// New takes the named template of a set that nobody executed yet. Words that do
// not depend on the data are translated into the locales once.
func New(set *template.Template, name string, locales []*i18n.Locale) (*Template, error) {
	// Escaping comes before executing, which without data may well fail.
	var broken *template.Error
	if err := set.ExecuteTemplate(io.Discard, name, nil); errors.As(err, &broken) {
		return nil, err
	}
	if set.Lookup(name) == nil {
		return nil, fmt.Errorf("there is no template %q", name)
	}
	return &Template{set: set, name: name, locales: locales}, nil
}

// Set is the set that the template is of.
func (t *Template) Set() *template.Template { return t.set }

// Plain fills in the template as html/template does.
func (t *Template) Plain(out *bytes.Buffer, data any) error {
	return t.set.ExecuteTemplate(out, t.name, data)
}

// Execute fills in the template. When it fails, what out has got is of no use.
func (t *Template) Execute(out *bytes.Buffer, data any) error {
	f := t.form(reflect.TypeOf(data))
	if f.err != nil {
		return t.Plain(out, data)
	}
	return t.run(f.body, out, data)
}

// Left says why data of this kind are left to html/template, nil if they are not.
func (t *Template) Left(data any) error { return t.form(reflect.TypeOf(data)).err }

func (t *Template) form(typ reflect.Type) *form {
	if f, ok := t.forms.Load(typ); ok {
		return f.(*form)
	}
	f := &form{}
	f.body, f.err = t.compile(typ)
	kept, _ := t.forms.LoadOrStore(typ, f)
	return kept.(*form)
}

// run is one filling in.
type run struct {
	out      *bytes.Buffer
	data     any
	language int // its place among the locales, -1 for another
}

// frame is what a template sees when it is called.
type frame struct {
	*run
	top  reflect.Value // what it was called with
	vars []reflect.Value
}

// failure is what stops a run.
type failure struct{ err error }

func fail(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

func (t *Template) run(b *body, out *bytes.Buffer, data any) (err error) {
	defer func() {
		switch why := recover().(type) {
		case nil:
		case failure:
			err = fmt.Errorf("template %s: %w", t.name, why.err)
		default: // from a method, as html/template has it too
			err = fmt.Errorf("template %s: %v", t.name, why)
		}
	}()
	r := &run{out: out, data: data, language: -1}
	if s, ok := data.(Speaker); ok {
		r.language = slices.Index(t.locales, s.Speaks())
	}
	b.fill(r, reflect.ValueOf(data))
	return nil
}

// body is a template for one type of what it is called with.
type body struct {
	steps []step
	slots int // of variables
}

// step writes one part.
type step func(f *frame, dot reflect.Value)

func (b *body) fill(r *run, top reflect.Value) {
	f := frame{run: r, top: top}
	if b.slots > 0 {
		f.vars = make([]reflect.Value, b.slots)
	}
	walk(b.steps, &f, top)
}

func walk(steps []step, f *frame, dot reflect.Value) {
	for _, s := range steps {
		s(f, dot)
	}
}
