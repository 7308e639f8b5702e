package client

import (
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/id"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// Draft is what it takes to register a client.
type Draft struct {
	// ID is the client_id. Empty: one is made up. Only operators choose one; it
	// is never used again, not even after deletion.
	ID       string
	Settings Settings
	Source   Source // by whose word; an operator's if empty
}

// Changed is a client after a change of its settings.
type Changed struct {
	*Client
	// Secret is not empty when the change gave the client its first secret. It
	// is told this once.
	Secret secret.Text
	// Revoked are the credentials that the change made useless. They are dead;
	// what hangs on them is ended by package grant.
	Revoked []string
}

// Create registers a client together with its service principal and, if it
// authenticates with one, its secret.
func (r *Registry) Create(ctx context.Context, by audit.Actor, realm string, d Draft) (c Changed, err error) {
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		c, err = r.CreateTx(tx, by, d)
		return err
	})
	if err != nil {
		return Changed{}, err
	}
	return c, nil
}

// CreateTx is Create within a transaction, which must be serializable.
func (r *Registry) CreateTx(tx *db.Tx, by audit.Actor, d Draft) (Changed, error) {
	return r.create(tx, by, d, false)
}

func (r *Registry) create(tx *db.Tx, by audit.Actor, d Draft, builtIn bool) (Changed, error) {
	c := &Client{Realm: tx.Realm, ID: d.ID, Version: 1, Life: 1, Created: tx.Now, Updated: tx.Now, Enabled: true, BuiltIn: builtIn, Source: d.Source, Settings: d.Settings}
	c.Settings.Defaults()
	if err := c.validate(); err != nil {
		return Changed{}, err
	}
	if err := c.fitsRealm(tx); err != nil {
		return Changed{}, err
	}
	if c.ID == "" {
		c.ID = id.New("cli", tx.Now)
	} else if !chosenID(c.ID) && (c.Source != FromDocument || !IsDocument(c.ID)) {
		return Changed{}, fault.New(fault.Invalid, "client_id_invalid", "a client id has 3 to 64 lower-case letters, digits, dots and hyphens, and begins with a letter").
			WithField("id", "has 3 to 64 lower-case letters, digits, dots and hyphens, and begins with a letter")
	}
	p, err := principal.CreateTx(tx, by, principal.New{Kind: principal.Service, DisplayName: c.Name})
	if err != nil {
		return Changed{}, err
	}
	c.Principal = p.ID
	free, err := insert(tx, c)
	if err != nil {
		return Changed{}, err
	}
	if !free {
		return Changed{}, fault.New(fault.Conflict, "client_id_taken", "the client id %q is or was in use", c.ID).WithField("id", "is or was in use")
	}
	changed, err := r.fit(tx, by, c, &Settings{})
	if err != nil {
		return Changed{}, err
	}
	audit.Append(tx, by, audit.Event{Action: "client.create", TargetType: "client", Target: c.ID, Invalidates: true,
		Data: map[string]any{"name": c.Name, "type": string(c.Type)}})
	return changed, nil
}

// fit makes the client's credentials those that its settings call for: what
// the authentication method has no use for dies.
func (r *Registry) fit(tx *db.Tx, by audit.Actor, c *Client, before *Settings) (changed Changed, err error) {
	changed.Client = c
	if changed.Revoked, changed.Secret, err = r.fitSecret(tx, by, c, before); err != nil {
		return Changed{}, err
	}
	var keys []string
	switch {
	case c.JWKS != "" && c.JWKS != before.JWKS:
		keys, err = credential.SetKeysTx(tx, by, c.Principal, []byte(c.JWKS))
	case c.JWKS == "" && before.JWKS != "":
		keys, err = revokeAll(tx, by, c.Principal, credential.PublicKey)
	}
	changed.Revoked = append(changed.Revoked, keys...)
	if err != nil || c.keySource() == before.keySource() {
		return changed, err
	}
	keys, err = revokeAll(tx, by, c.Principal, credential.KeySet)
	if err == nil && c.keySource() != "" {
		_, err = credential.AddKeySetTx(tx, by, c.Principal, c.keySource())
	}
	changed.Revoked = append(changed.Revoked, keys...)
	return changed, err
}

// fitSecret gives the client a secret of the type that its settings call for. A
// secret that is kept as a hash cannot become one that is kept sealed, nor the
// other way around.
func (r *Registry) fitSecret(tx *db.Tx, by audit.Actor, c *Client, before *Settings) (revoked []string, text secret.Text, err error) {
	old, wanted := before.secretType(), c.secretType()
	if old == wanted {
		return nil, "", nil
	}
	if old != "" {
		if revoked, err = revokeAll(tx, by, c.Principal, old); err != nil {
			return nil, "", err
		}
	}
	switch wanted {
	case credential.ClientSecret:
		_, text, err = credential.AddSecretTx(tx, by, c.Principal, "", 0)
	case credential.SealedSecret:
		_, text, err = r.secrets.AddSealedSecretTx(tx, by, c.Principal, "", 0)
	}
	return revoked, text, err
}

// AddSecretTx makes another secret for a client, of the type that its method of
// authentication needs. It is fault.Conflict for one that has no secret. The
// transaction must be serializable.
func (r *Registry) AddSecretTx(tx *db.Tx, by audit.Actor, c *Client, ttl time.Duration) (credential.Credential, secret.Text, error) {
	switch c.secretType() {
	case credential.ClientSecret:
		return credential.AddSecretTx(tx, by, c.Principal, "", ttl)
	case credential.SealedSecret:
		return r.secrets.AddSealedSecretTx(tx, by, c.Principal, "", ttl)
	}
	return credential.Credential{}, "", fault.New(fault.Conflict, "client_without_secret", "client %q authenticates with %s, not with a secret", c.ID, c.AuthMethod)
}

// revokeAll ends every living credential of a type.
func revokeAll(tx *db.Tx, by audit.Actor, principal string, t credential.Type) (revoked []string, err error) {
	all, err := credential.LivingTx(tx, principal)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if c.Type != t {
			continue
		}
		if err := credential.RevokeTx(tx, by, c.ID, "the client authenticates otherwise now"); err != nil {
			return nil, err
		}
		revoked = append(revoked, c.ID)
	}
	return revoked, nil
}

// secretType is how the client's secrets are kept, "" if it has none.
func (s *Settings) secretType() credential.Type {
	switch s.AuthMethod {
	case SecretBasic, SecretPost:
		return credential.ClientSecret
	case SecretJWT:
		return credential.SealedSecret
	}
	return ""
}
