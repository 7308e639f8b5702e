package account

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// linkPurpose is that of the links in letters whose subject is the person.
const linkPurpose = once.Purpose("not_me")

// notMePage lets somebody say that something was not them, and tells afterwards
// what happened and what to do.
type notMePage struct {
	*look.Page
	Form, Link string
	Who        look.Who
	Done       bool
	Password   bool // there is a password, which must be changed
}

// alarm is somebody who may raise it: by a session of this browser, or by a link.
type alarm struct {
	person *principal.Principal
	by     audit.Actor
	link   string
	name   string // what ties the form to whom it was shown
}

// alarmed finds out who says it. Without either, a visitor has to sign in first.
func (s *Server) alarmed(r *http.Request, link string) (*alarm, error) {
	re := realm.From(r.Context())
	if link == "" {
		v, err := s.visitor(r)
		if v == nil || err != nil {
			return nil, err
		}
		return &alarm{person: v.person, by: v.by, name: "not-me " + v.ID}, nil
	}
	var known once.Value
	var outcome once.Outcome
	err := s.DB.View(r.Context(), re.Name, func(tx *db.Tx) (err error) {
		known, outcome, err = s.Once.Peek(tx, link, once.Use{Purpose: linkPurpose})
		return err
	})
	if err != nil {
		return nil, err
	}
	if outcome != once.OK {
		return nil, badLink()
	}
	who, err := s.People.Cached(r.Context(), re.Name, known.Subject)
	if fault.Is(err, fault.NotFound) || err == nil && who.State == principal.Deleted {
		return nil, badLink()
	}
	if err != nil {
		return nil, err
	}
	by := signin.Stranger(r)
	by.Kind, by.ID = "person", who.ID
	return &alarm{person: who, by: by, link: link, name: "not-me " + link}, nil
}

func badLink() error {
	return fault.New(fault.NotFound, "link_unknown", "this link is not good, or no longer")
}

// notMe asks first: programs that read mail open links, and change nothing so.
func (s *Server) notMe(w http.ResponseWriter, r *http.Request) error {
	a, err := s.alarmed(r, r.URL.Query().Get("link"))
	if err != nil {
		return err
	}
	if a == nil {
		return s.Pages.Begin(w, r, signin.Flow{Return: PathNotMe})
	}
	p, err := s.notMePage(w, r, a)
	if err != nil {
		return err
	}
	p.Form, p.Link = s.Pages.FormToken(w, r, a.name), a.link
	return s.look.Render(w, http.StatusOK, "notme", p)
}

func (s *Server) notMePage(w http.ResponseWriter, r *http.Request, a *alarm) (p notMePage, err error) {
	p = notMePage{Page: s.look.Page(w, r, signin.SiteOf(r), "", a.person.Locale), Who: signin.Person(a.person)}
	p.Title, p.Wide = p.T("notme.title"), true
	p.Password, err = s.hasPassword(r, a.person.ID)
	return p, err
}

// disown raises the alarm. A link is used up by it.
func (s *Server) disown(w http.ResponseWriter, r *http.Request) error {
	form, err := web.Form(w, r)
	if err != nil {
		return err
	}
	a, err := s.alarmed(r, form.Get("link"))
	if err != nil {
		return err
	}
	if a == nil {
		return s.Pages.Begin(w, r, signin.Flow{Return: PathNotMe})
	}
	if err := s.Pages.CheckForm(r, a.name, form.Get("form")); err != nil {
		return err
	}
	name := realm.From(r.Context()).Name
	use := func(tx *db.Tx) error {
		if a.link == "" {
			return nil
		}
		_, outcome, err := s.Once.Consume(tx, a.link, once.Use{Purpose: linkPurpose})
		if err == nil && outcome != once.OK {
			err = badLink()
		}
		return err
	}
	if err := s.Risk.Disown(r.Context(), a.by, name, a.person.ID, use); !grant.Committed(err) {
		return err
	}
	p, err := s.notMePage(w, r, a)
	if err != nil {
		return err
	}
	p.Done, p.Title, p.Passing = true, p.T("notme.done.title"), true
	return s.look.Render(w, http.StatusOK, "notme", p)
}
