package account

import (
	"net/http"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// visit is a request of somebody who is signed in. Whatever a handler reads or
// changes is chosen by what is in here, never by an id of the request alone.
type visit struct {
	*session.Session
	realm  *realm.Realm
	person *principal.Principal
	by     audit.Actor
}

// visitor is whoever the browser's current account is, nil for nobody.
func (s *Server) visitor(r *http.Request) (*visit, error) {
	current, err := s.Pages.Current(r)
	if current == nil || err != nil {
		return nil, err
	}
	v := &visit{Session: current, realm: realm.From(r.Context()), by: signin.Actor(r, current)}
	v.person, err = s.People.Cached(r.Context(), v.realm.Name, v.Principal)
	return v, err
}

// page shows something to somebody who is signed in, and lets others sign in
// first.
func (s *Server) page(show func(w http.ResponseWriter, r *http.Request, v *visit) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		v, err := s.visitor(r)
		if err != nil {
			return err
		}
		if in, err := s.admitted(w, r, v); !in || err != nil {
			return err
		}
		return show(w, r, v)
	}
}

// admitted reports whether there is a visitor whose session is as good as the
// realm wants one to be today (MF-06). Whoever is not is led to the gate, and
// comes back.
func (s *Server) admitted(w http.ResponseWriter, r *http.Request, v *visit) (bool, error) {
	f := signin.Flow{Return: r.URL.Path}
	if v != nil {
		f.Subject = v.Principal
		enough, err := s.Pages.Suffices(r, v.Session, f)
		if enough || err != nil {
			return enough, err
		}
	}
	return false, s.Pages.Begin(w, r, f)
}

// form takes what somebody sends who is signed in, from a page that was shown to
// the same account in the same browser.
func (s *Server) form(take func(w http.ResponseWriter, r *http.Request, v *visit, form web.Params) error) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := web.Form(w, r)
		if err != nil {
			return err
		}
		v, err := s.visitor(r)
		if err != nil {
			return err
		}
		if in, err := s.admitted(w, r, v); !in || err != nil {
			return err
		}
		if err := s.Pages.CheckForm(r, purpose(r, v), form.Get("form")); err != nil {
			return err
		}
		return take(w, r, v, form)
	}
}

// purpose ties a form to its page and to the account to which it was shown:
// whoever switches accounts in another tab does not decide for the other one.
func purpose(r *http.Request, v *visit) string { return r.URL.Path + " " + v.ID }

// frame is what all pages share.
type frame struct {
	*look.Page
	Form string
	Who  look.Who
	At   string // the path of the page, for the menu
	Said string // what was just done, in words
	// Passwords says that they count in the realm: where they do not, nothing is
	// said of them.
	Passwords bool
}

// begin begins a page. The query parameter done names what was just done.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, v *visit, title string) frame {
	f := frame{Page: s.look.Page(w, r, signin.SiteOf(r), "", v.person.Locale), Who: signin.Person(v.person), At: r.URL.Path}
	f.Title, f.Passwords = f.T(title), passwordsCount(v.realm)
	f.Form = s.Pages.FormToken(w, r, purpose(r, v))
	if done := r.URL.Query().Get("done"); done != "" && f.Has("account.done."+done) {
		f.Said = f.T("account.done." + done)
	}
	return f
}

// done goes back to the page that a form came from, which says what was done.
func done(w http.ResponseWriter, r *http.Request, what string) error {
	web.See(w, realm.From(r.Context()).Path+r.URL.Path+"?done="+what)
	return nil
}

// section is an entry of the menu.
type section struct {
	Path, Key, Icon string
	Current         bool
}

// Menu lists the pages.
func (f frame) Menu() []section {
	menu := []section{{Path: Path, Key: "account.overview", Icon: "home"}, {Path: pathFactors, Key: "account.factors", Icon: "shield"}, {Path: pathPassword, Key: "account.password", Icon: "key"},
		{Path: pathDevices, Key: "account.devices", Icon: "device"}, {Path: pathActivity, Key: "account.activity", Icon: "clock"},
		{Path: pathApps, Key: "account.apps", Icon: "app"}, {Path: pathProfile, Key: "account.profile", Icon: "person"},
		{Path: pathHelp, Key: "account.help", Icon: "help"}}
	if !f.Passwords {
		menu = slices.DeleteFunc(menu, func(one section) bool { return one.Path == pathPassword })
	}
	for i := range menu {
		menu[i].Current = menu[i].Path == f.At || menu[i].Path == pathFactors && strings.HasPrefix(f.At, pathFactors)
	}
	return menu
}
