package credential

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/cardea-id/cardea/internal/db"
	"github.com/cardea-id/cardea/internal/identity/principal"
	"github.com/cardea-id/cardea/internal/realm"
)

// What browsers are asked for, in the JSON forms of WebAuthn Level 3, sections
// 5.1.8 and 5.1.9.
type (
	creationOptions struct {
		RP          named          `json:"rp"`
		User        user           `json:"user"`
		Challenge   string         `json:"challenge"`
		Params      []parameter    `json:"pubKeyCredParams"`
		Timeout     int64          `json:"timeout"`
		Exclude     []descriptor   `json:"excludeCredentials"`
		Selection   selection      `json:"authenticatorSelection"`
		Hints       []string       `json:"hints,omitempty"`
		Attestation string         `json:"attestation"`
		Formats     []string       `json:"attestationFormats,omitempty"`
		Extensions  map[string]any `json:"extensions,omitempty"`
	}
	requestOptions struct {
		Challenge    string       `json:"challenge"`
		Timeout      int64        `json:"timeout"`
		RPID         string       `json:"rpId"`
		Allow        []descriptor `json:"allowCredentials"`
		Verification string       `json:"userVerification"`
		Hints        []string     `json:"hints,omitempty"`
	}
	named struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	user struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		DisplayName string `json:"displayName"`
	}
	parameter struct {
		Type string `json:"type"`
		Alg  int64  `json:"alg"`
	}
	descriptor struct {
		Type       string   `json:"type"`
		ID         string   `json:"id"`
		Transports []string `json:"transports,omitempty"`
	}
	selection struct {
		ResidentKey        string `json:"residentKey"`
		RequireResidentKey bool   `json:"requireResidentKey"`
		Verification       string `json:"userVerification"`
	}
)

// CreationOptions ask a browser for a new passkey of a person.
func (p *Passkeys) CreationOptions(ctx context.Context, re *realm.Realm, who *principal.Principal, browser string) ([]byte, error) {
	rp, err := RelyingPartyOf(re)
	if err != nil {
		return nil, err
	}
	handle, err := p.makePasskeyUser(ctx, re.Name, who.ID)
	if err != nil {
		return nil, err
	}
	have, err := p.descriptors(ctx, re.Name, who.ID)
	if err != nil {
		return nil, err
	}
	o := creationOptions{RP: named{rp.ID, re.DisplayName}, User: user{ID: handle},
		Challenge: encode64(p.challenge(re.Name, Ceremony{ToRegister, browser, who.ID}, p.db.Now().Add(ChallengeLife))),
		Timeout:   ChallengeLife.Milliseconds(), Exclude: have, Hints: re.Settings.Hints(), Attestation: "none",
		// A passkey must be found without a name, or there is no autofill.
		Selection: selection{"required", true, re.Settings.PasskeyVerification}}
	o.User.Name, o.User.DisplayName = PasskeyNames(who)
	for _, alg := range passkeyAlgorithms {
		o.Params = append(o.Params, parameter{"public-key", alg})
	}
	if re.Settings.PasskeyAttestation != realm.AttestationOff {
		o.Attestation = "direct"
		for _, f := range attestingFormats {
			o.Formats = append(o.Formats, string(f))
		}
	}
	return json.Marshal(o)
}

// RequestOptions ask a browser for a passkey: any, or one of a person who is
// known already.
func (p *Passkeys) RequestOptions(ctx context.Context, re *realm.Realm, c Ceremony) ([]byte, error) {
	rp, err := RelyingPartyOf(re)
	if err != nil {
		return nil, err
	}
	o := requestOptions{Challenge: encode64(p.challenge(re.Name, c, p.db.Now().Add(ChallengeLife))), Timeout: ChallengeLife.Milliseconds(),
		RPID: rp.ID, Allow: []descriptor{}, Verification: realm.VerificationRequired, Hints: re.Settings.Hints()}
	if c.Purpose == ToConfirm {
		o.Verification = re.Settings.PasskeyVerification
	}
	if c.Principal != "" {
		if o.Allow, err = p.descriptors(ctx, re.Name, c.Principal); err != nil {
			return nil, err
		}
	}
	return json.Marshal(o)
}

// PasskeyNames are what devices show of an account.
func PasskeyNames(who *principal.Principal) (name, display string) {
	if name = who.Name; name == "" {
		name = who.Email().Address
	}
	if display = strings.TrimSpace(who.DisplayName); display == "" {
		display = name
	}
	return name, display
}

// descriptors name the living passkeys of a person to a browser.
func (p *Passkeys) descriptors(ctx context.Context, name, person string) ([]descriptor, error) {
	list := []descriptor{}
	err := p.db.View(ctx, name, func(tx *db.Tx) error {
		list = list[:0]
		all, err := living(tx, person)
		if err != nil {
			return err
		}
		for _, c := range all {
			if c.Type != Passkey {
				continue
			}
			k, err := c.passkey()
			if err != nil {
				return err
			}
			list = append(list, descriptor{"public-key", encode64(k.ID), k.Transports})
		}
		return nil
	})
	return list, err
}

// Accepted are what a device needs to know of an account to forget what is no
// longer accepted and to show the right names (section 5.1.10).
type Accepted struct {
	RPID        string   `json:"rpId"`
	User        string   `json:"userId"`
	IDs         []string `json:"allAcceptedCredentialIds"`
	Name        string   `json:"name"`
	DisplayName string   `json:"displayName"`
}

// Accepted tells the devices of a person what is accepted now; nil if the person
// never had a passkey.
func (p *Passkeys) Accepted(ctx context.Context, re *realm.Realm, who *principal.Principal) (*Accepted, error) {
	rp, err := RelyingPartyOf(re)
	if err != nil {
		return nil, nil // there cannot be any
	}
	handle, err := p.PasskeyUser(ctx, re.Name, who.ID)
	if err != nil || handle == "" {
		return nil, err
	}
	have, err := p.descriptors(ctx, re.Name, who.ID)
	if err != nil {
		return nil, err
	}
	a := &Accepted{RPID: rp.ID, User: handle, IDs: []string{}}
	for _, d := range have {
		a.IDs = append(a.IDs, d.ID)
	}
	a.Name, a.DisplayName = PasskeyNames(who)
	return a, nil
}
