package account

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/identity/life"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// home is the issuer's own address: it welcomes strangers, and leads everybody
// else to their account.
func (s *Server) home(w http.ResponseWriter, r *http.Request) error {
	v, err := s.visitor(r)
	if err != nil {
		return err
	}
	if v != nil {
		web.See(w, v.realm.Path+Path)
		return nil
	}
	p := struct{ *look.Page }{s.look.Page(w, r, signin.SiteOf(r), "", "")}
	p.Title = p.T("home.title")
	return s.look.Render(w, http.StatusOK, "home", p)
}

// wellKnownPassword leads password managers to where a password is changed (A
// Well-Known URL for Changing Passwords, W3C). Where passwords do not count there is
// nothing to lead to.
func (s *Server) wellKnownPassword(w http.ResponseWriter, r *http.Request) error {
	re := realm.From(r.Context())
	if !passwordsCount(re) {
		return life.NotOffered()
	}
	web.See(w, re.Path+pathPassword)
	return nil
}
