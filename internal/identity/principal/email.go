package principal

import (
	"context"
	"errors"
	"slices"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
)

// AddEmail gives a person one more address; the first becomes the primary one.
// Whoever may call it decides whether the address counts as verified.
// fault.Conflict says that somebody has it.
func (d *Directory) AddEmail(ctx context.Context, by audit.Actor, realm, id, address string, verified bool) error {
	if err := checkEmail(address); err != nil {
		return err
	}
	return d.changeEmails(ctx, by, realm, id, "principal.email.add", func(tx *db.Tx, p *Principal) error {
		if p.Kind != Person || len(p.Emails) >= maxEmails {
			return invalid("email", "addresses are for people, at most 20")
		}
		return claim(tx, id, identifier{Space: Person.space(), Type: "email", Value: address, Verified: verified, Primary: len(p.Emails) == 0})
	})
}

// VerifyEmail notes that an address of a person was confirmed.
func (d *Directory) VerifyEmail(ctx context.Context, by audit.Actor, realm, id, address string) error {
	return d.changeEmails(ctx, by, realm, id, "principal.email.verify", func(tx *db.Tx, p *Principal) error {
		return found(verifyEmail(tx, id, Canonical(address)))
	})
}

// SetPrimaryEmail makes an address of a person the primary one.
func (d *Directory) SetPrimaryEmail(ctx context.Context, by audit.Actor, realm, id, address string) error {
	return d.changeEmails(ctx, by, realm, id, "principal.email.primary", func(tx *db.Tx, p *Principal) error {
		if err := clearPrimary(tx, id); err != nil {
			return err
		}
		return found(makePrimary(tx, id, Canonical(address)))
	})
}

// RemoveEmail takes an address from a person. The primary one goes only when it
// is the last, and the last only from somebody who has a username. One that
// they do not have, any more or ever, is no error, and the commit waits like the
// first time.
func (d *Directory) RemoveEmail(ctx context.Context, by audit.Actor, realm, id, address string) error {
	if checkEmail(address) != nil {
		return found(0, nil)
	}
	return d.changeEmails(ctx, by, realm, id, "principal.email.remove", func(tx *db.Tx, p *Principal) error {
		if !slices.ContainsFunc(p.Emails, func(e Email) bool { return Canonical(e.Address) == Canonical(address) }) {
			return errUnchanged
		}
		if len(p.Emails) == 1 && p.Name == "" {
			return fault.New(fault.Conflict, "email_needed", "a person without username needs an e-mail address")
		}
		if len(p.Emails) > 1 && Canonical(p.Email().Address) == Canonical(address) {
			return fault.New(fault.Conflict, "email_primary", "the primary address is replaced before it is removed")
		}
		return found(removeEmail(tx, id, Canonical(address)))
	})
}

// errUnchanged says that things are already as they should become.
var errUnchanged = errors.New("unchanged")

func (d *Directory) changeEmails(ctx context.Context, by audit.Actor, realm, id, action string, change func(*db.Tx, *Principal) error) error {
	return d.db.Update(ctx, realm, func(tx *db.Tx) error {
		p, err := undeleted(tx, id, 0)
		if err != nil {
			return err
		}
		if err := change(tx, p); errors.Is(err, errUnchanged) {
			audit.Barrier(tx)
			return nil
		} else if err != nil {
			return err
		}
		p.Version, p.UpdatedAt = p.Version+1, tx.Now
		if err := update(tx, p); err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: action, TargetType: string(p.Kind), Target: id, Invalidates: true})
		return nil
	})
}

func found(n int64, err error) error {
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "email_unknown", "the person has no such e-mail address")
	}
	return err
}
