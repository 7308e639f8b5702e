package credential

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// PasskeyAttempt is an answer to request options.
type PasskeyAttempt struct {
	Ceremony
	Answer string // JSON of the browser's PublicKeyCredential
}

// PasskeyUse is an answer that was found right and is not written down yet. Until
// it is, nothing must come of it.
type PasskeyUse struct {
	passkeys  *Passkeys
	key       passkeyCandidate
	now       passkey // what is to be kept of it
	challenge string
	until     time.Time
}

// AskTx writes the use down, which uses up its challenge, in the transaction of
// what comes of it, and does not wait yet. An error that [Refused] knows says that
// the answer was sent before, or that the passkey changed since; then [Passkeys.Check]
// tells which. The passkey that it returns is alive and held until the commit, as
// that of [LiveTx]. A nil use is none.
func (u *PasskeyUse) AskTx(tx *db.Tx) func() (Credential, error) {
	if u == nil {
		return func() (Credential, error) { return Credential{}, nil }
	}
	data := u.now.encode()
	burnt, used := u.passkeys.askBurn(tx, u.challenge, u.until), askUse(tx, u.key.Credential, data)
	return func() (c Credential, err error) {
		defer func() {
			if err != nil || data != u.key.data { // memory has an older one
				u.passkeys.store.byID.Drop(tx.Realm, u.key.Credential.ID)
			}
		}()
		if err := burnt(); err != nil {
			return Credential{}, err
		}
		c, err = used.One()
		if db.Missing(err) || err == nil && !c.alive(tx.Now) {
			// It was used or removed meanwhile; what was checked is no longer so.
			return Credential{}, refusal("passkey_changed")
		}
		return c, err
	}
}

// Credential is the id of the passkey, "" for no use.
func (u *PasskeyUse) Credential() string {
	if u == nil {
		return ""
	}
	return u.key.Credential.ID
}

// WriteTx is AskTx that waits.
func (u *PasskeyUse) WriteTx(tx *db.Tx) error {
	_, err := u.AskTx(tx)()
	return err
}

// Refused reports whether an answer is wrong, as opposed to that nobody could
// find out.
func Refused(err error) bool {
	var why refusal
	return errors.As(err, &why)
}

// Check evaluates an answer (WebAuthn Level 3, section 7.2). One that does not
// hold is fault.Invalid: passkey_refused, passkey_expired (ask again),
// passkey_unknown, or passkey_removed, where the device may be told to forget
// it. Somebody who only signs in must have been verified by the device;
// somebody who confirms, if the realm wants it.
func (p *Passkeys) Check(ctx context.Context, by audit.Actor, name string, a PasskeyAttempt) (PasskeyProof, error) {
	proof, use, target, err := p.evaluate(ctx, by, name, a)
	for again := 2; err == nil && use != nil; again-- {
		err = p.db.UpdateHot(ctx, name, use.WriteTx)
		if err != refusal("passkey_changed") || again == 0 {
			break // else it was used in another window at the same time
		}
		proof, use, target, err = p.evaluate(ctx, by, name, a)
	}
	if err != nil {
		return PasskeyProof{}, p.traced(name, by, target, err)
	}
	return proof, nil
}

// Evaluate is Check that leaves it to the caller to write the use of a passkey
// down, with what comes of it. There is nothing to write where the use is nil.
func (p *Passkeys) Evaluate(ctx context.Context, by audit.Actor, name string, a PasskeyAttempt) (PasskeyProof, *PasskeyUse, error) {
	proof, use, target, err := p.evaluate(ctx, by, name, a)
	return proof, use, p.traced(name, by, target, err)
}

// traced notes a refusal, and returns what whoever sent the answer is told.
func (p *Passkeys) traced(name string, by audit.Actor, target string, err error) error {
	var why refusal
	if errors.As(err, &why) {
		refuseSignIn(p.log, name, by, target, string(why), "passkey")
	}
	return told(err)
}

// candidate is what an assertion is checked against.
type passkeyCandidate struct {
	Credential
	passkey
	user string // the handle by which authenticators know its owner
}

