package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"sync"
)

// Pages are html/template pages that share a layout. Each file *.html of the
// pages' tree is one page; files whose name begins with "_" are parts that all
// pages may use. The layout defines the template "layout".
type Pages struct {
	pages   map[string]*template.Template
	buffers sync.Pool
}

// NewPages parses them all, so that a broken page fails the start.
func NewPages(layout, pages fs.FS) (*Pages, error) {
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
	p := &Pages{pages: map[string]*template.Template{}}
	p.buffers.New = func() any { return new(bytes.Buffer) }
	for _, name := range names {
		if strings.HasPrefix(name, "_") {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(pages, name)
		}
		if err != nil {
			return nil, err
		}
		p.pages[strings.TrimSuffix(name, ".html")] = t
	}
	return p, nil
}

// Templates are the pages by name, for tests that read them.
func (p *Pages) Templates() map[string]*template.Template { return p.pages }

// Render answers with a page. Nothing is sent when the template fails.
func (p *Pages) Render(w http.ResponseWriter, status int, name string, data any) error {
	t, ok := p.pages[name]
	if !ok {
		return fmt.Errorf("there is no page %q", name)
	}
	buf := p.buffers.Get().(*bytes.Buffer)
	defer p.buffers.Put(buf)
	buf.Reset()
	if err := t.ExecuteTemplate(buf, "layout", data); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	sized(w.Header(), buf.Len())
	w.WriteHeader(status)
	_, err := w.Write(buf.Bytes())
	return err
}
