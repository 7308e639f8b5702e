package token

import (
	"context"
	"strings"

	"github.com/cardea-id/cardea/internal/fault"
	"github.com/cardea-id/cardea/internal/jose"
)

// Binding is what a token is bound to, so that it is worth nothing to whoever
// does not have it: a key shown by DPoP (RFC 9449), a certificate of mutual TLS
// (RFC 8705), or both. The zero value is nothing: a bearer token.
type Binding struct {
	JKT string // thumbprint of the key
	X5T string // SHA-256 of the certificate
}

// String is one line for the binding, "" for none.
func (b Binding) String() string {
	switch {
	case b.X5T == "" && b.JKT == "":
		return ""
	case b.X5T == "":
		return "jkt:" + b.JKT
	case b.JKT == "":
		return "x5t:" + b.X5T
	}
	return "jkt:" + b.JKT + " x5t:" + b.X5T
}

// ReadBinding reads what String wrote.
func ReadBinding(line string) (b Binding) {
	for part := range strings.FieldsSeq(line) {
		if jkt, ok := strings.CutPrefix(part, "jkt:"); ok {
			b.JKT = jkt
		}
		if x5t, ok := strings.CutPrefix(part, "x5t:"); ok {
			b.X5T = x5t
		}
	}
	return b
}

// AppendJSON appends the value of cnf (RFC 7800, section 3.1).
func (b Binding) AppendJSON(to []byte) []byte {
	to = append(to, '{')
	if b.JKT != "" {
		to = appendText(append(to, `"jkt":`...), b.JKT)
	}
	if b.JKT != "" && b.X5T != "" {
		to = append(to, ',')
	}
	if b.X5T != "" {
		to = appendText(append(to, `"x5t#S256":`...), b.X5T)
	}
	return append(to, '}')
}

// readBinding reads cnf. Whatever it says must be understood.
func readBinding(c jose.Claims) (b Binding, err error) {
	if !c.Has("cnf") {
		return b, nil
	}
	cnf, err := c.Object.Object("cnf")
	if err != nil {
		return b, err
	}
	if b.JKT, err = cnf.String("jkt"); err != nil {
		return b, err
	}
	if b.X5T, err = cnf.String("x5t#S256"); err != nil {
		return b, err
	}
	if b == (Binding{}) {
		return b, errInvalid
	}
	return b, nil
}

var errBound error = fault.New(fault.Unauthenticated, "token_bound", "the access token was not shown in the way in which it is bound")

// Accept is [Gate.Recognise] for a token that somebody presents in order to use
// it: what it is bound to must have been shown with it. A token that is not
// bound to a key is not for DPoP either (RFC 9449, section 7.1). shown.X5T is
// the certificate of the connection, whether or not the token asks for one.
func (g *Gate) Accept(ctx context.Context, realm, value string, shown Binding) (*Token, error) {
	t, err := g.Recognise(ctx, realm, value)
	if err != nil {
		return nil, err
	}
	if t.Bound.JKT != shown.JKT || t.Bound.X5T != "" && t.Bound.X5T != shown.X5T {
		return nil, errBound
	}
	return t, nil
}
