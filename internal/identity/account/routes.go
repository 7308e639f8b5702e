package account

import (
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/web"
)

// The addresses of the pages. What a page sends goes to its own address, so that
// somebody who must sign in first comes back to it.
const (
	Path         = "/account"
	pathDevices  = Path + "/devices"
	pathActivity = Path + "/activity"
	pathApps     = Path + "/applications"
	pathPassword = Path + "/password"
	pathProfile  = Path + "/profile"
	pathFactors  = Path + "/factors"
	pathFactor   = pathFactors + "/{id}"
	pathHelp     = Path + "/help"
	// PathNotMe is where people say that something was not them: whoever is signed
	// in, or holds a link for it (?link=…).
	PathNotMe = Path + "/not-me"
)

// Mount mounts the pages. root is a Mux of web.NewMux.
func (s *Server) Mount(root *web.Mux) {
	m := root.Door("account", s.Pages.Fail, web.Page, web.Rate(signin.RatePage))
	m.Handle("GET /{$}", s.home)
	m.Handle("GET "+Path, s.page(s.overview))
	m.Handle("GET "+pathDevices, s.page(s.devices))
	m.Handle("POST "+pathDevices, s.form(s.endSessions))
	m.Handle("GET "+pathActivity, s.page(s.activity))
	m.Handle("GET "+pathApps, s.page(s.apps))
	m.Handle("POST "+pathApps, s.form(s.endApp))
	m.Handle("GET "+pathPassword, s.page(s.password))
	m.Handle("POST "+pathPassword, s.form(s.changePassword), web.Rate(signin.RateGuess))
	m.Handle("GET "+pathProfile, s.page(s.profile))
	m.Handle("POST "+pathProfile, s.form(s.changeProfile))
	m.Handle("GET "+pathFactors, s.page(s.factors))
	m.Handle("POST "+pathFactors, s.form(s.addFactor))
	m.Handle("GET "+pathFactor, s.page(s.factor))
	m.Handle("POST "+pathFactor, s.form(s.changeFactor))
	m.Handle("GET "+pathHelp, s.help)
	m.Handle("GET "+PathNotMe, s.notMe)
	m.Handle("POST "+PathNotMe, s.disown, web.Rate(signin.RateGuess))
	m.Handle("GET /.well-known/change-password", s.wellKnownPassword)
}
