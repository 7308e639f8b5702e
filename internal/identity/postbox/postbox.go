// Package postbox is the door of a development node's mail: pages that show
// every letter in the place of sending it. A production node does not mount it:
// whoever sees letters can do what their links and codes allow.
package postbox

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/mail"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// Path is where the letters are.
const Path = "/dev/mail"

//go:embed templates/*.html
var templates embed.FS

// Options are what the door stands on. All are required.
type Options struct {
	Shelf  *mail.Shelf
	Words  *i18n.Catalogue
	Assets *web.Assets
	Fail   web.Fail
	Rate   string // the rate class of its pages
}

// Server shows letters.
type Server struct {
	Options
	look *look.Look
}

// New returns the door.
func New(o Options) (*Server, error) {
	pages, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, err
	}
	l, err := look.New(pages, o.Assets, o.Words)
	if err != nil {
		return nil, err
	}
	return &Server{o, l}, nil
}

// Mount mounts the pages.
func (s *Server) Mount(root *web.Mux) {
	m := root.Door("postbox", s.Fail, web.Page, web.Rate(s.Rate))
	m.Handle("GET "+Path, s.list)
	m.Handle("GET "+Path+"/{id}", s.show)
	m.Handle("GET "+Path+"/{id}/html", s.body)
}

type listPage struct {
	*look.Page
	Letters []mail.Message
}

type letterPage struct {
	*look.Page
	mail.Message
	Parts []part
	Frame string
}

// part is a piece of a letter's text, an address if it is one.
type part struct{ Text, URL string }

// page begins a page. Letters of all realms are shown together.
func (s *Server) page(w http.ResponseWriter, r *http.Request) *look.Page {
	re := realm.From(r.Context())
	p := s.look.Page(w, r, look.Site{Name: re.DisplayName, Path: re.Path, Language: re.Settings.DefaultLanguage}, "", "")
	p.Wide = true
	return p
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) error {
	p := listPage{Page: s.page(w, r), Letters: s.Shelf.All()}
	p.Title = p.T("postbox.title")
	return s.look.Render(w, http.StatusOK, "list", p)
}

func (s *Server) letter(r *http.Request) (mail.Message, error) {
	m, ok := s.Shelf.ByID(r.PathValue("id"))
	if !ok {
		return m, fault.New(fault.NotFound, "letter_unknown", "there is no such letter any more")
	}
	return m, nil
}

func (s *Server) show(w http.ResponseWriter, r *http.Request) error {
	m, err := s.letter(r)
	if err != nil {
		return err
	}
	p := letterPage{Page: s.page(w, r), Message: m, Parts: parts(m.Text)}
	p.Title, p.Frame = m.Subject, p.Link(Path+"/"+m.ID+"/html")
	web.Frames(w, []string{realm.From(r.Context()).Issuer})
	return s.look.Render(w, http.StatusOK, "letter", p)
}

// body is the letter as a mail program shows it.
func (s *Server) body(w http.ResponseWriter, r *http.Request) error {
	m, err := s.letter(r)
	if err != nil {
		return err
	}
	web.Inert(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err = w.Write([]byte(m.HTML))
	return err
}

// parts finds the addresses in a text.
func parts(text string) (all []part) {
	for text != "" {
		i := strings.Index(text, "http")
		if i < 0 {
			return append(all, part{Text: text})
		}
		end := strings.IndexAny(text[i:], " \n")
		if end < 0 {
			end = len(text) - i
		}
		all = append(all, part{Text: text[:i]})
		if word := text[i : i+end]; strings.HasPrefix(word, "http://") || strings.HasPrefix(word, "https://") {
			all = append(all, part{word, word})
		} else {
			all = append(all, part{Text: word})
		}
		text = text[i+end:]
	}
	return all
}
