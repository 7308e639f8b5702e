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
	return d.db.Update(ctx, realm, func(tx *db.Tx) error { return VerifyEmailTx(tx, by, id, address) })
}

// VerifyEmailTx is VerifyEmail within a transaction, which must be serializable.
func VerifyEmailTx(tx *db.Tx, by audit.Actor, id, address string) error {
	return changeEmailsTx(tx, by, id, "principal.email.verify", func(p *Principal) error {
		return found(verifyEmail(tx, id, Canonical(address)))
	})
}

// ReplaceEmailTx puts a verified address in the place of a person's primary one,
// if they had one, and returns the addresses of before. fault.Conflict says that
// somebody has it. The transaction must be serializable.
func ReplaceEmailTx(tx *db.Tx, by audit.Actor, id, address string) (before []Email, err error) {
	if err := checkEmail(address); err != nil {
		return nil, err
	}
	return before, changeEmailsTx(tx, by, id, "principal.email.change", func(p *Principal) error {
		before = p.Emails
		if p.Kind != Person {
			return invalid("email", "addresses are for people")
		}
		for _, e := range before {
			if e.Primary || Canonical(e.Address) == Canonical(address) {
				if _, err := removeEmail(tx, id, Canonical(e.Address)); err != nil {
					return err
				}
			}
		}
		return claim(tx, id, identifier{Space: Person.space(), Type: "email", Value: address, Verified: true, Primary: true})
	})
}

// RestoreEmailsTx gives a person the addresses that they had before, in place
// of those they have. fault.Conflict says that somebody else has one of them by
// now. The transaction must be serializable.
func RestoreEmailsTx(tx *db.Tx, by audit.Actor, id string, before []Email) error {
	return changeEmailsTx(tx, by, id, "principal.email.restore", func(p *Principal) error {
		for _, e := range p.Emails {
			if _, err := removeEmail(tx, id, Canonical(e.Address)); err != nil {
				return err
			}
		}
		for _, e := range before {
			if err := claim(tx, id, identifier{Space: Person.space(), Type: "email", Value: e.Address, Verified: e.Verified, Primary: e.Primary}); err != nil {
				return err
			}
		}
		return nil
	})
}

// CheckEmail refuses what is no address that a person may have.
func CheckEmail(address string) error { return checkEmail(address) }

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
		return changeEmailsTx(tx, by, id, action, func(p *Principal) error { return change(tx, p) })
	})
}

func changeEmailsTx(tx *db.Tx, by audit.Actor, id, action string, change func(*Principal) error) error {
	p, err := undeleted(tx, id, 0)
	if err != nil {
		return err
	}
	before := p.Emails
	if err := change(p); errors.Is(err, errUnchanged) {
		audit.Barrier(tx)
		return nil
	} else if err != nil {
		return err
	}
	p.Version, p.UpdatedAt = p.Version+1, tx.Now
	if err := update(tx, p); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: action, TargetType: string(p.Kind), Target: id, Invalidates: true, Aside: before})
	return nil
}

func found(n int64, err error) error {
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "email_unknown", "the person has no such e-mail address")
	}
	return err
}
