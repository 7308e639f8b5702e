package realm

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Whether authenticators must show what they are.
const (
	AttestationOff       = "off"       // not asked
	AttestationPreferred = "preferred" // asked, and noted where a trust anchor vouches for it
	AttestationRequired  = "required"  // no passkey without
)

// Whether a device must make sure that it is in its owner's hands, where that is
// not the only proof.
const (
	VerificationRequired  = "required"
	VerificationPreferred = "preferred"
)

// Where passkeys may be.
const (
	BindingAny    = "any"
	BindingDevice = "device" // on one device only, never synced
)

// What is done when the counter of an authenticator goes back.
const (
	RegressionRefuse = "refuse"
	RegressionReport = "report" // an event, and no more
)

// maxRelated bounds the origins that one relying party is shared with. Browsers
// need not look at more than five different names (WebAuthn Level 3, section
// 5.11.1).
const maxRelated = 20

var (
	aaguids  = regexp.MustCompile(`^(\*|none|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}( [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})*)$`)
	hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*)?$`)
)

var passkeyFields = []Field{
	{Name: "passkey_rp_id", Help: "Name that passkeys are made for; empty is the issuer's host. Passkeys made for another name are not found any more.", Kind: "text",
		pattern: hostName, text: func(s *Settings) *string { return &s.PasskeyRPID }},
	{Name: "passkey_related_origins", Help: "Other https origins that may use the passkeys, served at /.well-known/webauthn, or none.", Kind: "list", Default: None,
		pattern: words, check: checkOrigins, text: func(s *Settings) *string { return &s.PasskeyRelatedOrigins }},
	{Name: "passkey_user_verification", Help: "Whether a device must verify its owner where a password was given too; alone it always must.", Kind: "text", Default: VerificationRequired,
		pattern: regexp.MustCompile(`^(required|preferred)$`), text: func(s *Settings) *string { return &s.PasskeyVerification }},
	{Name: "passkey_hints", Help: "Which devices browsers should offer first: words of security-key, client-device and hybrid, or none.", Kind: "list", Default: None,
		pattern: regexp.MustCompile(`^(none|(security-key|client-device|hybrid)( (security-key|client-device|hybrid)){0,2})$`), check: checkList, text: func(s *Settings) *string { return &s.PasskeyHints }},
	{Name: "passkey_binding", Help: "Where passkeys may be: any, or device for those that are never synced.", Kind: "text", Default: BindingAny,
		pattern: regexp.MustCompile(`^(any|device)$`), text: func(s *Settings) *string { return &s.PasskeyBinding }},
	{Name: "passkey_attestation", Help: "Whether authenticators must show what they are.", Kind: "text", Default: AttestationOff,
		pattern: regexp.MustCompile(`^(off|preferred|required)$`), text: func(s *Settings) *string { return &s.PasskeyAttestation }},
	{Name: "passkey_attestation_ca", Help: "Trust anchors of attestations, as PEM; no others count.", Kind: "text",
		pattern: regexp.MustCompile(`^[ -~\r\n]*$`), check: checkCAs, text: func(s *Settings) *string { return &s.PasskeyAttestationCA }},
	{Name: "passkey_models", Help: "AAGUIDs of the authenticators that are accepted, or * for all. A list needs passkey_attestation=required.", Kind: "list", Default: "*",
		pattern: aaguids, check: checkList, text: func(s *Settings) *string { return &s.PasskeyModelList }},
	{Name: "passkey_models_denied", Help: "AAGUIDs of authenticators that are refused, or none.", Kind: "list", Default: None,
		pattern: aaguids, check: checkList, text: func(s *Settings) *string { return &s.PasskeyDeniedList }},
	{Name: "passkey_regression", Help: "What is done when an authenticator's counter goes back, as that of a copy does.", Kind: "text", Default: RegressionRefuse,
		pattern: regexp.MustCompile(`^(refuse|report)$`), text: func(s *Settings) *string { return &s.PasskeyRegression }},
}

// checkOrigins accepts origins as browsers write them (RFC 6454, section 6.2).
func checkOrigins(text string) error {
	if text == None {
		return nil
	}
	list := strings.Fields(text)
	if len(list) > maxRelated {
		return errors.New("names more than 20 origins")
	}
	for _, o := range list {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "https" || checkHost(u.Host) != nil || u.Host == "" || "https://"+u.Host != o {
			return errors.New("must be origins such as https://login.example.com, in lower case and without a path")
		}
	}
	return nil
}

// checkPasskeys holds settings to each other.
func (s *Settings) checkPasskeys(wrong func(field, problem string)) {
	if s.PasskeyAttestation != AttestationOff && strings.TrimSpace(s.PasskeyAttestationCA) == "" {
		wrong("passkey_attestation", "needs passkey_attestation_ca: without trust anchors nobody can show what they are")
	}
	if s.PasskeyModels() != nil && s.PasskeyAttestation != AttestationRequired {
		wrong("passkey_models", "needs passkey_attestation required: without it anybody claims to be of any model")
	}
	if s.PasskeyModelList == None {
		wrong("passkey_models", "must be AAGUIDs, or * for all")
	}
	if s.PasskeyDeniedList == "*" {
		wrong("passkey_models_denied", "must be AAGUIDs, or none")
	}
}

// RelatedOrigins are the other origins that may use the realm's passkeys.
func (s *Settings) RelatedOrigins() []string { return listed(s.PasskeyRelatedOrigins) }

// Hints are the kinds of devices to be offered first.
func (s *Settings) Hints() []string { return listed(s.PasskeyHints) }

// PasskeyModels are the only AAGUIDs that are accepted, nil for all.
func (s *Settings) PasskeyModels() []string {
	if s.PasskeyModelList == "*" {
		return nil
	}
	return listed(s.PasskeyModelList)
}

// PasskeyModelsDenied are AAGUIDs that are refused.
func (s *Settings) PasskeyModelsDenied() []string { return listed(s.PasskeyDeniedList) }

// listed are the words of a list; none has none.
func listed(text string) []string {
	return slices.DeleteFunc(strings.Fields(text), func(w string) bool { return w == None })
}
