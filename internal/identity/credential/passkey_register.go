package credential

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/cardea-id/cardea/internal/audit"
	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
	"github.com/cardea-id/cardea/internal/secret"
)

// NewPasskey is an answer to creation options.
type NewPasskey struct {
	Principal string // whose it is to be; the options were made for them
	Browser   string // as the options were made for
	Answer    string // JSON of the browser's PublicKeyCredential
	Name      string // what its owner calls it; "": the name of its model
}

// Register makes a passkey (WebAuthn Level 3, section 7.1), which proves that its
// owner has it. An answer that does
// not hold is fault.Invalid: passkey_refused, passkey_expired (ask again),
// passkey_model and passkey_synced (the realm does not want such a device); one
// that is registered is fault.Conflict.
func (p *Passkeys) Register(ctx context.Context, by audit.Actor, name string, n NewPasskey) (made Credential, proof PasskeyProof, err error) {
	re, err := p.realms.ByName(ctx, name)
	if err != nil {
		return made, proof, err
	}
	rp, err := RelyingPartyOf(re)
	if err != nil {
		return made, proof, err
	}
	if err := checkName(n.Name); err != nil {
		return made, proof, err
	}
	made, err = p.register(ctx, by, re, rp, n)
	var why refusal
	if errors.As(err, &why) {
		p.log.Activity(name, by, audit.Activity{Action: "credential.refuse", Target: n.Principal, Reason: string(why), Data: audit.Details{"type", string(Passkey)}})
	}
	if err != nil {
		return Credential{}, proof, told(err)
	}
	proof = PasskeyProof{Credential: made.ID, At: made.CreatedAt}
	k, err := made.passkey()
	if err != nil {
		return made, proof, err
	}
	proof.Verified, proof.Synced, proof.Attested = k.Verified, k.Backup, k.Attested
	proof.Principal, err = p.people.Cached(ctx, name, n.Principal)
	return made, proof, err
}

func (p *Passkeys) register(ctx context.Context, by audit.Actor, re *realm.Realm, rp RelyingParty, n NewPasskey) (made Credential, err error) {
	ceremony := Ceremony{Purpose: ToRegister, Browser: n.Browser, Principal: n.Principal}
	a, id, err := parseAnswer(n.Answer)
	if err != nil {
		return made, err
	}
	c, err := parseClientData(a.Response.ClientDataJSON)
	if err != nil {
		return made, err
	}
	if err := c.check(typeCreate, rp); err != nil {
		return made, err
	}
	until, err := p.checkChallenge(re.Name, ceremony, c.Challenge, p.db.Now())
	if err != nil {
		return made, err
	}
	att, err := parseAttestation(a.Response.AttestationObject, c)
	if err != nil {
		return made, err
	}
	d := att.data
	if err := d.check(rp, re.Settings.PasskeyVerification == realm.VerificationRequired); err != nil {
		return made, err
	}
	if !bytes.Equal(d.id, id) {
		return made, refusal("credential_id")
	}
	if _, err := parsePasskeyKey(d.key); err != nil {
		return made, err
	}
	attested, err := att.judge(&re.Settings, p.db.Now())
	if err != nil {
		return made, err
	}
	k := passkey{ID: id, Key: d.key, Count: d.count, Backup: d.has(flagBackup), BackedUp: d.has(flagBackedUp), Verified: d.has(flagVerified),
		AAGUID: d.aaguid, Attested: attested, Format: att.object.Format, Transports: knownTransports(a.Response.Transports)}
	err = p.db.Update(ctx, re.Name, func(tx *db.Tx) error {
		if err := p.burn(tx, c.Challenge, until); err != nil {
			return err
		}
		made, err = addPasskey(tx, by, n, k)
		return err
	})
	return made, err
}

// addPasskey writes a passkey, unless its credential id was ever registered in
// the realm, by whomever.
func addPasskey(tx *db.Tx, by audit.Actor, n NewPasskey, k passkey) (Credential, error) {
	count, err := countLiving(tx, n.Principal, Passkey)
	if err != nil {
		return Credential{}, err
	}
	if count >= MaxPasskeys {
		return Credential{}, fault.New(fault.Conflict, "passkeys_exhausted", "a person has at most %d passkeys; remove one that is not used", MaxPasskeys)
	}
	name := strings.TrimSpace(n.Name)
	if name == "" {
		name = modelOf(k.AAGUID)
	}
	if err := ChangedTx(tx, n.Principal); err != nil {
		return Credential{}, err
	}
	return create(tx, by, Credential{Principal: n.Principal, Type: Passkey, Name: name, data: k.encode(), handle: passkeyHandle(k.ID)}, "")
}

// passkeyHandle is how a credential id is looked up: it may be long.
func passkeyHandle(id []byte) string { return "passkey:" + encode64(secret.Hash(string(id))) }

// knownTransports keeps of what the browser says how the authenticator is
// reached what is known (section 5.8.4); it goes back to browsers only.
func knownTransports(said []string) (known []string) {
	for _, t := range said {
		if slices.Contains([]string{"usb", "nfc", "ble", "smart-card", "hybrid", "internal"}, t) && !slices.Contains(known, t) {
			known = append(known, t)
		}
	}
	return known
}

// told is what whoever sent an answer is told about it.
func told(err error) error {
	var why refusal
	if !errors.As(err, &why) {
		return err
	}
	switch why {
	case "challenge_expired", "challenge_reused":
		return fault.New(fault.Invalid, "passkey_expired", "this took too long or was sent before; try again")
	case "passkey_unknown":
		return fault.New(fault.Invalid, "passkey_unknown", "this passkey is not accepted here")
	case "passkey_removed":
		return fault.New(fault.Invalid, "passkey_removed", "this passkey was removed here")
	}
	return fault.New(fault.Invalid, "passkey_refused", "the answer of the browser or the device is not valid")
}
