package token

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/jose"
)

// TypeAssertion is the typ of an identity assertion for another authorization
// server (draft-ietf-oauth-identity-assertion-authz-grant). None of our own
// endpoints takes one that we made.
const TypeAssertion = "oauth-id-jag+jwt"

// assertionLife is long enough to be shown once.
const assertionLife = 5 * time.Minute

// AssertionRequest says which identity assertion is to be made under a grant.
type AssertionRequest struct {
	Grant     *grant.Grant
	Audience  string   // the issuer of the other server
	ClientID  string   // what the grant's client is called there
	Scopes    []string // there
	Resources []string // there
	Until     time.Time
	Bound     Binding // what the client has to show there as well
	Claims    []Claim // about the person
}

// IssueAssertion is [Gate.Issue] for an identity assertion: the same gate, for
// something that others trade for a token. It lives for five minutes at most.
func (g *Gate) IssueAssertion(ctx context.Context, by audit.Actor, q AssertionRequest) (Issued, error) {
	if err := g.log.Live(); err != nil {
		return Issued{}, err
	}
	var p passed
	if err := g.pass(ctx, q.Grant, &p); err != nil {
		return Issued{}, err
	}
	if err := p.assured(); err != nil {
		return Issued{}, err
	}
	p.bound(q.Until)
	issued := p.now.Truncate(time.Second)
	expires := p.end(p.now.Add(assertionLife))
	if !p.now.Before(expires) {
		return Issued{}, refusal(dead("it ends within the second"))
	}
	key, err := g.Ring.Signer(ctx, p.grant.Realm, p.client.IDTokenAlgorithm())
	if err != nil {
		return Issued{}, err
	}
	subject, err := g.Subject(ctx, p.grant.Realm, p.client, p.grant.Principal)
	if err != nil {
		return Issued{}, err
	}
	var random [16]byte
	rand.Read(random[:])
	jti := base64.RawURLEncoding.EncodeToString(random[:])
	b := appendText(append(make([]byte, 0, 1024), `{"iss":`...), p.realm.Issuer)
	b = appendText(append(b, `,"sub":`...), subject)
	b = appendText(append(b, `,"aud":`...), q.Audience)
	b = appendText(append(b, `,"client_id":`...), q.ClientID)
	b = appendText(append(b, `,"jti":`...), jti)
	b = strconv.AppendInt(append(b, `,"exp":`...), expires.Unix(), 10)
	b = strconv.AppendInt(append(b, `,"iat":`...), issued.Unix(), 10)
	if len(q.Scopes) > 0 {
		b = appendWords(append(b, `,"scope":`...), q.Scopes)
	}
	if len(q.Resources) > 0 {
		b = appendAudience(append(b, `,"resource":`...), q.Resources)
	}
	b = appendPerson(b, p.grant.ACR, p.grant.AMR, p.grant.AuthTime)
	if q.Bound != (Binding{}) {
		b = q.Bound.AppendJSON(append(b, `,"cnf":`...))
	}
	if b, err = appendExtra(b, q.Claims); err != nil {
		return Issued{}, err
	}
	text, err := jose.Sign(key, TypeAssertion, append(b, '}'))
	if err != nil {
		return Issued{}, err
	}
	g.log.Activity(p.grant.Realm, by, audit.Activity{Action: "token.assert", Target: p.grant.ID, Data: audit.Details{"jti", jti, "audience", q.Audience}})
	return Issued{Access: text, Expires: expires.Sub(issued)}, nil
}
