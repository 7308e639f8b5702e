package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"sync"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/web/fill"
)

// Pages are html/template pages that share a layout. Each file *.html of the
// pages' tree is one page; files whose name begins with "_" are parts that all
// pages may use. The layout defines the template "layout".
type Pages struct {
	pages   map[string]func() (*fill.Template, error)
	buffers sync.Pool
}

// NewPages parses them all, so that a broken page fails the start. A page gets its
// copy of the layout when it is first shown. Data that are a [fill.Speaker] of one
// of the locales are filled in the fastest.
func NewPages(layout, pages fs.FS, locales ...*i18n.Locale) (*Pages, error) {
	base, err := template.New("").Option("missingkey=error").ParseFS(layout, "*.html")
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(pages, "*.html")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			if base, err = base.ParseFS(pages, name); err != nil {
				return nil, err
			}
		}
	}
	p := &Pages{pages: map[string]func() (*fill.Template, error){}}
	p.buffers.New = func() any { return new(bytes.Buffer) }
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			continue
		}
		page, err := template.ParseFS(pages, name)
		if err != nil {
			return nil, err
		}
		p.pages[strings.TrimSuffix(name, ".html")] = sync.OnceValues(func() (*fill.Template, error) { return fill.New(within(base, page), "layout", locales) })
	}
	return p, nil
}

// within is a page in a layout of its own: what is executed is changed by it. Both
// have been parsed and base is never executed, so that nothing can fail.
func within(base, page *template.Template) *template.Template {
	t := template.Must(base.Clone())
	for _, part := range page.Templates() {
		template.Must(t.AddParseTree(part.Name(), part.Tree))
	}
	return t
}

// Templates are the pages by name, for tests that read them.
func (p *Pages) Templates() (map[string]*fill.Template, error) {
	all := map[string]*fill.Template{}
	for name, page := range p.pages {
		t, err := page()
		if err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, nil
}

// Render answers with a page. Nothing is sent when the template fails.
func (p *Pages) Render(w http.ResponseWriter, status int, name string, data any) error {
	page, ok := p.pages[name]
	if !ok {
		return fmt.Errorf("there is no page %q", name)
	}
	t, err := page()
	if err != nil {
		return err
	}
	buf := p.buffers.Get().(*bytes.Buffer)
	defer p.buffers.Put(buf)
	buf.Reset()
	if err := t.Execute(buf, data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	Sized(w.Header(), buf.Len())
	w.WriteHeader(status)
	_, err = w.Write(buf.Bytes())
	return err
}
