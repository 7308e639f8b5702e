package client

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"net/netip"
	"strings"

	"github.com/cardea-id/cardea/internal/realm"
)

// maxCertName bounds a name in a certificate, in bytes.
const maxCertName = 500

// certName is one kind of name in a certificate that identifies a client of
// tls_client_auth (RFC 8705, section 2.1.2), with where it is in one.
type certName struct {
	field string
	value string
	of    func(*x509.Certificate) []string
}

func (s *Settings) certNames() []certName {
	return []certName{
		{"tls_client_auth_subject_dn", s.TLSSubjectDN, func(c *x509.Certificate) []string { return []string{subjectDN(c)} }},
		{"tls_client_auth_san_dns", s.TLSSANDNS, func(c *x509.Certificate) []string { return c.DNSNames }},
		{"tls_client_auth_san_uri", s.TLSSANURI, sanURIs},
		{"tls_client_auth_san_ip", s.TLSSANIP, sanIPs},
		{"tls_client_auth_san_email", s.TLSSANEmail, func(c *x509.Certificate) []string { return c.EmailAddresses }},
	}
}

// subjectDN is the subject as RFC 4514 writes it, exactly as it is in the
// certificate: in its order, with all of its attributes.
func subjectDN(c *x509.Certificate) string {
	var names pkix.RDNSequence
	if rest, err := asn1.Unmarshal(c.RawSubject, &names); err != nil || len(rest) > 0 {
		return ""
	}
	return names.String()
}

func sanURIs(c *x509.Certificate) []string {
	var list []string
	for _, u := range c.URIs {
		list = append(list, u.String())
	}
	return list
}

func sanIPs(c *x509.Certificate) []string {
	var list []string
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	return list
}

// NamedBy reports whether a certificate bears the one name that is registered
// for the client. Names are compared as they are written: none that merely
// means the same passes.
func (s *Settings) NamedBy(c *x509.Certificate) bool {
	for _, n := range s.certNames() {
		if n.value == "" {
			continue
		}
		for _, own := range n.of(c) {
			if own == n.value {
				return true
			}
		}
		return false
	}
	return false
}

// keySource is what the credential stands for that a client has whose keys are
// not registered here: where they are published, or what its certificate must
// be like. When it changes, what was obtained with the old one ends.
func (s *Settings) keySource() string {
	if s.AuthMethod == AttestedJWT {
		sum := sha256.Sum256([]byte(s.AttesterJWKS))
		return "attest:" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if s.AuthMethod != TLSClientAuth {
		return s.JWKSURI
	}
	h := sha256.New()
	for _, n := range s.certNames() {
		h.Write([]byte(n.field + "\x00" + n.value + "\x00"))
	}
	h.Write([]byte(s.TLSClientCA))
	if s.JWKSURI != "" { // for its request objects
		h.Write([]byte("\x00" + s.JWKSURI))
	}
	return "tls:" + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func (s *Settings) checkCertificate(p *problems) {
	given := 0
	for _, n := range s.certNames() {
		if n.value == "" {
			continue
		}
		given++
		if s.AuthMethod != TLSClientAuth {
			p.add(n.field, "is for tls_client_auth only")
		} else if len(n.value) > maxCertName || !printable(n.value) {
			p.add(n.field, "must have at most %d printable bytes", maxCertName)
		}
	}
	if s.AuthMethod == TLSClientAuth && given != 1 {
		p.add("tls_client_auth_subject_dn", "give exactly one name that the certificate must bear: subject_dn, san_dns, san_uri, san_ip or san_email")
	}
	if ip, err := netip.ParseAddr(s.TLSSANIP); s.TLSSANIP != "" && (err != nil || ip.String() != s.TLSSANIP) {
		p.add("tls_client_auth_san_ip", "must be an IP address in its shortest form")
	}
	if s.TLSSubjectDN != "" && !looksLikeDN(s.TLSSubjectDN) {
		p.add("tls_client_auth_subject_dn", "must be a name as RFC 4514 writes it, such as CN=orders,O=Example")
	}
	switch {
	case s.TLSClientCA == "":
	case s.AuthMethod != TLSClientAuth:
		p.add("tls_client_ca", "is for tls_client_auth only")
	default:
		if _, err := realm.ParseCAs(s.TLSClientCA); err != nil {
			p.add("tls_client_ca", "%s", err)
		}
	}
}

// looksLikeDN refuses what no certificate can match: spaces after commas, or
// attributes without a value.
func looksLikeDN(dn string) bool {
	for part := range strings.SplitSeq(strings.ReplaceAll(dn, `\,`, ""), ",") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" || value == "" || strings.TrimSpace(name) != name {
			return false
		}
	}
	return true
}
