package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// dataPage lets people take their data along, and delete their account.
type dataPage struct {
	managePage
	Leaves bool
	Days   int // for which a deletion can be taken back
}

func (s *Server) showData(w http.ResponseWriter, r *http.Request) error {
	a, err := s.managing(w, r, PathData)
	if a == nil || err != nil {
		return err
	}
	var p dataPage
	if p.managePage, err = s.managePage(w, r, a, "data"); err != nil {
		return err
	}
	re := realm.From(r.Context())
	p.Leaves, p.Days = s.Desk.Leaves(re), max(1, int(re.Settings.DeletionGrace.Hours())/24)
	return s.look.Render(w, http.StatusOK, "data", p)
}

// download answers with everything about the person as a file.
func (s *Server) download(w http.ResponseWriter, r *http.Request, a *account, _ web.Params) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Disposition", `attachment; filename="account.json"`)
	return s.Desk.Export(r.Context(), w, realm.From(r.Context()), a.Principal)
}

// leave has the account deleted. It says when that is, to somebody who is
// signed out by then.
func (s *Server) leave(w http.ResponseWriter, r *http.Request, a *account, form web.Params) error {
	if form.Get("sure") != "yes" {
		web.See(w, realm.From(r.Context()).Path+PathData)
		return nil
	}
	due, err := s.Desk.Leave(r.Context(), a.actor(r), realm.From(r.Context()), a.Principal)
	if err != nil {
		return err
	}
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	s.setAccounts(w, r, all)
	p := outstandingPage{Page: s.page(w, r, nil, ""), Due: due}
	p.Title = p.T("farewell.title")
	return s.look.Render(w, http.StatusOK, "farewell", p)
}
