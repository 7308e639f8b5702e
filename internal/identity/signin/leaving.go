package signin

import (
	"html/template"
	"net/http"

	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
	"github.com/cardea-id/cardea/internal/web/look"
)

// leavingPage lets the browser tell applications that somebody has signed out,
// and goes on by itself when all have answered, since browsers refresh a page when
// all of it is loaded. Where one does not answer, a script goes on after some
// seconds; without scripts there is a link.
type leavingPage struct {
	*look.Page
	Frames []string
	Target string
	Link   template.URL // Target, which may be an address of a program on this device
	Place  string
}

// left goes on to target after a session that has ended, by way of a page where
// applications are to be told by this browser. The caller has checked target.
// byForm says that a form of ours led here.
func (s *Server) left(w http.ResponseWriter, r *http.Request, frames []string, target string, byForm bool) error {
	switch {
	case len(frames) > 0:
		p := leavingPage{Page: s.page(w, r, nil, ""), Frames: frames, Target: target, Link: template.URL(target)}
		if webLink(target) != "" {
			p.Place = place(target)
		}
		p.Title, p.Passing = p.T("leaving.title"), true
		web.FormTargets(w)
		web.Frames(w, frames)
		return s.look.Render(w, http.StatusOK, "leaving", p)
	case byForm:
		return s.Onward(w, r, target, "")
	}
	web.See(w, target)
	return nil
}

// frames are what this browser must load for the applications of a session to
// learn that it ends.
func (s *Server) frames(r *http.Request, e *session.Session) ([]string, error) {
	if s.Frames == nil {
		return nil, nil
	}
	re := realm.From(r.Context())
	return s.Frames(r.Context(), re.Name, re.Issuer, e.ID)
}