// evaluate finds out whether an answer is right. It uses the challenge of a wrong
// one up; of a right one it returns the use, unless a counter went back.
func (p *Passkeys) evaluate(ctx context.Context, by audit.Actor, name string, a PasskeyAttempt) (proof PasskeyProof, use *PasskeyUse, target string, err error) {
	re, err := p.realms.ByName(ctx, name)
	if err != nil {
		return proof, nil, "", err
	}
	rp, err := RelyingPartyOf(re)
	if err != nil {
		return proof, nil, "", err
	}
	if a.Purpose != ToSignIn && a.Purpose != ToConfirm || a.Purpose == ToConfirm && a.Principal == "" {
		return proof, nil, "", refusal("purpose")
	}
	ans, id, err := parseAnswer(a.Answer)
	if err != nil {
		return proof, nil, "", err
	}
	c, err := parseClientData(ans.Response.ClientDataJSON)
	if err != nil {
		return proof, nil, "", err
	}
	if err := c.check(typeGet, rp); err != nil {
		return proof, nil, "", err
	}
	until, err := p.checkChallenge(re.Name, a.Ceremony, c.Challenge, p.db.Now())
	if err != nil {
		return proof, nil, "", err
	}
	raw, err := decode64(ans.Response.AuthenticatorData)
	if err != nil {
		return proof, nil, "", refusal("authenticator_data_malformed")
	}
	d, err := parseAuthenticatorData(raw)
	if err != nil {
		return proof, nil, "", err
	}
	if d.has(flagAttested) {
		return proof, nil, "", refusal("authenticator_data_malformed") // belongs to registrations only
	}
	if err := d.check(rp, a.Purpose == ToSignIn || re.Settings.PasskeyVerification == realm.VerificationRequired); err != nil {
		return proof, nil, "", err
	}
	var wrong error
	known, who, held := p.remembered(ctx, re.Name, id)
	if held {
		wrong = known.verify(a.Ceremony, who, ans, c, d, raw)
	}
	if !held || wrong != nil || known.regressed(d) {
		// Memory may be old. That something is wrong only the database says.
		if known, who, err = p.passkeyCandidate(ctx, re.Name, id, ans.Response.UserHandle); err != nil {
			return proof, nil, "", err
		}
		wrong = known.verify(a.Ceremony, who, ans, c, d, raw)
	}
	target = known.Principal
	now := known.passkey
	now.BackedUp, now.Verified, now.Count = d.has(flagBackedUp), now.Verified || d.has(flagVerified), max(known.Count, d.count)
	use = &PasskeyUse{p, known, now, c.Challenge, until}
	switch {
	case wrong != nil:
		err = or(p.db.UpdateHot(ctx, re.Name, func(tx *db.Tx) error { return p.burn(tx, c.Challenge, until) }), wrong)
	case known.regressed(d):
		err = use.regress(ctx, by, re, d)
		use = nil
	}
	if err != nil {
		return proof, nil, target, err
	}
	return PasskeyProof{Credential: known.Credential.ID, Principal: who, At: p.db.Now(), Verified: d.has(flagVerified), Synced: known.Backup, Attested: known.Attested}, use, target, nil
}

// remembered finds a passkey that was found before, and its owner, in memory. It
// may be old, but the use of an old one is refused: see [askUse].
func (p *Passkeys) remembered(ctx context.Context, name string, id []byte) (k passkeyCandidate, who *principal.Principal, ok bool) {
	n, ok := p.store.byHandle.Peek(name, passkeyHandle(id))
	if !ok {
		return k, nil, false
	}
	c, err := p.store.Live(ctx, name, n.id)
	if err == nil {
		k.Credential, k.user = c, n.user
		k.passkey, err = c.passkey()
	}
	if err == nil {
		who, err = p.people.Cached(ctx, name, c.Principal)
	}
	return k, who, err == nil
}

