package signin

import "github.com/cardea-id/cardea/internal/web"

// Rate classes, counted per address.
const (
	RatePage  = "page"  // showing a page
	RateGuess = "guess" // sending one that tries a secret
	RateFlow  = "flow"  // beginning a flow, which strangers make us write down
	// RateLetter is having a letter sent, or all of somebody's data written.
	RateLetter = "letter"
)

// Mount mounts the pages. m is a Mux of web.NewMux; all routes are pages.
func (s *Server) Mount(root *web.Mux) {
	m := root.Door("signin", s.Fail, web.Page, web.Rate(RatePage))
	forgot, register, finish, invited := forgotPage(), registerPage(), finishPage(), invitationPage()
	m.Handle("GET /signin", s.askPassword)
	m.Handle("POST /signin", s.checkPassword, web.Rate(RateGuess))
	m.Handle("GET "+pathRenew, s.askRenew)
	m.Handle("POST "+pathRenew, s.renewPassword, web.Rate(RateGuess))
	if s.Passkeys != nil {
		m.Handle("POST "+pathPasskey, s.checkPasskey, web.Rate(RateGuess))
		m.Handle("GET "+pathNewPasskey, s.addPasskey)
		m.Handle("GET /.well-known/webauthn", s.relatedOrigins)
		m.Handle("GET /.well-known/passkey-endpoints", s.wellKnownPasskeys)
	}
	m.Handle("GET "+pathMailCode, s.askMailCode)
	m.Handle("POST "+pathMailCode, s.checkMailCode, web.Rate(RateGuess))
	m.Handle("GET "+pathMailLink, s.openMailLink)
	m.Handle("GET "+pathMailed, s.askMailed)
	m.Handle("POST "+pathMailed, s.sendMailed, web.Rate(RateLetter))
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
	if s.Desk != nil {
		m.Handle("GET /set-password", s.askNewPassword)
		m.Handle("POST /set-password", s.setNewPassword, web.Rate(RateGuess))
		m.Handle("GET /forgot", forgot.show(s))
		m.Handle("POST /forgot", forgot.send(s), web.Rate(RateLetter))
		m.Handle("GET /register", register.show(s))
		m.Handle("POST /register", register.send(s), web.Rate(RateLetter))
		m.Handle("GET "+finish.path, finish.show(s))
		m.Handle("POST "+finish.path, finish.finish(s), web.Rate(RateGuess))
		m.Handle("GET "+invited.path, invited.show(s))
		m.Handle("POST "+invited.path, invited.finish(s), web.Rate(RateGuess))
		m.Handle("GET /undo-email", s.askUndo)
		m.Handle("POST /undo-email", s.undo, web.Rate(RateGuess))
		m.Handle("GET "+pathKeep, s.showOutstanding(stepKeep, "keep"))
		m.Handle("POST "+pathKeep, s.decideOutstanding(stepKeep, "keep", s.keepAccount))
		m.Handle("GET "+PathEmail, s.showEmail)
		m.Handle("POST "+PathEmail, s.manage(PathEmail, "email", s.changeEmail), web.Rate(RateLetter))
		m.Handle("GET "+pathConfirm, s.askConfirm)
		m.Handle("POST "+pathConfirm, s.confirm)
		m.Handle("GET "+PathData, s.showData)
		m.Handle("POST "+PathData, s.manage(PathData, "data", s.download), web.Rate(RateLetter))
		m.Handle("POST "+pathLeave, s.manage(PathData, "data", s.leave), web.Rate(RateGuess))
	}
	if s.Terms != nil {
		m.Handle("GET "+pathTerms, s.showOutstanding(stepTerms, "terms"))
		m.Handle("POST "+pathTerms, s.decideOutstanding(stepTerms, "terms", s.acceptTerms))
	}
}
