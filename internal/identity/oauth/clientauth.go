package oauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// caller is a client that has proved who it is.
type caller struct {
	*client.Client
	rules      *client.Terms // that hold for it
	credential string        // id of the credential it used; "" for a public client
	method     *clientAuth
	instance   string // thumbprint of the key of the instance that proved itself, if one is attested
}

// presented is what a request shows of the client's credentials.
type presented struct {
	request *http.Request
	realm   *realm.Realm
	params  web.Params
	// Basic credentials of the Authorization header.
	basic, basicOK bool
	id, secret     string
	claimed        string // the client it says it is, if that can be one at all
	instance       string // thumbprint of the key of an attested instance, once proved
}

// clientAuth is one way in which clients authenticate (OpenID Connect Core,
// section 9). shows is what of a request uses it, name which client it claims to
// be, and prove whether it is that client. again asks later whether the same proof
// would still be taken, and spends nothing.
type clientAuth struct {
	method       client.AuthMethod
	shows        evidence
	name         func(p *presented) string
	prove, again func(ctx context.Context, s *Server, p *presented, c *client.Client) (credential string, err error)
}

// evidence is what a request can show of a client, a bit each.
type evidence uint8

const (
	aHeader evidence = 1 << iota // Basic credentials
	aSecret
	aMAC       // an assertion made with the client's secret
	aSignature // any other assertion
	anAttestation
	anID // nothing else: a client_id alone comes with others as well
)

// evidence is all that a request shows. It is found before the methods are asked,
// which are many while a request uses one.
func (p *presented) evidence() (e evidence) {
	if p.basic {
		e |= aHeader
	}
	if p.params.Get("client_secret") != "" {
		e |= aSecret
	}
	if p.params.Get("client_assertion") != "" || p.params.Get("client_assertion_type") != "" {
		if sharedAssertion(p) != nil {
			e |= aMAC
		} else {
			e |= aSignature
		}
	}
	if len(p.request.Header[headerAttestation])+len(p.request.Header[headerAttestationPoP]) > 0 {
		e |= anAttestation
	}
	if e == 0 && p.params.Get("client_id") != "" {
		return anID
	}
	return e
}

// clientAuths has every method the endpoints accept, in the order of discovery,
// which reads it too.
var clientAuths = [...]clientAuth{
	authBasic,
	authPost,
	authSecretJWT,
	authPrivateKeyJWT,
	authTLS,
	authSelfSigned,
	authAttested,
	authNone,
}

// authenticate finds out which client calls. Who is refused is told no more
// than RFC 6749, section 5.2 asks; the log is told why.
func (s *Server) authenticate(r *http.Request, rl *realm.Realm, params web.Params) (caller, error) {
	return s.known(&presented{request: r, realm: rl, params: params})
}

// known is authenticate for what a request shows.
func (s *Server) known(p *presented) (caller, error) {
	c, err := s.identify(p)
	if err != nil {
		s.noteRefusal(p, err)
	}
	return c, err
}

func (s *Server) noteRefusal(p *presented, err error) {
	var refused *Error
	if errors.As(err, &refused) && refused.Code == "invalid_client" {
		s.log.Activity(p.realm.Name, from(p.request), audit.Activity{Action: "client.refuse", Target: p.claimed, Reason: refused.Description})
	}
}

// identify does it, by exactly one method and by the one registered for the
// client (CL-03).
func (s *Server) identify(p *presented) (caller, error) {
	r, rl, params := p.request, p.realm, p.params
	if header := r.Header["Authorization"]; len(header) > 0 {
		if len(header) > 1 {
			return caller{}, badRequest("more than one Authorization header")
		}
		p.id, p.secret, p.basic, p.basicOK = parseBasic(header[0])
		if !p.basic {
			return caller{}, s.badClient(p, "only the Basic scheme authenticates clients here")
		}
	}
	method, err := p.method()
	if err != nil {
		return caller{}, err
	}
	if p.basic && !p.basicOK {
		return caller{}, s.badClient(p, "the Basic credentials cannot be read")
	}
	id := method.name(p)
	if stated := params.Get("client_id"); stated != "" && id != "" && stated != id {
		return caller{}, badRequest("client_id and the client's credentials name different clients")
	}
	if client.ValidID(id) {
		p.claimed = id
	}
	c, err := s.party(r.Context(), rl, id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return caller{}, s.badClient(p, "unknown client")
	}
	if err != nil {
		return caller{}, err
	}
	web.Note(r.Context(), "client", c.ID)
	rules := c.Terms(rl)
	if rules.Contradiction != "" {
		return caller{}, s.badClient(p, "the client's settings contradict its profile: "+rules.Contradiction)
	}
	if certified := byCertificate(c); certified != nil && method.method == client.None {
		method = certified
	}
	if c.AuthMethod != method.method {
		return caller{}, s.badClient(p, "the client is registered for another authentication method")
	}
	credential, err := method.prove(r.Context(), s, p, c)
	if err != nil {
		return caller{}, err
	}
	return caller{c, rules, credential, method, p.instance}, nil
}

// method picks the one method the request uses.
func (p *presented) method() (*clientAuth, error) {
	shown := p.evidence()
	if shown&(shown-1) != 0 {
		return nil, badRequest("more than one client authentication method")
	}
	for i := range clientAuths {
		if m := &clientAuths[i]; m.shows == shown && shown != 0 {
			return m, nil
		}
	}
	return nil, &Error{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "no client credentials"}
}

// badClient is the answer to a client that is not who it says. Where it tried
// the Authorization header, it is told which scheme works there.
func (s *Server) badClient(p *presented, description string) *Error {
	e := &Error{Status: http.StatusUnauthorized, Code: "invalid_client", Description: description}
	if len(p.request.Header["Authorization"]) > 0 {
		e.Challenge = web.Challenge("Basic", "realm", p.realm.Issuer, "charset", "UTF-8")
	}
	return e
}
