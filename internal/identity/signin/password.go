package signin

import (
	"math"
	"net/http"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// signInPage asks for identifier and password at once, as password managers
// like it.
type signInPage struct {
	words
	Form, Flow string
	Client     string // name of the application, if any
	Cancel     bool   // there is somewhere to turn back to
	Chose      bool   // the password that is asked for was chosen right before
	Who        *who   // who is to confirm; nil: anybody
	Identifier string
	Others     bool        // there are accounts to choose from
	Forgot     bool        // a forgotten password can be reset by mail
	Register   bool        // strangers can make themselves an account
	Passwords  bool        // they count
	Passkey    *askPasskey // nil: passkeys do not count
	Sent       bool        // a passkey was, and refused: no other is offered unasked
	Gone       string      // what a device is told of a passkey that was removed, as JSON
	Mail       bool        // a code can be had by mail
	Problem    string
	Busy       bool // the problem is not the password
}

// Named reports whether the page asks who somebody is: a passkey says so itself.
func (p signInPage) Named() bool { return p.Passwords || p.Mail }

// Invalid reports whether the fields are what is wrong.
func (p signInPage) Invalid() bool { return p.Problem != "" && !p.Busy && !p.Sent }

// askPassword shows the page, unless there is nothing to ask.
func (s *Server) askPassword(w http.ResponseWriter, r *http.Request) error {
	f, err := s.flow(r, r.URL.Query().Get("flow"))
	if err != nil {
		return err
	}
	if f != nil {
		// The address alone does not lead here: another account was asked for,
		// or the dispatcher wants this step.
		at, _, err := s.stepOf(r, f)
		if err != nil {
			return err
		}
		if at != stepSignIn && r.URL.Query().Get("other") == "" {
			return s.next(w, r, f)
		}
	}
	return s.showSignIn(w, r, f, http.StatusOK, signInPage{})
}

// showSignIn fills in what the page needs besides what p says.
func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request, f *flow, status int, p signInPage) error {
	all, err := s.accounts(r)
	if err != nil {
		return err
	}
	locale := ""
	if f != nil && r.URL.Query().Get("other") == "" {
		at, err := s.where(r, f, all)
		if err != nil {
			return err
		}
		if at.step == stepSignIn && at.who != "" {
			// Whoever is signed in is to confirm it: their name is there already.
			known, shown, err := s.who(r, at.who)
			if err != nil {
				return err
			}
			p.Who, p.Identifier, locale = &shown, identifierOf(known.Name, known.Email().Address), known.Locale
		}
	}
	if f != nil && p.Identifier == "" {
		p.Identifier = f.LoginHint
	}
	p.Chose = f != nil && f.Chose
	if p.Client, err = s.clientName(r, f); err != nil {
		return err
	}
	p.Cancel = p.Client != "" || p.Who != nil && f.turnsBack() && !f.Offered
	p.Page = s.page(w, r, f, locale)
	if re := realm.From(r.Context()); s.Desk != nil {
		p.Forgot, p.Register = s.Desk.OffersReset(re), s.Desk.Registers(re)
	}
	p.Title, p.Others, p.Flow, p.Mail = p.T("signin.title"), len(all) > 0, f.id(), s.offersMail(r)
	p.Identifier = bounded(p.Identifier, 320)
	p.Form = s.forms.Token(w, r, s.purpose(r, "signin"))
	if p.Passkey, err = s.passkeyOnSignIn(w, r, f, p.Link); err != nil {
		return err
	}
	p.Passwords = s.counts(r, kindPassword)
	f.allow(w)
	return s.look.Render(w, status, "signin", p)
}

func identifierOf(name, email string) string {
	if name != "" {
		return name
	}
	return email
}

// purpose ties a form's token to the realm too: realms may share an origin.
func (s *Server) purpose(r *http.Request, form string) string {
	return realm.From(r.Context()).Name + " " + form
}

// checkPassword signs in whoever knows the password. Whatever is wrong with
// identifier or password, the answer is the same (PW-09).
func (s *Server) checkPassword(w http.ResponseWriter, r *http.Request) error {
	form, f, err := s.form(w, r)
	if err != nil {
		return err
	}
	p := signInPage{Identifier: form.Get("identifier")}
	if err := s.forms.Check(r, s.purpose(r, "signin"), form.Get("form")); err != nil {
		return s.refuseSignIn(w, r, f, p, err)
	}
	if f != nil && form.Get("do") == "cancel" {
		f.Denied = true
		return s.saveAndNext(w, r, f)
	}
	if form.Get("do") == "mail" && s.offersMail(r) {
		if err := s.askMail(w, r, f, p.Identifier); err != nil {
			return s.refuseSignIn(w, r, f, p, err)
		}
		return nil
	}
	if !s.counts(r, kindPassword) {
		return s.refuseSignIn(w, r, f, p, whyNot(credential.Result{}, nil))
	}
	browser := mark(r)
	result, err := s.Passwords.Check(r.Context(), actor(r), realm.From(r.Context()).Name,
		credential.Attempt{Identifier: form.Get("identifier"), Password: secret.Text(form.Get("password")), Browser: browser})
	if err != nil || result.Outcome != credential.Right {
		return s.refuseSignIn(w, r, f, p, whyNot(result, err))
	}
	if result.MustChange {
		flow, _, at, err := s.take(r, f, passwordProof(result, s.DB.Now()))
		switch {
		case err != nil:
			return s.refuseSignIn(w, r, f, p, err)
		case at.step == stepRenew:
			return s.showRenew(w, r, f, http.StatusOK, renewPage{Identifier: p.Identifier, Expired: result.Expired})
		}
		return s.keepAndLead(w, r, flow, at)
	}
	if err := s.signIn(w, r, f, result); fault.Code(err) == "password_wrong" {
		return s.refuseSignIn(w, r, f, p, err)
	} else {
		return err
	}
}

