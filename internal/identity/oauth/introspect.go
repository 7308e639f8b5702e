package oauth

import (
	"context"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
)

const introspectionType = "application/token-introspection+jwt"

var (
	contentIntrospection = []string{introspectionType}
	inactive             = []byte(`{"active":false}`)
)

// introspect tells a resource server what a token means (RFC 7662). Whoever is
// not meant by the token hears the same as about a token that never was
// (CL-07). Access tokens are answered from memory.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) error {
	rl := realm.From(r.Context())
	params, err := readForm(w, r)
	if err != nil {
		return err
	}
	asker, err := s.authenticate(r, rl, params)
	if err != nil {
		return err
	}
	if asker.Public() {
		return &Error{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "a public client cannot introspect"}
	}
	text := params.Get("token")
	if text == "" {
		return badRequest("token is missing")
	}
	body, err := s.meaning(r, rl, asker.Client, text)
	if err != nil {
		return err
	}
	if wantsJWT(r.Header.Get("Accept")) {
		return s.signedMeaning(w, r, rl, asker.Client, body)
	}
	return writeJSON(w, body)
}

// meaning is the answer's body. The two kinds of token look different, so
// token_type_hint has nothing to add and is ignored, as section 2.1 allows.
func (s *Server) meaning(r *http.Request, rl *realm.Realm, asker *client.Client, text string) ([]byte, error) {
	if strings.HasPrefix(text, grant.RefreshPrefix) {
		return s.meaningOfRefresh(r, rl, asker, text)
	}
	t, err := s.tokens.Recognise(r.Context(), rl.Name, text)
	if fault.Is(err, fault.Unauthenticated) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
		return inactive, nil
	}
	if err != nil {
		return nil, err
	}
	if !mayRead(asker, t) {
		return inactive, nil
	}
	details, err := s.detailsOf(r.Context(), t)
	if err != nil {
		return nil, err
	}
	return describeToken(rl, t, details), nil
}

// MayRead is mayRead for other doors.
func MayRead(c *client.Client, t *token.Token) bool { return mayRead(c, t) }

// mayRead reports whether a token's meaning is a client's business: its own
// token, or one meant for it as a resource server.
func mayRead(c *client.Client, t *token.Token) bool {
	if t.Client == c.ID {
		return true
	}
	if !c.ResourceServer {
		return false
	}
	for _, audience := range t.Audience {
		if c.Answers(audience) {
			return true
		}
	}
	return c.IntrospectAny
}

// detailsOf are the authorization details of a token, from its grant where the
// token could not carry them. Where the grant has others than it had, nothing is
// told.
func (s *Server) detailsOf(ctx context.Context, t *token.Token) (string, error) {
	if t.Details.Hash == "" {
		return t.Details.Text, nil
	}
	g, err := s.grants.Cached(ctx, t.Realm, t.Grant)
	if err != nil {
		return "", err
	}
	list, err := detail.Parse(g.Details)
	if err != nil {
		return "", err
	}
	if t.Details.At != nil {
		list = list.Pick(t.Details.At)
	}
	if text := list.String(); token.DetailsHash(text) == t.Details.Hash {
		return text, nil
	}
	return "", fault.New(fault.Internal, "details_changed", "the grant %s has other authorization details than its token", g.ID)
}

