package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/session"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/web"
)

// decide is the one dispatcher: whatever has been asked of the person, the
// request comes back here, and goes on only when nothing is missing.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, a *authorization, p progress) error {
	ctx := r.Context()
	if p.session == nil {
		found, err := s.sessionFor(r, a)
		if err != nil {
			return err
		}
		p.session = found
	}
	ask := signin.Flow{Return: pathContinue, Client: a.client.ID, RedirectURI: a.redirectURI,
		LoginHint: a.params.Get("login_hint"), UILocales: a.params.Get("ui_locales")}
	left, err := s.signInMissing(r, a, p, &ask)
	if err == nil && left == nil {
		left, err = s.consentMissing(ctx, a, &p, &ask)
	}
	switch {
	case err != nil:
		return err
	case left == nil:
		return s.giveCode(w, r, a, p)
	case a.prompt.none || left.final:
		if p.session == nil { // what the browser holds of an ended session is not true any more
			if _, err := s.pages.BrowserState(w, r); err != nil {
				return err
			}
		}
		return s.answerError(w, r, a, left.says)
	}
	if err := s.holdPushed(w, r, a); err != nil {
		return err
	}
	p.Query, p.Signed = encode(a.kept()), a.signed
	kept, err := json.Marshal(p)
	if err != nil {
		return err
	}
	ask.Request = string(kept)
	return s.pages.Begin(w, r, ask)
}

// kept is what stands for the request while somebody signs in: of a pushed one
// its name, since what it says is kept already; of a signed one what it said.
func (a *authorization) kept() web.Params {
	if a.pushed != nil {
		return a.sent
	}
	return a.params
}

// lack is something that a request still needs of the person.
type lack struct {
	says  *Error // as the client hears it, with prompt=none
	final bool   // asking the person would not help
}

func missing(code, description string) *lack { return &lack{says: refuse(code, description)} }

func hopeless(code, description string) *lack { return &lack{refuse(code, description), true} }

// sessionFor finds who is signed in: the account the client expects if it
// names one, else the browser's current one.
func (s *Server) sessionFor(r *http.Request, a *authorization) (*session.Session, error) {
	if a.subject == "" {
		return s.pages.Current(r)
	}
	all, err := s.pages.Accounts(r)
	if err != nil {
		return nil, err
	}
	for _, one := range all {
		is, err := s.isSubject(r.Context(), a, one.Principal)
		if err != nil || is {
			return one, err
		}
	}
	return nil, nil
}

// isSubject reports whether a principal is the one whom the client named.
func (s *Server) isSubject(ctx context.Context, a *authorization, principal string) (bool, error) {
	if a.subject == "" {
		return true, nil
	}
	known, err := s.tokens.Subject(ctx, a.realm.Name, a.client, principal)
	return err == nil && known == a.subject, err
}

// signInMissing says why the person must sign in first, and fills in what to
// ask of the pages. Nil: nothing is missing.
func (s *Server) signInMissing(r *http.Request, a *authorization, p progress, ask *signin.Flow) (*lack, error) {
	ctx := r.Context()
	ask.Reauth = a.prompt.login && !p.Reauthenticated
	ask.Select = a.prompt.selectAccount && !p.Selected
	ask.Subject = a.principalHint()
	unmet, err := s.levels(r, a, p, ask)
	if err != nil {
		return nil, err
	}
	if p.session == nil {
		return missing("login_required", "nobody is signed in"), nil
	}
	is, err := s.isSubject(ctx, a, p.session.Principal)
	if err != nil {
		return nil, err
	}
	if !is && p.Reauthenticated {
		return hopeless("login_required", "somebody else has signed in"), nil
	}
	if !is {
		ask.Reauth = true
		return missing("login_required", "somebody else is signed in"), nil
	}
	if ask.Select {
		return missing("account_selection_required", "an account must be chosen"), nil
	}
	if unmet {
		// OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
		return hopeless("unmet_authentication_requirements", "the assurance asked for cannot be reached"), nil
	}
	if !p.Reauthenticated && s.tooOld(a, p.session) {
		ask.Reauth = true
		return missing("login_required", "the person must sign in again"), nil
	}
	enough, err := s.pages.Suffices(r, p.session, signin.Flow{Client: a.client.ID, ACR: ask.ACR, WishACR: ask.WishACR})
	if err != nil {
		return nil, err
	}
	if !enough {
		return missing("login_required", "the person must prove more than they did"), nil
	}
	accepted, err := s.pages.Accepted(r, p.session)
	if err != nil {
		return nil, err
	}
	if !accepted {
		return missing("interaction_required", "the person has terms to accept"), nil
	}
	return nil, nil
}

