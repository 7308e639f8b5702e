package signin

import (
	"net/http"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// handoverPage carries an answer to an application through a form that sends
// itself, or by a button where scripts do not run.
type handoverPage struct {
	*look.Page
	Target string
	Place  string
	Fields [][2]string
}

// FormPost answers with a page that posts the fields to target (OAuth 2.0 Form
// Post Response Mode). The caller has checked target.
func (s *Server) FormPost(w http.ResponseWriter, r *http.Request, target string, fields [][2]string) error {
	if webLink(target) == "" {
		return fault.New(fault.Invalid, "form_post_impossible", "an answer can be posted to a web address only")
	}
	p := handoverPage{Page: s.page(w, r, nil, ""), Target: target, Place: place(target), Fields: fields}
	p.Title, p.Passing = p.T("handover.title"), true
	web.FormTargets(w, target)
	return s.look.Render(w, http.StatusOK, "handover", p)
}

// webLink is u if it may stand in a link: an address of the web.
func webLink(u string) string {
	if strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://") {
		return u
	}
	return ""
}
