package credential

import (
	"context"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/secret"
)

// Hashed is a password that passed the realm's rules and was hashed, ready to
// be set within a transaction.
type Hashed struct {
	phc     string
	history int // how many earlier ones are to be remembered
}

// Hash checks a new password against the realm's rules and hashes it; it must
// run outside of transactions. about are words that go with its owner, such as
// the username, e-mail addresses and the organization. Errors are those of
// [Rules.Check], and fault.TooMany.
func (p *Passwords) Hash(ctx context.Context, name string, password secret.Text, about ...string) (Hashed, error) {
	r, err := p.realms.ByName(ctx, name)
	if err != nil {
		return Hashed{}, err
	}
	rules := Rules{MinLength: r.Settings.PasswordMinLength, Breached: p.breached, Context: []string{r.Name, r.DisplayName}}
	for _, word := range about {
		local, domain, _ := strings.Cut(word, "@")
		rules.Context = append(rules.Context, word, local, firstLabel(domain))
	}
	text, err := rules.Check(string(password))
	if err != nil {
		return Hashed{}, err
	}
	if err := p.ranged(ctx, text); err != nil {
		return Hashed{}, err
	}
	leave, err := p.hasher.admit()
	if err != nil {
		return Hashed{}, err
	}
	defer leave()
	h := Hashed{history: r.Settings.PasswordHistory}
	err = p.hasher.run(ctx, func() { h.phc = p.argon.hash(text) })
	return h, err
}

// firstLabel is what a company's domain is known by: example in example.com.
func firstLabel(domain string) string {
	label, _, _ := strings.Cut(domain, ".")
	return label
}

// SetPasswordTx gives a principal a password in place of the one it has, and
// returns the id of the credential that died by it, or "". With that one the
// principal's era ends: every session and grant of before is dead by the same
// commit. They are ended one by one afterwards by package grant.
func SetPasswordTx(tx *db.Tx, by audit.Actor, id string, h Hashed) (replaced string, err error) {
	if h.phc == "" {
		return "", fault.New(fault.Internal, "password_unhashed", "a password is hashed before it is set")
	}
	old, err := livePassword(tx, id)
	if err != nil {
		return "", err
	}
	_, err = replacePassword(tx, by, id, old, h)
	return old.ID, err
}

func replacePassword(tx *db.Tx, by audit.Actor, id string, old Credential, h Hashed) (Credential, error) {
	if old.ID != "" {
		if err := retire(tx, old, h.history); err != nil {
			return Credential{}, err
		}
		if err := principal.EndEraTx(tx, by, id, "password replaced"); err != nil {
			return Credential{}, err
		}
	}
	if err := ChangedTx(tx, id); err != nil {
		return Credential{}, err
	}
	return create(tx, by, Credential{Principal: id, Type: Password, data: h.phc}, old.ID)
}

// PasswordTx reads the living password of a principal, so that a link to reset
// it can be bound to its id and version. The zero Credential says that there is
// none.
func PasswordTx(tx *db.Tx, id string) (Credential, error) { return livePassword(tx, id) }

// Set gives a principal a password; see [SetPasswordTx] for what it returns.
func (p *Passwords) Set(ctx context.Context, by audit.Actor, name, id string, password secret.Text) (replaced string, err error) {
	h, err := p.HashFor(ctx, name, id, password)
	if err != nil {
		return "", err
	}
	err = p.db.Update(ctx, name, func(tx *db.Tx) error {
		replaced, err = SetPasswordTx(tx, by, id, h)
		return err
	})
	return replaced, err
}

// Change is what somebody who knows their password wants of it.
type Change struct {
	Principal     string
	Current, Next secret.Text
	Browser       string // the mark in the browser's cookie, or ""
	// Proved says that somebody has just shown who they are by something that is at
	// least as good (PW-06): Current is not looked at, and there may be none.
	Proved bool
	// Keep leaves alive what was born of the present password: the new one takes
	// its place in the same credential. A password that is known to be compromised
	// is replaced all the same.
	Keep bool
	// Before runs at the beginning of the transaction of the change: its error
	// stops it. It may be nil.
	Before func(tx *db.Tx) error
	// Then runs in the transaction of the change, with the id of the credential
	// that died by it, "" if it was kept, and of the one that there is now. It may
	// be nil.
	Then func(tx *db.Tx, replaced, now string) error
}

// Change sets a new password for somebody who knows the current one. Unless the
// outcome is Right nothing changed. On success the result's credential is the
// one that died by it.
func (p *Passwords) Change(ctx context.Context, by audit.Actor, name, id string, current, next secret.Text, browser string) (Result, error) {
	return p.Replace(ctx, by, name, Change{Principal: id, Current: current, Next: next, Browser: browser})
}

