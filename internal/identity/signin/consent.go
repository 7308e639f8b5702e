package signin

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/i18n"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web/look"
)

// consentPage asks somebody whether an application may have what it asks for.
type consentPage struct {
	*look.Page
	Form, Flow string
	Client     who
	Who        who
	Scopes     []scope
	Resources  []resource
	Details    []detail.Words
	Place      string // where the answer goes, "" where that is a device
	Device     *Device
	Minutes    int    // since the device asked
	Notice     string // what to be careful about; "" where whoever runs the realm answers for the application
	Policy     string // its privacy policy, if any
	Terms      string
}

// Scope is a scope in words.
type Scope struct {
	Name          string
	Words, Detail string // Detail is empty for a scope of somebody else's
}

type scope = Scope

func (s *Server) askConsent(w http.ResponseWriter, r *http.Request) error {
	f, err := s.flow(r, r.URL.Query().Get("flow"))
	if err != nil {
		return err
	}
	if f == nil {
		return noFlow()
	}
	at, using, err := s.stepOf(r, f)
	if err != nil {
		return err
	}
	if at != stepConsent {
		return s.next(w, r, f)
	}
	c, err := s.client(r, f)
	if err != nil {
		return err
	}
	if c == nil {
		return noFlow()
	}
	known, shown, err := s.who(r, using.Principal)
	if err != nil {
		return err
	}
	p := consentPage{Page: s.page(w, r, f, known.Locale), Flow: f.text, Client: application(c), Who: shown, Place: place(f.RedirectURI),
		Policy: webLink(c.PolicyURI), Terms: webLink(c.TermsURI)}
	p.Title, p.Wide = p.T("consent.title", "client", c.Name), true
	switch {
	case c.FirstParty:
	case c.BuiltIn: // it is ours, but any program on the device may say that it is it
		p.Notice = p.T("consent.started")
	case c.Source == client.FromDocument: // whose word it is what it is
		p.Notice = p.T("consent.document", "realm", p.Site.Name, "host", client.DocumentHost(c.ID))
	case c.Source == client.FromRegistration:
		p.Notice = p.T("consent.itself", "realm", p.Site.Name)
	default:
		p.Notice = p.T("consent.unverified", "realm", p.Site.Name)
	}
	if p.Device = f.Device; p.Device != nil {
		p.Minutes = int(s.DB.Now().Sub(p.Device.Asked).Minutes())
	}
	if p.Details, err = s.details(r, f.Details, p.Locale.Tag()); err != nil {
		return err
	}
	if p.Resources, err = s.resources(r, f.Resources); err != nil {
		return err
	}
	p.Scopes = InWords(p.Locale, f.Consent, understoodBy(p.Resources))
	p.Form = s.forms.Token(w, r, s.purpose(r, consentOf(f, using)))
	f.allow(w)
	return s.look.Render(w, http.StatusOK, "consent", p)
}

// details puts what is asked for in detail into words of the page's language.
func (s *Server) details(r *http.Request, text, language string) ([]detail.Words, error) {
	if text == "" {
		return nil, nil
	}
	list, err := detail.Parse(text)
	if err != nil {
		return nil, err
	}
	return s.Details.Words(r.Context(), realm.From(r.Context()).Name, language, list)
}

// resource is where what is agreed to will count.
type resource struct {
	Name, Address string
	scopes        []string // that it says it understands
}

// resources names the APIs that answer to the audiences of a flow.
func (s *Server) resources(r *http.Request, audiences []string) ([]resource, error) {
	var list []resource
	for _, audience := range audiences {
		c, err := s.Clients.ByAudience(r.Context(), realm.From(r.Context()).Name, audience)
		if err != nil {
			return nil, err
		}
		one := resource{Address: audience}
		if c != nil {
			one.Name, one.scopes = c.Name, c.ResourceScopes
		}
		list = append(list, one)
	}
	return list, nil
}

// consentOf ties the form to what it showed: this flow, this account. Whoever
// switches accounts in another tab does not agree for the other account.
func consentOf(f *flow, a *account) string { return "consent " + f.text + " " + a.ID }

// order is how scopes that we know are told: from who one is to what stays.
// Those we do not know come before the last.
var order = [...]string{"openid", "profile", "email", "phone", "address", "cardea:admin", "", "offline_access"}

// understoodBy names the APIs that a scope means something to: those that say so,
// or the only one that it will count at.
func understoodBy(all []resource) func(scope string) string {
	return func(scope string) string {
		var names []string
		for _, one := range all {
			if len(all) == 1 || slices.Contains(one.scopes, scope) {
				names = append(names, cmp.Or(one.Name, one.Address))
			}
		}
		return strings.Join(names, ", ")
	}
}

// InWords puts scopes into words. Those that are not Cardea's are told by their
// names, and by the APIs that understand them, "" where that is not known.
func InWords(l *i18n.Locale, scopes []string, understoodBy func(scope string) string) []Scope {
	var list []Scope
	for _, known := range order {
		for _, name := range scopes {
			switch {
			case name == known:
				key := "scope." + name
				list = append(list, scope{name, l.T(key), l.T(key + ".detail")})
			case known == "" && !slices.Contains(order[:], name):
				words := l.T("scope.other", "scope", name)
				if api := understoodBy(name); api != "" {
					words = l.T("scope.other.at", "scope", name, "api", api)
				}
				list = append(list, scope{Name: name, Words: words})
			}
		}
	}
	return list
}

// decideConsent notes the decision. Anything but "allow" is no.
func (s *Server) decideConsent(w http.ResponseWriter, r *http.Request) error {
	form, f, err := s.form(w, r)
	if err != nil {
		return err
	}
	if f == nil {
		return noFlow()
	}
	at, using, err := s.stepOf(r, f)
	if err != nil {
		return err
	}
	if at != stepConsent {
		return s.next(w, r, f)
	}
	if err := s.forms.Check(r, s.purpose(r, consentOf(f, using)), form.Get("form")); err != nil {
		return err
	}
	// The account that was shown is the one that agreed, whatever becomes the
	// current one.
	f.Account = using.ID
	if form.Get("do") == "allow" {
		f.Agreed = using.ID
	} else {
		f.Denied = true
	}
	return s.saveAndNext(w, r, f)
}
