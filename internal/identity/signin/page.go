package signin

import (
	"hash/fnv"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web/look"
)

// page begins a page in the language that suits the flow and the account.
func (s *Server) page(w http.ResponseWriter, r *http.Request, f *flow, locale string) *look.Page {
	site := look.Site{Name: "Cardea"}
	if re := realm.From(r.Context()); re != nil {
		site = look.Site{Name: re.DisplayName, Path: re.Path, Language: re.Settings.DefaultLanguage}
	}
	return s.look.Page(w, r, site, f.asked(), locale)
}

// who is how a person or an application is shown.
type who struct {
	Name, Detail, Initial string
	Tint                  int
}

func person(p *principal.Principal) who {
	v := who{Name: p.DisplayName, Detail: p.Email().Address, Tint: tint(p.ID)}
	if v.Detail == "" {
		v.Detail = p.Name
	}
	for _, name := range []string{strings.TrimSpace(p.Profile.GivenName + " " + p.Profile.FamilyName), p.Name, v.Detail} {
		if v.Name == "" {
			v.Name = name
		}
	}
	if v.Detail == v.Name {
		v.Detail = ""
	}
	v.Initial = initial(v.Name)
	return v
}

func application(c *client.Client) who {
	return who{Name: c.Name, Initial: initial(c.Name), Tint: tint(c.ID)}
}

// initial is the first letter or digit of a name.
func initial(name string) string {
	for _, c := range name {
		if unicode.IsLetter(c) || unicode.IsDigit(c) {
			return string(unicode.ToUpper(c))
		}
	}
	return "·"
}

// tint gives an id one of six colours, always the same.
func tint(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() % 6)
}

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

// field is a password field of a page.
type field struct {
	Name, Autocomplete, Label, Described string
	Focus, Invalid                       bool
}

// words are the parts that password fields need of a page.
type words struct{ *look.Page }

// Secret describes a password field. described are the ids of what explains it.
func (p words) Secret(name, autocomplete string, focus, invalid bool, described ...string) field {
	if !invalid && len(described) > 1 {
		described = described[1:] // the first says what is wrong
	}
	return field{name, autocomplete, p.T("field.password.show"), strings.Join(described, " "), focus, invalid}
}

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
