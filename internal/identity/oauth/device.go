package oauth

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/identity/approval"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/signin"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/web"
)

// How long a device may wait for a person, and how long between two questions
// at first (RFC 8628, section 3.2).
const (
	deviceLife = 10 * time.Minute
	deviceWait = 5 * time.Second
)

// deviceAuthorization begins the authorization of a device that has no browser
// or no keyboard (RFC 8628, section 3.1).
func (s *Server) deviceAuthorization(w http.ResponseWriter, r *http.Request) error {
	a, _, err := s.readElsewhere(w, r, s.readDevice)
	if err != nil {
		return err
	}
	asked := approval.Asked{ACR: a.acr} // as RFC 9470, section 4, has it for browsers
	if a.maxAge >= 0 {
		asked.MaxAge = &a.maxAge
	}
	begun, err := s.askElsewhere(r, a, approval.New{Kind: approval.Device, Asked: asked, Life: deviceLife, Wait: deviceWait})
	if err != nil {
		return err
	}
	return writeJSON(w, answerDevice(a.realm.Issuer+signin.PathDevice, begun))
}

// readElsewhere is how every request begins that a person decides somewhere
// else: the client authenticates, and the column of its endpoint reads the rest.
func (s *Server) readElsewhere(w http.ResponseWriter, r *http.Request,
	read func(context.Context, *realm.Realm, *client.Client, web.Params) (*authorization, error)) (*authorization, caller, error) {
	rl := realm.From(r.Context())
	params, err := readForm(w, r)
	if err != nil {
		return nil, caller{}, err
	}
	c, err := s.authenticate(r, rl, params)
	if err != nil {
		return nil, caller{}, err
	}
	a, err := read(r.Context(), rl, c.Client, params)
	return a, c, err
}

// askElsewhere writes the request down, with what n says of it already.
func (s *Server) askElsewhere(r *http.Request, a *authorization, n approval.New) (approval.Begun, error) {
	by := actor(r, a.client)
	n.Client, n.ClientLife, n.IP, n.UserAgent = a.client.ID, a.client.Life, by.IP, by.UserAgent
	n.Scopes, n.Details, n.Resources = a.scopes, a.details.String(), a.resources
	begun, err := s.approvals.Ask(r.Context(), a.realm.Name, n)
	if err != nil {
		return begun, err
	}
	s.log.Activity(a.realm.Name, by, audit.Activity{Action: string(n.Kind) + ".ask", Target: begun.ID})
	return begun, nil
}

// readDevice runs the column of a device authorization request.
func (s *Server) readDevice(ctx context.Context, rl *realm.Realm, c *client.Client, p web.Params) (*authorization, error) {
	a := newAuthorization(rl, p.Without(clientCredentials...))
	a.client = c
	if !c.AllowsGrant(client.DeviceCode) {
		return nil, refuse("unauthorized_client", "the client may not use the device authorization grant")
	}
	return a, s.read(ctx, atDevice, a)
}

// refuseObject refuses a signed request where nobody has said what it would
// mean: what its client signed must not count for nothing.
func refuseObject(_ context.Context, _ *Server, a *authorization) error {
	if a.params.Has("request") || a.params.Has("request_uri") {
		return badRequest("a device's request is not signed (RFC 8628, section 3.1)")
	}
	return nil
}

// answerDevice is the body of RFC 8628, section 3.2.
func answerDevice(page string, begun approval.Begun) []byte {
	b := appendString(append(make([]byte, 0, 512), `{"device_code":`...), string(begun.Code))
	b = appendString(append(b, `,"user_code":`...), begun.UserCode)
	b = appendString(append(b, `,"verification_uri":`...), page)
	b = appendString(append(b, `,"verification_uri_complete":`...), page+"?user_code="+url.QueryEscape(begun.UserCode))
	b = strconv.AppendInt(append(b, `,"expires_in":`...), int64(begun.Life/time.Second), 10)
	b = strconv.AppendInt(append(b, `,"interval":`...), int64(begun.Wait/time.Second), 10)
	return append(b, '}')
}
