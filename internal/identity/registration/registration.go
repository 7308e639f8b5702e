// Package registration owns how applications become clients without an
// operator: they register themselves (RFC 7591) and manage that (RFC 7592), with
// initial access tokens and software statements where the realm wants them, or
// their id is the address of a document about them
// (draft-ietf-oauth-client-id-metadata-document).
//
// Whatever comes in this way is the application's own word. It is held to the
// realm's policy at every change, can never make a client more trusted than a
// stranger, and is shown as unverified. The package knows no HTTP; the oauth
// door has the endpoints.
package registration

import (
	"context"
	"encoding/json"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
	"github.com/cardea-id/cardea/internal/web"
)

// TokenPrefix begins every registration access token (RFC 7592, section 1.2).
const TokenPrefix = "cdm_"

// Registry keeps what is known of clients that registered themselves.
type Registry struct {
	db          *db.DB
	clients     *client.Registry
	credentials *credential.Store
	grants      *grant.Store
	fetch       *web.Fetcher
	documents   documents
}

// New returns the registry. fetch reads client id metadata documents, and who
// belongs to a sector.
func New(d *db.DB, clients *client.Registry, credentials *credential.Store, grants *grant.Store, fetch *web.Fetcher) *Registry {
	return &Registry{db: d, clients: clients, credentials: credentials, grants: grants, fetch: fetch}
}

// Registration is a client as its registration answers (RFC 7591, section
// 3.2.1).
type Registration struct {
	*client.Client
	Software Software
	Secret   secret.Text // the client's, where one was just made
	Token    secret.Text // the registration access token, where one was just made
}

// Software is what a client says of the program that it is, and of its sector. It
// is kept to be told again and decides nothing.
type Software struct {
	ID        string `json:"software_id,omitempty"`
	Version   string `json:"software_version,omitempty"`
	Statement string `json:"software_statement,omitempty"`
	Sector    string `json:"sector_identifier_uri,omitempty"`
}

// Register makes a client of what it says about itself. initial is the initial
// access token that came with the request, "" for none. Refusals that are the
// client's to mend have the codes of RFC 7591, section 3.2.2.
func (r *Registry) Register(ctx context.Context, by audit.Actor, rl *realm.Realm, initial secret.Text, body []byte) (Registration, error) {
	p := policyOf(&rl.Settings)
	if err := p.open(initial); err != nil {
		return Registration{}, err
	}
	m, err := p.read(body, r.db.Now())
	if err != nil {
		return Registration{}, err
	}
	if m.clientID != "" {
		return Registration{}, invalid("client_id", "is given by the server")
	}
	if err := r.admit(ctx, rl.Name, initial); err != nil {
		return Registration{}, err
	}
	if err := r.checkSector(ctx, m); err != nil {
		return Registration{}, err
	}
	var made Registration
	err = r.db.Update(ctx, rl.Name, func(tx *db.Tx) error {
		made, err = r.registerTx(tx, by, p, initial, m)
		return err
	})
	if err != nil {
		return Registration{}, words(err)
	}
	return made, nil
}

func (r *Registry) registerTx(tx *db.Tx, by audit.Actor, p policy, initial secret.Text, m metadata) (Registration, error) {
	used := ""
	if initial != "" {
		var err error
		if used, err = useInitial(tx, initial); err != nil {
			return Registration{}, err
		}
	}
	n, err := client.CountTx(tx, client.FromRegistration)
	if err != nil {
		return Registration{}, err
	}
	if n >= p.max {
		return Registration{}, fault.New(fault.TooMany, "registrations_exhausted", "the realm takes no more registrations; ask its operator").WithRetry(time.Hour)
	}
	c, err := r.clients.CreateTx(tx, by, client.Draft{Source: client.FromRegistration, Settings: m.settings})
	if err != nil {
		return Registration{}, err
	}
	token := secret.New(TokenPrefix)
	if err := insert(tx, row{client: c.ID, token: secret.Hash(string(token)), initial: used, software: m.software}); err != nil {
		return Registration{}, err
	}
	audit.Append(tx, by, audit.Event{Action: "registration.create", TargetType: "client", Target: c.ID,
		Data: facts("initial_access_token", used, "software_issuer", m.vouched)})
	return Registration{Client: c.Client, Software: m.software, Secret: c.Secret, Token: token}, nil
}

// Read tells a client how it is registered (RFC 7592, section 2.1).
func (r *Registry) Read(ctx context.Context, rl *realm.Realm, id string, token secret.Text) (Registration, error) {
	c, kept, err := r.holder(ctx, rl, id, token)
	if err != nil {
		return Registration{}, err
	}
	return Registration{Client: c, Software: kept.software}, nil
}

