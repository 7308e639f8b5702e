package realm

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
)

// maxCAs bounds the certificates of a setting, in bytes.
const maxCAs = 16 << 10

// ParseCAs reads CA certificates as PEM: those that may have signed the
// certificates with which clients authenticate (RFC 8705, section 2.1). Each is
// trusted for itself, so an intermediate alone will do.
func ParseCAs(text string) ([]*x509.Certificate, error) {
	if len(text) > maxCAs {
		return nil, errors.New("must have at most 16 KiB")
	}
	var list []*x509.Certificate
	for rest := []byte(text); strings.TrimSpace(string(rest)) != ""; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("must be certificates as PEM")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("holds a certificate that cannot be read")
		}
		if !c.IsCA || !c.BasicConstraintsValid {
			return nil, errors.New("holds a certificate that is not of a CA")
		}
		list = append(list, c)
	}
	return list, nil
}

func checkCAs(text string) error {
	_, err := ParseCAs(text)
	return err
}
