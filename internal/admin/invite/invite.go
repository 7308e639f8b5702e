// Package invite owns the links that operators hand out so that a person can
// set a password of their own. Operators never see or choose one.
package invite

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/grant"
	"github.com/cardea-id/cardea/internal/identity/once"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// LinkPrefix begins every link, so that scanners know a leaked one.
const LinkPrefix = "cdl_"

// How long a link is good. Somebody who has a password loses it to whoever has
// the link, so theirs is short; somebody new has to find time.
const (
	ResetLife  = 30 * time.Minute
	InviteLife = 3 * 24 * time.Hour
)

const setPassword once.Purpose = "set_password"

// Links makes and uses links with which people set their password.
type Links struct {
	db        *db.DB
	once      *once.Store
	passwords *credential.Passwords
	grants    *grant.Store
}

// New returns the links.
func New(d *db.DB, values *once.Store, passwords *credential.Passwords, grants *grant.Store) *Links {
	return &Links{db: d, once: values, passwords: passwords, grants: grants}
}

// bound is what a link depends on: the password and the addresses that the
// person had when it was made, and that they were not suspended since. Anything
// else means that the link is outdated.
type bound struct {
	Credential string `json:"credential"`
	Version    int64  `json:"version"`
	Era        int64  `json:"era"`
	Addresses  []byte `json:"addresses"` // keyed by the link, so that nobody else can try addresses
}

// bind reads what a link for a person depends on now. The error is
// fault.Forbidden when the person may not act.
func bind(tx *db.Tx, link, id string) (bound, error) {
	life, err := principal.LiveTx(tx, id)
	if err != nil {
		return bound{}, err
	}
	if life.Kind != principal.Person {
		return bound{}, fault.New(fault.Invalid, "not_a_person", "only people have passwords")
	}
	p, err := principal.ByIDTx(tx, id)
	if err != nil {
		return bound{}, err
	}
	present, err := credential.PasswordTx(tx, id)
	if err != nil {
		return bound{}, err
	}
	addresses := make([]string, len(p.Emails))
	for i, e := range p.Emails {
		addresses[i] = e.Address
	}
	slices.Sort(addresses)
	return bound{present.ID, present.Version, life.Era, secret.Derive([]byte(link), "addresses", addresses...)}, nil
}

func (b bound) equal(c bound) bool {
	return b.Credential == c.Credential && b.Version == c.Version && b.Era == c.Era && secret.Equal(b.Addresses, c.Addresses)
}

// Make makes a link for a living person. Links made before stay good until one
// of them is used.
func (l *Links) Make(ctx context.Context, by audit.Actor, realm, id string) (link secret.Text, expires time.Time, err error) {
	err = l.db.Update(ctx, realm, func(tx *db.Tx) error {
		link, expires = secret.New(LinkPrefix), tx.Now.Add(InviteLife)
		present, err := bind(tx, string(link), id)
		if err != nil {
			return err
		}
		payload, err := json.Marshal(present)
		if err != nil {
			return err
		}
		if present.Credential != "" {
			expires = tx.Now.Add(ResetLife)
		}
		if err := l.once.Put(tx, link, once.Value{Purpose: setPassword, Subject: id, Payload: payload, Expires: expires}); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "principal.password_link", TargetType: string(principal.Person), Target: id})
		return nil
	})
	if err != nil {
		return "", time.Time{}, err
	}
	return link, expires, nil
}

// Open tells whose password a link sets, or is fault.NotFound. It does not use
// the link.
func (l *Links) Open(ctx context.Context, realm, link string) (p *principal.Principal, err error) {
	if !secret.Valid(LinkPrefix, link) {
		return nil, unknown()
	}
	err = l.db.View(ctx, realm, func(tx *db.Tx) error {
		v, outcome, err := l.once.Peek(tx, link, once.Use{Purpose: setPassword})
		if err != nil {
			return err
		}
		if outcome != once.OK {
			return unknown()
		}
		if err := current(tx, link, v); err != nil {
			return err
		}
		p, err = principal.ByIDTx(tx, v.Subject)
		return err
	})
	return p, err
}

// Set uses a link: the person has the password from now on, and everything that
// was signed in before is not. It signs nobody in. A password that will not do
// is fault.Invalid with the field password, and the link is still good.
func (l *Links) Set(ctx context.Context, by audit.Actor, realm, link string, password secret.Text) error {
	p, err := l.Open(ctx, realm, link)
	if err != nil {
		return err
	}
	about := []string{p.Name, p.DisplayName}
	for _, e := range p.Emails {
		about = append(about, e.Address)
	}
	hashed, err := l.passwords.Hash(ctx, realm, password, about...)
	if err != nil {
		return err
	}
	err = l.db.Update(ctx, realm, func(tx *db.Tx) error {
		v, outcome, err := l.once.Consume(tx, link, once.Use{Purpose: setPassword})
		if err != nil {
			return err
		}
		if outcome != once.OK {
			return unknown()
		}
		if err := current(tx, link, v); err != nil {
			return err
		}
		// The era ends with the old password, or here: what was signed in before
		// is dead by this commit, whether or not it is found afterwards.
		replaced, err := credential.SetPasswordTx(tx, by, v.Subject, hashed)
		if err != nil || replaced != "" {
			return err
		}
		return principal.EndEraTx(tx, by, v.Subject, "first password set by link")
	})
	return l.grants.FinishSignOut(ctx, by, realm, p.ID, "password set by link", err)
}

// current refuses a link made in other circumstances than the present ones.
func current(tx *db.Tx, link string, v once.Value) error {
	var then bound
	if err := json.Unmarshal(v.Payload, &then); err != nil {
		return err
	}
	now, err := bind(tx, link, v.Subject)
	if fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) || err == nil && !now.equal(then) {
		return unknown()
	}
	return err
}

func unknown() error {
	return fault.New(fault.NotFound, "password_link_unknown", "this link was used, has expired or is outdated by a newer one")
}
