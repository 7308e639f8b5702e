package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"

	wire "github.com/cardea-id/cardea/api"
	"github.com/cardea-id/cardea/internal/access/agent"
	"github.com/cardea-id/cardea/internal/access/folder"
	"github.com/cardea-id/cardea/internal/access/opa"
	"github.com/cardea-id/cardea/internal/access/opal"
	"github.com/cardea-id/cardea/internal/access/replica"
	"github.com/cardea-id/cardea/internal/access/version"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/oauth"
	"github.com/cardea-id/cardea/internal/identity/token"
	"github.com/cardea-id/cardea/internal/jose"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// agents makes the control plane of agents that decide elsewhere.
func (a *App) agents(master []byte) {
	a.Plane = agent.New(agent.Options{DB: a.DB, Log: a.Log, Snapshot: a.snapshot, Touched: touched,
		Policy: func(ctx context.Context, realm string) (*version.Version, folder.Files, error) {
			return a.Policies.ByNumber(ctx, realm, 0)
		},
		Directory: agent.Directory{Entity: replica.Principal, Owns: replica.OfDirectory, Types: replica.EntityTypes()},
		Key:       func(realm string) (*jose.Key, error) { return bundleKey(master, realm) },
		Journal:   a.Journal,
		Logger:    a.slog})
}

// bundleKey is the key that signs the bundles of a realm. It is derived, and so
// always the same: agents have it in their configuration (docs/decisions/0106).
func bundleKey(master []byte, realm string) (*jose.Key, error) {
	for n := range 8 { // a number that is no key is less likely than one in four billion
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret.Derive(master, "cardea/bundles/v1", realm, strconv.Itoa(n)))
		if err != nil {
			continue
		}
		public, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(public)
		der, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return nil, err
		}
		return jose.ParseKey("bundles-"+hex.EncodeToString(sum[:8]), jose.ES256, der)
	}
	return nil, errors.New("no key for bundles can be derived")
}

// agentConfig is what agents of a realm are configured with.
func agentConfig(master []byte, rl *realm.Realm) (wire.AgentConfig, error) {
	key, err := bundleKey(master, rl.Name)
	if err != nil {
		return wire.AgentConfig{}, err
	}
	public, err := key.PublicPEM()
	return wire.AgentConfig{Issuer: rl.Issuer, URL: rl.Issuer + opa.Path, OPAL: rl.Issuer + opal.Path, Scope: opa.Scope, KeyID: key.ID, Algorithm: key.Alg, PublicKey: public}, err
}

// agency joins agents with the clients that they are.
type agency struct {
	tokens *token.Gate
	door   *oauth.Server
}

// authenticate takes an access token for agents, presented as it is bound, or the
// secret of a client that may ask for such tokens.
func (a agency) authenticate(w http.ResponseWriter, r *http.Request, rl *realm.Realm) (*opa.Caller, error) {
	if r.URL.RawQuery != "" && r.URL.Query().Has("access_token") {
		return nil, fault.New(fault.Invalid, "invalid_request", "a token in an address is not accepted: addresses are logged")
	}
	shown, ok := oauth.ReadPresented(r)
	if !ok {
		return a.secret(r)
	}
	t, err := a.door.Accept(w, r, rl, shown)
	if err != nil {
		return nil, refusal(oauth.Elsewhere(err))
	}
	if err := forAgents(t, rl); err != nil {
		return nil, err
	}
	// What the token is bound to has been shown once for the whole wait.
	return &opa.Caller{Client: t.Client, Still: func(ctx context.Context) error {
		t, err := a.tokens.Recognise(ctx, rl.Name, shown.Token)
		if err != nil {
			return refusal(err)
		}
		return forAgents(t, rl)
	}}, nil
}

func forAgents(t *token.Token, rl *realm.Realm) error {
	if !t.For(rl.Issuer + opa.Path) { // RFC 9068, section 4
		return fault.New(fault.Unauthenticated, "invalid_token", "the access token is not for agents")
	}
	if !t.Allows(opa.Scope) || entityType(t.Principal) == typeUser { // an agent gets what everybody may do
		return fault.New(fault.Forbidden, "insufficient_scope", "the access token is a person's, or has no scope %s", opa.Scope)
	}
	return nil
}

func (a agency) secret(r *http.Request) (*opa.Caller, error) {
	who, err := a.door.AuthenticateBasic(r)
	if err != nil {
		return nil, refusal(err)
	}
	may := func(c *client.Client) error {
		if !c.AllowsScope(opa.Scope) {
			return fault.New(fault.Forbidden, "insufficient_scope", "client %q has no scope %s", c.ID, opa.Scope)
		}
		return nil
	}
	return &opa.Caller{Client: who.Client().ID, Still: func(ctx context.Context) error {
		c, err := who.Still(ctx)
		if err != nil {
			return refusal(err)
		}
		return may(c)
	}}, may(who.Client())
}
