package app

import (
	"context"
	"net/http"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/oauth"
	"github.com/cardea-id/cardea/internal/identity/signal"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/realm"
)

// mayFollow decides who may follow the revocation stream: a client that is a
// resource server, proved as at the token endpoint, or whoever has an access
// token with the scope for it. See docs/decisions/0042.
type mayFollow struct {
	tokens  *token.Gate
	clients *oauth.Server
}

func (m mayFollow) authorize(w http.ResponseWriter, r *http.Request) (still func(context.Context) error, err error) {
	shown, ok := oauth.ReadPresented(r)
	switch {
	case r.Method == http.MethodPost:
		return m.client(w, r)
	case !ok && r.Header.Get("Authorization") != "":
		return m.client(w, r)
	case !ok:
		return nil, notForYou()
	}
	found := realm.From(r.Context())
	if _, err := m.clients.Accept(w, r, found, shown); err != nil {
		return nil, unless503(oauth.Elsewhere(err), notForYou())
	}
	// What the token is bound to has been shown once for the whole stream.
	still = func(ctx context.Context) error { return m.token(ctx, found, shown.Token) }
	return still, still(r.Context())
}

func (m mayFollow) client(w http.ResponseWriter, r *http.Request) (still func(context.Context) error, err error) {
	who, err := m.clients.Authenticate(w, r)
	if err != nil {
		return nil, err
	}
	still = func(ctx context.Context) error {
		c, err := who.Still(ctx)
		if err != nil {
			return err
		}
		return resourceServer(c)
	}
	return still, resourceServer(who.Client())
}

func resourceServer(c *client.Client) error {
	if !c.ResourceServer {
		return fault.New(fault.Forbidden, "not_a_resource_server", "client %q is not registered as a resource server", c.ID)
	}
	return nil
}

func (m mayFollow) token(ctx context.Context, found *realm.Realm, bearer string) error {
	t, err := m.tokens.Recognise(ctx, found.Name, bearer)
	if err != nil {
		return unless503(err, notForYou())
	}
	if !t.For(found.Issuer + "/status-lists") {
		return notForYou() // RFC 9068, section 4: it was not issued for this
	}
	if !t.Allows(signal.Scope) {
		return fault.New(fault.Forbidden, "scope_missing", "the access token has no scope %s", signal.Scope)
	}
	return nil
}

func notForYou() error {
	return fault.New(fault.Unauthenticated, "credential_missing", "follow the stream as a resource server, or with an access token that has scope %s", signal.Scope)
}

// unless503 answers refusal, unless nothing can be said because something is away.
func unless503(err error, refusal error) error {
	if fault.Is(err, fault.Unavailable) || fault.Code(err) == "" {
		return err
	}
	return refusal
}
