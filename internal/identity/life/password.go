package life

import (
	"cmp"
	"context"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/action"
	"github.com/cardea-id/cardea/internal/identity/credential"
	"github.com/cardea-id/cardea/internal/identity/letter"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// How long a link to set a password is good. Somebody who has a password loses
// it to whoever has the link, so theirs is short; somebody new has to find time.
const (
	ResetLife = 30 * time.Minute
	FirstLife = 3 * 24 * time.Hour
)

// setPassword are links with which people set their password. One dies with the
// password, the addresses and the era that its owner had when it was made.
func setPassword(life time.Duration) action.Kind {
	return action.Kind{Purpose: "set_password", Life: life, Password: true, Addresses: true, Era: true}
}

// PasswordLink makes a link for an operator to hand to a living person, who
// chooses a password with it. Operators never see or choose one (PW-11). Links
// made before stay good until one of them is used. The error is fault.Conflict
// where passwords do not count.
func (d *Desk) PasswordLink(ctx context.Context, by audit.Actor, realm, id string) (link secret.Text, expires time.Time, err error) {
	err = d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		if err := choosesPassword(tx); err != nil {
			return err
		}
		present, err := credential.PasswordTx(tx, id)
		if err != nil {
			return err
		}
		life := FirstLife
		if present.ID != "" {
			life = ResetLife
		}
		if link, expires, err = d.Links.MakeTx(tx, setPassword(life), id, nil); err != nil {
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

// MailPasswordLink has a person sent such a link, which nobody but they see. The
// error is fault.Conflict where there is no mail, or no verified address, or where
// passwords do not count.
func (d *Desk) MailPasswordLink(ctx context.Context, by audit.Actor, realm, id string) error {
	if !d.Mail() {
		return noMail()
	}
	return d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		if err := choosesPassword(tx); err != nil {
			return err
		}
		p, err := principal.ByIDTx(tx, id)
		if err != nil {
			return err
		}
		to := reachable(p, "")
		if to == "" {
			return fault.New(fault.Conflict, "email_unverified", "the person has no verified address; make a link and hand it over")
		}
		return d.mailPasswordLink(tx, by, p, to, "reset_password_operator")
	})
}

// mailPasswordLink sends a link to set a password.
func (d *Desk) mailPasswordLink(tx *db.Tx, by audit.Actor, p *principal.Principal, to, kind string) error {
	link, _, err := d.Links.MakeTx(tx, setPassword(ResetLife), p.ID, nil)
	if err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "principal.password_link", TargetType: string(principal.Person), Target: p.ID, Data: map[string]any{"sent": "mail"}})
	return d.Send(tx, letter.Letter{Kind: kind, Principal: p.ID, To: to, Link: "/set-password?link=" + string(link), Life: ResetLife})
}

// reachable is the address at which a person gets letters that open their
// account: the verified one that was typed, else the primary one if it is
// verified, else the first that is. Only what was stored is written to, never
// what was typed.
func reachable(p *principal.Principal, typed string) string {
	to := ""
	for _, e := range p.Emails { // the primary one first
		switch {
		case !e.Verified:
		case principal.Canonical(e.Address) == principal.Canonical(typed):
			return e.Address
		case to == "":
			to = e.Address
		}
	}
	return to
}

// Forgot has whoever says that they forgot their password sent a link, if there
// is somebody of that name or address with a verified address. It says the same
// and takes as long for everybody (PW-10). mark is the browser's, or "": however
// often strangers ask, whoever asks where they have signed in before is heard.
func (d *Desk) Forgot(ctx context.Context, by audit.Actor, r *realm.Realm, identifier, locale, mark string) error {
	if !d.OffersReset(r) {
		return NotOffered()
	}
	if len(identifier) > 320 {
		identifier = ""
	}
	return d.ask(ctx, by, r.Name, asked{What: toReset, Text: identifier, Locale: locale, Browser: credential.BrowserHash(mark)})
}

// OffersReset reports whether people of a realm may reset a forgotten password
// by mail.
func (d *Desk) OffersReset(r *realm.Realm) bool {
	return d.Mail() && r.Settings.ForgottenPassword == realm.On && passwordsCount(&r.Settings)
}

// passwordsCount reports whether somebody who has a password can sign in with it.
// Where they cannot, none is chosen.
func passwordsCount(s *realm.Settings) bool { return s.AllowsFactor(string(credential.Password)) }

func passwordsCountTx(tx *db.Tx) (bool, error) {
	s, err := realm.SettingsTx(tx)
	return passwordsCount(&s), err
}

// choosesPassword is fault.Conflict where passwords do not count.
func choosesPassword(tx *db.Tx) error {
	counts, err := passwordsCountTx(tx)
	if err == nil && !counts {
		err = fault.New(fault.Conflict, "passwords_excluded", "passwords do not count in this realm (setting factors), so none is chosen")
	}
	return err
}

func (d *Desk) answerReset(tx *db.Tx, s realm.Settings, a asked) error {
	if s.ForgottenPassword != realm.On || !passwordsCount(&s) {
		return nil
	}
	p, err := principal.ByIdentifierTx(tx, a.Text)
	if err == nil {
		_, err = principal.LiveTx(tx, p.ID)
	}
	if nobody(err) {
		return nil
	}
	if err != nil {
		return err
	}
	to := reachable(p, a.Text)
	if to == "" {
		return nil
	}
	if ok, err := admitAsker(tx, toReset, p.ID, a.Browser); err != nil || !ok {
		return err
	}
	return d.mailPasswordLink(tx, a.By, p, to, "reset_password")
}

// OpenPassword tells whose password a link sets, or is fault.NotFound. It does
// not use the link.
func (d *Desk) OpenPassword(ctx context.Context, realm, link string) (p *principal.Principal, err error) {
	err = d.DB.View(ctx, realm, func(tx *db.Tx) error {
		opened, err := d.Links.OpenTx(tx, setPassword(0), link)
		if err != nil {
			return err
		}
		if counts, err := passwordsCountTx(tx); err != nil || !counts {
			return cmp.Or(err, action.Unknown())
		}
		p, err = principal.ByIDTx(tx, opened.Person)
		return err
	})
	return p, err
}

// SetPassword uses a link: the person has the password from now on, and
// everything that was signed in before is not. It signs nobody in and removes no
// other factor (PW-10). A password that will not do is fault.Invalid with the
// field password, and the link is still good.
func (d *Desk) SetPassword(ctx context.Context, by audit.Actor, realm, link string, password secret.Text) error {
	p, err := d.OpenPassword(ctx, realm, link)
	if err != nil {
		return err
	}
	hashed, err := d.Passwords.HashFor(ctx, realm, p.ID, password)
	if err != nil {
		return err
	}
	by = person(by, p.ID)
	err = d.DB.Update(ctx, realm, func(tx *db.Tx) error {
		opened, err := d.Links.UseTx(tx, setPassword(0), link)
		if err != nil {
			return err
		}
		// The era ends with the old password, or here: what was signed in before
		// is dead by this commit, whether or not it is found afterwards.
		replaced, err := credential.SetPasswordTx(tx, by, opened.Person, hashed)
		if err != nil || replaced != "" {
			return err
		}
		return principal.EndEraTx(tx, by, opened.Person, "first password set by link")
	})
	return d.Grants.FinishSignOut(ctx, by, realm, p.ID, "password set by link", err)
}

// NotOffered is what is said of what a realm does not offer.
func NotOffered() error {
	return fault.New(fault.NotFound, "not_offered", "this is not offered here")
}
