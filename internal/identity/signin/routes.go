package signin

import "github.com/cardea-id/cardea/internal/web"

// Rate classes, counted per address.
const (
	RatePage  = "page"  // showing a page
	RateGuess = "guess" // sending one that tries a secret
	RateFlow  = "flow"  // beginning a flow, which strangers make us write down
)

// Mount mounts the pages. m is a Mux of web.NewMux; all routes are pages.
func (s *Server) Mount(root *web.Mux) {
	m := root.Door("signin", s.Fail, web.Page, web.Rate(RatePage))
	m.Handle("GET /signin", s.askPassword)
	m.Handle("POST /signin", s.checkPassword, web.Rate(RateGuess))
	m.Handle("POST /signin/renew", s.renewPassword, web.Rate(RateGuess))
	m.Handle("GET "+pathFactor, s.askFactor)
	m.Handle("POST "+pathFactor, s.checkFactor, web.Rate(RateGuess))
	m.Handle("GET "+pathEnrol, s.askEnrol)
	m.Handle("POST "+pathEnrol, s.enrol, web.Rate(RateGuess))
	m.Handle("GET "+pathStuck, s.showStuck)
	m.Handle("POST "+pathStuck, s.leaveStuck)
	m.Handle("GET /accounts", s.listAccounts)
	m.Handle("POST /accounts", s.chooseAccount)
	m.Handle("GET /consent", s.askConsent)
	m.Handle("POST /consent", s.decideConsent)
	m.Handle("GET "+PathDevice, s.askCode)
	m.Handle("POST "+PathDevice, s.checkCode, web.Rate(RateGuess))
	m.Handle("GET "+pathDeviceDecided, s.deviceDecided)
	m.Handle("GET "+PathApprovals, s.listApprovals)
	m.Handle("POST "+PathApprovals, s.decideApproval)
	m.Handle("GET /signout", s.askSignOut)
	m.Handle("POST /signout", s.signOut)
	m.Handle("GET /signedout", s.signedOut)
	m.Handle("GET "+PathCheckSession, s.checkSession)
	if s.SetUp != nil {
		m.Handle("GET /setup", s.askSetup)
		m.Handle("POST /setup", s.doSetup, web.Rate(RateGuess))
	}
	if s.Links != nil {
		m.Handle("GET /set-password", s.askNewPassword)
		m.Handle("POST /set-password", s.setNewPassword, web.Rate(RateGuess))
	}
}
