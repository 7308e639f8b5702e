package credential

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"unicode/utf8"
)

// What browsers send is bounded before it is read.
const (
	maxPasskeyAnswer = 64 << 10
	maxClientData    = 4 << 10
	maxPasskeyID     = 1023 // bytes (WebAuthn Level 3, section 4)
)

// answer is what a browser makes of a ceremony, as toJSON of a
// PublicKeyCredential writes it, as far as it matters. Of what repeats what is
// signed (publicKey, authenticatorData of a registration) nothing is read.
type answer struct {
	ID       string `json:"id"`
	RawID    string `json:"rawId"`
	Type     string `json:"type"`
	Response struct {
		ClientDataJSON    string   `json:"clientDataJSON"`
		AttestationObject string   `json:"attestationObject"`
		AuthenticatorData string   `json:"authenticatorData"`
		Signature         string   `json:"signature"`
		UserHandle        string   `json:"userHandle"`
		Transports        []string `json:"transports"`
	} `json:"response"`
}

// parseAnswer reads an answer and the credential id in it.
func parseAnswer(text string) (a answer, id []byte, err error) {
	if len(text) > maxPasskeyAnswer {
		return a, nil, refusal("answer_too_long")
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return a, nil, refusal("answer_malformed")
	}
	if a.Type != "public-key" || a.RawID != a.ID {
		return a, nil, refusal("answer_malformed")
	}
	id, err = decode64(a.ID)
	if err != nil || len(id) == 0 || len(id) > maxPasskeyID {
		return a, nil, refusal("credential_id")
	}
	return a, id, nil
}

// clientData is what the browser says about the ceremony (section 5.8.1); the
// authenticator signs its hash.
type clientData struct {
	Type, Challenge, Origin string
	cross, top              bool // crossOrigin is true, topOrigin is there
	raw                     []byte
}

const (
	typeCreate = "webauthn.create"
	typeGet    = "webauthn.get"
)

// parseClientData reads client data so that they mean one thing: one object, no
// member twice, the members that count in their own type. Browsers may add
// members of other names.
func parseClientData(text string) (c clientData, err error) {
	raw, err := decode64(text)
	if err != nil || len(raw) > maxClientData || !utf8.Valid(raw) {
		return c, refusal("client_data_malformed")
	}
	c.raw = raw
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return c, refusal("client_data_malformed")
	}
	var seen []string
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok || slices.Contains(seen, name) {
			return c, refusal("client_data_malformed")
		}
		seen = append(seen, name)
		var value any
		if err := d.Decode(&value); err != nil || !c.take(name, value) {
			return c, refusal("client_data_malformed")
		}
	}
	if t, err := d.Token(); err != nil || t != json.Delim('}') {
		return c, refusal("client_data_malformed")
	}
	if _, err := d.Token(); err != io.EOF {
		return c, refusal("client_data_malformed")
	}
	return c, nil
}

// take notes one member and reports whether its type is right.
func (c *clientData) take(name string, value any) (ok bool) {
	switch name {
	case "type":
		c.Type, ok = value.(string)
	case "challenge":
		c.Challenge, ok = value.(string)
	case "origin":
		c.Origin, ok = value.(string)
	case "crossOrigin":
		c.cross, ok = value.(bool)
	case "topOrigin":
		c.top, ok = true, true
	default:
		ok = true
	}
	return ok
}

// check holds client data to a ceremony, but for the challenge. Origins are
// compared byte by byte. Our pages are never in a frame of another origin, so a
// ceremony that was is none of ours, whichever it is.
func (c clientData) check(kind string, rp RelyingParty) error {
	switch {
	case c.Type != kind:
		return refusal("type")
	case !slices.Contains(rp.Origins, c.Origin):
		return refusal("origin")
	case c.cross:
		return refusal("cross_origin")
	case c.top:
		return refusal("top_origin")
	}
	return nil
}