func describeToken(rl *realm.Realm, t *token.Token, details string) []byte {
	b := append(make([]byte, 0, 512), `{"active":true,"token_type":"`...)
	b = append(append(b, tokenType(t.Bound)...), `","scope":"`...)
	b = append(append(b, strings.Join(t.Scopes, " ")...), '"')
	b = member(b, "client_id", t.Client)
	b = member(b, "sub", t.Subject)
	b = append(appendStrings(append(b, `,"aud":`...), t.Audience), `,"iss":`...)
	b = appendString(b, rl.Issuer)
	b = number(b, "exp", t.Expires)
	b = number(b, "iat", t.Issued)
	b = member(b, "jti", t.ID)
	b = member(b, "gid", t.Grant)
	if t.Bound != (token.Binding{}) {
		b = t.Bound.AppendJSON(append(b, `,"cnf":`...))
	}
	if len(t.Actors) > 0 {
		b = token.AppendActors(append(b, `,"act":`...), t.Actors)
	}
	if details != "" {
		b = append(append(b, `,"authorization_details":`...), details...)
	}
	if t.ACR != "" {
		b = member(b, "acr", t.ACR)
	}
	if !t.AuthTime.IsZero() {
		b = number(b, "auth_time", t.AuthTime)
	}
	return append(b, '}')
}

// meaningOfRefresh is told to the client that holds the token and nobody else.
func (s *Server) meaningOfRefresh(r *http.Request, rl *realm.Realm, asker *client.Client, text string) ([]byte, error) {
	live, err := s.grants.LiveRefresh(r.Context(), rl.Name, text)
	if fault.Is(err, fault.NotFound) || err == nil && live.Grant.Client != asker.ID {
		return inactive, nil
	}
	if err != nil {
		return nil, err
	}
	g := live.Grant
	err = s.tokens.Alive(r.Context(), g)
	if fault.Is(err, fault.Forbidden) {
		return inactive, nil
	}
	if err != nil {
		return nil, err
	}
	sub, err := s.tokens.Subject(r.Context(), rl.Name, asker, g.Principal)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, 256), `{"active":true,"scope":"`...)
	b = append(append(b, strings.Join(g.Scopes, " ")...), '"')
	b = member(b, "client_id", g.Client)
	b = member(b, "sub", sub)
	b = member(b, "iss", rl.Issuer)
	b = number(b, "exp", live.Expires)
	b = number(b, "iat", g.Created)
	b = member(b, "gid", g.ID)
	if bound := boundRefresh(live.Bound); bound != (token.Binding{}) {
		b = bound.AppendJSON(append(b, `,"cnf":`...))
	}
	if g.Details != "" {
		b = append(append(b, `,"authorization_details":`...), g.Details...)
	}
	return append(b, '}'), nil
}

func member(b []byte, name, value string) []byte {
	return appendString(append(append(append(b, `,"`...), name...), `":`...), value)
}

func number(b []byte, name string, at time.Time) []byte {
	return strconv.AppendInt(append(append(append(b, `,"`...), name...), `":`...), at.Unix(), 10)
}

// wantsJWT reports whether the caller accepts the signed answer (RFC 9701,
// section 4).
func wantsJWT(accept string) bool {
	if accept == "" || accept == "*/*" {
		return false
	}
	for part := range strings.SplitSeq(accept, ",") {
		media, _, err := mime.ParseMediaType(part)
		if err == nil && media == introspectionType {
			return true
		}
	}
	return false
}

// signedMeaning answers with a JWT that only the caller can use: the meaning is
// a claim of its own, so that the answer never passes for the token it is about
// (RFC 9701, section 5).
func (s *Server) signedMeaning(w http.ResponseWriter, r *http.Request, rl *realm.Realm, asker *client.Client, meaning []byte) error {
	alg := asker.IntrospectionAlg
	if alg == "" {
		alg = client.DefaultAlg
	}
	key, err := s.ring.Signer(r.Context(), rl.Name, alg)
	if err != nil {
		return err
	}
	b := appendString(append(make([]byte, 0, 256+len(meaning)), `{"iss":`...), rl.Issuer)
	b = member(b, "aud", asker.ID)
	b = number(b, "iat", s.now())
	b = append(append(append(b, `,"token_introspection":`...), meaning...), '}')
	text, err := jose.Sign(key, "token-introspection+jwt", b)
	if err != nil {
		return err
	}
	h := w.Header()
	noStore(h)
	h["Content-Type"] = contentIntrospection
	_, err = w.Write([]byte(text))
	return err
}
