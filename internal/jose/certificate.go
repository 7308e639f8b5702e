package jose

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/url"
	"strings"
)

// CertHeader is the header in which RFC 9440 has a proxy pass on the
// certificate of a client. Under any other name the certificate is expected as
// PEM in URL encoding, as nginx and HAProxy write it.
const CertHeader = "Client-Cert"

// maxCertificate bounds a certificate in a header, in bytes.
const maxCertificate = 12 << 10

// CertificateThumbprint is x5t#S256 of a certificate (RFC 8705, section 3.1).
func CertificateThumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// CertificateFromHeader reads the certificate that a proxy has put into a
// header. It is nil without an error when there is none. Who sent the header,
// and whether he may, is for the caller to know.
func CertificateFromHeader(name string, lines []string) (*x509.Certificate, error) {
	if len(lines) == 0 || len(lines) == 1 && lines[0] == "" {
		return nil, nil
	}
	if len(lines) > 1 || len(lines[0]) > maxCertificate {
		return nil, bad(ErrMalformed, "more than one certificate header, or too long a one")
	}
	der, err := certificateBytes(name, lines[0])
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, bad(ErrMalformed, "the header holds no certificate")
	}
	return c, nil
}

func certificateBytes(name, value string) ([]byte, error) {
	if strings.EqualFold(name, CertHeader) {
		inner, ok := strings.CutPrefix(value, ":")
		inner, end := strings.CutSuffix(inner, ":")
		der, err := base64.StdEncoding.Strict().DecodeString(inner)
		if !ok || !end || err != nil {
			return nil, bad(ErrMalformed, "the header is no byte sequence (RFC 9440, section 2.1)")
		}
		return der, nil
	}
	text, err := url.PathUnescape(value) // base64 has plus signs, which mean themselves
	if err != nil {
		return nil, bad(ErrMalformed, "the header is not URL-encoded")
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, bad(ErrMalformed, "the header is not one certificate as PEM")
	}
	return block.Bytes, nil
}

// CertificateKey is the public key of a certificate, if it is of a kind that a
// key set may hold.
func CertificateKey(c *x509.Certificate) (*PublicKey, error) {
	return NewPublicKey("", "", c.PublicKey)
}
