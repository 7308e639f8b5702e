package oauth

import (
	"context"
	"net/url"
	"time"

	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// authorization is one authorization request (RFC 6749, section 4.1.1; OpenID
// Connect Core, section 3.1.2.1) as the checks have read it.
type authorization struct {
	realm  *realm.Realm
	params web.Params
	client *client.Client

	redirectURI string
	mode        string // response mode; query until it is known
	state       string
	byForm      bool // forms of our pages led here

	scopes    []string // sorted, each allowed for the client
	resources []string
	challenge string // S256, or "" for a client that may leave PKCE out
	nonce     string
	jkt       string // the key that the code shall be bound to, or ""
	prompt    prompt
	maxAge    int64  // seconds; -1: none
	subject   string // whom the client expects, as it knows them; "" anybody
	claims    claimsRequest
	acr       []string      // levels of assurance asked for, in the order of preference
	message   string        // to be compared with what the client shows
	life      time.Duration // how long a person may be waited for
	person    string        // who is asked: a principal, or what is nobody's
	about     []string      // scopes of claims asked for by name, sorted, each allowed for the client
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

// step checks one thing about a request and notes what it read.
type step func(ctx context.Context, s *Server, a *authorization) error

// addressSteps find out where an answer may go. Whatever they refuse is shown
// on a page of ours: sending the browser on would make us an open redirector.
var addressSteps = []step{
	checkClient,
	checkRedirectURI,
}

// requestSteps read the rest. Whatever they refuse is sent to the client.
var requestSteps = []step{
	checkState,
	checkResponseMode,
	refuseRequestObject,
	checkResponseType,
	checkScope,
	checkPKCE,
	checkNonce,
	checkDPoP,
	checkPrompt,
	checkMaxAge,
	checkLocales,
	checkACR,
	checkClaims,
	checkResource,
	checkLoginHint,
	checkIDTokenHint,
}

// deviceSteps read what a device asks for (RFC 8628, section 3.1). It has no
// address to be answered at.
var deviceSteps = []step{
	checkScope,
	checkResource,
}

// backchannelSteps read what a client asks of somebody by the back channel
// (CIBA, section 7.1).
var backchannelSteps = []step{
	refuseSignedBackchannel,
	checkScope,
	checkOpenID,
	checkACR,
	checkResource,
	checkLoginHint,
	checkBindingMessage,
	checkUserCode,
	checkExpiry,
	checkHints,
}

// read runs all steps over a request. An error of the address steps is a
// *pageError; after them the answer's address is known, and an *Error goes
// there.
func (s *Server) read(ctx context.Context, rl *realm.Realm, p web.Params) (*authorization, error) {
	a := &authorization{realm: rl, params: p, mode: "query", maxAge: -1}
	for _, step := range addressSteps {
		if err := step(ctx, s, a); err != nil {
			return a, err
		}
	}
	for _, step := range requestSteps {
		if err := step(ctx, s, a); err != nil {
			return a, err
		}
	}
	return a, nil
}
