package signin

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/web/look"
)

// homePage is what the issuer's own address shows.
type homePage struct {
	*look.Page
	Accounts []choice
}

func (s *Server) home(w http.ResponseWriter, r *http.Request) error {
	list, err := s.choices(r)
	if err != nil {
		return err
	}
	p := homePage{Page: s.page(w, r, nil, ""), Accounts: list}
	p.Title = p.T("home.title")
	return s.look.Render(w, http.StatusOK, "home", p)
}
