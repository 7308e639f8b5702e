package signin

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web/look"
)

// page begins a page in the language that suits the flow and the account.
func (s *Server) page(w http.ResponseWriter, r *http.Request, f *flow, locale string) *look.Page {
	return s.look.Page(w, r, SiteOf(r), f.asked(), locale)
}

// SiteOf is whose page it is that a request asks for.
func SiteOf(r *http.Request) look.Site {
	re := realm.From(r.Context())
	if re == nil {
		return look.Site{Name: "Cardea"}
	}
	return look.Site{Name: re.DisplayName, Path: re.Path, Language: re.Settings.DefaultLanguage}
}

type who = look.Who

// Person is how somebody is shown.
func Person(p *principal.Principal) look.Who {
	name, detail := p.DisplayName, p.Email().Address
	if detail == "" {
		detail = p.Name
	}
	for _, other := range []string{strings.TrimSpace(p.Profile.GivenName + " " + p.Profile.FamilyName), p.Name, detail} {
		if name == "" {
			name = other
		}
	}
	if detail == name {
		detail = ""
	}
	return look.NewWho(p.ID, name, detail)
}

func person(p *principal.Principal) who { return Person(p) }

// Application is how an application is shown.
func Application(c *client.Client) look.Who { return look.NewWho(c.ID, c.Name, "") }

func application(c *client.Client) who { return Application(c) }

// who looks an account's owner up. It answers from memory.
func (s *Server) who(r *http.Request, id string) (*principal.Principal, who, error) {
	p, err := s.People.Cached(r.Context(), realm.From(r.Context()).Name, id)
	if err != nil {
		return nil, who{}, err
	}
	return p, person(p), nil
}

// client is the flow's application, nil when there is none.
func (s *Server) client(r *http.Request, f *flow) (*client.Client, error) {
	if f == nil || f.Client == "" {
		return nil, nil
	}
	if rl := realm.From(r.Context()); s.Application != nil {
		return s.Application(r.Context(), rl, f.Client)
	}
	return s.Clients.ByID(r.Context(), realm.From(r.Context()).Name, f.Client)
}

// clientName is its name, "" without a flow.
func (s *Server) clientName(r *http.Request, f *flow) (string, error) {
	c, err := s.client(r, f)
	if c == nil || err != nil {
		return "", err
	}
	return c.Name, nil
}

// place is how the host behind a URI is named to people: the host, or the
// scheme of an application on this device.
func place(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || uri == "" {
		return ""
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return u.Scheme + ":"
	}
	return u.Host
}

// words are what pages with password fields embed.
type words struct{ *look.Page }

// focus is the field to begin with: the first that is wrong, else the first.
func focus(wrong map[string]string, fields ...string) string {
	for _, f := range fields {
		if wrong[f] != "" {
			return f
		}
	}
	return fields[0]
}

// bounded cuts what somebody typed to what a page can hold.
func bounded(s string, most int) string {
	for i := range s {
		if i >= most {
			return s[:i]
		}
	}
	if !utf8.ValidString(s) {
		return ""
	}
	return s
}
