package jose

import (
	"encoding/base64"
	"strings"
)

// Unverified is a token that has been read but not believed. It offers only
// what is needed to look for the key and the party that may have signed it.
type Unverified struct {
	Alg, Kid, Typ string

	claims    Object
	payload   []byte
	signed    string
	signature []byte
	jwk       []byte // the key that a proof of possession brings; nil in all else
}

// Issuer returns the unverified iss claim: good for choosing whose keys to
// try, never for anything else.
func (u *Unverified) Issuer() string { return u.text("iss") }

// Subject returns the unverified sub claim, under the same warning.
func (u *Unverified) Subject() string { return u.text("sub") }

func (u *Unverified) text(name string) string {
	s, err := u.claims.String(name)
	if err != nil {
		return ""
	}
	return s
}

// Parse reads a compact JWS of at most maxBytes (MaxBytes if zero) in its one
// valid encoding and verifies nothing. Size and dots are checked before
// anything is decoded.
func Parse(token string, maxBytes int) (*Unverified, error) {
	return parse(token, maxBytes, signature)
}

// form is which kind of compact token is read.
type form int

const (
	signature    form = iota
	proof             // of possession: the one that may bring its key along
	sharedSecret      // HS256, and nothing else
)

// parse is Parse for one form of tokens.
func parse(token string, maxBytes int, as form) (*Unverified, error) {
	if maxBytes == 0 {
		maxBytes = MaxBytes
	}
	if len(token) > maxBytes {
		return nil, bad(ErrMalformed, "longer than %d bytes", maxBytes)
	}
	if strings.Count(token, ".") != 2 {
		return nil, bad(ErrMalformed, "a compact JWS has three parts")
	}
	head, rest, _ := strings.Cut(token, ".")
	body, tail, _ := strings.Cut(rest, ".")
	u := &Unverified{signed: token[:len(head)+1+len(body)]}
	if err := u.readHeader(head, as); err != nil {
		return nil, err
	}
	var err error
	if u.signature, err = decode(tail); err != nil {
		return nil, err
	}
	if u.payload, err = decode(body); err != nil {
		return nil, err
	}
	if u.claims, err = ParseObject(u.payload); err != nil {
		return nil, err
	}
	return u, nil
}

// refused are headers that would let a token bring or fetch its own key, change
// what is signed, or demand processing that is not there (RFC 7515, section
// 4.1; RFC 7797; RFC 7516).
func refused(name string) bool {
	switch name {
	case "jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "epk":
		return true
	}
	return false
}

func (u *Unverified) readHeader(encoded string, as form) error {
	raw, err := decode(encoded)
	if err != nil {
		return err
	}
	o, err := ParseObject(raw)
	if err != nil {
		return err
	}
	for _, m := range o.Members() {
		if as == proof && m.Name == "jwk" {
			u.jwk = m.Raw
			continue
		}
		if refused(m.Name) {
			return bad(ErrHeader, "%s", m.Name)
		}
	}
	for name, to := range map[string]*string{"alg": &u.Alg, "kid": &u.Kid, "typ": &u.Typ} {
		if *to, err = o.String(name); err != nil {
			return bad(ErrMalformed, "header %s is not a string", name)
		}
	}
	if as == sharedSecret && u.Alg != HS256 || as != sharedSecret && !Known(u.Alg) {
		return bad(ErrAlgorithm, "%.20q", u.Alg)
	}
	if len(u.Kid) > 200 {
		return bad(ErrMalformed, "kid longer than 200 bytes")
	}
	return nil
}

// Want says what a token must be.
type Want struct {
	// Typ lists the accepted types; "" accepts a token that names none. Types
	// are compared as media types: without case, "application/" implied.
	Typ []string
	// Keys are the keys of the party that must have signed.
	Keys Set
	// Alg, if set, is the only algorithm accepted. It must be set where Keys
	// may hold RSA keys that do not name theirs.
	Alg string
	// MaxBytes bounds the token; zero means the package's MaxBytes.
	MaxBytes int
}

// Verified is a token whose type, key and signature are as wanted. Its claims
// are authentic; whether they are acceptable is for Claims.Check to say.
type Verified struct {
	Kid, Alg, Typ string
	Claims        Claims
	Payload       []byte // the signed claims as written
}

// Verify reads a token and checks type, algorithm, key and signature.
func Verify(token string, w Want) (*Verified, error) {
	u, err := Parse(token, w.MaxBytes)
	if err != nil {
		return nil, err
	}
	return u.Verify(w)
}

// Verify checks type, algorithm, key and signature of a token already read.
func (u *Unverified) Verify(w Want) (*Verified, error) {
	if !typeIn(u.Typ, w.Typ) {
		return nil, bad(ErrType, "%.40q", u.Typ)
	}
	if w.Alg != "" && u.Alg != w.Alg {
		return nil, bad(ErrAlgorithm, "%s where %s is expected", u.Alg, w.Alg)
	}
	key := w.Keys.Find(u.Kid, u.Alg)
	if key == nil {
		return nil, bad(ErrKey, "%.80q for %s", u.Kid, u.Alg)
	}
	key, err := key.Pin(w.Alg)
	if err != nil {
		return nil, err
	}
	if key.Alg != u.Alg {
		return nil, bad(ErrAlgorithm, "key %.80q is not pinned to %s", u.Kid, u.Alg)
	}
	if !key.verify([]byte(u.signed), u.signature) {
		return nil, ErrSignature
	}
	return &Verified{Kid: key.ID, Alg: u.Alg, Typ: u.Typ, Claims: Claims{u.claims}, Payload: u.payload}, nil
}

func typeIn(typ string, accepted []string) bool {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	for _, a := range accepted {
		if strings.EqualFold(typ, a) {
			return true
		}
	}
	return false
}

// decode reads base64url in its one valid form: no padding, no white space, no
// stray bits in the last character.
func decode(text string) ([]byte, error) {
	// The library skips line ends, so that one token would have many spellings.
	if strings.ContainsAny(text, "\r\n") {
		return nil, bad(ErrMalformed, "line end in base64url")
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, bad(ErrMalformed, "not base64url in its one valid form")
	}
	return b, nil
}
