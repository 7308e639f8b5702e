package console

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// The addresses of the pages. What a page sends goes to its own address.
const (
	Path           = "/console"
	pathPlayground = Path + "/playground"
	pathRoles      = Path + "/roles"
	// pathAgain and pathConfirm are where operators sign in again, in a tab beside the
	// page whose draft they keep: as they like, or as it takes to do what is dangerous.
	pathAgain   = Path + "/again"
	pathConfirm = Path + "/confirm"
)

// Mount mounts the pages. root is a Mux of web.NewMux.
func (s *Server) Mount(root *web.Mux) {
	m := root.Door("console", s.Pages.Fail, web.Page, web.Rate(signin.RatePage))
	m.Handle("GET "+Path, func(w http.ResponseWriter, r *http.Request) error {
		web.See(w, realm.From(r.Context()).Path+pathPlayground)
		return nil
	})
	m.Handle("GET "+pathPlayground, s.page(s.playground))
	m.Handle("POST "+pathPlayground, s.play)
	m.Handle("GET "+pathRoles, s.page(s.roles))
	m.Handle("POST "+pathRoles, s.changeRoles)
	m.Handle("GET "+pathAgain, s.page(s.back))
	m.Handle("GET "+pathConfirm, s.confirm)
}