// passkeyCandidate finds the passkey with a credential id and its owner. A device
// whose passkey is gone, and which knows one of our people, may forget it:
// another realm of the same host has other people.
func (p *Passkeys) passkeyCandidate(ctx context.Context, name string, id []byte, user string) (k passkeyCandidate, who *principal.Principal, err error) {
	var ours bool
	err = p.db.Glance(ctx, name, func(tx *db.Tx) (err error) {
		k, err = passkeyByHandle(tx, passkeyHandle(id))
		return err
	})
	if fault.Is(err, fault.NotFound) {
		err = p.db.Glance(ctx, name, func(tx *db.Tx) (err error) {
			ours, err = isPasskeyUser(tx, user)
			return err
		})
	}
	if err != nil {
		return k, nil, err
	}
	if !k.alive(p.db.Now()) {
		if ours || k.Credential.ID != "" && user == k.user {
			return k, nil, refusal("passkey_removed")
		}
		return k, nil, refusal("passkey_unknown")
	}
	if k.passkey, err = k.Credential.passkey(); err != nil {
		return k, nil, err
	}
	// Only passkeys that exist are remembered, and a handle never means another.
	_, _ = p.store.byHandle.Get(name, k.handle, func() (whose, error) { return whose{k.Credential.ID, k.user}, nil })
	who, err = p.people.Cached(ctx, name, k.Principal)
	return k, who, err
}

// verify holds an assertion to the passkey that it claims to be of.
func (k passkeyCandidate) verify(c Ceremony, who *principal.Principal, a answer, cd clientData, d authenticatorData, raw []byte) error {
	switch {
	case who.Kind != principal.Person || who.State != principal.Active:
		return refusal("principal_" + string(who.State))
	case c.Principal != "" && c.Principal != k.Principal:
		return refusal("other_owner")
	case a.Response.UserHandle != k.user && (a.Response.UserHandle != "" || c.Principal == ""):
		return refusal("user_handle")
	case d.has(flagBackup) != k.Backup:
		return refusal("backup_eligibility")
	}
	signature, err := decode64(a.Response.Signature)
	if err != nil {
		return refusal("signature")
	}
	hash := sha256.Sum256(cd.raw)
	return verifyPasskey(k.Key, slices.Concat(raw, hash[:]), signature)
}

// regressed reports whether the authenticator counts backwards: there may be two
// with the same key (section 6.1.1).
func (k passkeyCandidate) regressed(d authenticatorData) bool {
	return (k.Count > 0 || d.count > 0) && d.count <= k.Count
}

// regress writes down the use of a passkey whose counter went back, which is an
// event, and by the realm's policy a refusal.
func (u *PasskeyUse) regress(ctx context.Context, by audit.Actor, re *realm.Realm, d authenticatorData) error {
	p, k := u.passkeys, u.key
	refuses := re.Settings.PasskeyRegression == realm.RegressionRefuse
	var after func(context.Context, error) error
	err := p.db.UpdateRC(ctx, re.Name, func(tx *db.Tx) (err error) {
		after = nil
		if refuses {
			err = p.burn(tx, u.challenge, u.until)
		} else {
			err = u.WriteTx(tx)
		}
		if err != nil {
			return err
		}
		audit.Append(tx, by, audit.Event{Action: "credential.regress", TargetType: string(Passkey), Target: k.Credential.ID,
			Data: map[string]any{"principal": k.Principal, "had": k.Count, "got": d.count, "refused": refuses}})
		if p.onRegress != nil {
			after, err = p.onRegress(tx, by, re, k.Principal, k.Credential.ID, int64(k.Count), int64(d.count))
		}
		return err
	})
	if after != nil {
		err = after(ctx, err)
	}
	if err == nil && refuses {
		return refusal("counter_regression")
	}
	return err
}

// PasskeyUser is the name under which authenticators know a person, "" for one
// who never had a passkey.
func (p *Passkeys) PasskeyUser(ctx context.Context, realm, id string) (user string, err error) {
	err = p.db.View(ctx, realm, func(tx *db.Tx) error {
		user, err = passkeyUser(tx, id)
		return err
	})
	return user, err
}

// makePasskeyUser is PasskeyUser that gives a person a name if they have none.
func (p *Passkeys) makePasskeyUser(ctx context.Context, realm, id string) (user string, err error) {
	if user, err = p.PasskeyUser(ctx, realm, id); err != nil || user != "" {
		return user, err
	}
	fresh := encode64(secret.Hash(string(secret.New(""))))
	err = p.db.UpdateRC(ctx, realm, func(tx *db.Tx) error {
		if err := addPasskeyUser(tx, id, fresh); err != nil {
			return err
		}
		user, err = passkeyUser(tx, id)
		return err
	})
	return user, err
}
