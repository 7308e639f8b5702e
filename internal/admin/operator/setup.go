package operator

import (
	"context"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/client"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/once"
	who "github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// SetupLife is how long a set-up link opens the set-up page.
const SetupLife = 15 * time.Minute

// LinkPrefix begins every link that works once, so that scanners know a leaked
// one.
const LinkPrefix = "cdl_"

const setupPurpose once.Purpose = "setup"

// SetupLink makes a link that lets whoever has it become the realm's first
// owner, once. It is fault.Conflict for a realm that ever had an operator, also
// when all of them are gone: who has the database can make another, nobody else.
func (r *Registry) SetupLink(ctx context.Context, by audit.Actor, realm string) (link secret.Text, expires time.Time, err error) {
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		if err := open(tx); err != nil {
			return err
		}
		link, expires = secret.New(LinkPrefix), tx.Now.Add(SetupLife)
		if err := r.once.Put(tx, link, once.Value{Purpose: setupPurpose, Expires: expires}); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "operator.setup_link", TargetType: "realm", Target: realm})
		return nil
	})
	if err != nil {
		return "", time.Time{}, err
	}
	return link, expires, nil
}

// Virgin reports whether the realm never had an operator.
func (r *Registry) Virgin(ctx context.Context, realm string) (never bool, err error) {
	err = r.db.View(ctx, realm, func(tx *db.Tx) error {
		had, err := everHad(tx)
		never = !had
		return err
	})
	return never, err
}

// SetupOpen returns nil while link opens the set-up page, else fault.NotFound.
// It does not use the link.
func (r *Registry) SetupOpen(ctx context.Context, realm, link string) error {
	if !secret.Valid(LinkPrefix, link) {
		return closed()
	}
	return r.db.View(ctx, realm, func(tx *db.Tx) error {
		if err := unopened(tx); err != nil {
			return err
		}
		_, outcome, err := r.once.Peek(tx, link, once.Use{Purpose: setupPurpose})
		if err == nil && outcome != once.OK {
			return closed()
		}
		return err
	})
}

// Setup uses link to make the realm's first owner: a person with a password.
// When what they entered will not do, the error is fault.Invalid or
// fault.Conflict with the fields name, username, email or password, and the
// link is still good.
func (r *Registry) Setup(ctx context.Context, by audit.Actor, realm, link, name, username, email string, password secret.Text) (principal string, err error) {
	if err := r.SetupOpen(ctx, realm, link); err != nil {
		return "", err
	}
	hashed, err := r.passwords.Hash(ctx, realm, password, name, username, email)
	if err != nil {
		return "", err
	}
	first := who.New{Kind: who.Person, Name: strings.TrimSpace(username), DisplayName: strings.TrimSpace(name)}
	if email = strings.TrimSpace(email); email != "" {
		first.Emails = []who.Email{{Address: email, Primary: true}}
	}
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		if err := unopened(tx); err != nil {
			return err
		}
		// An outcome other than OK rolls back with everything else: there is
		// nothing to remember about a link that is no longer good.
		if _, outcome, err := r.once.Consume(tx, link, once.Use{Purpose: setupPurpose}); err != nil || outcome != once.OK {
			return firstError(err, closed())
		}
		p, err := who.CreateTx(tx, by, first)
		if err != nil {
			return formFields(err)
		}
		principal = p.ID
		if _, err := credential.SetPasswordTx(tx, by, p.ID, hashed); err != nil {
			return err
		}
		return r.first(tx, by, p.ID)
	})
	if err != nil {
		return "", err
	}
	return principal, nil
}

// SetupAutomation makes the realm's first owner a program instead of a person:
// a client that obtains its tokens with client_credentials. Its secret is told
// this once. Like Setup it works only while the realm never had an operator;
// whoever calls it has the database already.
func (r *Registry) SetupAutomation(ctx context.Context, by audit.Actor, realm, name string, scopes ...string) (made client.Changed, err error) {
	err = r.db.Update(ctx, realm, func(tx *db.Tx) error {
		if err := open(tx); err != nil {
			return err
		}
		made, err = r.clients.CreateTx(tx, by, client.Draft{Settings: client.Settings{
			Name: name, Type: client.Service, GrantTypes: []string{client.ClientCredentials}, Scopes: scopes,
		}})
		if err != nil {
			return err
		}
		return r.first(tx, by, made.Principal)
	})
	if err != nil {
		return client.Changed{}, err
	}
	return made, nil
}

// first makes principal the first owner. There is nobody yet who could permit
// it; that the realm never had an operator is what does.
func (r *Registry) first(tx *db.Tx, by audit.Actor, principal string) error {
	if err := remember(tx); err != nil {
		return err
	}
	if _, err := insert(tx, principal, Owner); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "operator.setup", TargetType: "operator", Target: principal, Invalidates: true,
		Data: map[string]any{"role": string(Owner)}})
	return nil
}

// open refuses a realm that ever had an operator.
func open(tx *db.Tx) error {
	had, err := everHad(tx)
	if err == nil && had {
		return fault.New(fault.Conflict, "setup_closed", "realm %s has been set up; set-up never opens again", tx.Realm)
	}
	return err
}

// unopened is open for whoever came by a link: a realm that has been set up is
// to them a link that is no longer good.
func unopened(tx *db.Tx) error {
	err := open(tx)
	if fault.Is(err, fault.Conflict) {
		return closed()
	}
	return err
}

func closed() error {
	return fault.New(fault.NotFound, "setup_link_unknown", "this set-up link was used, has expired or never was one")
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// formFields calls the fields of a principal as the set-up form does.
func formFields(err error) error {
	f, ok := err.(*fault.Error)
	if !ok {
		return err
	}
	for from, to := range map[string]string{"name": "username", "emails": "email", "display_name": "name"} {
		if why, has := f.Fields[from]; has {
			delete(f.Fields, from)
			defer f.WithField(to, why)
		}
	}
	return f
}
