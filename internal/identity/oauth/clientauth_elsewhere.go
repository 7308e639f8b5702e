package oauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/realm"
)

// Caller is a client that proved who it is at another door, with what it takes
// to ask again while its request lasts.
type Caller struct {
	s     *Server
	shown *presented
	was   caller
}

// Authenticate finds out which client calls an endpoint of another door, by the
// rules of the token endpoint: a secret in the Authorization header, or any
// method in the form of a POST. A public client has nothing to prove and is
// refused. Refusals are fault.Unauthenticated and fault.Invalid.
func (s *Server) Authenticate(w http.ResponseWriter, r *http.Request) (*Caller, error) {
	p := &presented{request: r, realm: realm.From(r.Context())}
	if r.Method == http.MethodPost {
		var err error
		if p.params, err = readForm(w, r); err != nil {
			return nil, Elsewhere(err)
		}
	}
	who, err := s.known(p)
	if err != nil {
		return nil, Elsewhere(err)
	}
	c := &Caller{s, p, who}
	_, err = c.alive(r.Context(), who.Client)
	return c, err
}

// AuthenticateBasic is Authenticate for endpoints that are posted something else
// than a form: the credentials are in the Authorization header.
func (s *Server) AuthenticateBasic(r *http.Request) (*Caller, error) {
	p := &presented{request: r, realm: realm.From(r.Context())}
	who, err := s.known(p)
	if err != nil {
		return nil, Elsewhere(err)
	}
	c := &Caller{s, p, who}
	_, err = c.alive(r.Context(), who.Client)
	return c, err
}

// Still returns the client as it is now, if it would still be taken for who it
// is: not disabled, registered for the same method, with the credential alive
// that it used. A spent assertion is not asked for its times again.
func (c *Caller) Still(ctx context.Context) (*client.Client, error) {
	now, err := c.s.clients.Live(ctx, c.was.Realm, c.was.ID)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return nil, ended()
	}
	if err != nil {
		return nil, err
	}
	if now.AuthMethod != c.was.AuthMethod {
		return nil, ended()
	}
	credential, err := c.was.method.again(ctx, c.s, c.shown, now)
	if err != nil {
		return nil, Elsewhere(err)
	}
	if credential != c.was.credential {
		return nil, ended()
	}
	return c.alive(ctx, now)
}

// Client returns the client as it was when it proved itself.
func (c *Caller) Client() *client.Client { return c.was.Client }

// alive asks for what the gate asks at the token endpoint: a client that has
// something to prove, of a service that is not suspended.
func (c *Caller) alive(ctx context.Context, now *client.Client) (*client.Client, error) {
	if now.Public() {
		return nil, fault.New(fault.Unauthenticated, "invalid_client", "a public client proves nothing")
	}
	_, err := c.s.principals.Live(ctx, now.Realm, now.Principal)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return nil, ended()
	}
	return now, err
}

func ended() error {
	return fault.New(fault.Unauthenticated, "invalid_client", "the client or its credential has ended")
}

// Elsewhere puts a refusal of ours into the words of all doors.
func Elsewhere(err error) error {
	var refused *Error
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.Status == http.StatusUnauthorized:
		return fault.New(fault.Unauthenticated, refused.Code, "%s", refused.Description)
	}
	return fault.New(fault.Invalid, refused.Code, "%s", refused.Description)
}
