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
	rl := realm.From(r.Context())
	params, err := readForm(w, r)
	if err != nil {
		return err
	}
	c, err := s.authenticate(r, rl, params)
	if err != nil {
		return err
	}
	a, err := s.readDevice(r.Context(), rl, c.Client, params)
	if err != nil {
		return err
	}
	by := actor(r, c.Client)
	begun, err := s.approvals.Ask(r.Context(), rl.Name, approval.New{Kind: approval.Device, Client: c.ID, Life: deviceLife, Wait: deviceWait,
		Asked: approval.Asked{Scopes: a.scopes, Details: a.details.String(), Resources: a.resources, ClientLife: c.Life, IP: by.IP, UserAgent: by.UserAgent}})
	if err != nil {
		return err
	}
	s.log.Activity(rl.Name, by, audit.Activity{Action: "device.ask", Target: begun.ID})
	return writeJSON(w, answerDevice(rl.Issuer+signin.PathDevice, begun))
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