// signIn goes on with whoever knew the password.
func (s *Server) signIn(w http.ResponseWriter, r *http.Request, f *flow, result credential.Result) error {
	return s.prove(w, r, f, passwordProof(result, s.DB.Now()))
}

func passwordProof(result credential.Result, now time.Time) proof {
	p := proof{Principal: result.Principal.ID, Credential: result.Credential, Kind: kindPassword, At: now, AMR: result.AMR, Alone: token.AAL1}
	if result.MustChange {
		p.Alone, p.Old = "", true
	}
	return p
}

func (s *Server) saveAndNext(w http.ResponseWriter, r *http.Request, f *flow) error {
	if err := s.save(r, f); err != nil {
		return err
	}
	return s.next(w, r, f)
}

// form reads the parameters and the flow of a form that was sent.
func (s *Server) form(w http.ResponseWriter, r *http.Request) (web.Params, *flow, error) {
	form, err := web.Form(w, r)
	if err != nil {
		return form, nil, err
	}
	f, err := s.flow(r, form.Get("flow"))
	return form, f, err
}

// whyNot says why an attempt opened nothing.
func whyNot(result credential.Result, err error) error {
	if err != nil {
		return err
	}
	if result.Outcome == credential.Limited {
		return fault.New(fault.TooMany, "guess_limit", "too many attempts").WithRetry(result.RetryAfter)
	}
	return fault.New(fault.Unauthenticated, "password_wrong", "no such account and password")
}

// refuseSignIn shows the page again with what went wrong.
func (s *Server) refuseSignIn(w http.ResponseWriter, r *http.Request, f *flow, p signInPage, err error) error {
	status, words, known := s.problem(w, r, f, err)
	if !known {
		return err
	}
	p.Problem, p.Busy = words, status == http.StatusTooManyRequests || status == http.StatusForbidden
	return s.showSignIn(w, r, f, status, p)
}

// problem puts into words what a person can do something about, and says with
// which status. Anything else is not known here.
func (s *Server) problem(w http.ResponseWriter, r *http.Request, f *flow, err error) (status int, words string, known bool) {
	var after time.Duration
	if e, ok := asFault(err); ok {
		after = e.RetryAfter
		web.Retry(w.Header(), e)
	}
	l := s.page(w, r, f, "")
	switch code := fault.Code(err); code {
	case "password_wrong":
		// A wrong password is an answer, not a challenge of RFC 9110.
		return http.StatusUnprocessableEntity, l.T("problem.wrong"), true
	case "factor_wrong":
		return http.StatusUnprocessableEntity, l.T("problem.factor"), true
	case "recovery_wrong":
		return http.StatusUnprocessableEntity, l.T("problem.recovery"), true
	case "passkey_refused", "passkey_expired", "passkey_unknown", "passkey_removed", "passkey_model", "passkey_synced", "passkey_registered", "passkeys_exhausted":
		return http.StatusUnprocessableEntity, l.T("problem." + code), true
	case "factors_exhausted":
		return http.StatusConflict, l.T("problem.factors"), true
	case "mail_code_wrong":
		return http.StatusUnprocessableEntity, l.T("problem.mail_code"), true
	case "identifier_missing":
		return http.StatusUnprocessableEntity, l.T("problem.identifier"), true
	case "user_code_wrong":
		return http.StatusUnprocessableEntity, l.T("problem.user_code"), true
	case "guess_limit":
		return http.StatusTooManyRequests, l.T("problem.limited", "n", minutes(after)), true
	case "letters_limited":
		return http.StatusTooManyRequests, l.T("problem.letters_limited"), true
	case "form_expired":
		return http.StatusForbidden, l.T("problem.expired"), true
	case "cookies_missing":
		return http.StatusForbidden, l.T("problem.cookies"), true
	case "password_too_long", "password_invalid":
		return http.StatusBadRequest, l.T("problem." + code), true
	}
	if fault.Is(err, fault.TooMany) {
		return http.StatusTooManyRequests, l.T("problem.busy"), true
	}
	return 0, "", false
}

func minutes(d time.Duration) int { return max(1, int(math.Ceil(d.Minutes()))) }
