package oauth

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/web"
)

// Bounds of a request object.
const (
	maxRequestObject     = 16 << 10 // bytes
	maxRequestObjectLife = time.Hour
)

// requestObjectType is the typ of request objects (RFC 9101, section 10.8).
const requestObjectType = "oauth-authz-req+jwt"

// requestObjectTypes are those taken: OpenID Connect names none, and FAPI 2.0
// Message Signing, section 5.3.1 leaves it to clients. What else a client signs
// for us has a type of its own or a sub, as client assertions do, and passes for
// no request.
var requestObjectTypes = []string{"", "JWT", requestObjectType}

// requestObjectMedia are the media types of request objects that are fetched.
var requestObjectMedia = []string{"application/" + requestObjectType, "application/jwt", "application/jose"}

// openRequestObject reads a request that its client signed (RFC 9101), sent
// along or found where the client has registered that it may be. All that
// stands beside it counts for nothing, but for the client_id, which must be the
// same.
func openRequestObject(ctx context.Context, s *Server, a *authorization) error {
	text, reference := a.params.Get("request"), a.params.Get("request_uri")
	if reference != "" {
		if a.params.Has("request") {
			return badRequest("request and request_uri exclude each other")
		}
		var err error
		if text, err = s.fetchRequest(ctx, a, reference); err != nil {
			return err
		}
	}
	if text == "" {
		if a.params.Has("request") || a.params.Has("request_uri") {
			return badObject("it is empty")
		}
		return nil
	}
	claims, err := s.verifyRequest(ctx, a, text)
	if err != nil {
		return err
	}
	if a.params, err = requestParams(claims); err != nil {
		return err
	}
	a.signed = true
	return nil
}

// fetchRequest gets a request object from where it is registered to be. Nothing
// else is ever fetched because a browser says so (AZ-11).
func (s *Server) fetchRequest(ctx context.Context, a *authorization, uri string) (string, error) {
	if !slices.Contains(a.client.RequestURIs, uri) {
		return "", refuse("invalid_request_uri", "request_uri is not registered for the client")
	}
	// A fragment says which version of the object is meant (OpenID Connect Core,
	// section 6.2). Nothing is kept, so there is none but the one there now.
	address, _, _ := strings.Cut(uri, "#")
	doc, err := s.fetch.Get(ctx, address, requestObjectMedia...)
	if err != nil {
		web.Note(ctx, "fetch", err.Error())
		return "", refuse("invalid_request_uri", "request_uri cannot be fetched, or is not application/"+requestObjectType)
	}
	return strings.TrimSpace(string(doc.Body)), nil
}

// verifyRequest checks signature and claims of a request object: made by the
// client, for us, and not for long.
func (s *Server) verifyRequest(ctx context.Context, a *authorization, text string) (jose.Claims, error) {
	var none jose.Claims
	u, err := jose.Parse(text, maxRequestObject)
	if err != nil {
		return none, objectProblem(err)
	}
	if want := a.client.RequestObjectAlg; want != "" && u.Alg != want {
		return none, badObject("it is not signed with the client's request_object_signing_alg")
	}
	if !a.rules().AllowsAlg(u.Alg) {
		return none, objectProblem(jose.ErrAlgorithm)
	}
	key, _, err := s.keyFor(ctx, a.client, u.Kid, u.Alg)
	if err != nil {
		return none, objectProblem(err)
	}
	verified, err := u.Verify(jose.Want{Typ: requestObjectTypes, Keys: jose.Set{key}, Alg: u.Alg})
	if err != nil {
		return none, objectProblem(err)
	}
	return verified.Claims, a.acceptsObject(verified.Claims, s.now())
}

// acceptsObject holds the claims to RFC 9101, sections 4 and 10.8, and the times
// to FAPI 2.0 Message Signing, section 5.3.1: always where they are there, and
// they must be there where the profile has it.
func (a *authorization) acceptsObject(c jose.Claims, now time.Time) error {
	err := c.Check(jose.Expect{Now: now, Issuer: a.client.ID, Audience: []string{a.realm.Issuer}, Skew: 10 * time.Second,
		MaxLife: maxRequestObjectLife, NoSubject: true, NoExpiry: !a.rules().Timed})
	if err != nil {
		return objectProblem(err)
	}
	if id, err := c.String("client_id"); err != nil || id != a.client.ID {
		return badObject("its client_id is not that of the request")
	}
	if c.Has("request") || c.Has("request_uri") {
		return badObject("it holds another request")
	}
	if c.Has("sub") {
		return badObject("it has a sub, as client assertions do")
	}
	if !c.Has("nbf") {
		if a.rules().Timed {
			return badObject("it has no nbf")
		}
		return nil
	}
	nbf, err := c.Time("nbf")
	if err != nil || nbf.Before(now.Add(-maxRequestObjectLife)) {
		return badObject("its nbf is more than 60 minutes ago")
	}
	if exp, err := c.Time("exp"); err != nil || c.Has("exp") && exp.After(nbf.Add(maxRequestObjectLife)) {
		return badObject("its exp is more than 60 minutes after its nbf")
	}
	return nil
}

// notParams are claims that speak of the object and not of the request.
var notParams = []string{"iss", "aud", "exp", "nbf", "iat", "jti"}

// requestParams are the parameters that a request object stands for. Those that
// are JSON stay JSON, lists of strings are parameters that repeat.
func requestParams(c jose.Claims) (web.Params, error) {
	v := url.Values{}
	for _, m := range c.Members() {
		if slices.Contains(notParams, m.Name) {
			continue
		}
		values, ok := paramValues(m)
		if !ok {
			return web.Params{}, badObject("its " + m.Name + " is no parameter")
		}
		v[m.Name] = values
	}
	params, err := web.ParseParams(v.Encode(), "resource")
	if err != nil {
		return web.Params{}, badObject("its parameters are too many, repeat, or hold characters that none may")
	}
	return params, nil
}

func paramValues(m jose.Member) ([]string, bool) {
	switch m.Raw[0] {
	case '"':
		var text string
		err := json.Unmarshal(m.Raw, &text)
		return []string{text}, err == nil
	case '[':
		var list []string
		if m.Name == "resource" {
			return list, json.Unmarshal(m.Raw, &list) == nil
		}
		return []string{string(m.Raw)}, true
	case 'n': // null
		return nil, false
	}
	return []string{string(m.Raw)}, true
}

// checkSigned refuses what anybody may have written of a client that signs.
func checkSigned(_ context.Context, _ *Server, a *authorization) error {
	if !a.signed && a.rules().SignedRequests {
		return badRequest("the client must sign its authorization requests (RFC 9101)")
	}
	return nil
}

// refuseRegistration refuses clients that register themselves in a request
// (OpenID Connect Core, section 7.2.1).
func refuseRegistration(_ context.Context, _ *Server, a *authorization) error {
	if a.params.Has("registration") {
		return refuse("registration_not_supported", "registration is not supported")
	}
	return nil
}

func badObject(why string) *Error {
	return refuse("invalid_request_object", "the request object is not accepted: "+why)
}

// objectProblem words what is wrong with a request object. Problems of ours,
// such as an unreachable key set, keep their own error.
func objectProblem(err error) error {
	if words, ok := joseProblem(err); ok {
		return badObject(words)
	}
	return err
}
