package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// onwardPage sends the browser on by itself, and has a link for those whose
// browser does not.
type onwardPage struct {
	*look.Page
	Target string
	Place  string
}

// Onward leads the browser, with GET, from a form of ours to an address of an
// application that the caller has checked; languages are those it asked for.
// Browsers hold all redirections after a form to its page's form-action (CSP
// Level 3), the application's own ones included, so the form ends at a page that
// goes on by itself. To a program on this device, which leads no further, it is
// a redirection that the page with the form must allow.
func (s *Server) Onward(w http.ResponseWriter, r *http.Request, target, languages string) error {
	if webLink(target) == "" {
		web.See(w, target)
		return nil
	}
	p := onwardPage{Page: s.page(w, r, &flow{Flow: Flow{UILocales: languages}}, ""), Target: target, Place: place(target)}
	p.Title, p.Passing = p.T("handover.title"), true
	web.FormTargets(w)
	return s.look.Render(w, http.StatusOK, "onward", p)
}

// allow lets the forms of a page lead to target, where that is a program on
// this device. Addresses of the web are reached by way of Onward.
func allow(w http.ResponseWriter, target string) {
	if target == "" || webLink(target) != "" {
		web.FormTargets(w)
		return
	}
	web.FormTargets(w, target)
}
