package credential

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/realm"
)

// attestation is what an authenticator says about its model and how it proves
// it (WebAuthn Level 3, section 8).
type attestation struct {
	object *protocol.AttestationObject
	data   authenticatorData
	hash   []byte // of the client data
}

// parseAttestation reads an attestation object.
func parseAttestation(text string, c clientData) (a attestation, err error) {
	raw, err := decode64(text)
	if err != nil {
		return a, refusal("attestation_malformed")
	}
	response := protocol.AuthenticatorAttestationResponse{AttestationObject: raw}
	response.ClientDataJSON = c.raw
	parsed, err := response.Parse()
	if err != nil {
		return a, refusal("attestation_malformed")
	}
	a.object = &parsed.AttestationObject
	a.data, err = parseAuthenticatorData(a.object.RawAuthData)
	if err != nil {
		return a, err
	}
	// Two readers must have read the same.
	if !a.data.has(flagAttested) || !bytes.Equal(a.data.id, a.object.AuthData.AttData.CredentialID) {
		return a, refusal("attestation_malformed")
	}
	sum := sha256.Sum256(c.raw)
	a.hash = sum[:]
	return a, nil
}

// verify checks the statement, whatever it is worth.
func (a attestation) verify() error {
	if err := a.object.VerifyAttestation(a.hash, nil, protocol.AttestationPolicy{}, protocol.SignaturePolicy{}); err != nil {
		return refusal("attestation_statement")
	}
	return nil
}

// anchored reports whether the statement's certificates lead to one of anchors,
// and to nothing else: neither the system's authorities nor what the statement
// itself brings count. Self attestation and none have no certificates.
func (a attestation) anchored(anchors []*x509.Certificate, now time.Time) bool {
	format := protocol.AttestationFormat(a.object.Format)
	if !slices.Contains(attestingFormats, format) || len(anchors) == 0 {
		return false
	}
	chain, ok := a.certificates()
	if !ok {
		return false
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range anchors {
		roots.AddCert(c)
	}
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	leaf := chain[0]
	if format == protocol.AttestationFormatTPM {
		// A TPM's names are in a critical extension that crypto/x509 does not
		// read; the statement's verification has.
		leaf.UnhandledCriticalExtensions = slices.DeleteFunc(leaf.UnhandledCriticalExtensions,
			func(id asn1.ObjectIdentifier) bool { return id.Equal(oidSubjectAltName) })
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// attestingFormats are those that can lead to a trust anchor.
var attestingFormats = []protocol.AttestationFormat{protocol.AttestationFormatPacked, protocol.AttestationFormatTPM,
	protocol.AttestationFormatAndroidKey, protocol.AttestationFormatApple}

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidAAGUID         = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4} // id-fido-gen-ce-aaguid
)

// maxChain bounds the certificates of a statement.
const maxChain = 8

// certificates are those of the statement, the authenticator's own first.
func (a attestation) certificates() (chain []*x509.Certificate, ok bool) {
	list, _ := a.object.AttStatement["x5c"].([]any)
	if len(list) == 0 || len(list) > maxChain {
		return nil, false
	}
	for _, v := range list {
		der, _ := v.([]byte)
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, false
		}
		chain = append(chain, c)
	}
	return chain, true
}

// formatModels are the models that a format itself stands for. A statement of
// such a format proves where the key is, and not which model wrote the AAGUID
// beside it: whoever has such a device could write any other.
var formatModels = map[protocol.AttestationFormat]string{
	protocol.AttestationFormatTPM:        "08987058-cadc-4b81-b6e1-30de50dcbe96", // Windows Hello, hardware
	protocol.AttestationFormatAndroidKey: "b93fd961-f2e6-462f-b122-82002247de78", // Android keystore
	protocol.AttestationFormatApple:      "f24a8e70-d0d3-f82c-2937-32523cc4de5a", // Apple, anonymous
}

// names reports whether the statement vouches for the AAGUID: by an extension
// of the certificate that the verification compared, or by its format.
func (a attestation) names() bool {
	if formatModels[protocol.AttestationFormat(a.object.Format)] == a.data.aaguid {
		return true
	}
	chain, ok := a.certificates()
	return ok && slices.ContainsFunc(chain[0].Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidAAGUID) })
}

// judge holds an attestation to a realm's policy and reports whether trust
// anchors vouch for the authenticator. Where models are listed, only what is
// anchored and vouched for can satisfy the list.
func (a attestation) judge(s *realm.Settings, now time.Time) (attested bool, err error) {
	if err := a.verify(); err != nil {
		return false, err
	}
	anchors, err := realm.ParseCAs(s.PasskeyAttestationCA)
	if err != nil {
		return false, err
	}
	attested = s.PasskeyAttestation != realm.AttestationOff && a.anchored(anchors, now)
	switch {
	case slices.Contains(s.PasskeyModelsDenied(), a.data.aaguid):
		return false, unwanted()
	case s.PasskeyAttestation == realm.AttestationRequired && !attested:
		return false, unwanted()
	case s.PasskeyModels() != nil && !(attested && a.names() && slices.Contains(s.PasskeyModels(), a.data.aaguid)):
		return false, unwanted()
	case s.PasskeyBinding == realm.BindingDevice && a.data.has(flagBackup):
		return false, fault.New(fault.Invalid, "passkey_synced", "only passkeys that stay on one device are accepted here")
	}
	return attested, nil
}

func unwanted() error {
	return fault.New(fault.Invalid, "passkey_model", "this kind of device is not accepted here, or does not show what it is")
}
