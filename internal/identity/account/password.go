package account

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// passwordPage changes a password.
type passwordPage struct {
	frame
	Username  string // for password managers
	Has       bool   // there is a password
	Free      bool   // it is not asked for: see signin.Server.ChoosesPassword
	Prove     bool   // its owner can get there
	Since     moment
	MinLength int
	Keep      bool // the other devices are to stay signed in
	Problem   string
	Wrong     map[string]string // by field
}

// Focus is the field to begin with: the first that is wrong, else none, so that
// the page is read from its top.
func (p passwordPage) Focus() string {
	switch {
	case p.Wrong["new"] != "":
		return "new"
	case p.Free:
		return ""
	case p.Problem != "":
		return "password"
	}
	return ""
}

func (s *Server) password(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.showPassword(w, r, v, http.StatusOK, passwordPage{})
}

func (s *Server) showPassword(w http.ResponseWriter, r *http.Request, v *visit, status int, p passwordPage) error {
	if !passwordsCount(v.realm) {
		return life.NotOffered()
	}
	all, err := s.Credentials.List(r.Context(), v.realm.Name, v.Principal)
	if err != nil {
		return err
	}
	p.frame = s.begin(w, r, v, "account.password")
	for _, c := range all {
		if c.Type == credential.Password {
			p.Has, p.Since = true, s.moment(p.Page, c.CreatedAt)
		}
	}
	if p.Free, err = s.Pages.ChoosesPassword(r, v.Session); err != nil {
		return err
	}
	p.Prove = !p.Free && (!p.Has || v.realm.Settings.AllowsFactor(string(credential.Passkey)) &&
		slices.ContainsFunc(all, func(c credential.Credential) bool { return c.Type == credential.Passkey }))
	if !p.Has {
		p.Title = p.T("password.choose")
	}
	p.MinLength = v.realm.Settings.PasswordMinLength
	if p.Username = v.person.Name; p.Username == "" {
		p.Username = v.person.Email().Address
	}
	return s.look.Render(w, status, "password", p)
}

// changePassword asks for the present password, or for what takes its place
// (PW-06), and ends every other session unless told not to (SE-08).
func (s *Server) changePassword(w http.ResponseWriter, r *http.Request, v *visit, form web.Params) error {
	if !passwordsCount(v.realm) {
		return life.NotOffered()
	}
	if form.Get("do") == "prove" { // and back to this page
		return s.Pages.Begin(w, r, signin.Flow{Return: pathPassword, Subject: v.Principal, Manage: true})
	}
	change := signin.PasswordChange{Proved: form.Get("do") == "choose", Current: secret.Text(form.Get("password")), Next: secret.Text(form.Get("new")), Everywhere: form.Get("keep") == ""}
	err := s.Pages.ChangePassword(w, r, v.Session, change)
	if err == nil {
		return done(w, r, "password")
	}
	if grant.Committed(err) {
		return err // changed, and not yet known everywhere
	}
	p := passwordPage{Keep: !change.Everywhere}
	if words := s.Pages.PasswordProblem(w, r, err); words != "" {
		p.Wrong = map[string]string{"new": words}
		return s.showPassword(w, r, v, http.StatusUnprocessableEntity, p)
	}
	status, words := s.Pages.Problem(w, r, err)
	if words == "" {
		return err
	}
	p.Problem = words
	return s.showPassword(w, r, v, status, p)
}

// passwordsCount reports whether people can sign in with a password. Where they cannot,
// no page is of passwords.
func passwordsCount(re *realm.Realm) bool {
	return re.Settings.AllowsFactor(string(credential.Password))
}

// hasPassword reports whether somebody has a password, where passwords count.
func (s *Server) hasPassword(r *http.Request, person string) (bool, error) {
	re := realm.From(r.Context())
	if !passwordsCount(re) {
		return false, nil
	}
	all, err := s.Credentials.List(r.Context(), re.Name, person)
	return slices.ContainsFunc(all, func(c credential.Credential) bool { return c.Type == credential.Password }), err
}
