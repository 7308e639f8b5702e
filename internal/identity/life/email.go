package life

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/action"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// How long the links to confirm, change and restore an address are good.
const (
	VerifyLife = 24 * time.Hour
	ChangeLife = time.Hour
	UndoLife   = 7 * 24 * time.Hour
)

var (
	verifyEmail = action.Kind{Purpose: "verify_email", Life: VerifyLife, Era: true, Latest: true}
	// changeEmail dies with the password, so that the owner who takes their account
	// back leaves no change on its way behind.
	changeEmail = action.Kind{Purpose: "change_email", Life: ChangeLife, Password: true, Addresses: true, Era: true, Latest: true}
	// undoEmail outlives password, addresses and era: whoever took an account over
	// changes them all, and its owner gets it back in spite of that.
	undoEmail = action.Kind{Purpose: "undo_email", Life: UndoLife}
)

// address is what a link about an address stands for.
type address struct {
	Address string            `json:"address"`
	Before  []principal.Email `json:"before,omitempty"` // to be restored
}

// AskVerify has a person sent a link to an unverified address of theirs. Nobody
// declares their own address verified (LC-04): only the link does.
func (d *Desk) AskVerify(ctx context.Context, by audit.Actor, realm, id, typed string) error {
	if !d.Mail() {
		return noMail()
	}
	return d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		p, err := principal.ByIDTx(tx, id)
		if err != nil {
			return err
		}
		for _, e := range p.Emails {
			if principal.Canonical(e.Address) != principal.Canonical(typed) || e.Verified {
				continue
			}
			if ok, err := admit(tx, toVerify, id); err != nil || !ok {
				return cmp.Or(err, tooMany())
			}
			link, _, err := d.Links.MakeTx(tx, verifyEmail, id, address{Address: e.Address})
			if err != nil {
				return err
			}
			return d.Send(tx, letter.Letter{Kind: "verify_email", Principal: id, To: e.Address, Link: confirmPath + string(link), Life: VerifyLife})
		}
		return fault.New(fault.NotFound, "email_unknown", "the person has no such address that waits to be verified")
	})
}

// AskChange has a link sent to the address that a person wants in place of their
// primary one, or, where somebody has it, tells its owner. It says the same and
// takes as long for both. An address that will not do is fault.Invalid with the
// field email.
func (d *Desk) AskChange(ctx context.Context, by audit.Actor, realm, id, typed, locale string) error {
	typed = strings.TrimSpace(typed)
	if err := principal.CheckEmail(typed); err != nil {
		return err
	}
	return d.ask(ctx, by, realm, asked{What: toChange, Text: typed, Person: id, Locale: locale})
}

func (d *Desk) answerChange(tx *db.Tx, a asked) error {
	p, err := principal.ByIDTx(tx, a.Person)
	if err == nil {
		_, err = principal.LiveTx(tx, a.Person)
	}
	if err != nil {
		if nobody(err) {
			return nil
		}
		return err
	}
	for _, key := range []string{a.Text, a.Person} {
		if ok, err := admit(tx, toChange, key); err != nil || !ok {
			return err
		}
	}
	if principal.Canonical(p.Email().Address) == principal.Canonical(a.Text) {
		return nil
	}
	owner, err := principal.ByIdentifierTx(tx, a.Text)
	if err == nil && owner.ID != a.Person {
		return d.tellOwner(tx, owner, a.Text, "change_email_taken")
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	link, _, err := d.Links.MakeTx(tx, changeEmail, a.Person, address{Address: a.Text})
	if err != nil {
		return err
	}
	return d.Send(tx, letter.Letter{Kind: "change_email", Principal: a.Person, To: a.Text, Locale: cmp.Or(p.Locale, a.Locale), Link: confirmPath + string(link), Life: ChangeLife})
}

// confirmPath is where a link that confirms an address leads.
const confirmPath = "/account/email/confirm?link="

// Confirmation is what a link confirms: that an address is a person's.
type Confirmation struct {
	Address  string
	Replaces string // the address that it takes the place of, or ""
}

// OpenConfirm tells what a link confirms for a person who is signed in, or is
// fault.NotFound: a link for somebody else is none.
func (d *Desk) OpenConfirm(ctx context.Context, realm, id, link string) (c Confirmation, err error) {
	err = d.DB.View(ctx, realm, func(tx *db.Tx) error {
		c, _, err = d.confirmation(tx, id, link, d.Links.OpenTx)
		return err
	})
	return c, err
}

type reading func(tx *db.Tx, k action.Kind, link string) (action.Link, error)

// confirmation reads, or uses, a link that confirms an address of a person.
func (d *Desk) confirmation(tx *db.Tx, id, link string, read reading) (c Confirmation, k action.Kind, err error) {
	for _, k = range []action.Kind{verifyEmail, changeEmail} {
		opened, err := read(tx, k, link)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return c, k, err
		}
		var a address
		if err := json.Unmarshal(opened.Data, &a); err != nil {
			return c, k, err
		}
		p, err := principal.ByIDTx(tx, opened.Person)
		if err != nil {
			return c, k, err
		}
		if opened.Person != id {
			return c, k, action.Unknown()
		}
		c.Address = a.Address
		if k.Purpose == changeEmail.Purpose {
			c.Replaces = p.Email().Address
			return c, k, nil
		}
		for _, e := range p.Emails {
			if e.Address == a.Address && !e.Verified {
				return c, k, nil
			}
		}
		return c, k, action.Unknown()
	}
	return c, k, action.Unknown()
}

