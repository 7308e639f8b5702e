package account

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/web"
)

// profilePage changes what people may change about themselves (LC-04): how they
// are called, and their language. What an operator vouches for is shown.
type profilePage struct {
	frame
	Username   string
	Emails     []principal.Email
	Name       string
	GivenName  string
	FamilyName string
	Language   string
	Version    int64
	Wrong      map[string]string // by field
	// ChangesEmail says that there is a page to change the address.
	ChangesEmail bool
}

func (s *Server) profile(w http.ResponseWriter, r *http.Request, v *visit) error {
	me, err := s.People.ByID(r.Context(), v.realm.Name, v.Principal)
	if err != nil {
		return err
	}
	return s.showProfile(w, r, v, http.StatusOK, me, profilePage{Name: me.DisplayName, GivenName: me.Profile.GivenName, FamilyName: me.Profile.FamilyName,
		Language: s.language(me.Locale)})
}

func (s *Server) showProfile(w http.ResponseWriter, r *http.Request, v *visit, status int, me *principal.Principal, p profilePage) error {
	v.person = me
	p.frame = s.begin(w, r, v, "account.profile")
	p.Username, p.Emails, p.ChangesEmail = me.Name, me.Emails, s.Pages.ChangesEmail()
	return s.look.Render(w, status, "profile", p)
}

// language is the one of ours that a locale means, "" where it says nothing.
func (s *Server) language(locale string) string {
	if locale == "" {
		return ""
	}
	return s.Words.Match(locale).Tag()
}

func (s *Server) changeProfile(w http.ResponseWriter, r *http.Request, v *visit, form web.Params) error {
	me, err := s.People.ByID(r.Context(), v.realm.Name, v.Principal)
	if err != nil {
		return err
	}
	p := profilePage{Name: form.Get("name"), GivenName: form.Get("given_name"), FamilyName: form.Get("family_name"), Language: form.Get("language")}
	profile := me.Profile
	profile.GivenName, profile.FamilyName = p.GivenName, p.FamilyName
	change := principal.Change{DisplayName: &p.Name, Profile: &profile}
	if p.Language != s.language(me.Locale) { // a locale that says more than the language stays
		if p.Language != "" && s.Words.Match(p.Language).Tag() != p.Language {
			return fault.New(fault.Invalid, "language_unknown", "there is no such language")
		}
		change.Locale = &p.Language
	}
	_, err = s.People.Update(r.Context(), v.by, v.realm.Name, v.Principal, me.Version, change)
	if fault.Is(err, fault.Invalid) {
		p.Wrong = map[string]string{}
		for field, key := range map[string]string{"display_name_invalid": "name", "given_name_invalid": "given_name", "family_name_invalid": "family_name"} {
			if fault.Code(err) == field {
				p.Wrong[key] = s.begin(w, r, v, "account.profile").T("problem.profile")
			}
		}
		if len(p.Wrong) > 0 {
			return s.showProfile(w, r, v, http.StatusUnprocessableEntity, me, p)
		}
	}
	if err != nil {
		return err
	}
	return done(w, r, "profile")
}
