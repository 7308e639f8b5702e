package oauth

import (
	"context"
	"net/url"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/detail"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// authorization is one authorization request (RFC 6749, section 4.1.1; OpenID
// Connect Core, section 3.1.2.1) as the checks have read it.
type authorization struct {
	realm   *realm.Realm
	sent    web.Params // as it came in
	params  web.Params // what it asks for, wherever that was said
	browser string     // which browser brings it; "" one without a mark, or none
	client  *client.Client
	pushed  *pushed // nil: the request was not pushed
	key     string  // the key shown when it was pushed; "" none
	signed  bool    // the client signed what it asks for

	redirectURI string
	mode        string // response mode; query until it is known
	state       string
	byForm      bool // forms of our pages led here

	scopes    []string // sorted, each allowed for the client
	details   detail.List
	resources []string
	challenge string // S256, or "" for a client that may leave PKCE out
	nonce     string
	jkt       string // the key that the code shall be bound to, or ""
	prompt    prompt
	acr       []string // levels wished for, any of them
	maxAge    int64    // seconds; -1: none
	subject   string   // whom the client expects, as it knows them; "" anybody
	claims    claimsRequest
	message   string        // to be compared with what the client shows
	life      time.Duration // how long a person may be waited for
	person    string        // who is asked: a principal, or what is nobody's
	token     secret.Text   // with which the client is told the answer
	about     []string      // scopes of claims asked for by name, sorted, each allowed for the client
}

// newAuthorization is a request before any check.
func newAuthorization(rl *realm.Realm, p web.Params) *authorization {
	return &authorization{realm: rl, sent: p, params: p, mode: "query", maxAge: -1}
}

// prompt is a set of OpenID Connect's prompt values.
type prompt struct{ none, login, consent, selectAccount bool }

// encode is the request as a query, to be kept while the person signs in.
func encode(p web.Params) string {
	v := make(url.Values, 12)
	for _, name := range p.Names() {
		v[name] = p.All(name)
	}
	return v.Encode()
}

// endpoint is where an authorization request comes in.
type endpoint uint8

// The columns of the table. A new endpoint is one line here and its name in
// everywhere; in redirecting too, if its answers go to a redirect URI.
const (
	atAuthorize endpoint = 1 << iota // a browser brings it
	atPAR                            // the client pushes it (RFC 9126)
	atDevice                         // a device without a browser begins it (RFC 8628)
	atCIBA                           // a client asks somebody who is elsewhere

	everywhere  = atAuthorize | atPAR | atDevice | atCIBA
	redirecting = atAuthorize | atPAR
)

// step checks one thing about a request and notes what it read.
type step func(ctx context.Context, s *Server, a *authorization) error

// row is a step and the endpoints that take it.
type row struct {
	step step
	at   endpoint
}

// table is all that is asked of an authorization request, in this order. Until
// checkRedirectURI has passed nothing may be sent on: it would make us an open
// redirector.
var table = [...]row{
	{checkClient, everywhere},
	{refuseReference, atPAR},
	{openPushed, atAuthorize},
	{openRequestObject, redirecting},
	{openSignedBackchannel, atCIBA},
	{refuseObject, atDevice},
	{checkRedirectURI, redirecting},
	{checkState, redirecting},
	{checkResponseMode, redirecting},
	{checkProfile, everywhere},
	{checkPushed, atAuthorize},
	{checkSigned, everywhere},
	{refuseRegistration, everywhere},
	{checkResponseType, redirecting},
	{checkDetails, everywhere},
	{checkScope, everywhere},
	{checkOpenID, atCIBA},
	{checkPKCE, redirecting},
	{checkNonce, redirecting},
	{checkDPoP, redirecting},
	{checkPrompt, redirecting},
	{checkMaxAge, redirecting | atDevice},
	{checkLocales, redirecting},
	{checkACR, redirecting | atCIBA | atDevice},
	{checkClaims, redirecting},
	{checkResource, everywhere},
	{checkLoginHint, redirecting | atCIBA},
	{checkIDTokenHint, redirecting},
	{checkBindingMessage, atCIBA},
	{checkUserCode, atCIBA},
	{checkExpiry, atCIBA},
	{checkNotificationToken, atCIBA},
	{checkHints, atCIBA},
}

// read runs the column of an endpoint. As long as no address for an answer is
// known, a problem is a *pageError or any other error; then it is an *Error
// that may go there.
func (s *Server) read(ctx context.Context, at endpoint, a *authorization) error {
	for i := range table {
		if table[i].at&at == 0 {
			continue
		}
		if err := table[i].step(ctx, s, a); err != nil {
			return err
		}
	}
	return nil
}