// levels fills in which assurance the client demands and which it would like.
// It reports whether the demand is one that nobody can meet here.
func (s *Server) levels(r *http.Request, a *authorization, p progress, ask *signin.Flow) (unmet bool, err error) {
	reachable := s.pages.Reachable(a.realm)
	var is signin.Standing
	if p.session != nil {
		if is, err = s.pages.Stands(r, p.session, a.client); err != nil {
			return false, err
		}
	}
	if want := a.claims.IDToken["acr"]; len(want.Values) > 0 {
		if level, ok := wanted(want.Values, is.For, reachable); want.Essential {
			ask.ACR, unmet = level, !ok
		} else if !p.Later {
			ask.WishACR = level
		}
	}
	if level, ok := wanted(a.acr, is.For, reachable); ok && ask.WishACR == "" && !p.Later {
		ask.WishACR = level
	}
	return unmet, nil
}

// wanted is the level to ask for where any of values will do: "" if what is
// reached does, else the first that can be reached. ok is false where none can.
func wanted(values []string, reached string, reachable []string) (level string, ok bool) {
	if slices.ContainsFunc(values, func(v string) bool { return v == reached || token.Meets(reached, v) }) {
		return "", true
	}
	i := slices.IndexFunc(values, func(v string) bool { return slices.Contains(reachable, v) })
	if i < 0 {
		return "", false
	}
	return values[i], true
}

// told is the level that tokens of the request name: what was reached, or of the
// values that the client says are essential the highest that this covers (OpenID
// Connect Core, section 5.5.1.1).
func (a *authorization) told(reached string) string {
	want := a.claims.IDToken["acr"]
	if !want.Essential || want.accepts(reached) {
		return reached
	}
	for _, level := range slices.Backward(token.Levels()) {
		if token.Meets(reached, level) && want.accepts(level) {
			return level
		}
	}
	return reached
}

// tooOld reports whether the client wants a newer sign-in than the session's.
func (s *Server) tooOld(a *authorization, one *session.Session) bool {
	if a.prompt.login {
		return true
	}
	age := s.now().Sub(one.AuthTime)
	return a.maxAge == 0 || a.maxAge > 0 && age > time.Duration(a.maxAge)*time.Second
}

// consentMissing says why the person must be asked for consent, or narrows the
// request to what was consented to and returns nil.
func (s *Server) consentMissing(ctx context.Context, a *authorization, p *progress, ask *signin.Flow) (*lack, error) {
	if p.asked {
		a.scopes, a.about = p.granted(a.scopes), p.granted(a.about)
		return nil, nil
	}
	ask.Consent, ask.Details, ask.Resources = a.consents(), a.details.String(), a.resources
	needed := missing("consent_required", "the person must be asked for consent")
	if a.prompt.consent || a.anybody() {
		return needed, nil
	}
	if a.client.FirstParty {
		return nil, nil
	}
	if a.details != nil {
		return needed, nil // what is asked for in detail is agreed to once, never remembered
	}
	given, err := s.grants.Consent(ctx, a.realm.Name, p.session.Principal, a.client.ID)
	if err != nil {
		return nil, err
	}
	if given == nil || !given.Covers(ask.Consent) {
		return needed, nil
	}
	return nil, nil
}

// anybody reports whether any program of the person's device may have made this
// request and receive the answer: nothing proves a public native client but an
// https redirect URI, which the system hands to the right program. Such a
// request is never answered without the person, whatever was agreed to before
// (RFC 8252, section 8.6).
func (a *authorization) anybody() bool {
	return a.client.Type == client.Native && a.client.Public() && !strings.HasPrefix(a.redirectURI, "https://")
}

// principalHint is the principal whom the client named, where it knows people
// by the name we do.
func (a *authorization) principalHint() string {
	if a.subject != "" && a.client.SubjectType != client.Pairwise {
		return a.subject
	}
	return ""
}
