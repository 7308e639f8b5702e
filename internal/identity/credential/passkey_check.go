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

// Check evaluates an answer (WebAuthn Level 3, section 7.2). One that does not
// hold is fault.Invalid: passkey_refused, passkey_expired (ask again),
// passkey_unknown, or passkey_removed, where the device may be told to forget
// it. Somebody who only signs in must have been verified by the device;
// somebody who confirms, if the realm wants it.
func (p *Passkeys) Check(ctx context.Context, by audit.Actor, name string, a PasskeyAttempt) (PasskeyProof, error) {
	re, err := p.realms.ByName(ctx, name)
	if err != nil {
		return PasskeyProof{}, err
	}
	rp, err := RelyingPartyOf(re)
	if err != nil {
		return PasskeyProof{}, err
	}
	proof, target, err := p.check(ctx, by, re, rp, a)
	for range 2 {
		if err != refusal("passkey_changed") {
			break // else it was used in another window at the same time
		}
		proof, target, err = p.check(ctx, by, re, rp, a)
	}
	var why refusal
	if errors.As(err, &why) {
		refuseSignIn(p.log, name, by, target, string(why), "passkey")
	}
	return proof, told(err)
}

// candidate is what an assertion is checked against.
type passkeyCandidate struct {
	Credential
	passkey
	user string // the handle by which authenticators know its owner
}

func (p *Passkeys) check(ctx context.Context, by audit.Actor, re *realm.Realm, rp RelyingParty, a PasskeyAttempt) (proof PasskeyProof, target string, err error) {
	if a.Purpose != ToSignIn && a.Purpose != ToConfirm || a.Purpose == ToConfirm && a.Principal == "" {
		return proof, "", refusal("purpose")
	}
	ans, id, err := parseAnswer(a.Answer)
	if err != nil {
		return proof, "", err
	}
	c, err := parseClientData(ans.Response.ClientDataJSON)
	if err != nil {
		return proof, "", err
	}
	if err := c.check(typeGet, rp); err != nil {
		return proof, "", err
	}
	until, err := p.checkChallenge(re.Name, a.Ceremony, c.Challenge, p.db.Now())
	if err != nil {
		return proof, "", err
	}
	raw, err := decode64(ans.Response.AuthenticatorData)
	if err != nil {
		return proof, "", refusal("authenticator_data_malformed")
	}
	d, err := parseAuthenticatorData(raw)
	if err != nil {
		return proof, "", err
	}
	if d.has(flagAttested) {
		return proof, "", refusal("authenticator_data_malformed") // belongs to registrations only
	}
	if err := d.check(rp, a.Purpose == ToSignIn || re.Settings.PasskeyVerification == realm.VerificationRequired); err != nil {
		return proof, "", err
	}
	known, who, err := p.passkeyCandidate(ctx, re.Name, id, ans.Response.UserHandle)
	if err != nil {
		return proof, "", err
	}
	target = known.Principal
	err = known.verify(a.Ceremony, who, ans, c, d, raw)
	err = or(p.settle(ctx, by, re, known, d, c.Challenge, until, err), err)
	if err != nil {
		return proof, target, err
	}
	return PasskeyProof{Credential: known.Credential.ID, Principal: who, At: p.db.Now(), Verified: d.has(flagVerified), Synced: known.Backup, Attested: known.Attested}, target, nil
}

// passkeyCandidate finds the passkey with a credential id and its owner. A device
// whose passkey is gone, and which knows one of our people, may forget it:
// another realm of the same host has other people.
func (p *Passkeys) passkeyCandidate(ctx context.Context, name string, id []byte, user string) (k passkeyCandidate, who *principal.Principal, err error) {
	var ours bool
	err = p.db.View(ctx, name, func(tx *db.Tx) (err error) {
		k, err = passkeyByHandle(tx, passkeyHandle(id))
		if fault.Is(err, fault.NotFound) {
			ours, err = isPasskeyUser(tx, user)
		}
		return err
	})
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

// settle uses the challenge up, whatever became of the attempt, and notes the
// use of a passkey that was right. A counter that went back is an event, and by
// the realm's policy a refusal.
func (p *Passkeys) settle(ctx context.Context, by audit.Actor, re *realm.Realm, k passkeyCandidate, d authenticatorData, challenge string, until time.Time, wrong error) error {
	refused := refusal("")
	var after func(context.Context, error) error
	err := p.db.UpdateRC(ctx, re.Name, func(tx *db.Tx) (err error) {
		refused, after = "", nil
		if err := p.burn(tx, challenge, until); err != nil || wrong != nil {
			return err
		}
		now := k.passkey
		now.BackedUp, now.Verified, now.Count = d.has(flagBackedUp), now.Verified || d.has(flagVerified), max(k.Count, d.count)
		if k.regressed(d) {
			audit.Append(tx, by, audit.Event{Action: "credential.regress", TargetType: string(Passkey), Target: k.Credential.ID,
				Data: map[string]any{"principal": k.Principal, "had": k.Count, "got": d.count, "refused": re.Settings.PasskeyRegression == realm.RegressionRefuse}})
			if p.onRegress != nil {
				if after, err = p.onRegress(tx, by, re, k.Principal, k.Credential.ID, int64(k.Count), int64(d.count)); err != nil {
					return err
				}
			}
			if re.Settings.PasskeyRegression == realm.RegressionRefuse {
				refused = "counter_regression"
				return nil
			}
		}
		used, err := usePasskey(tx, k.Credential, now.encode())
		if err == nil && !used {
			// It was used or removed meanwhile; what was checked is no longer so.
			err = refusal("passkey_changed")
		}
		return err
	})
	if after != nil {
		err = after(ctx, err)
	}
	if err == nil && refused != "" {
		return refused
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
