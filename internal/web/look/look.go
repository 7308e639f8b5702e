// Package look is how the pages of the product look: the layout, the
// stylesheet, the mark, and what every page says around its own content. Which
// pages there are is the business of the doors.
package look

import (
	"embed"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/web"
)

//go:embed layout/*.html assets/*
var files embed.FS

const (
	assetsPath     = "/assets/"
	languageCookie = "__Host-cardea.language"
)

// Look renders pages of one tree in the common layout.
type Look struct {
	pages  *web.Pages
	assets *web.Assets
	words  *i18n.Catalogue
}

// Assets are the files of the layout together with those of doors.
func Assets(doors ...fs.FS) (*web.Assets, error) {
	own, err := fs.Sub(files, "assets")
	if err != nil {
		return nil, err
	}
	return web.NewAssets(assetsPath, append([]fs.FS{own}, doors...)...)
}

// New returns the look for the pages of one door.
func New(pages fs.FS, assets *web.Assets, words *i18n.Catalogue) (*Look, error) {
	layout, err := fs.Sub(files, "layout")
	if err != nil {
		return nil, err
	}
	p, err := web.NewPages(layout, pages, words.Locales()...)
	if err != nil {
		return nil, err
	}
	return &Look{pages: p, assets: assets, words: words}, nil
}

// Pages are the parsed pages, for tests that read them.
func (l *Look) Pages() *web.Pages { return l.pages }

// Site is what a page needs to know of whose page it is.
type Site struct {
	Name     string // what people call it
	Path     string // what all its URLs begin with, "" at the root
	Language string // for browsers that wish for none there is
}

// Page is what all pages share. The data of a page embeds it; templates call
// its methods.
type Page struct {
	*i18n.Locale
	Site    Site
	Title   string // of the window; the heading is the page's own
	Request string // the request's id, to be quoted to whoever helps
	Wide    bool   // needs more room than a form
	Passing bool   // goes on by itself and cannot be had again, in no other language either
	assets  *web.Assets
	words   *i18n.Catalogue
	here    *url.URL
}

// Page begins a page in the language that suits: what the address or a client
// asked for, then what the browser was set to here, then the account's, then
// what the browser wants, then the site's.
func (l *Look) Page(w http.ResponseWriter, r *http.Request, site Site, asked, account string) *Page {
	chosen := r.URL.Query().Get("lang")
	remembered := web.Cookie(r, languageCookie)
	locale := l.words.Match(chosen, asked, remembered, account, r.Header.Get("Accept-Language"), site.Language)
	if chosen != "" && locale.Tag() == chosen && chosen != remembered {
		web.SetCookie(w, languageCookie, chosen, web.Year)
	}
	return &Page{Locale: locale, Site: site, Request: web.RequestID(r.Context()), assets: l.assets, words: l.words, here: r.URL}
}

// Render answers with a page of the tree.
func (l *Look) Render(w http.ResponseWriter, status int, name string, data any) error {
	return l.pages.Render(w, status, name, data)
}

// Speaks is the language of the page.
func (p *Page) Speaks() *i18n.Locale { return p.Locale }

// Asset is the URL of a file.
func (p *Page) Asset(name string) string { return p.Site.Path + p.assets.URL(name) }

// Link is the URL of a page of this site, with pairs of parameters of which
// the empty ones are left out.
func (p *Page) Link(path string, params ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		if params[i+1] != "" {
			q.Set(params[i], params[i+1])
		}
	}
	if len(q) == 0 {
		return p.Site.Path + path
	}
	return p.Site.Path + path + "?" + q.Encode()
}

// Language is one to choose from.
type Language struct {
	Tag, Name, URL string
	Current        bool
}

// Languages are those to choose from, each with the address of this page in it.
func (p *Page) Languages() []Language {
	locales, here, q := p.words.Locales(), p.path(), url.Values{}
	if p.here.RawQuery != "" {
		q = p.here.Query()
	}
	all := make([]Language, len(locales))
	for i, l := range locales {
		q.Set("lang", l.Tag())
		all[i] = Language{l.Tag(), l.Name(), here + "?" + q.Encode(), l.Tag() == p.Tag()}
	}
	return all
}

// path is that of this page. A page about an address that is nobody's may have
// been asked for at one that links must not repeat: to a browser "//host/" is
// another site.
func (p *Page) path() string {
	path := p.here.EscapedPath()
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		path = "/"
	}
	return p.Site.Path + path
}
