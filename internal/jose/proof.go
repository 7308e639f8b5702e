package jose

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strings"
	"time"
)

// Bounds of a DPoP proof.
const (
	MaxProof    = 4 << 10 // bytes
	maxProofJTI = 256     // bytes
	// ProofAge is how old a proof may be. Its jti must be remembered for longer.
	ProofAge = time.Minute
	// ProofAhead is how far ahead its iat may lie. It is short, because after a
	// failover no proof is taken that could have been used before.
	ProofAhead = 10 * time.Second
)

// proofType is the typ of DPoP proofs (RFC 9449, section 4.2).
const proofType = "dpop+jwt"

// Proof is a DPoP proof (RFC 9449, section 4.2) that was signed with the key it
// brings. It shows that somebody has that key, and nothing about who that is.
type Proof struct {
	JKT    string // the key's thumbprint (RFC 7638)
	Alg    string // how it was signed
	JTI    string
	Nonce  string // "" when it has none
	Issued time.Time

	method, url, hash string
}

// ProofWant says what a proof must be about.
type ProofWant struct {
	Now    time.Time
	Method string
	// URLs are the addresses under which the request may have been sent, of
	// which the proof must name one. They come from configuration, never from
	// the request.
	URLs []string
	// Token is the access token that is presented with the proof, "" where
	// none is.
	Token string
}

// ParseProof reads a proof and checks type, algorithm, key and signature.
func ParseProof(text string) (*Proof, error) {
	u, err := parse(text, MaxProof, proof)
	if err != nil {
		return nil, err
	}
	if !typeIn(u.Typ, []string{proofType}) {
		return nil, bad(ErrType, "%.40q", u.Typ)
	}
	if u.jwk == nil {
		return nil, bad(ErrBadKey, "the proof brings no key")
	}
	key, err := ParseJWK(u.jwk)
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, bad(ErrBadKey, "of a kind that signs nothing here")
	}
	if key, err = key.Pin(u.Alg); err != nil {
		return nil, err
	}
	if !key.verify([]byte(u.signed), u.signature) {
		return nil, ErrSignature
	}
	p := &Proof{JKT: key.Thumbprint(), Alg: key.Alg}
	return p, p.read(u.claims)
}

func (p *Proof) read(o Object) (err error) {
	for name, to := range map[string]*string{"jti": &p.JTI, "htm": &p.method, "htu": &p.url, "ath": &p.hash, "nonce": &p.Nonce} {
		if *to, err = o.String(name); err != nil {
			return err
		}
		if *to == "" && o.Has(name) {
			return bad(ErrClaim, "%s is empty", name)
		}
	}
	if p.Issued, err = o.Time("iat"); err != nil {
		return err
	}
	if p.JTI == "" || len(p.JTI) > maxProofJTI || p.method == "" || p.url == "" || !o.Has("iat") {
		return bad(ErrClaim, "jti, htm, htu and iat are needed, the first of at most 256 bytes")
	}
	return nil
}

// Check compares what the proof claims with the request it came in (RFC 9449,
// section 4.3). Whether its nonce is good and its jti new is for the caller.
func (p *Proof) Check(w ProofWant) error {
	if p.method != w.Method {
		return bad(ErrClaim, "htm is another method")
	}
	if !p.names(w.URLs) {
		return bad(ErrClaim, "htu is another address")
	}
	if p.Issued.After(w.Now.Add(ProofAhead)) {
		return bad(ErrClaim, "iat lies ahead")
	}
	if !w.Now.Before(p.Issued.Add(ProofAge)) {
		return ErrExpired
	}
	if w.Token == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(w.Token))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(p.hash), []byte(want)) != 1 {
		return bad(ErrClaim, "ath is of another token")
	}
	return nil
}

func (p *Proof) names(urls []string) bool {
	named, ok := normalURL(p.url)
	if !ok {
		return false
	}
	for _, u := range urls {
		if own, ok := normalURL(u); ok && own == named {
			return true
		}
	}
	return false
}

// normalURL is an address without query and fragment, in the one spelling that
// RFC 3986, sections 6.2.2 and 6.2.3 gives it. Dot segments are left alone: no
// address of ours has any.
func normalURL(text string) (string, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.User != nil || u.Host == "" {
		return "", false
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", false
	}
	path := normalPath(u.EscapedPath())
	if path == "" {
		path = "/"
	}
	return scheme + "://" + strings.TrimSuffix(host, ":") + path, true
}

// normalPath decodes what need not be encoded and writes the rest in capitals.
func normalPath(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		if c := hexByte(path[i+1])<<4 | hexByte(path[i+2]); unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func hexByte(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}
