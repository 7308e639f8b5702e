package life

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
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

// RegisterLife is how long a link to register with is good.
const RegisterLife = time.Hour

var register = action.Kind{Purpose: "register", Life: RegisterLife}

// newcomer is what a link to register stands for.
type newcomer struct {
	Address string `json:"address"`
	Locale  string `json:"locale,omitempty"`
}

// Newcomer is who an account is about to be made for.
type Newcomer struct {
	Address string // proved by the link
	Name    string // as their host wrote it, or ""
	Locale  string
}

// Account is what a newcomer chooses. The password is left aside where passwords do
// not count.
type Account struct {
	Name     string
	Password secret.Text
}

// Registers reports whether strangers may make themselves an account in a realm,
// which takes that they can then sign in to it.
func (d *Desk) Registers(r *realm.Realm) bool {
	return d.Mail() && r.Settings.SelfRegistration == realm.On && d.admits(&r.Settings, true)
}

// admits reports whether somebody new can sign in: with a password that they chose,
// or, if their address is proved, by a code that is mailed to it.
func (d *Desk) admits(s *realm.Settings, proved bool) bool {
	return passwordsCount(s) || proved && d.Mail() && s.EmailSignIn == realm.On && s.AllowsFactor(string(credential.Mailbox))
}

// Register has a letter sent to an address: with a link to make an account, or,
// where somebody has it, to its owner. It says the same and takes as long for
// both. fault.Invalid with the field email says that the address is none, or
// none of the domains that the realm takes.
func (d *Desk) Register(ctx context.Context, by audit.Actor, r *realm.Realm, address, locale, flow string) error {
	if !d.Registers(r) {
		return NotOffered()
	}
	address = strings.TrimSpace(address)
	if err := principal.CheckEmail(address); err != nil {
		return err
	}
	if !r.Settings.RegistersDomain(address) {
		return fault.New(fault.Invalid, "email_domain", "the realm takes no addresses of that domain").WithField("email", "is of a domain that may not register")
	}
	return d.ask(ctx, by, r.Name, asked{What: toRegister, Text: address, Locale: locale, Flow: flow})
}

func (d *Desk) answerRegister(tx *db.Tx, s realm.Settings, a asked) error {
	if s.SelfRegistration != realm.On || !d.admits(&s, true) || !s.RegistersDomain(a.Text) {
		return nil
	}
	if ok, err := admit(tx, toRegister, a.Text); err != nil || !ok {
		return err
	}
	owner, err := principal.ByIdentifierTx(tx, a.Text)
	if err == nil {
		return d.tellOwner(tx, owner, a.Text, "register_taken")
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	link, _, err := d.Links.MakeTx(tx, register, "", newcomer{a.Text, a.Locale})
	if err != nil {
		return err
	}
	query := url.Values{"link": {string(link)}}
	if a.Flow != "" {
		query.Set("flow", a.Flow)
	}
	return d.Send(tx, letter.Letter{Kind: "register", To: a.Text, Locale: a.Locale, Link: "/register/finish?" + query.Encode(), Life: RegisterLife})
}

// tellOwner tells whoever has an address that somebody tried to take it. Those
// who may not act are told nothing: it would look like a way back in.
func (d *Desk) tellOwner(tx *db.Tx, owner *principal.Principal, typed, kind string) error {
	if _, err := principal.LiveTx(tx, owner.ID); err != nil {
		if nobody(err) {
			return nil
		}
		return err
	}
	for _, e := range owner.Emails {
		if principal.Canonical(e.Address) == principal.Canonical(typed) {
			return d.Send(tx, letter.Letter{Kind: kind, Principal: owner.ID, To: e.Address, Link: "/signin"})
		}
	}
	return nil
}

// OpenRegister tells for which address a link makes an account, or is
// fault.NotFound.
func (d *Desk) OpenRegister(ctx context.Context, r *realm.Realm, link string) (n Newcomer, err error) {
	if !d.Registers(r) {
		return Newcomer{}, action.Unknown()
	}
	err = d.DB.View(ctx, r.Name, func(tx *db.Tx) error {
		opened, err := d.Links.OpenTx(tx, register, link)
		if err != nil {
			return err
		}
		n, err = free(tx, opened)
		return err
	})
	return n, err
}

// free reads whom a link is for, if nobody has the address by now.
func free(tx *db.Tx, opened action.Link) (Newcomer, error) {
	var n newcomer
	if err := json.Unmarshal(opened.Data, &n); err != nil {
		return Newcomer{}, err
	}
	_, err := principal.ByIdentifierTx(tx, n.Address)
	if err == nil {
		return Newcomer{}, action.Unknown()
	}
	if !fault.Is(err, fault.NotFound) {
		return Newcomer{}, err
	}
	return Newcomer{Address: n.Address, Locale: n.Locale}, nil
}

// FinishRegister uses a link: the account is there from now on, and its address
// is verified. It signs nobody in. What will not do is fault.Invalid with the
// fields name or password, and the link is still good.
func (d *Desk) FinishRegister(ctx context.Context, by audit.Actor, r *realm.Realm, link string, c Account) (made *principal.Principal, err error) {
	n, err := d.OpenRegister(ctx, r, link)
	if err != nil {
		return nil, err
	}
	hashed, err := d.hashFor(ctx, r, n, c)
	if err != nil {
		return nil, err
	}
	err = d.DB.Update(ctx, r.Name, func(tx *db.Tx) error {
		opened, err := d.Links.UseTx(tx, register, link)
		if err != nil {
			return err
		}
		if n, err = free(tx, opened); err != nil {
			return err
		}
		if made, err = d.begin(tx, by, n, true, c, hashed); err != nil {
			return err
		}
		audit.Append(tx, person(by, made.ID), audit.Event{Action: "principal.register", TargetType: string(principal.Person), Target: made.ID})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made, nil
}

// hashFor hashes the password of somebody who is not there yet, nil where
// passwords do not count.
func (d *Desk) hashFor(ctx context.Context, r *realm.Realm, n Newcomer, c Account) (*credential.Hashed, error) {
	if !passwordsCount(&r.Settings) {
		return nil, nil
	}
	hashed, err := d.Passwords.Hash(ctx, r.Name, c.Password, n.Address, c.Name, n.Name)
	return &hashed, err
}

// begin makes the account of a newcomer. verified says that their link has proved
// the address.
func (d *Desk) begin(tx *db.Tx, by audit.Actor, n Newcomer, verified bool, c Account, hashed *credential.Hashed) (*principal.Principal, error) {
	made, err := principal.CreateTx(tx, by, principal.New{Kind: principal.Person, DisplayName: c.Name, Locale: n.Locale,
		Emails: []principal.Email{{Address: n.Address, Verified: verified, Primary: true}}})
	if fault.Is(err, fault.Conflict) { // somebody was faster
		return nil, action.Unknown()
	}
	if err != nil || hashed == nil {
		return made, err
	}
	_, err = credential.SetPasswordTx(tx, person(by, made.ID), made.ID, *hashed)
	return made, err
}
