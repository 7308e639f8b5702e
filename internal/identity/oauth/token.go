package oauth

import (
	"net/http"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// asking is a token request on its way through the phases.
type asking struct {
	presented
	caller    caller
	bound     token.Binding // what access tokens will be bound to
	resources []string      // asked for by this request, each allowed for the client
	details   detail.List   // the same
	by        audit.Actor   // see actor
}

// actor is who causes what the request changes, once it is known who asks.
func (a *asking) actor() audit.Actor {
	if a.by.Kind == "" {
		a.by = actor(a.request, a.caller.Client)
	}
	return a.by
}

// proved is what a grant type has shown: under which grant tokens may be
// issued, and with which of its rights.
type proved struct {
	grant     *grant.Grant
	unasked   bool // it stands, and nobody has asked whether it is alive: if not, another is made
	scopes    []string
	audience  []string
	details   detail.List
	refresh   secret.Text // the refresh token that goes with them, or ""
	nonce     string
	idToken   bool
	until     time.Time               // when the access token ends at the latest; zero: the grant says
	issued    string                  // what token exchange calls the token, or ""
	room      []byte                  // the head of the answer, for the token to be put behind it, or nil
	detailsAt []int                   // which of the grant's the details are; nil: all
	assertion *token.AssertionRequest // asked for instead of an access token; nil: it is not
}

// grantType proves on whose behalf tokens are asked for, and nothing else: the
// endpoint does what all have in common, so that none can forget it.
type grantType interface {
	prove(s *Server, a *asking) (proved, error)
}

// grants has every grant type the endpoint serves; discovery reads it too. The
// password grant is not among them and never will be (TK-10).
var grants = map[string]grantType{
	client.AuthorizationCode: codeGrant{},
	client.RefreshToken:      refreshGrant{},
	client.ClientCredentials: credentialsGrant{},
	client.TokenExchange:     exchangeGrant{},
	client.JWTBearer:         bearerGrant{},
	client.DeviceCode:        deviceGrant{},
	client.CIBA:              cibaGrant{},
}

// named are the grant types whose resources were named before, when the grant
// was asked for.
var named = map[string]bool{client.AuthorizationCode: true, client.RefreshToken: true, client.DeviceCode: true, client.CIBA: true}

// undetailed are the grant types by which nothing is granted in detail (RFC
// 9396): a request for it is refused, or the client would believe that it has it.
var undetailed = map[string]bool{client.TokenExchange: true, client.JWTBearer: true}

// token issues tokens (RFC 6749, section 3.2).
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	params, err := readForm(w, r)
	if err != nil {
		return err
	}
	a := &asking{presented: presented{request: r, realm: realm.From(r.Context()), params: params}}

	// 1. Who asks?
	if a.caller, err = s.known(&a.presented); err != nil {
		return err
	}
	// 2. May it ask in this way, and what will its tokens be bound to?
	kind, err := a.grantType()
	if err != nil {
		return err
	}
	if a.bound, err = s.binding(w, r, a.realm, a.caller); err != nil {
		return err
	}
	// 3. May it ask for these resources, and for this in detail?
	if a.resources, err = a.readResources(); err != nil {
		return err
	}
	if len(a.resources) == 0 && a.caller.rules.Resource && !named[params.Get("grant_type")] {
		return errNoResource()
	}
	if a.details, err = s.readDetails(r.Context(), a.realm, a.caller.Client, params); err != nil {
		return err
	}
	if a.details != nil && undetailed[params.Get("grant_type")] {
		return badDetails("this grant type gives nothing in detail")
	}
	// 4. On whose behalf, and under which grant?
	p, err := kind.prove(s, a)
	if err != nil {
		return err
	}
	// 5. Is all that alive, and is nothing exceeded? The gate decides.
	room := s.room()
	defer s.rooms.Put(room)
	p.room = append(room[:0], answerHead...)
	issued, err := s.issue(a, &p)
	if err != nil {
		return err
	}
	return writeJSON(w, a.appendTokens(room[:0], &p, &issued))
}

// readForm reads the body of a request whose parameters belong nowhere else:
// what is in the address ends in logs and histories.
func readForm(w http.ResponseWriter, r *http.Request) (web.Params, error) {
	if r.URL.RawQuery != "" {
		return web.Params{}, badRequest("parameters belong into the body")
	}
	return web.Form(w, r, "resource", "audience")
}

