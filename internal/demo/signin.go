package demo

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// scope is what the application asks for: who it is, and the API.
const scope = "openid profile email offline_access " + Scope

// signIn sends the browser to Cardea with a fresh state, nonce and PKCE
// challenge (OpenID Connect Core 1.0, section 3.1.2.1; RFC 7636).
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	doc, err := a.provider.discover(r.Context())
	if err != nil {
		a.log.Warn("demo sign-in", "error", err)
		a.fail(w, r, http.StatusBadGateway, "Cardea does not answer at "+a.issuer+".")
		return
	}
	p := &pending{state: rand.Text(), nonce: rand.Text(), verifier: rand.Text() + rand.Text()}
	a.sessions.begin(w, &session{began: time.Now(), pending: p})
	challenge := sha256.Sum256([]byte(p.verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {a.provider.clientID}, "redirect_uri": {RedirectURI(a.url)},
		"scope": {scope}, "state": {p.state}, "nonce": {p.nonce},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	http.Redirect(w, r, doc.Authorization+"?"+q.Encode(), http.StatusSeeOther)
}

// callback takes the answer. It is for this browser only if the state is the
// one given to it, and from Cardea only if the issuer is (RFC 9207).
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	s, q := a.sessions.of(r), r.URL.Query()
	if s == nil || s.pending == nil || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(s.pending.state)) != 1 || q.Get("iss") != a.issuer {
		a.fail(w, r, http.StatusBadRequest, "This answer does not belong to a sign-in that began in this browser.")
		return
	}
	if code := q.Get("error"); code != "" {
		a.sessions.end(w, r)
		a.show(w, http.StatusOK, view{Issuer: a.issuer, APIURL: a.apiURL, Problem: declined(code, q.Get("error_description"))})
		return
	}
	signedIn, err := a.finish(r, q.Get("code"), s.pending)
	if err != nil {
		a.log.Warn("demo sign-in", "error", err)
		a.fail(w, r, http.StatusBadGateway, "The sign-in could not be finished: "+err.Error()+".")
		return
	}
	a.sessions.end(w, r)
	a.sessions.begin(w, signedIn)
	http.Redirect(w, r, a.url+"/", http.StatusSeeOther)
}

// declined puts an error of the authorization endpoint into words (RFC 6749,
// section 4.1.2.1). Somebody may have been denied who did agree: what refused them
// is in the description.
func declined(code, description string) string {
	description = strings.TrimSuffix(description, ".")
	switch {
	case code == "access_denied" && (description == "" || description == "the person did not agree"):
		return "You did not agree, so this application got nothing."
	case code == "access_denied":
		return "Cardea refused, so this application got nothing: " + description + "."
	case description == "":
		return "Cardea answered " + code + "."
	}
	return "Cardea answered " + code + ": " + description + "."
}

// finish turns a code into a signed-in session.
func (a *app) finish(r *http.Request, code string, p *pending) (*session, error) {
	t, err := a.provider.redeem(r.Context(), code, p.verifier, RedirectURI(a.url))
	if err != nil {
		return nil, err
	}
	idToken, err := a.provider.checkIDToken(r.Context(), t.ID, p.nonce, time.Now())
	if err != nil {
		return nil, err
	}
	who, err := a.provider.userinfo(r.Context(), t.Access)
	if err != nil {
		return nil, err
	}
	s := &session{began: time.Now(), tokens: t, idToken: idToken, name: who.text("name")}
	if s.name == "" {
		s.name = who.text("preferred_username")
	}
	// The access token is the API's business; the page decodes it to show it.
	s.access.Header, _ = peek(t.Access, 0)
	s.access.Payload, _ = peek(t.Access, 1)
	return s, nil
}

// signOut ends the application's session and asks Cardea to end its own
// (OpenID Connect RP-Initiated Logout 1.0).
func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.of(r)
	a.sessions.end(w, r)
	doc, err := a.provider.discover(r.Context())
	if err != nil || s == nil || s.tokens == nil {
		http.Redirect(w, r, a.url+"/", http.StatusSeeOther)
		return
	}
	q := url.Values{"id_token_hint": {s.tokens.ID}, "post_logout_redirect_uri": {a.url + "/"}}
	http.Redirect(w, r, doc.EndSession+"?"+q.Encode(), http.StatusSeeOther)
}