// Confirm uses a link that confirms an address of a person who is signed in. If
// it takes the place of another, that one is told, with a link to take it back.
func (d *Desk) Confirm(ctx context.Context, by audit.Actor, realm, id, link string) error {
	return d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		c, k, err := d.confirmation(tx, id, link, d.Links.UseTx)
		if err != nil {
			return err
		}
		if k.Purpose == verifyEmail.Purpose {
			return principal.VerifyEmailTx(tx, by, id, c.Address)
		}
		before, err := principal.ReplaceEmailTx(tx, by, id, c.Address)
		if fault.Is(err, fault.Conflict) { // somebody took it meanwhile
			return action.Unknown()
		}
		if err != nil {
			return err
		}
		return d.tellFormer(tx, by, id, before, c.Address)
	})
}

// tellFormer tells the address that was replaced, if it was known to be the
// person's: whoever has the link becomes them again.
func (d *Desk) tellFormer(tx *db.Tx, by audit.Actor, id string, before []principal.Email, now string) error {
	if len(before) == 0 || !before[0].Primary || !before[0].Verified || !d.Mail() {
		return nil
	}
	link, _, err := d.Links.MakeTx(tx, undoEmail, id, address{now, before})
	if err != nil {
		return err
	}
	return d.Send(tx, letter.Letter{Kind: "email_replaced", Principal: id, To: before[0].Address, Link: "/undo-email?link=" + string(link), Life: UndoLife,
		Data: map[string]string{"device": by.UserAgent, "place": by.IP}})
}

// Undo is a change of address that can be taken back.
type Undo struct {
	Person           *principal.Principal
	Restored, Leaves string // addresses
}

// OpenUndo tells what a link takes back, or is fault.NotFound.
func (d *Desk) OpenUndo(ctx context.Context, realm, link string) (u Undo, err error) {
	err = d.DB.View(ctx, realm, func(tx *db.Tx) error {
		u, _, _, err = d.undo(tx, link, d.Links.OpenTx)
		return err
	})
	return u, err
}

func (d *Desk) undo(tx *db.Tx, link string, read reading) (u Undo, before []principal.Email, opened action.Link, err error) {
	if opened, err = read(tx, undoEmail, link); err != nil {
		return u, nil, opened, err
	}
	var a address
	if err := json.Unmarshal(opened.Data, &a); err != nil {
		return u, nil, opened, err
	}
	if u.Person, err = principal.ByIDTx(tx, opened.Person); err != nil {
		return u, nil, opened, err
	}
	u.Restored, u.Leaves = a.Before[0].Address, u.Person.Email().Address
	return u, a.Before, opened, nil
}

// UndoChange uses a link that was sent to the address that a person had before:
// they have their addresses of then again, everybody who is signed in to the
// account is signed out, and no other change of address on its way, or link to
// undo a later one, is good any more. A link to undo an earlier one stays: its
// holder had the account before. Whoever changed it may know the password too, so
// what comes back is a link to choose another, which the restored address has
// earned as by a forgotten password, or "" where passwords do not count. Factors stay, a thief's too: the alarm tells
// operators, who can remove one.
func (d *Desk) UndoChange(ctx context.Context, by audit.Actor, realm, link string) (password secret.Text, err error) {
	var id string
	err = d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		u, before, used, err := d.undo(tx, link, d.Links.UseTx)
		if err != nil {
			return err
		}
		id = u.Person.ID
		as := person(by, id)
		if err := principal.RestoreEmailsTx(tx, as, id, before); err != nil {
			if fault.Is(err, fault.Conflict) {
				return fault.New(fault.Conflict, "email_taken_since", "another account has the address by now; ask whoever runs this service")
			}
			return err
		}
		if err := d.Links.EndLaterTx(tx, undoEmail, used); err != nil {
			return err
		}
		if err := principal.EndEraTx(tx, as, id, "address restored"); err != nil {
			return err
		}
		if d.Alarm != nil {
			if err := d.Alarm(tx, as, id); err != nil {
				return err
			}
		}
		if counts, err := passwordsCountTx(tx); err != nil || !counts {
			return err
		}
		password, _, err = d.Links.MakeTx(tx, setPassword(ResetLife), id, nil)
		return err
	})
	err = d.Grants.FinishSignOut(ctx, by, realm, id, "address restored", err)
	if err != nil {
		return "", err
	}
	return password, nil
}

func tooMany() error {
	return fault.New(fault.TooMany, "letters_limited", "so many letters were sent already; wait an hour").WithRetry(letterWindow)
}