// grantType finds the member of the family and asks whether the client may use
// it.
func (a *asking) grantType() (grantType, error) {
	name := a.params.Get("grant_type")
	if name == "" {
		return nil, badRequest("grant_type is missing")
	}
	kind, ok := grants[name]
	if !ok {
		return nil, refuse("unsupported_grant_type", "")
	}
	if !a.caller.AllowsGrant(name) {
		return nil, refuse("unauthorized_client", "the client may not use this grant type")
	}
	web.Note(a.request.Context(), "grant_type", name)
	return kind, nil
}

// issue passes the gate.
func (s *Server) issue(a *asking, p *proved) (token.Issued, error) { return s.issueWith(a, p) }

// issueWith is issue with claims for the ID token that say how it was asked for.
func (s *Server) issueWith(a *asking, p *proved, more ...token.Claim) (token.Issued, error) {
	req := token.Request{Grant: p.grant, Scopes: p.scopes, Audience: p.audience, Bound: a.bound, Until: p.until, Details: p.details.String(), DetailsAt: p.detailsAt, Room: p.room}
	if p.idToken {
		claims, err := s.idTokenClaims(a.request.Context(), a.realm, a.caller.Client, p.grant)
		if err != nil {
			return token.Issued{}, err
		}
		req.ID = &token.IDRequest{Nonce: p.nonce, Claims: append(claims, more...)}
	}
	issued, err := s.passGate(a, p, &req)
	if p.unasked && fault.Is(err, fault.Forbidden) {
		g, refused := s.standing(a)
		if refused != nil {
			return token.Issued{}, refused
		}
		if g != p.grant { // else the gate has found something else dead, or too much asked for
			p.grant, req.Grant = g, g
			issued, err = s.passGate(a, p, &req)
		}
	}
	if fault.Is(err, fault.Forbidden) {
		web.Note(a.request.Context(), "gate", fault.Code(err))
		return token.Issued{}, badGrant("what the tokens would rest on has ended")
	}
	if fault.Is(err, fault.TooLarge) {
		return token.Issued{}, badRequest(err.Error())
	}
	return issued, err
}

func (s *Server) passGate(a *asking, p *proved, req *token.Request) (token.Issued, error) {
	if p.assertion != nil {
		return s.tokens.IssueAssertion(a.request.Context(), a.actor(), *p.assertion)
	}
	return s.tokens.Issue(a.request.Context(), a.actor(), *req)
}

// answerHead is what the access token stands behind.
const answerHead = `{"access_token":"`

// appendTokens is the body of RFC 6749, section 5.1. A token in the room that was
// given for it has the head of the body before it.
func (a *asking) appendTokens(b []byte, p *proved, issued *token.Issued) []byte {
	if issued.Room != nil {
		b = issued.Room
	} else {
		b = append(append(b, answerHead...), issued.Access...)
	}
	b = append(b, `","token_type":"`...)
	if p.assertion != nil {
		b = append(b, "N_A"...) // what is no access token is presented under no scheme (RFC 8693, section 2.2.1)
	} else {
		b = append(b, tokenType(a.bound)...)
	}
	b = append(b, `","expires_in":`...)
	b = strconv.AppendInt(b, int64(issued.Expires/time.Second), 10)
	if issued.ID != "" {
		b = append(append(append(b, `,"id_token":"`...), issued.ID...), '"')
	}
	if p.refresh != "" {
		b = append(append(append(b, `,"refresh_token":"`...), string(p.refresh)...), '"')
	}
	if p.issued != "" {
		b = append(append(append(b, `,"issued_token_type":"`...), p.issued...), '"')
	}
	if p.details != nil {
		b = append(append(b, `,"authorization_details":`...), p.details.String()...)
	}
	b = append(b, `,"scope":"`...)
	for i, scope := range p.scopes {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, scope...) // scopes hold neither quotes nor backslashes (RFC 6749, appendix A.4)
	}
	return append(b, `"}`...)
}

// tokenType is the scheme under which a token is presented that is bound so (RFC
// 6749, section 7.1; RFC 9449, section 5). A certificate changes nothing about it.
func tokenType(bound token.Binding) string {
	if bound.JKT != "" {
		return "DPoP"
	}
	return "Bearer"
}