// Replace is Change with all that may be wanted of it.
func (p *Passwords) Replace(ctx context.Context, by audit.Actor, name string, c Change) (Result, error) {
	h, err := p.HashFor(ctx, name, c.Principal, c.Next)
	if err != nil {
		return Result{}, err
	}
	r, err := p.realms.ByName(ctx, name)
	if err != nil {
		return Result{}, err
	}
	c.Keep = c.Keep && r.Settings.PasswordMaxAge == 0 && r.Settings.PasswordHistory == 0
	checked := Result{Outcome: Right}
	if !c.Proved {
		if c.Current == c.Next {
			return Result{}, refuse("password_unchanged", "the new password is the present one")
		}
		checked, err = p.Check(ctx, by, name, Attempt{Principal: c.Principal, Password: c.Current, Browser: c.Browser})
		if err != nil || checked.Outcome != Right {
			return checked, err
		}
	}
	err = p.db.Update(ctx, name, func(tx *db.Tx) error {
		if c.Before != nil {
			if err := c.Before(tx); err != nil {
				return err
			}
		}
		old, err := livePassword(tx, c.Principal)
		if err != nil {
			return err
		}
		// An alarm that its owner raised meanwhile is not answered by whoever is
		// about to change it.
		alarmed := old.MustChange && (!checked.MustChange || checked.Expired)
		if !c.Proved && (old.ID != checked.Credential || alarmed) {
			return fault.New(fault.Conflict, "password_changed", "the password was changed by somebody else meanwhile")
		}
		replaced, now, err := c.apply(tx, by, old, h)
		if err != nil || c.Then == nil {
			return err
		}
		return c.Then(tx, replaced, now)
	})
	if err != nil {
		return Result{}, err
	}
	return checked, nil
}

func (c Change) apply(tx *db.Tx, by audit.Actor, old Credential, h Hashed) (replaced, now string, err error) {
	if !c.Keep || old.MustChange || old.ID == "" {
		made, err := replacePassword(tx, by, c.Principal, old, h)
		return old.ID, made.ID, err
	}
	fits, err := replaceHash(tx, old.ID, old.Version, h.phc)
	if err == nil && !fits {
		err = fault.New(fault.Conflict, "password_changed", "the password was changed by somebody else meanwhile")
	}
	if err != nil {
		return "", "", err
	}
	if err := ChangedTx(tx, c.Principal); err != nil {
		return "", "", err
	}
	audit.Append(tx, by, audit.Event{Action: "credential.change", TargetType: string(Password), Target: old.ID,
		Data: map[string]any{"principal": c.Principal}, Invalidates: true})
	return "", old.ID, nil
}

// HashFor is Hash for a principal that there is, with all words that go with it.
func (p *Passwords) HashFor(ctx context.Context, name, id string, password secret.Text) (Hashed, error) {
	var about []string
	err := p.db.View(ctx, name, func(tx *db.Tx) error {
		who, err := principal.ByIDTx(tx, id)
		if err != nil {
			return err
		}
		about, err = principal.OrganizationNames(tx, id)
		about = append(about, who.Name, who.DisplayName)
		for _, e := range who.Emails {
			about = append(about, e.Address)
		}
		return err
	})
	if err != nil {
		return Hashed{}, err
	}
	if err := p.unused(ctx, name, id, password); err != nil {
		return Hashed{}, err
	}
	return p.Hash(ctx, name, password, about...)
}

// Import gives a principal a password that another system hashed: argon2id,
// scrypt or PBKDF2 in the PHC format, or bcrypt. It is hashed anew when its
// owner first signs in. See [SetPasswordTx] for what it returns.
func (p *Passwords) Import(ctx context.Context, by audit.Actor, name, id, phc string) (replaced string, err error) {
	if _, err := parseHash(phc); err != nil {
		return "", fault.New(fault.Invalid, "password_hash_invalid", "%s", err).WithField("hash", err.Error())
	}
	err = p.db.Update(ctx, name, func(tx *db.Tx) error {
		replaced, err = SetPasswordTx(tx, by, id, Hashed{phc: phc})
		return err
	})
	return replaced, err
}

// Compromised notes that a principal's password is known to others: from now on
// it opens nothing but its own replacement.
func (p *Passwords) Compromised(ctx context.Context, by audit.Actor, name, id string) error {
	return p.db.Update(ctx, name, func(tx *db.Tx) error { return CompromisedTx(tx, by, id) })
}

// CompromisedTx is Compromised within a transaction. Somebody without a password
// is fault.NotFound.
func CompromisedTx(tx *db.Tx, by audit.Actor, id string) error {
	c, err := livePassword(tx, id)
	if err != nil {
		return err
	}
	if c.ID == "" {
		return fault.New(fault.NotFound, "password_missing", "principal %q has no password", id)
	}
	if c.MustChange {
		audit.Barrier(tx)
		return nil
	}
	if err := markCompromised(tx, c.ID); err != nil {
		return err
	}
	audit.Append(tx, by, audit.Event{Action: "credential.compromise", TargetType: string(Password), Target: c.ID,
		Data: map[string]any{"principal": id}, Invalidates: true})
	return nil
}
