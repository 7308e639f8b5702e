package oauth

import (
	"net/http"
	"slices"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

var contentJWT = []string{"application/jwt"}

// userinfo tells a client about the person who let it in (OpenID Connect Core,
// section 5.3). The token is checked in memory.
func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	t, err := s.bearer(w, r, rl)
	if err != nil {
		return err
	}
	if !t.Allows(client.ScopeOpenID) {
		return tooLittle(rl, t, client.ScopeOpenID)
	}
	if !slices.Contains(t.Audience, rl.Issuer) {
		// RFC 9068, section 4: a token that does not name us is not for us.
		return badToken(rl, presentedAs(t))
	}
	c, err := s.clients.Live(r.Context(), rl.Name, t.Client)
	if err != nil {
		return gone(rl, t, err)
	}
	person, err := s.principals.Cached(r.Context(), rl.Name, t.Principal)
	if err != nil {
		return gone(rl, t, err)
	}
	asked, err := s.claimsOf(r, rl, c, t.Grant)
	if err != nil {
		return gone(rl, t, err)
	}
	room := s.room()
	defer s.rooms.Put(room)
	b := appendString(append(room[:0], `{"sub":`...), t.Subject)
	b = appendClaims(b, person, t.Scopes, asked.UserInfo)
	if c.UserInfoAlg == "" {
		return writeJSON(w, append(b, '}'))
	}
	return s.signedUserinfo(w, r, rl, c, b)
}

// claimsOf is what the grant was asked for by name and may be told.
func (s *Server) claimsOf(r *http.Request, rl *realm.Realm, c *client.Client, id string) (claimsRequest, error) {
	g, err := s.grants.Cached(r.Context(), rl.Name, id)
	if err != nil {
		return claimsRequest{}, err
	}
	return s.told(r.Context(), rl, c, g)
}

// signedUserinfo answers with a JWT, as the client registered: with issuer and
// audience, so that it cannot be shown to another client.
func (s *Server) signedUserinfo(w http.ResponseWriter, r *http.Request, rl *realm.Realm, c *client.Client, b []byte) error {
	key, err := s.ring.Signer(r.Context(), rl.Name, c.UserInfoAlg)
	if err != nil {
		return err
	}
	b = appendString(append(b, `,"iss":`...), rl.Issuer)
	b = appendString(append(b, `,"aud":`...), c.ID)
	text, err := jose.Sign(key, "userinfo+jwt", append(b, '}'))
	if err != nil {
		return err
	}
	h := w.Header()
	noStore(h)
	h["Content-Type"] = contentJWT
	_, err = w.Write([]byte(text))
	return err
}

// gone turns the end of what a token rests on into the end of the token.
func gone(rl *realm.Realm, t *token.Token, err error) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.Unauthenticated) {
		return badToken(rl, presentedAs(t))
	}
	return err
}

// presentedAs is how a token that was accepted has been presented.
func presentedAs(t *token.Token) Presented { return Presented{DPoP: t.Bound.JKT != ""} }
