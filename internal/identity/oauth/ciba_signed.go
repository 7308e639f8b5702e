package oauth

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/jose"
)

// signedBackchannelJTI is the purpose under which the ids of signed
// authentication requests are remembered.
const signedBackchannelJTI once.Purpose = "backchannel_request"

// openSignedBackchannel reads an authentication request that its client signed
// (CIBA, section 7.1.1). A client that is registered for an algorithm signs all
// of them; nothing but what authenticates it may stand beside the object.
func openSignedBackchannel(ctx context.Context, s *Server, a *authorization) error {
	alg := a.client.BackchannelRequestAlg
	text := a.params.Get("request")
	switch {
	case alg == "" && a.params.Has("request"):
		return badRequest("the client is not registered for signed authentication requests")
	case alg == "":
		return nil
	case text == "":
		return badRequest("the client must sign its authentication requests")
	}
	for _, name := range a.params.Names() {
		if name != "request" && name != "client_id" {
			return badRequest(name + " stands beside the signed request; it belongs into it")
		}
	}
	claims, err := s.verifyBackchannel(ctx, a, text, alg)
	if err != nil {
		return err
	}
	if a.params, err = requestParams(claims); err != nil {
		return spokenObject(err)
	}
	a.signed = true
	return nil
}

// verifyBackchannel checks signature and claims, and lets each object through
// once, on any node, and none that a failover may have forgotten.
func (s *Server) verifyBackchannel(ctx context.Context, a *authorization, text, alg string) (jose.Claims, error) {
	var none jose.Claims
	u, err := jose.Parse(text, maxRequestObject)
	if err != nil {
		return none, spokenObject(objectProblem(err))
	}
	if u.Alg != alg || !a.rules().AllowsAlg(alg) {
		return none, badRequest("the request is not signed with the client's backchannel_authentication_request_signing_alg")
	}
	key, _, err := s.keyFor(ctx, a.client, u.Kid, u.Alg)
	if err != nil {
		return none, spokenObject(objectProblem(err))
	}
	verified, err := u.Verify(jose.Want{Typ: requestObjectTypes, Keys: jose.Set{key}, Alg: alg})
	if err != nil {
		return none, spokenObject(objectProblem(err))
	}
	c := verified.Claims
	expected := jose.Expect{Now: s.now(), Issuer: a.client.ID, Audience: []string{a.realm.Issuer}, Skew: 10 * time.Second,
		MaxLife: maxRequestObjectLife, NoSubject: true, NeedIssuedAt: true}
	if err := c.Check(expected); err != nil {
		return none, spokenObject(objectProblem(err))
	}
	if !c.Has("nbf") || c.Has("sub") || c.Has("request") || c.Has("request_uri") {
		return none, badRequest("the signed request needs an nbf, and has no sub and no request of its own")
	}
	return c, s.spendBackchannel(ctx, a, c, expected)
}

func (s *Server) spendBackchannel(ctx context.Context, a *authorization, c jose.Claims, expected jose.Expect) error {
	jti, err := c.String("jti")
	if err != nil || jti == "" || len(jti) > maxJTI {
		return badRequest("the signed request needs a jti of at most 256 bytes")
	}
	from, err := c.Earliest(expected)
	if err != nil {
		return spokenObject(objectProblem(err))
	}
	expires, err := c.Time("exp")
	if err != nil {
		return spokenObject(objectProblem(err))
	}
	seen, err := s.once.Seen(ctx, a.realm.Name, once.Key{Purpose: signedBackchannelJTI, Client: a.client.ID, Value: jti, From: from, Until: expires.Add(time.Minute)})
	if err != nil {
		return err
	}
	if seen {
		return badRequest("the signed request was used before, or may have been before a failover; make a new one")
	}
	return nil
}

// spokenObject words a refusal of a request object as CIBA, section 13 has it,
// which knows no other code for it.
func spokenObject(err error) error {
	if e, ok := err.(*Error); ok && e.Code == "invalid_request_object" {
		return badRequest(e.Description)
	}
	return err
}