// Update replaces what a client says about itself (RFC 7592, section 2.2). It is
// held to the policy as it is now. The registration access token is replaced
// too, and the old one is dead.
func (r *Registry) Update(ctx context.Context, by audit.Actor, rl *realm.Realm, id string, token secret.Text, body []byte) (Registration, error) {
	c, _, err := r.holder(ctx, rl, id, token)
	if err != nil {
		return Registration{}, err
	}
	m, err := policyOf(&rl.Settings).read(body, r.db.Now())
	if err != nil {
		return Registration{}, err
	}
	if err := r.checkOwn(ctx, c, m); err != nil {
		return Registration{}, err
	}
	if err := r.checkSector(ctx, m); err != nil {
		return Registration{}, err
	}
	next := secret.New(TokenPrefix)
	var changed client.Changed
	err = r.db.Update(ctx, rl.Name, func(tx *db.Tx) error {
		if err := rotate(tx, id, secret.Hash(string(token)), secret.Hash(string(next)), m.software); err != nil {
			return err
		}
		if changed, err = r.clients.UpdateTx(tx, by, id, 0, m.settings); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "registration.update", TargetType: "client", Target: id, Data: facts("software_issuer", m.vouched)})
		return nil
	})
	err = r.grants.EndRevoked(ctx, by, rl.Name, c.Principal, "the client authenticates otherwise now", err)
	if err != nil {
		return Registration{}, words(err)
	}
	return Registration{Client: changed.Client, Software: m.software, Secret: changed.Secret, Token: next}, nil
}

// checkOwn compares what an update says of the client with what it is: the
// client_id must be there, a secret may be.
func (r *Registry) checkOwn(ctx context.Context, c *client.Client, m metadata) error {
	if m.clientID != c.ID {
		return invalid("client_id", "must be that of the client")
	}
	if m.secret == "" {
		return nil
	}
	shared, err := r.credentials.SharedSecrets(ctx, c.Realm, c.Principal)
	if err != nil {
		return err
	}
	for _, one := range shared {
		if secret.Equal([]byte(string(one.Text)), []byte(string(m.secret))) {
			return nil
		}
	}
	_, err = r.credentials.CheckSecret(ctx, c.Realm, c.Principal, m.secret)
	if fault.Is(err, fault.Unauthenticated) {
		return invalid("client_secret", "is not the client's; leave it out, the server chooses secrets")
	}
	return err
}

// Delete ends a client for ever, and everything it was given (RFC 7592, section
// 2.3).
func (r *Registry) Delete(ctx context.Context, by audit.Actor, rl *realm.Realm, id string, token secret.Text) error {
	if _, _, err := r.holder(ctx, rl, id, token); err != nil {
		return err
	}
	return r.grants.DeleteClient(ctx, by, rl.Name, id, 0, func(tx *db.Tx) error {
		if err := forget(tx, id, secret.Hash(string(token))); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "registration.delete", TargetType: "client", Target: id})
		return nil
	})
}

// holder finds the living client whose registration access token this is.
// Whether the client or the token is wrong is not told.
func (r *Registry) holder(ctx context.Context, rl *realm.Realm, id string, token secret.Text) (c *client.Client, kept row, err error) {
	if policyOf(&rl.Settings).mode == realm.RegistrationOff {
		return nil, row{}, closed()
	}
	if !secret.Valid(TokenPrefix, string(token)) || !client.ValidID(id) {
		return nil, row{}, stranger()
	}
	err = r.db.View(ctx, rl.Name, func(tx *db.Tx) error {
		kept, err = byClient(tx, id)
		return err
	})
	if db.Missing(err) || err == nil && !secret.Equal(kept.token, secret.Hash(string(token))) {
		return nil, row{}, stranger()
	}
	if err != nil {
		return nil, row{}, err
	}
	c, err = r.clients.Live(ctx, rl.Name, id)
	if fault.Is(err, fault.NotFound) {
		return nil, row{}, stranger()
	}
	return c, kept, err
}

func closed() error {
	return fault.New(fault.Forbidden, "registration_off", "clients do not register themselves in this realm")
}

func stranger() error {
	return fault.New(fault.Unauthenticated, "invalid_token", "the access token is missing, wrong, expired or used up")
}

// facts are those of an event that are not empty.
func facts(pairs ...string) map[string]any {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

func (s Software) encode() string {
	b, _ := json.Marshal(s) // strings
	return string(b)
}
